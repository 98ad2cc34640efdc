"""The report: medians, ratios to the baseline, and targets."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.rounds import ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.redeliveries import Rate
    from benchmarks.rounds import Timings

BASELINE = "httpx"
SDK = "webhooks_sdk"
RECEIVE_BASELINE = "hmac and json"
RECEIVE_SDK = "Delivery.from_http"
STARTUP = "no import"
IMPORT_BASELINE = "import httpx"
IMPORT_SDK = "import webhooks_sdk"

LABELS: Mapping[str, str] = {
    BASELINE: "httpx, client.post(...).json()",
    SDK: "client.hooks.redeliver(...)",
    "svix": "svix, message_attempt.resend(...)",
    "openai": "openai, client.post(...)",
    RECEIVE_BASELINE: "hmac + json.loads(...)",
    RECEIVE_SDK: "Delivery.from_http(...)",
    STARTUP: "(no import)",
}
TARGETS: Mapping[str, float] = {SDK: 0.9, RECEIVE_SDK: 1.15, IMPORT_SDK: 1.5}
FIXTURE_TARGET = 0.05
REPLAY_BASELINE = "32 workers, one httpx.AsyncClient"
REPLAY_WITHOUT_JOURNAL = "redeliver_many without a journal"
REPLAY_SDK = "redeliver_many(journal=...)"
# Minimum throughput of a replay with a journal, relative to each.
REPLAY_TARGETS: Mapping[str, float] = {REPLAY_WITHOUT_JOURNAL: 0.9, REPLAY_BASELINE: 1.0}
MICROSECONDS, MILLISECONDS = (1e6, "µs"), (1e3, "ms")


def print_call_timings(title: str, timings: Timings) -> None:
    print_table(title, timings, BASELINE, MICROSECONDS)


def print_replay_timings(timings: Timings) -> None:
    """Print the throughput of each, and the ratios of a replay with a journal to the others."""
    print("replay: async redeliveries per second, 32 in flight")
    for name, seconds in timings.items():
        print(f"  {name:34}{1 / statistics.median(seconds):7.0f}/s")
    for name, target in REPLAY_TARGETS.items():
        round_ratios = ratios(timings, name, REPLAY_SDK)
        median = statistics.median(round_ratios)
        label = f"with a journal vs {name}"
        print(
            f"  {label:54}{median:5.2f}x  {quartiles(round_ratios)}"
            f"  at least {target}x: {verdict(met=median >= target)}"
        )
    print(flush=True)


def print_delivery_timings(title: str, timings: Timings) -> None:
    print_table(title, timings, RECEIVE_BASELINE, MICROSECONDS)


def print_import_timings(title: str, timings: Timings) -> None:
    print_table(title, timings, IMPORT_BASELINE, MILLISECONDS)


def print_fixture_timings(title: str, timings: Timings) -> None:
    """Print medians with their common target. There is nothing to compare them with."""
    scale, symbol = MILLISECONDS
    target = FIXTURE_TARGET * scale
    print(f"{title}\n  {'':34}{'median':>10}  {'quartiles':<15}  target")
    for name, seconds in timings.items():
        scaled = [value * scale for value in seconds]
        median = statistics.median(scaled)
        print(
            f"  {name:34}{median:7.1f} {symbol}  {quartiles(scaled) + ' ' + symbol:<15}"
            f"  at most {target:g} {symbol}: {verdict(met=median <= target)}"
        )
    print(flush=True)


def print_rates(title: str, rates: Sequence[Rate], target: float) -> None:
    wall_rates = [rate.wall for rate in rates]
    cpu_rates = [rate.cpu for rate in rates]
    print(f"{title}\n  {'':34}{'median':>10}  {'quartiles':<16}  target")
    print(
        f"  {'per second of real time':34}{rate_row(wall_rates)}"
        f"  at least {target:.0f}/s: {verdict(met=statistics.median(wall_rates) >= target)}"
    )
    print(f"  {'per second of CPU time':34}{rate_row(cpu_rates)}\n", flush=True)


def rate_row(rates: Sequence[float]) -> str:
    low, _, high = statistics.quantiles([*rates, *rates], n=4, method="inclusive")
    return f"{statistics.median(rates):8.0f}/s  {f'{low:.0f} to {high:.0f}':<16}"


def print_table(title: str, timings: Timings, baseline: str, unit: tuple[float, str]) -> None:
    print(f"{title}\n  {'':34}{'median':>10}  {'ratio':>6}  {'quartiles':<12}  target")
    for name in timings:
        print(f"  {LABELS.get(name, name):34}{row(timings, name, baseline, unit)}".rstrip())
    print(flush=True)


def row(timings: Timings, name: str, baseline: str, unit: tuple[float, str]) -> str:
    scale, symbol = unit
    time = f"{statistics.median(timings[name]) * scale:7.1f} {symbol}"
    if name == baseline:
        return f"{time}  {'1.00x':>6}"
    round_ratios = ratios(timings, name, baseline)
    median = statistics.median(round_ratios)
    target = TARGETS.get(name)
    outcome = "" if target is None else f"at most {target}x: {verdict(met=median <= target)}"
    return f"{time}  {median:5.2f}x  {quartiles(round_ratios)}  {outcome}"


def quartiles(numbers: Sequence[float]) -> str:
    """Format the first and third quartile, which show how noisy the measurement was."""
    # Double the numbers: quantiles() needs at least two, and there may be only one round.
    low, _, high = statistics.quantiles([*numbers, *numbers], n=4, method="inclusive")
    return f"{low:.2f} to {high:.2f}"


def verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"
