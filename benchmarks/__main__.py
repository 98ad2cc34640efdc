"""Compare the SDK with httpx, svix and openai, measure its sandbox, and print a report.

The exit status is 0 if everything ran, even if a target was missed: timings are noisy, and a check
that fails at random is of no use.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from benchmarks.calls import OTHER_SDKS, async_benchmarks, importable, sync_benchmarks
from benchmarks.deliveries import delivery_benchmarks
from benchmarks.fixtures import measure_set_ups
from benchmarks.imports import import_benchmarks, subtract_startup
from benchmarks.redeliveries import TARGET, measure_redeliveries
from benchmarks.replays import replay_benchmarks
from benchmarks.report import (
    print_call_timings,
    print_delivery_timings,
    print_fixture_timings,
    print_import_timings,
    print_rates,
    print_replay_timings,
)
from benchmarks.rounds import run_rounds
from benchmarks.server import SERVERS, running_server

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ROUNDS = 41
DEFAULT_CALLS = 75
FIXTURE_SESSIONS = 5
REPLAY_ROUNDS = 15
REDELIVERIES_PER_CALL = 20


def main() -> None:
    arguments = parse_arguments()
    exit_cleanly_on_sigterm()
    remove_proxies()
    other_sdks = [name for name in OTHER_SDKS if importable(name)]
    print_environment(other_sdks)
    with running_server(arguments.server) as (base_url, server):
        print(f"server: {server}, on the loopback interface")
        print(f"{arguments.rounds} alternating rounds of {arguments.calls} calls each; medians\n")
        measure_calls(base_url, other_sdks, arguments.rounds, arguments.calls)
        measure_replays(base_url, min(arguments.rounds, REPLAY_ROUNDS), arguments.calls)
    measure_deliveries(arguments.rounds, arguments.calls)
    measure_sandbox(arguments.rounds)
    measure_imports(arguments.rounds)
    measure_fixtures(min(arguments.rounds, FIXTURE_SESSIONS))


def measure_calls(base_url: str, other_sdks: Sequence[str], rounds: int, calls: int) -> None:
    with sync_benchmarks(base_url, other_sdks, calls) as benchmarks:
        print_call_timings("sync: CPU time per call", run_rounds(benchmarks, rounds))
    with async_benchmarks(base_url, other_sdks, calls) as benchmarks:
        print_call_timings("async: CPU time per call", run_rounds(benchmarks, rounds))


def measure_replays(base_url: str, rounds: int, calls: int) -> None:
    with replay_benchmarks(base_url, calls * REDELIVERIES_PER_CALL) as benchmarks:
        print_replay_timings(run_rounds(benchmarks, rounds))


def measure_deliveries(rounds: int, calls: int) -> None:
    timings = run_rounds(delivery_benchmarks(calls), rounds)
    print_delivery_timings("receiving 300 KB: CPU time per delivery", timings)


def measure_sandbox(rounds: int) -> None:
    rates = measure_redeliveries(rounds)
    print_rates("sandbox: redeliveries to a local Subscriber, on one core", rates, TARGET)


def measure_imports(rounds: int) -> None:
    timings = run_rounds(import_benchmarks(), rounds)
    print_import_timings("import: CPU time of a new interpreter, start-up included", timings)
    print_import_timings(
        "import: the same, without the start-up of the interpreter", subtract_startup(timings)
    )


def measure_fixtures(sessions: int) -> None:
    times = measure_set_ups(sessions)
    timings = {
        "first test, including imports": times.first,
        "each further test": times.further,
    }
    print_fixture_timings("pytest fixtures: set-up time of both", timings)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds", type=positive, default=DEFAULT_ROUNDS, help="default: %(default)s"
    )
    parser.add_argument(
        "--calls", type=positive, default=DEFAULT_CALLS, help="per round; default: %(default)s"
    )
    parser.add_argument("--server", choices=SERVERS, help="default: nginx if it is installed")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def exit_cleanly_on_sigterm() -> None:
    # By default, Python would exit at once and leave the server running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def remove_proxies() -> None:
    """Remove the proxies of the environment, so that every call goes directly to the server."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]


def print_environment(other_sdks: Sequence[str]) -> None:
    distributions = ("webhooks-sdk", "httpx", *other_sdks)
    versions = ", ".join(f"{name} {installed_version(name)}" for name in distributions)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs; {versions}")
    for name in OTHER_SDKS:
        if name not in other_sdks:
            print(f"{name} is not installed, so it is not measured")


def installed_version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(from source)"


if __name__ == "__main__":
    main()
