"""Measures the SDK beside httpx, svix and openai, and its sandbox, and prints what it found.

The exit status says whether everything could run, not whether a target was reached: timings are
noisy, and a test that fails now and then is believed by nobody.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from benchmarks.contenders import RIVALS, async_contenders, importable, sync_contenders
from benchmarks.deliveries import delivery_contenders
from benchmarks.fixtures import fixture_set_ups
from benchmarks.imports import import_contenders, net_of_startup
from benchmarks.redeliveries import AIM, measure_redeliveries
from benchmarks.replays import replay_contenders
from benchmarks.report import (
    print_delivery_figures,
    print_figures,
    print_fixture_figures,
    print_import_figures,
    print_rates,
    print_replay_figures,
)
from benchmarks.rounds import alternate
from benchmarks.server import SERVERS, running_server

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ROUNDS = 41
DEFAULT_CALLS = 75
FIXTURE_SESSIONS = 5
REPLAYS = 15
REPLAYED_FOR_EACH_CALL = 20


def main() -> None:
    arguments = parse_arguments()
    stop_in_order_when_terminated()
    forget_proxies()
    rivals = [name for name in RIVALS if importable(name)]
    print_surroundings(rivals)
    with running_server(arguments.server) as (base_url, server):
        print(f"server: {server}, on loopback")
        print(f"{arguments.rounds} alternating rounds of {arguments.calls} calls; medians\n")
        measure_calls(base_url, rivals, arguments.rounds, arguments.calls)
        measure_replays(base_url, min(arguments.rounds, REPLAYS), arguments.calls)
    measure_deliveries(arguments.rounds, arguments.calls)
    measure_sandbox(arguments.rounds)
    measure_imports(arguments.rounds)
    measure_fixtures(min(arguments.rounds, FIXTURE_SESSIONS))


def measure_calls(base_url: str, rivals: Sequence[str], rounds: int, calls: int) -> None:
    with sync_contenders(base_url, rivals, calls) as contenders:
        print_figures("sync: CPU of one call", alternate(contenders, rounds))
    with async_contenders(base_url, rivals, calls) as contenders:
        print_figures("async: CPU of one call", alternate(contenders, rounds))


def measure_replays(base_url: str, rounds: int, calls: int) -> None:
    with replay_contenders(base_url, calls * REPLAYED_FOR_EACH_CALL) as contenders:
        print_replay_figures(alternate(contenders, rounds))


def measure_deliveries(rounds: int, calls: int) -> None:
    figures = alternate(delivery_contenders(calls), rounds)
    print_delivery_figures("receiving 300 KB: CPU of one delivery", figures)


def measure_sandbox(rounds: int) -> None:
    rates = measure_redeliveries(rounds)
    print_rates("sandbox: redeliveries to a local Subscriber, on one core", rates, AIM)


def measure_imports(rounds: int) -> None:
    figures = alternate(import_contenders(), rounds)
    print_import_figures("import: CPU of a whole fresh interpreter, nothing subtracted", figures)
    print_import_figures(
        "import: the same, net of the start-up of the interpreter", net_of_startup(figures)
    )


def measure_fixtures(sessions: int) -> None:
    set_ups = fixture_set_ups(sessions)
    figures = {
        "first test, imports included": set_ups.first,
        "each further test": set_ups.further,
    }
    print_fixture_figures("pytest fixtures: time until both are there", figures)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=DEFAULT_ROUNDS, help="%(default)s")
    parser.add_argument("--calls", type=positive, default=DEFAULT_CALLS, help="%(default)s a round")
    parser.add_argument("--server", choices=SERVERS, help="by default nginx where there is one")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def stop_in_order_when_terminated() -> None:
    # Python would end at once, and leave the server running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def forget_proxies() -> None:
    """Have every contender speak to the loopback server itself, whatever the environment says."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]


def print_surroundings(rivals: Sequence[str]) -> None:
    distributions = ("webhooks-sdk", "httpx", *rivals)
    versions = ", ".join(f"{name} {installed_version(name)}" for name in distributions)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs; {versions}")
    for name in RIVALS:
        if name not in rivals:
            print(f"{name} cannot be imported: measured without it")


def installed_version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "from its sources"


if __name__ == "__main__":
    main()
