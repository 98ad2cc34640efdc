"""When the next request may be sent: evenly, later after a 429, and always in the end."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.rate import MAX_PAUSE, RateLimiter

NOW = 1_000.0


def send(pace: RateLimiter, now: float, times: int = 1) -> float:
    """Send as soon as it may be, and return when the last one was."""
    for _ in range(times):
        now = pace.ready_at(now)
        assert not pace.binds(now)
        pace.sent(now)
    return now


def lasting(pace: RateLimiter, now: float, *, rate: float, seconds: float) -> float:
    """Send at a rate, and return when that ended."""
    for step in range(int(rate * seconds)):
        pace.sent(now + step / rate)
    return now + seconds


# Spacing


def test_the_first_may_be_sent_at_once_and_the_next_after_an_even_time() -> None:
    pace = RateLimiter(4)
    assert pace.ready_at(NOW) == NOW
    pace.sent(NOW)
    assert pace.binds(NOW)
    assert pace.ready_at(NOW) == NOW + 0.25
    assert pace.ready_at(NOW + 0.1) == NOW + 0.25
    assert pace.ready_at(NOW + 7) == NOW + 7
    assert not pace.binds(NOW + 0.25)


def test_without_a_rate_nothing_is_held_back() -> None:
    pace = RateLimiter(None)
    assert pace.rate is None
    assert send(pace, NOW, 1_000) == NOW
    assert not pace.binds(NOW)


def test_what_an_idle_time_left_unused_is_not_made_up_for() -> None:
    pace = RateLimiter(2)
    send(pace, NOW)
    later = send(pace, NOW + 3_600)
    assert later == NOW + 3_600
    assert send(pace, later, 4) == later + 2


def test_nor_what_a_pause_did() -> None:
    pace = RateLimiter(2)
    send(pace, NOW)
    pace.pause(NOW, 30)
    assert send(pace, NOW, 5) == NOW + 30 + 2
    assert pace.rate == 2


def test_a_clock_read_a_little_earlier_by_another_thread_brings_nothing_forward() -> None:
    pace = RateLimiter(2)
    pace.sent(NOW)
    pace.sent(NOW - 0.4)
    assert pace.ready_at(NOW - 0.4) == NOW + 0.5


# Pauses


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 0), (0.5, 0.5), (30, 30), (900, 900), (901, 900), (31_536_000, 900), (inf, 900)],
)
def test_all_wait_as_long_as_was_asked_up_to_a_quarter_of_an_hour(
    asked: float, waited: float
) -> None:
    assert MAX_PAUSE == 900
    for limited in (True, False):
        pace = RateLimiter(None)
        pace.sent(NOW)
        if limited:
            pace.limited(NOW, asked, sent_at=NOW)
        else:
            pace.pause(NOW, asked)
        assert pace.ready_at(NOW) == max(NOW + waited, NOW + (1 / (pace.rate or inf)))
        assert pace.binds(NOW) is (limited or waited > 0)


@pytest.mark.parametrize("asked", [-1, -inf, nan])
def test_a_pause_that_is_none_is_not_made(asked: float) -> None:
    pace = RateLimiter(None)
    pace.pause(NOW, asked)
    assert pace.ready_at(NOW) == NOW


def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    pace = RateLimiter(None)
    pace.pause(NOW, 60)
    pace.pause(NOW + 1, 2)
    assert pace.ready_at(NOW + 1) == NOW + 60


def paused(pace: RateLimiter, now: float) -> tuple[float, float]:
    """Return when a 429 without Retry-After came, after some requests, and how long all wait."""
    now = lasting(pace, now, rate=200, seconds=0.5)
    pace.limited(now, None, sent_at=now - 0.1)
    return now, pace.ready_at(now) - now


def test_pauses_that_nobody_asked_for_grow_while_they_do_not_help() -> None:
    pace = RateLimiter(200)
    now, waits = NOW, list[float]()
    for _ in range(9):
        limited_at, wait = paused(pace, now)
        waits.append(wait)
        now = limited_at + wait
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_once_one_has_helped_they_are_short_again() -> None:
    pace = RateLimiter(200)
    now = NOW
    for _ in range(8):
        now = sum(paused(pace, now))
    # The last was a minute, and what was sent in the first second after it went well.
    assert paused(pace, now + 1)[1] == 1


# A lower pace, and back


def test_the_pace_is_lower_after_a_429() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=50, seconds=20)
    pace.limited(now, 2, sent_at=now - 0.1)
    assert pace.rate == pytest.approx(47, rel=0.01)


@pytest.mark.parametrize("rate", [None, 50])
def test_it_comes_from_the_throughput_that_there_was(rate: float | None) -> None:
    pace = RateLimiter(rate)
    now = lasting(pace, NOW, rate=20, seconds=60)
    pace.limited(now, 1, sent_at=now - 0.1)
    assert pace.rate == pytest.approx(18.8, rel=0.01)


@pytest.mark.parametrize("sends", [1, 3, 100])
def test_or_from_the_rate_before_much_was_observed(sends: int) -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=20, seconds=sends / 20)
    pace.limited(now, 1, sent_at=now - 0.05)
    assert pace.rate == pytest.approx(35)
    # The same after an idle time, from what the pace is again by then.
    pace.sent(now + 20)
    pace.limited(now + 20.1, 1, sent_at=now + 20)
    assert pace.rate == pytest.approx(35)


def test_a_few_in_a_moment_are_no_throughput() -> None:
    pace = RateLimiter(None)
    for step in range(3):
        pace.sent(NOW + step / 1_000)
    pace.limited(NOW + 0.01, 1, sent_at=NOW)
    assert pace.rate == pytest.approx(0.7 * 3)


def test_a_pause_that_the_api_asked_for_counts_as_time() -> None:
    # A quota of 60 a minute, used up in three seconds: the next minute it is not tried like that.
    pace = RateLimiter(None)
    now = lasting(pace, NOW, rate=20, seconds=3)
    pace.limited(now, 57, sent_at=now - 0.1)
    now = lasting(pace, NOW + 60, rate=14, seconds=4)
    pace.limited(now, 56, sent_at=now - 0.1)
    assert pace.rate is not None
    assert pace.rate < 2


@pytest.mark.parametrize("retry_after", [None, 1, 2])
def test_a_short_pause_does_not(retry_after: float | None) -> None:
    # Or each 429 would cost what its pause cost once more.
    pace = RateLimiter(None)
    now = lasting(pace, NOW, rate=20, seconds=20)
    pace.limited(now, retry_after, sent_at=now - 0.1)
    now = lasting(pace, pace.ready_at(now), rate=20, seconds=1)
    pace.limited(now, retry_after, sent_at=now - 0.1)
    assert pace.rate is not None
    assert pace.rate > 0.9 * 20 * 0.94


def test_nor_does_an_idle_time() -> None:
    pace = RateLimiter(None)
    lasting(pace, NOW, rate=20, seconds=3)
    now = lasting(pace, NOW + 3_600, rate=20, seconds=5)
    pace.limited(now, 1, sent_at=now - 0.1)
    assert pace.rate == pytest.approx(14, rel=0.01)


def test_those_in_flight_together_slow_down_once() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=50, seconds=20)
    for late in range(16):
        pace.limited(now + late / 10, 1, sent_at=now - 0.1)
    assert pace.rate == pytest.approx(47, rel=0.03)


def test_but_all_may_prolong_the_pause() -> None:
    pace = RateLimiter(50)
    pace.sent(NOW)
    pace.limited(NOW + 1, 1, sent_at=NOW)
    pace.limited(NOW + 2, 10, sent_at=NOW)
    pace.limited(NOW + 3, None, sent_at=NOW)
    assert pace.ready_at(NOW + 3) == NOW + 12


def test_one_sent_after_that_slows_down_again() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=50, seconds=20)
    pace.limited(now, 0, sent_at=now - 0.1)
    pace.limited(now + 0.1, 0, sent_at=now + 0.05)
    assert pace.rate == pytest.approx(50 * 0.94**2, rel=0.01)


def test_the_pace_comes_back_evenly_and_up_to_the_rate() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=20, seconds=20)
    pace.limited(now, 5, sent_at=now - 0.1)
    seen = list[float]()
    for second in range(0, 41, 5):
        pace.ready_at(now + 5 + second)
        assert pace.rate is not None
        seen.append(pace.rate)
    grown = [seen[step + 1] - seen[step] for step in range(4)]
    assert grown == [pytest.approx(18.8 / 4, rel=0.01)] * 4
    assert seen[-1] == 50


def test_it_does_not_while_all_pause() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=50, seconds=20)
    pace.limited(now, 800, sent_at=now - 0.1)
    pace.ready_at(now + 800)
    assert pace.rate == pytest.approx(47, rel=0.01)


def test_a_pause_takes_nothing_of_what_came_back_before_it() -> None:
    pace = RateLimiter(50)
    now = lasting(pace, NOW, rate=20, seconds=20)
    pace.limited(now, 0, sent_at=now - 0.1)
    pace.pause(now + 10, 60)
    pace.ready_at(now + 70)
    assert pace.rate == pytest.approx(18.8 * 1.5, rel=0.01)


def test_nor_does_another_429() -> None:
    pace = RateLimiter(100)
    now = lasting(pace, NOW, rate=50, seconds=20)
    pace.limited(now, 0, sent_at=now - 0.1)
    now = lasting(pace, now, rate=50, seconds=1)
    pace.limited(now, 60, sent_at=now - 0.1)
    assert pace.rate == pytest.approx(0.94 * 47 * 1.05, rel=0.01)


# A limit, or not


def until(pace: RateLimiter, now: float, limit: float) -> float:
    """Send until the pace is over a limit and the API says so; return when that was."""
    sent_at = now
    while pace.rate is None or pace.rate <= limit:
        now = sent_at = send(pace, now)
    pace.limited(now, 0, sent_at=sent_at)
    return now


def cycles(pace: RateLimiter, now: float, limit: float, number: int) -> list[float]:
    """Return when the next 429s come, in seconds from one to the other."""
    ends = [now]
    for _ in range(number):
        ends.append(until(pace, ends[-1], limit))
    return [end - begin for begin, end in pairwise(ends)]


def settled() -> tuple[RateLimiter, float]:
    """Return a pace that has met a limit of ten a second, and when it did."""
    pace = RateLimiter(100)
    now = lasting(pace, NOW, rate=10.2, seconds=20)
    pace.limited(now, 0, sent_at=now - 0.01)
    return pace, until(pace, now, 10.2)


def test_a_limit_is_tried_ever_less_often() -> None:
    pace, now = settled()
    climb = 2
    assert cycles(pace, now, 10.2, 7) == [
        pytest.approx(patience + climb, abs=3) for patience in (4, 8, 16, 32, 60, 60, 60)
    ]


def test_meanwhile_the_pace_is_just_below() -> None:
    pace, now = settled()
    now += sum(cycles(pace, now, 10.2, 4))
    pace.ready_at(now + 3)
    assert pace.rate is not None
    assert 0.8 * 10.2 < pace.rate < 10.2
    begin = pace.rate
    pace.ready_at(now + 30)
    assert pace.rate == begin


def test_a_429_below_the_limit_takes_the_patience() -> None:
    pace, now = settled()
    now += sum(cycles(pace, now, 10.2, 5))
    now = send(pace, now, 30)
    pace.limited(now, 0, sent_at=now)
    # From 60 seconds to a quarter of that.
    [again] = cycles(pace, now, 10.2, 1)
    assert 15 < again < 25


def test_429s_one_after_the_other_tell_of_no_limit() -> None:
    pace = RateLimiter(50)
    now = send(pace, NOW)
    for _ in range(50):
        pace.limited(now, 0, sent_at=now)
        now = send(pace, now)
    assert pace.rate == pytest.approx(1, rel=0.1)
    pace.ready_at(now + 20)
    assert pace.rate == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("rate", "again"), [(None, None), (50, 50), (0.05, 0.05)])
def test_whatever_there_was_in_the_end_the_pace_is_back(
    rate: float | None, again: float | None
) -> None:
    pace = RateLimiter(rate)
    now = NOW
    for _ in range(100):
        now = send(pace, now)
        pace.limited(now, 900, sent_at=now)
    assert pace.rate == min(rate or inf, 1)
    now = pace.ready_at(now)
    for _ in range(60):
        now += 60
        pace.ready_at(now)
    assert pace.rate == again


# What holds whatever happens


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "wait", "429", "old 429", "503"]),
        st.one_of(st.none(), st.floats(0, 2_000), st.sampled_from([inf, nan, -1.0])),
        st.floats(0, 30),
    ),
    max_size=60,
)
RATES = st.one_of(st.none(), st.floats(1e-6, 1e6))


def run(
    pace: RateLimiter, steps: list[tuple[str, float | None, float]]
) -> tuple[float, list[float]]:
    """Do these things as time goes by, and return when it ended and when was sent."""
    now, sends = NOW, list[float]()
    for what, asked, wait in steps:
        if what == "send":
            now = pace.ready_at(now)
            pace.sent(now)
            sends.append(now)
        elif what == "wait":
            now += wait
        elif what == "503":
            pace.pause(now, asked or 0)
        else:
            old = NOW if what == "old 429" else sends[-1] if sends else NOW
            pace.limited(now, asked, sent_at=old)
    return now, sends


@given(st.floats(1e-3, 1e3), STEPS)
def test_there_is_never_a_burst(rate: float, steps: list[tuple[str, float | None, float]]) -> None:
    _, sends = run(RateLimiter(rate), steps)
    for first, begin in enumerate(sends):
        for last in range(first, len(sends)):
            count = last - first + 1
            assert count <= rate * (sends[last] - begin) * (1 + 1e-9) + 1 + 1e-6 * rate


@given(RATES, STEPS)
def test_the_pace_is_never_over_the_rate_and_never_stands_still(
    rate: float | None, steps: list[tuple[str, float | None, float]]
) -> None:
    pace = RateLimiter(rate)
    now, _ = run(pace, steps)
    assert pace.rate is not None or rate is None
    assert (pace.rate or inf) <= (rate or inf)
    assert (pace.rate or inf) >= min(1, rate or inf)
    ready = pace.ready_at(now)
    assert now <= ready <= now + max(MAX_PAUSE, 1 / min(1, rate or inf)) + 1e-3
    assert not pace.binds(ready)
