"""`python -m webhooks_sdk.sandbox`: the sandbox in the foreground."""

from __future__ import annotations

import argparse
import signal
import sys
from shlex import quote
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until Ctrl-C or SIGTERM.

    Args:
        arguments: The command line without the program; `sys.argv` if None.

    Returns:
        The exit code: 0, or 1 if it could not start.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        sandbox = Sandbox(host=options.host, port=options.port, allow_remote=options.allow_remote)
    except ValueError:
        parser.error(
            f"{options.host} is no loopback address, so other machines could reach the sandbox:"
            " use 127.0.0.1, or add --allow-remote if that is meant."
        )
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        with sandbox:
            sys.stdout.write(_greeting(sandbox))
            sys.stdout.flush()
            sandbox.join()
    except KeyboardInterrupt:
        return 0
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"Cannot listen on {options.host}, port {options.port}: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webhooks_sdk.sandbox",
        description="Run a stand-in for the webhook service on this machine, with nothing in it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 for any free (%(default)s)")
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow a host that other machines can reach"
    )
    return parser


def _greeting(sandbox: Sandbox) -> str:
    return (
        f"# The sandbox listens on {sandbox.base_url}; Ctrl-C ends it. For another terminal:\n"
        f"export WEBHOOKS_BASE_URL={quote(sandbox.base_url)}\n"
        f"export WEBHOOKS_TOKEN_URL={quote(sandbox.token_url)}\n"
        f"export WEBHOOKS_CLIENT_ID={quote(sandbox.client_id)}\n"
        f"export WEBHOOKS_CLIENT_SECRET={quote(sandbox.client_secret)}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
