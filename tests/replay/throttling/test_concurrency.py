"""How many may be in flight: one, more while it goes well, fewer in distress, never none."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.signals import Signal

FINE, NEUTRAL, OVERLOAD = Signal.FINE, Signal.NEUTRAL, Signal.OVERLOAD


def fill(window: ConcurrencyLimiter) -> list[int]:
    tickets = list[int]()
    while window.has_room:
        tickets.append(window.started())
    return tickets


def rounds(
    window: ConcurrencyLimiter, *signals: Signal, duration_ms: float | None = None
) -> list[int]:
    """Fill it and let all of them end alike, for each signal; return the size after each."""
    sizes = list[int]()
    for signal in signals:
        for ticket in fill(window):
            window.finished(ticket, signal, binding=False, duration_ms=duration_ms)
        sizes.append(window.size)
    return sizes


def at(size: int, *, limit: int = 100) -> ConcurrencyLimiter:
    """Return one of this size, after a first distress."""
    window = ConcurrencyLimiter(limit)
    # Eight rounds until it is two, and one for each more.
    rounds(window, OVERLOAD, *[FINE] * (size + 6))
    assert window.size == size
    return window


def test_it_begins_with_one_and_doubles_up_to_the_limit() -> None:
    window = ConcurrencyLimiter(20)
    assert window.size == 1
    assert rounds(window, *[FINE] * 6) == [2, 4, 8, 16, 20, 20]
    assert len(fill(window)) == 20
    assert window.in_flight == 20


def test_after_the_first_distress_it_grows_by_one_a_round() -> None:
    window = ConcurrencyLimiter(20)
    assert rounds(window, FINE, FINE, FINE, OVERLOAD, FINE, FINE, FINE) == [2, 4, 8, 4, 5, 6, 7]


def test_the_size_that_was_too_much_is_tried_again_after_eight_rounds() -> None:
    window = at(8)
    rounds(window, OVERLOAD)
    assert rounds(window, *[FINE] * 3) == [5, 6, 7]
    assert rounds(window, *[FINE] * 8) == [7] * 7 + [8]
    assert rounds(window, *[FINE] * 3) == [9, 10, 11]


def test_so_is_a_second_one_where_one_was_too_much() -> None:
    window = ConcurrencyLimiter(8)
    assert rounds(window, OVERLOAD, *[FINE] * 8) == [1] * 8 + [2]
    assert rounds(window, *[FINE] * 2) == [3, 4]


def test_distress_halves_it_down_to_one() -> None:
    assert rounds(at(23), *[OVERLOAD] * 6) == [11, 5, 2, 1, 1, 1]


@pytest.mark.parametrize("late", [FINE, OVERLOAD])
def test_what_was_sent_before_the_last_decrease_says_nothing_any_more(late: Signal) -> None:
    window = at(16)
    first, *others = fill(window)
    window.finished(first, OVERLOAD, binding=False)
    assert window.size == 8
    for ticket in others[:8]:
        window.finished(ticket, late, binding=False, duration_ms=9_000)
    assert window.in_flight == 7
    new = fill(window)
    for ticket in others[8:]:
        window.finished(ticket, late, binding=False, duration_ms=9_000)
    assert window.size == 8
    window.finished(new[0], OVERLOAD, binding=False)
    assert window.size == 4


def test_nor_does_what_went_well_before_it() -> None:
    window = at(8)
    *well, last = fill(window)
    for ticket in well:
        window.finished(ticket, FINE, binding=False)
    window.finished(last, OVERLOAD, binding=False)
    assert window.size == 4
    new = fill(window)
    for ticket in new[:3]:
        window.finished(ticket, FINE, binding=False)
        assert window.size == 4
    window.finished(new[3], FINE, binding=False)
    assert window.size == 5


def test_neutral_changes_nothing() -> None:
    assert rounds(at(7), *[NEUTRAL] * 5) == [7] * 5
    window = ConcurrencyLimiter(8)
    assert rounds(window, NEUTRAL, FINE, NEUTRAL, FINE) == [1, 2, 2, 4]


def test_it_does_not_grow_while_the_pace_binds() -> None:
    window = at(7)
    for _ in range(10):
        for ticket in fill(window):
            window.finished(ticket, FINE, binding=True)
    assert window.size == 7


@pytest.mark.parametrize("limit", [4, 100])
def test_it_does_not_grow_unless_it_was_full(limit: int) -> None:
    window = ConcurrencyLimiter(limit)
    rounds(window, FINE, FINE)
    for _ in range(50):
        tickets = [window.started() for _ in range(3)]
        for ticket in tickets:
            window.finished(ticket, FINE, binding=False)
    assert window.size == 4


def test_it_was_full_also_for_those_that_end_in_one_go() -> None:
    window = ConcurrencyLimiter(100)
    rounds(window, FINE, FINE, FINE)
    tickets = fill(window)
    for ticket in reversed(tickets):
        window.finished(ticket, FINE, binding=False)
    assert window.size == 16


def test_distress_counts_while_the_pace_binds() -> None:
    window = at(8)
    window.finished(fill(window)[0], OVERLOAD, binding=True)
    assert window.size == 4


# LatencyTracker


def test_a_sharp_rise_of_durations_is_distress() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=200)
    assert window.size == 16
    rounds(window, *[FINE] * 3, duration_ms=1_000)
    assert window.size < 16


def test_durations_from_before_a_decrease_cause_no_other() -> None:
    window = at(30)
    first = fill(window)
    for ticket in first[:8]:
        window.finished(ticket, FINE, binding=True, duration_ms=200)
    for ticket in first[8:]:
        window.finished(ticket, NEUTRAL, binding=True)
    second = fill(window)
    for ticket in second[:22]:
        window.finished(ticket, FINE, binding=True, duration_ms=1_000)
    window.finished(second[22], OVERLOAD, binding=True)
    assert window.size == 15
    for ticket in fill(window)[:4]:
        window.finished(ticket, FINE, binding=True, duration_ms=200)
    assert window.size == 15


def test_one_slow_answer_is_none() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=200)
    window.finished(fill(window)[0], FINE, binding=False, duration_ms=59_000)
    rounds(window, *[FINE] * 12, duration_ms=200)
    assert window.size == 16


def test_milliseconds_are_no_distress() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=2)
    assert set(rounds(window, *[FINE] * 50, duration_ms=9)) == {16}


def test_a_level_that_lasts_becomes_normal_in_the_end() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=200)
    sizes = rounds(window, *[FINE] * 300, duration_ms=5_000)
    assert min(sizes) == 1
    assert sizes[-1] == 16


def test_it_does_not_grow_before_it_is_known_to_be_small_enough() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=200)
    while window.size == 16:
        rounds(window, FINE, duration_ms=1_000)
    assert rounds(window, FINE, duration_ms=200) == [8]
    assert rounds(window, *[FINE] * 4, duration_ms=200)[-1] > 8


def test_what_has_no_duration_cannot_keep_it_small() -> None:
    window = ConcurrencyLimiter(16)
    rounds(window, *[FINE] * 12, duration_ms=200)
    while window.size == 16:
        rounds(window, FINE, duration_ms=1_000)
    assert rounds(window, *[FINE] * 2) == [9, 10]


# What holds whatever happens


ENDS = st.tuples(
    st.sampled_from([FINE, FINE, FINE, NEUTRAL, OVERLOAD]),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1e5)),
    st.integers(0, 10),
)


@given(st.integers(1, 40), st.lists(st.one_of(st.none(), ENDS), max_size=300))
def test_it_keeps_to_its_bounds(
    limit: int, steps: list[tuple[Signal, bool, float | None, int] | None]
) -> None:
    window = ConcurrencyLimiter(limit)
    flying = deque[int]()
    known = newest = 0
    for step in steps:
        if step is None or not flying:
            flying.extend(fill(window))
            newest = max(newest, *flying)
            assert window.in_flight == len(flying) <= limit
            continue
        signal, binding, duration, which = step
        flying.rotate(which)
        ticket, before = flying.popleft(), window.size
        window.finished(ticket, signal, binding=binding, duration_ms=duration)
        assert 1 <= window.size <= limit
        if window.size < before:
            # Once for all that were in flight: this one was sent after the decrease before it.
            assert ticket > known
            assert window.size == before // 2
        if window.size < before or (signal is OVERLOAD and ticket > known):
            known = newest
        if binding or signal is not FINE:
            assert window.size <= before
        assert window.size <= before + 1
    for ticket in flying:
        window.finished(ticket, OVERLOAD, binding=True)
    assert window.in_flight == 0
    assert window.has_room


@given(st.integers(1, 64), st.lists(ENDS, max_size=100))
def test_when_all_is_well_again_it_reaches_its_limit(
    limit: int, past: list[tuple[Signal, bool, float | None, int]]
) -> None:
    window = ConcurrencyLimiter(limit)
    for signal, binding, duration, _ in past:
        tickets = fill(window)
        for ticket in tickets:
            window.finished(ticket, signal, binding=binding, duration_ms=duration)
    rounds(window, *[FINE] * (limit + 200), duration_ms=500)
    assert window.size == limit
