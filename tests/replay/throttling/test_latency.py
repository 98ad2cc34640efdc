"""The latency tracker detects a sharp rise over the baseline, and adapts the baseline."""

from __future__ import annotations

import random
from math import exp, inf, nan
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.latency import LatencyTracker

if TYPE_CHECKING:
    from collections.abc import Iterable


def verdicts(
    tracker: LatencyTracker, values: Iterable[float], *, sequential: bool = False
) -> list[bool | None]:
    """Return the verdicts of the batches that were completed."""
    found = [tracker.record(value, sequential=sequential) for value in values]
    return [rises for rises in found if rises is not None]


def tracker_with_baseline(baseline: float) -> LatencyTracker:
    tracker = LatencyTracker()
    assert verdicts(tracker, [baseline] * 32) == [False, False]
    return tracker


@pytest.mark.parametrize(
    ("before", "after", "rising"),
    [
        (2, 9, False),
        (2, 101, False),
        (2, 103, True),
        (0, 99, False),
        (0, 101, True),
        (90, 185, False),
        (200, 399, False),
        (200, 401, True),
        (500, 900, False),
        (500, 5_000, True),
        (500, 5, False),
    ],
)
def test_a_sharp_rise_is_twice_the_baseline_and_100_ms_more(
    before: float, after: float, rising: bool
) -> None:
    assert verdicts(tracker_with_baseline(before), [after] * 24) == [rising]


def test_a_few_slow_responses_are_not_a_rise() -> None:
    assert verdicts(tracker_with_baseline(100), [60_000] + [100] * 23) == [False]
    assert verdicts(tracker_with_baseline(100), [60_000] * 17 + [100] * 7) == [False]


def test_a_discarded_batch_does_not_affect_the_next() -> None:
    tracker = tracker_with_baseline(100)
    assert verdicts(tracker, [900] * 23) == []
    tracker.discard_batch()
    assert verdicts(tracker, [100] * 24) == [False]


def test_the_baseline_follows_shorter_durations() -> None:
    tracker = tracker_with_baseline(1_000)
    assert verdicts(tracker, [200] * 24 * 20) == [False] * 20
    assert verdicts(tracker, [900] * 24) == [True]


def test_a_slow_rise_under_load_is_detected() -> None:
    tracker = tracker_with_baseline(500)
    slower = [500 + step for step in range(2_000)]
    assert verdicts(tracker, slower).index(True) < 30


def test_sequential_durations_become_the_baseline() -> None:
    tracker = tracker_with_baseline(100)
    assert verdicts(tracker, [900] * 24) == [True]
    assert verdicts(tracker, [900] * 12, sequential=True) == [True]
    assert verdicts(tracker, [900] * 12, sequential=True) == [False]
    assert verdicts(tracker, [1_700] * 24) == [False]
    assert verdicts(tracker, [1_900] * 24) == [True]


def test_the_baseline_follows_a_small_sequential_rise() -> None:
    tracker = tracker_with_baseline(500)
    assert verdicts(tracker, [900] * 12 * 40, sequential=True) == [False] * 40
    assert verdicts(tracker, [1_700] * 24) == [False]


@pytest.mark.parametrize("spread", [0.3, 0.6, 1.0])
def test_a_wide_spread_is_not_a_rise(spread: float) -> None:
    # Log-normal, as durations are: at 1.0 one in six is longer than 2.7 times the median.
    rng = random.Random(7)  # noqa: S311 - not for security
    found = verdicts(LatencyTracker(), (500 * exp(rng.gauss(0, spread)) for _ in range(24_000)))
    assert found.count(True) <= 0.01 * len(found)


@pytest.mark.parametrize("value", [-1, -inf, nan])
def test_invalid_durations_are_ignored(value: float) -> None:
    tracker = tracker_with_baseline(100)
    assert verdicts(tracker, [value] * 100) == []
    assert verdicts(tracker, [900] * 24) == [True]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(0, 1e6), st.integers(0, 10**400), st.just(inf)), st.booleans()
        ),
        max_size=200,
    )
)
def test_after_any_history_lasting_sequential_durations_become_the_baseline(
    values: list[tuple[float, bool]],
) -> None:
    tracker = LatencyTracker()
    for value, sequential in values:
        tracker.record(value, sequential=sequential)
    tracker.discard_batch()
    assert verdicts(tracker, [300] * 48, sequential=True)[-1] is False
