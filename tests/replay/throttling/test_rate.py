"""The rate limiter spaces requests, slows down after a 429, and recovers."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.rate import MAX_PAUSE, RateLimiter

NOW = 1_000.0


def send(limiter: RateLimiter, now: float, times: int = 1) -> float:
    """Send as soon as allowed, and return when the last request was sent."""
    for _ in range(times):
        now = limiter.ready_at(now)
        assert not limiter.is_limiting(now)
        limiter.record_request(now)
    return now


def send_at_rate(limiter: RateLimiter, now: float, *, rate: float, seconds: float) -> float:
    """Send at a rate, and return the time at the end."""
    for step in range(int(rate * seconds)):
        limiter.record_request(now + step / rate)
    return now + seconds


# Spacing


def test_requests_are_spaced_evenly() -> None:
    limiter = RateLimiter(4)
    assert limiter.ready_at(NOW) == NOW
    limiter.record_request(NOW)
    assert limiter.is_limiting(NOW)
    assert limiter.ready_at(NOW) == NOW + 0.25
    assert limiter.ready_at(NOW + 0.1) == NOW + 0.25
    assert limiter.ready_at(NOW + 7) == NOW + 7
    assert not limiter.is_limiting(NOW + 0.25)


def test_without_a_rate_requests_are_not_delayed() -> None:
    limiter = RateLimiter(None)
    assert limiter.rate is None
    assert send(limiter, NOW, 1_000) == NOW
    assert not limiter.is_limiting(NOW)


def test_idle_time_is_not_made_up_for() -> None:
    limiter = RateLimiter(2)
    send(limiter, NOW)
    later = send(limiter, NOW + 3_600)
    assert later == NOW + 3_600
    assert send(limiter, later, 4) == later + 2


def test_a_pause_is_not_made_up_for() -> None:
    limiter = RateLimiter(2)
    send(limiter, NOW)
    limiter.pause(NOW, 30)
    assert send(limiter, NOW, 5) == NOW + 30 + 2
    assert limiter.rate == 2


def test_an_earlier_time_from_another_thread_does_not_shorten_the_wait() -> None:
    limiter = RateLimiter(2)
    limiter.record_request(NOW)
    limiter.record_request(NOW - 0.4)
    assert limiter.ready_at(NOW - 0.4) == NOW + 0.5


# Pauses


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 0), (0.5, 0.5), (30, 30), (900, 900), (901, 900), (31_536_000, 900), (inf, 900)],
)
def test_requests_wait_as_long_as_asked_up_to_15_minutes(asked: float, waited: float) -> None:
    assert MAX_PAUSE == 900
    for limited in (True, False):
        limiter = RateLimiter(None)
        limiter.record_request(NOW)
        if limited:
            limiter.slow_down(NOW, asked, sent_at=NOW)
        else:
            limiter.pause(NOW, asked)
        assert limiter.ready_at(NOW) == max(NOW + waited, NOW + (1 / (limiter.rate or inf)))
        assert limiter.is_limiting(NOW) is (limited or waited > 0)


@pytest.mark.parametrize("asked", [-1, -inf, nan])
def test_an_invalid_pause_is_ignored(asked: float) -> None:
    limiter = RateLimiter(None)
    limiter.pause(NOW, asked)
    assert limiter.ready_at(NOW) == NOW


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    limiter = RateLimiter(None)
    limiter.pause(NOW, 60)
    limiter.pause(NOW + 1, 2)
    assert limiter.ready_at(NOW + 1) == NOW + 60


def pause_after_429(limiter: RateLimiter, now: float) -> tuple[float, float]:
    """Send, get a 429 without Retry-After, and return when that was and the pause after it."""
    now = send_at_rate(limiter, now, rate=200, seconds=0.5)
    limiter.slow_down(now, None, sent_at=now - 0.1)
    return now, limiter.ready_at(now) - now


def test_default_pauses_double_while_429s_continue() -> None:
    limiter = RateLimiter(200)
    now, waits = NOW, list[float]()
    for _ in range(9):
        limited_at, wait = pause_after_429(limiter, now)
        waits.append(wait)
        now = limited_at + wait
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_default_pauses_are_short_again_once_one_was_long_enough() -> None:
    limiter = RateLimiter(200)
    now = NOW
    for _ in range(8):
        now = sum(pause_after_429(limiter, now))
    # The last pause was a minute, and requests succeeded in the first second after it.
    assert pause_after_429(limiter, now + 1)[1] == 1


# Decrease and recovery


def test_a_429_lowers_the_rate() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=50, seconds=20)
    limiter.slow_down(now, 2, sent_at=now - 0.1)
    assert limiter.rate == pytest.approx(47, rel=0.01)


@pytest.mark.parametrize("rate", [None, 50])
def test_the_rate_is_lowered_from_the_observed_throughput(rate: float | None) -> None:
    limiter = RateLimiter(rate)
    now = send_at_rate(limiter, NOW, rate=20, seconds=60)
    limiter.slow_down(now, 1, sent_at=now - 0.1)
    assert limiter.rate == pytest.approx(18.8, rel=0.01)


@pytest.mark.parametrize("sends", [1, 3, 100])
def test_the_rate_is_lowered_from_itself_while_little_was_observed(sends: int) -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=20, seconds=sends / 20)
    limiter.slow_down(now, 1, sent_at=now - 0.05)
    assert limiter.rate == pytest.approx(35)
    # The same after idle time, in which the rate has recovered.
    limiter.record_request(now + 20)
    limiter.slow_down(now + 20.1, 1, sent_at=now + 20)
    assert limiter.rate == pytest.approx(35)


def test_a_few_requests_in_an_instant_count_as_one_second() -> None:
    limiter = RateLimiter(None)
    for step in range(3):
        limiter.record_request(NOW + step / 1_000)
    limiter.slow_down(NOW + 0.01, 1, sent_at=NOW)
    assert limiter.rate == pytest.approx(0.7 * 3)


def test_a_long_pause_counts_as_observed_time() -> None:
    # A quota of 60 a minute, used up in three seconds: the next minute is not sent as fast.
    limiter = RateLimiter(None)
    now = send_at_rate(limiter, NOW, rate=20, seconds=3)
    limiter.slow_down(now, 57, sent_at=now - 0.1)
    now = send_at_rate(limiter, NOW + 60, rate=14, seconds=4)
    limiter.slow_down(now, 56, sent_at=now - 0.1)
    assert limiter.rate is not None
    assert limiter.rate < 2


@pytest.mark.parametrize("retry_after", [None, 1, 2])
def test_a_short_pause_does_not_count_as_observed_time(retry_after: float | None) -> None:
    # Otherwise each 429 would cost its pause twice.
    limiter = RateLimiter(None)
    now = send_at_rate(limiter, NOW, rate=20, seconds=20)
    limiter.slow_down(now, retry_after, sent_at=now - 0.1)
    now = send_at_rate(limiter, limiter.ready_at(now), rate=20, seconds=1)
    limiter.slow_down(now, retry_after, sent_at=now - 0.1)
    assert limiter.rate is not None
    assert limiter.rate > 0.9 * 20 * 0.94


def test_idle_time_does_not_count_as_observed_time() -> None:
    limiter = RateLimiter(None)
    send_at_rate(limiter, NOW, rate=20, seconds=3)
    now = send_at_rate(limiter, NOW + 3_600, rate=20, seconds=5)
    limiter.slow_down(now, 1, sent_at=now - 0.1)
    assert limiter.rate == pytest.approx(14, rel=0.01)


def test_429s_of_requests_in_flight_together_lower_the_rate_once() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=50, seconds=20)
    for late in range(16):
        limiter.slow_down(now + late / 10, 1, sent_at=now - 0.1)
    assert limiter.rate == pytest.approx(47, rel=0.03)


def test_each_429_may_prolong_the_pause() -> None:
    limiter = RateLimiter(50)
    limiter.record_request(NOW)
    limiter.slow_down(NOW + 1, 1, sent_at=NOW)
    limiter.slow_down(NOW + 2, 10, sent_at=NOW)
    limiter.slow_down(NOW + 3, None, sent_at=NOW)
    assert limiter.ready_at(NOW + 3) == NOW + 12


def test_a_429_of_a_later_request_lowers_the_rate_again() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=50, seconds=20)
    limiter.slow_down(now, 0, sent_at=now - 0.1)
    limiter.slow_down(now + 0.1, 0, sent_at=now + 0.05)
    assert limiter.rate == pytest.approx(50 * 0.94**2, rel=0.01)


def test_the_rate_recovers_linearly_up_to_its_maximum() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=20, seconds=20)
    limiter.slow_down(now, 5, sent_at=now - 0.1)
    rates = list[float]()
    for second in range(0, 41, 5):
        limiter.ready_at(now + 5 + second)
        assert limiter.rate is not None
        rates.append(limiter.rate)
    grown = [rates[step + 1] - rates[step] for step in range(4)]
    assert grown == [pytest.approx(18.8 / 4, rel=0.01)] * 4
    assert rates[-1] == 50


def test_the_rate_does_not_recover_during_a_pause() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=50, seconds=20)
    limiter.slow_down(now, 800, sent_at=now - 0.1)
    limiter.ready_at(now + 800)
    assert limiter.rate == pytest.approx(47, rel=0.01)


def test_a_pause_keeps_the_recovery_before_it() -> None:
    limiter = RateLimiter(50)
    now = send_at_rate(limiter, NOW, rate=20, seconds=20)
    limiter.slow_down(now, 0, sent_at=now - 0.1)
    limiter.pause(now + 10, 60)
    limiter.ready_at(now + 70)
    assert limiter.rate == pytest.approx(18.8 * 1.5, rel=0.01)


def test_another_429_keeps_the_recovery_before_it() -> None:
    limiter = RateLimiter(100)
    now = send_at_rate(limiter, NOW, rate=50, seconds=20)
    limiter.slow_down(now, 0, sent_at=now - 0.1)
    now = send_at_rate(limiter, now, rate=50, seconds=1)
    limiter.slow_down(now, 60, sent_at=now - 0.1)
    assert limiter.rate == pytest.approx(0.94 * 47 * 1.05, rel=0.01)


# Probing for a limit


def send_until_429(limiter: RateLimiter, now: float, limit: float) -> float:
    """Send until the rate exceeds a limit and the service returns 429; return when that was."""
    sent_at = now
    while limiter.rate is None or limiter.rate <= limit:
        now = sent_at = send(limiter, now)
    limiter.slow_down(now, 0, sent_at=sent_at)
    return now


def seconds_between_429s(
    limiter: RateLimiter, now: float, limit: float, number: int
) -> list[float]:
    """Return the seconds between the next 429s."""
    ends = [now]
    for _ in range(number):
        ends.append(send_until_429(limiter, ends[-1], limit))
    return [end - begin for begin, end in pairwise(ends)]


def limiter_at_limit() -> tuple[RateLimiter, float]:
    """Return a limiter that has found a limit of ten per second, and when it did."""
    limiter = RateLimiter(100)
    now = send_at_rate(limiter, NOW, rate=10.2, seconds=20)
    limiter.slow_down(now, 0, sent_at=now - 0.01)
    return limiter, send_until_429(limiter, now, 10.2)


def test_a_limit_is_probed_less_and_less_often() -> None:
    limiter, now = limiter_at_limit()
    climb = 2
    assert seconds_between_429s(limiter, now, 10.2, 7) == [
        pytest.approx(hold + climb, abs=3) for hold in (4, 8, 16, 32, 60, 60, 60)
    ]


def test_between_probes_the_rate_is_held_just_below_the_limit() -> None:
    limiter, now = limiter_at_limit()
    now += sum(seconds_between_429s(limiter, now, 10.2, 4))
    limiter.ready_at(now + 3)
    assert limiter.rate is not None
    assert 0.8 * 10.2 < limiter.rate < 10.2
    begin = limiter.rate
    limiter.ready_at(now + 30)
    assert limiter.rate == begin


def test_a_429_below_the_limit_shortens_the_hold() -> None:
    limiter, now = limiter_at_limit()
    now += sum(seconds_between_429s(limiter, now, 10.2, 5))
    now = send(limiter, now, 30)
    limiter.slow_down(now, 0, sent_at=now)
    # The hold shrinks from 60 seconds to a quarter.
    [seconds] = seconds_between_429s(limiter, now, 10.2, 1)
    assert 15 < seconds < 25


def test_consecutive_429s_do_not_reveal_a_limit() -> None:
    limiter = RateLimiter(50)
    now = send(limiter, NOW)
    for _ in range(50):
        limiter.slow_down(now, 0, sent_at=now)
        now = send(limiter, now)
    assert limiter.rate == pytest.approx(1, rel=0.1)
    limiter.ready_at(now + 20)
    assert limiter.rate == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("rate", "recovered"), [(None, None), (50, 50), (0.05, 0.05)])
def test_after_any_429s_the_rate_recovers(rate: float | None, recovered: float | None) -> None:
    limiter = RateLimiter(rate)
    now = NOW
    for _ in range(100):
        now = send(limiter, now)
        limiter.slow_down(now, 900, sent_at=now)
    assert limiter.rate == min(rate or inf, 1)
    now = limiter.ready_at(now)
    for _ in range(60):
        now += 60
        limiter.ready_at(now)
    assert limiter.rate == recovered


# Properties


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "wait", "429", "old 429", "503"]),
        st.one_of(st.none(), st.floats(0, 2_000), st.sampled_from([inf, nan, -1.0])),
        st.floats(0, 30),
    ),
    max_size=60,
)
RATES = st.one_of(st.none(), st.floats(1e-6, 1e6))


def run_steps(
    limiter: RateLimiter, steps: list[tuple[str, float | None, float]]
) -> tuple[float, list[float]]:
    """Run these steps, and return the time at the end and the times of the requests."""
    now, sends = NOW, list[float]()
    for what, asked, wait in steps:
        if what == "send":
            now = limiter.ready_at(now)
            limiter.record_request(now)
            sends.append(now)
        elif what == "wait":
            now += wait
        elif what == "503":
            limiter.pause(now, asked or 0)
        else:
            old = NOW if what == "old 429" else sends[-1] if sends else NOW
            limiter.slow_down(now, asked, sent_at=old)
    return now, sends


@given(st.floats(1e-3, 1e3), STEPS)
def test_there_is_never_a_burst(rate: float, steps: list[tuple[str, float | None, float]]) -> None:
    _, sends = run_steps(RateLimiter(rate), steps)
    for first, begin in enumerate(sends):
        for last in range(first, len(sends)):
            count = last - first + 1
            assert count <= rate * (sends[last] - begin) * (1 + 1e-9) + 1 + 1e-6 * rate


@given(RATES, STEPS)
def test_the_rate_stays_within_its_bounds_and_requests_are_never_blocked(
    rate: float | None, steps: list[tuple[str, float | None, float]]
) -> None:
    limiter = RateLimiter(rate)
    now, _ = run_steps(limiter, steps)
    assert limiter.rate is not None or rate is None
    assert (limiter.rate or inf) <= (rate or inf)
    assert (limiter.rate or inf) >= min(1, rate or inf)
    ready = limiter.ready_at(now)
    assert now <= ready <= now + max(MAX_PAUSE, 1 / min(1, rate or inf)) + 1e-3
    assert not limiter.is_limiting(ready)
