"""The concurrency limiter grows while all is well, shrinks on overload, and stays within bounds."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.signals import Signal

HEALTHY, NEUTRAL, OVERLOAD = Signal.HEALTHY, Signal.NEUTRAL, Signal.OVERLOAD


def fill(limiter: ConcurrencyLimiter) -> list[int]:
    tickets = list[int]()
    while limiter.has_room:
        tickets.append(limiter.acquire())
    return tickets


def rounds(
    limiter: ConcurrencyLimiter, *signals: Signal, duration_ms: float | None = None
) -> list[int]:
    """Fill the limiter and end all requests with each signal; return the limit after each."""
    limits = list[int]()
    for signal in signals:
        for ticket in fill(limiter):
            limiter.release(ticket, signal, rate_limited=False, duration_ms=duration_ms)
        limits.append(limiter.limit)
    return limits


def limiter_with_limit(limit: int, *, max_limit: int = 100) -> ConcurrencyLimiter:
    """Return a limiter with this limit, after a first overload."""
    limiter = ConcurrencyLimiter(max_limit)
    # Eight rounds to grow to two, and one for each further step.
    rounds(limiter, OVERLOAD, *[HEALTHY] * (limit + 6))
    assert limiter.limit == limit
    return limiter


def test_it_starts_at_one_and_doubles_up_to_its_maximum() -> None:
    limiter = ConcurrencyLimiter(20)
    assert limiter.limit == 1
    assert rounds(limiter, *[HEALTHY] * 6) == [2, 4, 8, 16, 20, 20]
    assert len(fill(limiter)) == 20
    assert limiter.in_flight == 20


def test_after_the_first_overload_it_grows_by_one_a_round() -> None:
    limiter = ConcurrencyLimiter(20)
    assert rounds(limiter, HEALTHY, HEALTHY, HEALTHY, OVERLOAD, HEALTHY, HEALTHY, HEALTHY) == [
        2,
        4,
        8,
        4,
        5,
        6,
        7,
    ]


def test_an_overloaded_limit_is_tried_again_after_eight_rounds() -> None:
    limiter = limiter_with_limit(8)
    rounds(limiter, OVERLOAD)
    assert rounds(limiter, *[HEALTHY] * 3) == [5, 6, 7]
    assert rounds(limiter, *[HEALTHY] * 8) == [7] * 7 + [8]
    assert rounds(limiter, *[HEALTHY] * 3) == [9, 10, 11]


def test_an_overload_at_a_limit_of_one_delays_two_by_eight_rounds() -> None:
    limiter = ConcurrencyLimiter(8)
    assert rounds(limiter, OVERLOAD, *[HEALTHY] * 8) == [1] * 8 + [2]
    assert rounds(limiter, *[HEALTHY] * 2) == [3, 4]


def test_an_overload_halves_it_down_to_one() -> None:
    assert rounds(limiter_with_limit(23), *[OVERLOAD] * 6) == [11, 5, 2, 1, 1, 1]


@pytest.mark.parametrize("late", [HEALTHY, OVERLOAD])
def test_requests_sent_before_the_last_decrease_do_not_change_the_limit(late: Signal) -> None:
    limiter = limiter_with_limit(16)
    first, *others = fill(limiter)
    limiter.release(first, OVERLOAD, rate_limited=False)
    assert limiter.limit == 8
    for ticket in others[:8]:
        limiter.release(ticket, late, rate_limited=False, duration_ms=9_000)
    assert limiter.in_flight == 7
    new = fill(limiter)
    for ticket in others[8:]:
        limiter.release(ticket, late, rate_limited=False, duration_ms=9_000)
    assert limiter.limit == 8
    limiter.release(new[0], OVERLOAD, rate_limited=False)
    assert limiter.limit == 4


def test_successes_before_a_decrease_do_not_count_towards_growth() -> None:
    limiter = limiter_with_limit(8)
    *healthy, last = fill(limiter)
    for ticket in healthy:
        limiter.release(ticket, HEALTHY, rate_limited=False)
    limiter.release(last, OVERLOAD, rate_limited=False)
    assert limiter.limit == 4
    new = fill(limiter)
    for ticket in new[:3]:
        limiter.release(ticket, HEALTHY, rate_limited=False)
        assert limiter.limit == 4
    limiter.release(new[3], HEALTHY, rate_limited=False)
    assert limiter.limit == 5


def test_neutral_signals_do_not_change_the_limit() -> None:
    assert rounds(limiter_with_limit(7), *[NEUTRAL] * 5) == [7] * 5
    limiter = ConcurrencyLimiter(8)
    assert rounds(limiter, NEUTRAL, HEALTHY, NEUTRAL, HEALTHY) == [1, 2, 2, 4]


def test_it_does_not_grow_while_rate_limited() -> None:
    limiter = limiter_with_limit(7)
    for _ in range(10):
        for ticket in fill(limiter):
            limiter.release(ticket, HEALTHY, rate_limited=True)
    assert limiter.limit == 7


@pytest.mark.parametrize("max_limit", [4, 100])
def test_it_grows_only_if_it_was_full(max_limit: int) -> None:
    limiter = ConcurrencyLimiter(max_limit)
    rounds(limiter, HEALTHY, HEALTHY)
    for _ in range(50):
        tickets = [limiter.acquire() for _ in range(3)]
        for ticket in tickets:
            limiter.release(ticket, HEALTHY, rate_limited=False)
    assert limiter.limit == 4


def test_it_counts_as_full_for_requests_that_end_together() -> None:
    limiter = ConcurrencyLimiter(100)
    rounds(limiter, HEALTHY, HEALTHY, HEALTHY)
    tickets = fill(limiter)
    for ticket in reversed(tickets):
        limiter.release(ticket, HEALTHY, rate_limited=False)
    assert limiter.limit == 16


def test_an_overload_halves_it_while_rate_limited() -> None:
    limiter = limiter_with_limit(8)
    limiter.release(fill(limiter)[0], OVERLOAD, rate_limited=True)
    assert limiter.limit == 4


# Latency


def test_a_sharp_rise_of_latency_is_an_overload() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    assert limiter.limit == 16
    rounds(limiter, *[HEALTHY] * 3, duration_ms=1_000)
    assert limiter.limit < 16


def test_durations_from_before_a_decrease_do_not_cause_another() -> None:
    limiter = limiter_with_limit(30)
    first = fill(limiter)
    for ticket in first[:8]:
        limiter.release(ticket, HEALTHY, rate_limited=True, duration_ms=200)
    for ticket in first[8:]:
        limiter.release(ticket, NEUTRAL, rate_limited=True)
    second = fill(limiter)
    for ticket in second[:22]:
        limiter.release(ticket, HEALTHY, rate_limited=True, duration_ms=1_000)
    limiter.release(second[22], OVERLOAD, rate_limited=True)
    assert limiter.limit == 15
    for ticket in fill(limiter)[:4]:
        limiter.release(ticket, HEALTHY, rate_limited=True, duration_ms=200)
    assert limiter.limit == 15


def test_one_slow_response_is_not_an_overload() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    limiter.release(fill(limiter)[0], HEALTHY, rate_limited=False, duration_ms=59_000)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    assert limiter.limit == 16


def test_a_rise_of_milliseconds_is_not_an_overload() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=2)
    assert set(rounds(limiter, *[HEALTHY] * 50, duration_ms=9)) == {16}


def test_a_lasting_latency_becomes_the_baseline() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    limits = rounds(limiter, *[HEALTHY] * 300, duration_ms=5_000)
    assert min(limits) == 1
    assert limits[-1] == 16


def test_after_a_latency_rise_it_grows_only_once_a_batch_is_normal() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    while limiter.limit == 16:
        rounds(limiter, HEALTHY, duration_ms=1_000)
    assert rounds(limiter, HEALTHY, duration_ms=200) == [8]
    assert rounds(limiter, *[HEALTHY] * 4, duration_ms=200)[-1] > 8


def test_after_a_latency_rise_it_grows_on_responses_without_duration() -> None:
    limiter = ConcurrencyLimiter(16)
    rounds(limiter, *[HEALTHY] * 12, duration_ms=200)
    while limiter.limit == 16:
        rounds(limiter, HEALTHY, duration_ms=1_000)
    assert rounds(limiter, *[HEALTHY] * 2) == [9, 10]


# Properties


ENDS = st.tuples(
    st.sampled_from([HEALTHY, HEALTHY, HEALTHY, NEUTRAL, OVERLOAD]),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1e5)),
    st.integers(0, 10),
)


@given(st.integers(1, 40), st.lists(st.one_of(st.none(), ENDS), max_size=300))
def test_the_limit_stays_within_its_bounds(
    max_limit: int, steps: list[tuple[Signal, bool, float | None, int] | None]
) -> None:
    limiter = ConcurrencyLimiter(max_limit)
    in_flight = deque[int]()
    last_decrease = newest = 0
    for step in steps:
        if step is None or not in_flight:
            in_flight.extend(fill(limiter))
            newest = max(newest, *in_flight)
            assert limiter.in_flight == len(in_flight) <= max_limit
            continue
        signal, rate_limited, duration, which = step
        in_flight.rotate(which)
        ticket, before = in_flight.popleft(), limiter.limit
        limiter.release(ticket, signal, rate_limited=rate_limited, duration_ms=duration)
        assert 1 <= limiter.limit <= max_limit
        if limiter.limit < before:
            # Only once for all in flight: this request was sent after the previous decrease.
            assert ticket > last_decrease
            assert limiter.limit == before // 2
        if limiter.limit < before or (signal is OVERLOAD and ticket > last_decrease):
            last_decrease = newest
        if rate_limited or signal is not HEALTHY:
            assert limiter.limit <= before
        assert limiter.limit <= before + 1
    for ticket in in_flight:
        limiter.release(ticket, OVERLOAD, rate_limited=True)
    assert limiter.in_flight == 0
    assert limiter.has_room


@given(st.integers(1, 64), st.lists(ENDS, max_size=100))
def test_after_any_history_it_reaches_its_maximum(
    max_limit: int, past: list[tuple[Signal, bool, float | None, int]]
) -> None:
    limiter = ConcurrencyLimiter(max_limit)
    for signal, rate_limited, duration, _ in past:
        tickets = fill(limiter)
        for ticket in tickets:
            limiter.release(ticket, signal, rate_limited=rate_limited, duration_ms=duration)
    rounds(limiter, *[HEALTHY] * (max_limit + 200), duration_ms=500)
    assert limiter.limit == max_limit
