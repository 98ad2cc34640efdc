"""`python -m webhooks_sdk.sandbox`: run the sandbox in the foreground."""

from __future__ import annotations

import argparse
import signal
import sys
from shlex import quote
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox import Fault, Sandbox, SandboxDatabaseError, Variants
from webhooks_sdk.sandbox._http.faults import KINDS, OPERATIONS
from webhooks_sdk.sandbox._http.guard import is_loopback
from webhooks_sdk.sandbox._http.root import CONTROL_PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = f"""\
A fault is a kind followed by settings:
  --fault 'rate_limited operation=redeliver times=3 retry_after=2'
kinds: {", ".join(KINDS)}
operations: {", ".join(OPERATIONS)}
settings of all kinds: operation, times, probability; of some kinds: seconds, status,
retry_after, processed, size. See docs/sandbox.md for details.

variants: {", ".join(Variants.names())}, or a number to use as a seed
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until Ctrl-C or SIGTERM.

    Args:
        arguments: The command-line arguments; those of `sys.argv` if None.

    Returns:
        The exit code: 0, or 1 if the sandbox could not start.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.allow_remote and not is_loopback(options.host):
        parser.error(
            f"{options.host} is not a loopback address, so other machines could reach the sandbox."
            " Use 127.0.0.1, or allow it with --allow-remote."
        )
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 0
    except SandboxDatabaseError as error:
        sys.stderr.write(f"{error}\n")
    except ValueError as error:
        parser.error(str(error))
    except BrokenPipeError:
        sys.stderr.write("The sandbox stopped because its standard output is closed.\n")
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {options.host}, port {options.port}: {error}\n")
    return 1


def _run(options: argparse.Namespace) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sandbox = Sandbox(
        host=options.host,
        port=options.port,
        client_id=options.client_id,
        client_secret=options.client_secret,
        database=options.database,
        variants=options.variant,
        seed=options.seed,
        seed_demo=options.seed_demo,
        real_time=not options.manual_time,
        token_lifetime=options.token_lifetime,
        connect_timeout=options.connect_timeout,
        response_timeout=options.response_timeout,
        allow_remote=options.allow_remote,
        allowed_hosts=options.allow_host,
    )
    sandbox.inject(*options.fault)
    with sandbox:
        sys.stdout.write(_greeting(sandbox))
        sys.stdout.flush()
        sandbox.join()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webhooks_sdk.sandbox",
        description="Run a local sandbox of the webhook service.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="host to listen on (default: %(default)s)")
    add(
        "--port",
        type=int,
        default=8080,
        help="port to listen on, 0 for any free one (default: %(default)s)",
    )
    add("--allow-remote", action="store_true", help="allow a --host that other machines can reach")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests to this host name, such as that of a container; can be repeated",
    )
    add("--database", metavar="FILE", help="keep all state in this file (default: in memory)")
    add("--client-id", metavar="ID", help="client ID (default: from the database, or generated)")
    add(
        "--client-secret",
        metavar="SECRET",
        help="client secret (default: from the database, or generated)",
    )
    add("--seed-demo", action="store_true", help="add demo data if the sandbox is empty")
    add(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="'KIND SETTING=...'",
        help="inject a fault, see below; can be repeated",
    )
    add(
        "--variant",
        type=_variants,
        metavar="NAME|SEED",
        help="behaviour where the service's documentation is silent, see below",
    )
    add(
        "--seed",
        type=int,
        help="make random values reproducible, except for credentials and tokens",
    )
    add(
        "--manual-time",
        action="store_true",
        help="run automatic retries only when the clock is advanced, which is the default of"
        " Sandbox() in Python, so that tests are repeatable; without this option they also run as"
        " time passes, so that you can watch them",
    )
    add(
        "--token-lifetime",
        type=int,
        default=43_200,
        metavar="SECONDS",
        help="lifetime of access tokens in seconds (default: %(default)s)",
    )
    add(
        "--connect-timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="seconds until a subscriber must accept a connection (default: %(default)s)",
    )
    add(
        "--response-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="seconds until a connected subscriber must respond (default: %(default)s)",
    )
    return parser


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _variants(text: str) -> Variants:
    try:
        return Variants.of(int(text) if text.removeprefix("-").isdecimal() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _greeting(sandbox: Sandbox) -> str:
    return (
        f"# Running on {sandbox.base_url} (Ctrl-C to stop). To use it from another terminal:\n"
        f"export WEBHOOKS_BASE_URL={quote(sandbox.base_url)}\n"
        f"export WEBHOOKS_TOKEN_URL={quote(sandbox.token_url)}\n"
        f"export WEBHOOKS_CLIENT_ID={quote(sandbox.client_id)}\n"
        f"export WEBHOOKS_CLIENT_SECRET={quote(sandbox.client_secret)}\n"
        f"# Inspector: {sandbox.base_url}/\n"
        f"# Control API: {sandbox.base_url}{CONTROL_PATH}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
