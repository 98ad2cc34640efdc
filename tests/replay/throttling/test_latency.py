"""Whether a subscriber gets slower: sharply, and under our load."""

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


def judged(
    durations: LatencyTracker, values: Iterable[float], *, alone: bool = False
) -> list[bool | None]:
    """Return the judgements that are one."""
    said = [durations.rising(value, alone=alone) for value in values]
    return [judgement for judgement in said if judgement is not None]


def used_to(level: float) -> LatencyTracker:
    durations = LatencyTracker()
    assert judged(durations, [level] * 32) == [False, False]
    return durations


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
def test_twice_the_baseline_and_a_tenth_of_a_second_more_is_a_sharp_rise(
    before: float, after: float, rising: bool
) -> None:
    assert judged(used_to(before), [after] * 24) == [rising]


def test_a_few_slow_ones_are_no_rise() -> None:
    assert judged(used_to(100), [60_000] + [100] * 23) == [False]
    assert judged(used_to(100), [60_000] * 17 + [100] * 7) == [False]


def test_a_batch_is_judged_by_itself() -> None:
    durations = used_to(100)
    assert judged(durations, [900] * 23) == []
    durations.forget()
    assert judged(durations, [100] * 24) == [False]


def test_the_baseline_follows_what_is_shorter() -> None:
    durations = used_to(1_000)
    assert judged(durations, [200] * 24 * 20) == [False] * 20
    assert judged(durations, [900] * 24) == [True]


def test_a_slow_rise_under_load_is_seen_in_the_end() -> None:
    durations = used_to(500)
    slower = [500 + step for step in range(2_000)]
    assert judged(durations, slower).index(True) < 30


def test_what_they_take_alone_becomes_the_baseline() -> None:
    durations = used_to(100)
    assert judged(durations, [900] * 24) == [True]
    assert judged(durations, [900] * 12, alone=True) == [True]
    assert judged(durations, [900] * 12, alone=True) == [False]
    assert judged(durations, [1_700] * 24) == [False]
    assert judged(durations, [1_900] * 24) == [True]


def test_a_small_rise_alone_is_followed_too() -> None:
    durations = used_to(500)
    assert judged(durations, [900] * 12 * 40, alone=True) == [False] * 40
    assert judged(durations, [1_700] * 24) == [False]


@pytest.mark.parametrize("spread", [0.3, 0.6, 1.0])
def test_a_wide_spread_is_no_rise(spread: float) -> None:
    # Log-normal, as durations are: at 1.0 every sixth takes more than 2.7 times the median.
    chance = random.Random(7)  # noqa: S311 - no secret
    said = judged(LatencyTracker(), (500 * exp(chance.gauss(0, spread)) for _ in range(24_000)))
    assert said.count(True) <= 0.01 * len(said)


@pytest.mark.parametrize("value", [-1, -inf, nan])
def test_what_is_no_time_is_left_out(value: float) -> None:
    durations = used_to(100)
    assert judged(durations, [value] * 100) == []
    assert judged(durations, [900] * 24) == [True]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(0, 1e6), st.integers(0, 10**400), st.just(inf)), st.booleans()
        ),
        max_size=200,
    )
)
def test_any_durations_are_taken_and_a_level_that_lasts_alone_is_normal_in_the_end(
    values: list[tuple[float, bool]],
) -> None:
    durations = LatencyTracker()
    for value, alone in values:
        durations.rising(value, alone=alone)
    durations.forget()
    assert judged(durations, [300] * 48, alone=True)[-1] is False
