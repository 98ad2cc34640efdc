"""The tables: medians, ratios to the baseline, and the targets beside them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.rounds import ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.redeliveries import Rate
    from benchmarks.rounds import Figures

BASELINE = "httpx by hand"
SDK = "webhooks_sdk"
RECEIVE_BASELINE = "hmac and json by hand"
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
REPLAY_WITHOUT = "the same without its journal"
REPLAY_SDK = "redeliver_many(journal=...)"
# The throughput with a journal is to be 0.9 of that without, and that of the workers by hand.
REPLAY_TARGETS: Mapping[str, float] = {REPLAY_WITHOUT: 0.9, REPLAY_BASELINE: 1.0}
MICROSECONDS, MILLISECONDS = (1e6, "µs"), (1e3, "ms")


def print_figures(title: str, figures: Figures) -> None:
    print_table(title, figures, BASELINE, MICROSECONDS)


def print_replay_figures(figures: Figures) -> None:
    """Print the throughput of each, and that of the engine beside the others'."""
    print("replay: async redeliveries a second, 32 in flight")
    for name, seconds in figures.items():
        print(f"  {name:34}{1 / statistics.median(seconds):7.0f}/s")
    for name, target in REPLAY_TARGETS.items():
        of_rounds = ratios(figures, name, REPLAY_SDK)
        median = statistics.median(of_rounds)
        reached = "reached" if median >= target else "NOT reached"
        beside = f"with its journal, of {name}"
        print(
            f"  {beside:52}{median:5.2f}x  {middle_half(of_rounds)}  at least {target}x: {reached}"
        )
    print(flush=True)


def print_delivery_figures(title: str, figures: Figures) -> None:
    print_table(title, figures, RECEIVE_BASELINE, MICROSECONDS)


def print_import_figures(title: str, figures: Figures) -> None:
    print_table(title, figures, IMPORT_BASELINE, MILLISECONDS)


def print_fixture_figures(title: str, figures: Figures) -> None:
    """Print medians, each beside the one target: these are no ratios, for there is no rival."""
    scale, symbol = MILLISECONDS
    print(f"{title}\n  {'':34}{'median':>10}  {'middle half':<15}  target")
    for name, seconds in figures.items():
        taken = [one * scale for one in seconds]
        median = statistics.median(taken)
        reached = "reached" if median <= FIXTURE_TARGET * scale else "NOT reached"
        print(
            f"  {name:34}{median:7.1f} {symbol}  {middle_half(taken) + ' ' + symbol:<15}"
            f"  at most {FIXTURE_TARGET * scale:g} {symbol}: {reached}"
        )
    print(flush=True)


def print_rates(title: str, rates: Sequence[Rate], aim: float) -> None:
    of_wall = [rate.wall for rate in rates]
    of_cpu = [rate.cpu for rate in rates]
    print(f"{title}\n  {'':34}{'median':>10}  {'middle half':<16}  target")
    print(
        f"  {'of all the time that passed':34}{rate_row(of_wall)}  at least {aim:.0f} of one core: "
        f"{'reached' if statistics.median(of_wall) >= aim else 'NOT reached'}"
    )
    print(f"  {'of the CPU time that it took':34}{rate_row(of_cpu)}\n", flush=True)


def rate_row(rates: Sequence[float]) -> str:
    low, _, high = statistics.quantiles([*rates, *rates], n=4, method="inclusive")
    return f"{statistics.median(rates):8.0f}/s  {f'{low:.0f} to {high:.0f}':<16}"


def print_table(title: str, figures: Figures, baseline: str, unit: tuple[float, str]) -> None:
    print(f"{title}\n  {'':34}{'median':>10}  {'ratio':>6}  {'middle half':<12}  target")
    for name in figures:
        print(f"  {LABELS.get(name, name):34}{row(figures, name, baseline, unit)}".rstrip())
    print(flush=True)


def row(figures: Figures, name: str, baseline: str, unit: tuple[float, str]) -> str:
    scale, symbol = unit
    taken = f"{statistics.median(figures[name]) * scale:7.1f} {symbol}"
    if name == baseline:
        return f"{taken}  {'1.00x':>6}"
    of_rounds = ratios(figures, name, baseline)
    median = statistics.median(of_rounds)
    return (
        f"{taken}  {median:5.2f}x  {middle_half(of_rounds)}  {verdict(median, TARGETS.get(name))}"
    )


def middle_half(numbers: Sequence[float]) -> str:
    """Say how noisy it was: between which two numbers the middle half of all lies."""
    # Two are needed to make quartiles of, and one round may be all that was asked for.
    low, _, high = statistics.quantiles([*numbers, *numbers], n=4, method="inclusive")
    return f"{low:.2f} to {high:.2f}"


def verdict(ratio: float, target: float | None) -> str:
    if target is None:
        return ""
    return f"at most {target}x: {'reached' if ratio <= target else 'NOT reached'}"
