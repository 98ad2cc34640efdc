"""Pace and window at work on models of a subscriber and of an API: both find their level."""

from __future__ import annotations

import random
from math import exp

import pytest
from support.replay_models import Answer, Bucket, Crowded, Machine, Run, Shared, Storm, simulate

from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.rate import RateLimiter
from webhooks_sdk.replay._throttling.signals import Signal


def throughput(times: list[float], begin: float, end: float) -> float:
    return sum(begin < time <= end for time in times) / (end - begin)


def sizes(run: Run, begin: float) -> list[int]:
    return [size for time, size in run.sizes if time > begin]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


# A subscriber that has just come back


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("at_once", [1, 2, 4, 8, 16])
def test_a_subscriber_that_queues_is_kept_busy_and_not_flooded(at_once: int, spread: float) -> None:
    chance = random.Random(3)  # noqa: S311 - no secret
    machine = Machine(at_once, lambda _: 0.5 * exp(chance.gauss(0, spread)))
    run = simulate(RateLimiter(None), ConcurrencyLimiter(128), machine, seconds=600)
    most = at_once / (0.5 * exp(spread**2 / 2))
    assert throughput(run.fine, 100, 600) > 0.95 * most
    assert not run.distressed
    assert mean(sizes(run, 100)) < 2 * at_once + 5
    assert max(sizes(run, 100)) <= 3 * at_once + 8


@pytest.mark.parametrize("at_once", [1, 2, 4, 8, 16, 32])
def test_a_subscriber_that_refuses_what_is_too_much_refuses_little(at_once: int) -> None:
    run = simulate(RateLimiter(None), ConcurrencyLimiter(64), Crowded(at_once, 0.5), seconds=600)
    assert throughput(run.fine, 50, 600) > 0.8 * at_once / 0.5
    assert len(run.distressed) <= len(run.sends) / 9
    assert max(sizes(run, 50)) <= at_once + 1


def test_deliveries_that_wait_too_long_for_their_turn_are_few() -> None:
    run = simulate(
        RateLimiter(None), ConcurrencyLimiter(64), Machine(4, lambda _: 10.0), seconds=6_000
    )
    assert throughput(run.fine, 500, 6_000) > 0.95 * 0.4
    # All of them while it began: from then on durations tell in time.
    assert max(run.distressed) < 500
    assert len(run.distressed) < 0.05 * len(run.sends)


@pytest.mark.parametrize("spread", [0.3, 0.6])
def test_durations_of_a_wide_spread_do_not_hold_it_back(spread: float) -> None:
    chance = random.Random(5)  # noqa: S311 - no secret
    able = Machine(1_000, lambda _: 0.5 * exp(chance.gauss(0, spread)))
    run = simulate(RateLimiter(None), ConcurrencyLimiter(32), able, seconds=300)
    assert throughput(run.fine, 20, 300) > 0.9 * 32 / (0.5 * exp(spread**2 / 2))


def test_a_new_level_of_durations_is_got_used_to() -> None:
    begin = 100
    able = Machine(1_000, lambda now: 0.5 if now < begin else 3.0)
    run = simulate(RateLimiter(None), ConcurrencyLimiter(16), able, seconds=600)
    assert min(sizes(run, begin)) == 1
    assert set(sizes(run, 400)) == {16}


def test_an_outage_in_the_middle_is_sat_out_with_one_in_flight() -> None:
    able = Machine(50, lambda _: 0.2)

    def subscriber(now: float) -> Answer:
        if 100 < now < 130:
            return Answer(0.01, Signal.OVERLOAD)
        return able(now)

    run = simulate(RateLimiter(50), ConcurrencyLimiter(32), subscriber, seconds=300)
    assert throughput(run.fine, 20, 100) == pytest.approx(50, rel=0.01)
    assert {size for time, size in run.sizes if 101 < time < 130} == {1}
    assert throughput(run.fine, 200, 300) == pytest.approx(50, rel=0.01)


def test_it_stays_small_while_the_rate_is_what_binds() -> None:
    run = simulate(RateLimiter(20), ConcurrencyLimiter(8), Machine(2, lambda _: 0.005), seconds=100)
    assert throughput(run.sends, 0, 100) == pytest.approx(20, rel=0.01)
    assert set(sizes(run, 0)) == {1}


# An API with a limit


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("limit", [1.0, 2.0, 10.0, 40.0])
@pytest.mark.parametrize("rate", [None, 50.0])
def test_the_pace_settles_near_the_limit_of_the_api(
    rate: float | None, limit: float, retry_after: float | None
) -> None:
    api = Bucket(limit, size=max(1.0, limit / 2), retry_after=retry_after)
    run = simulate(RateLimiter(rate), ConcurrencyLimiter(16), api, seconds=1_200)
    assert throughput(run.fine, 200, 1_200) > 0.75 * limit
    # A few more while it is found.
    assert len(run.limited) <= 0.04 * len(run.sends)
    settled = [time for time in run.limited if time > 200]
    assert len(settled) <= 0.03 * len([time for time in run.sends if time > 200])
    assert len(settled) <= 1_000 / 10


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0])
@pytest.mark.parametrize(("share", "least"), [(0.01, 10.0), (0.03, 4.0), (0.1, 2.0)])
def test_429s_that_have_nothing_to_do_with_the_load_do_not_bring_it_to_a_halt(
    share: float, least: float, retry_after: float | None
) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    run = simulate(
        RateLimiter(50),
        ConcurrencyLimiter(16),
        Shared(share, chance.random, retry_after),
        seconds=3_600,
    )
    if retry_after is None:
        # Each pause is a second or more.
        least /= 2
    assert throughput(run.fine, 0, 3_600) > least


@pytest.mark.parametrize("retry_after", [0.0, 1.0])
def test_a_storm_is_over_soon_and_got_over(retry_after: float) -> None:
    run = simulate(RateLimiter(50), ConcurrencyLimiter(16), Storm(50, retry_after), seconds=300)
    assert len(run.limited) == 50
    assert max(run.limited) < 60
    assert run.fine[2_000 - 1] < 200
    assert throughput(run.fine, 250, 300) == pytest.approx(50, rel=0.02)


def test_a_limit_that_is_lifted_is_found_out() -> None:
    low, high = Bucket(5, size=3, retry_after=1.0), Bucket(40, size=20, retry_after=1.0)
    run = simulate(
        RateLimiter(50),
        ConcurrencyLimiter(16),
        lambda now: (low if now < 600 else high)(now),
        seconds=900,
    )
    assert throughput(run.fine, 300, 600) > 0.75 * 5
    assert throughput(run.fine, 800, 900) > 0.75 * 40


def test_below_the_limit_of_the_api_nothing_is_lost() -> None:
    run = simulate(RateLimiter(12), ConcurrencyLimiter(16), Bucket(40, size=20), seconds=300)
    assert throughput(run.sends, 0, 300) == pytest.approx(12, rel=0.01)
    assert not run.limited


def test_a_quota_of_a_minute_is_used_up_at_the_cost_of_one_429_each() -> None:
    window_of: dict[int, int] = {}

    def api(now: float) -> Answer:
        minute, left = int(now // 60), 60 - now % 60
        window_of[minute] = window_of.get(minute, 0) + 1
        if window_of[minute] > 100:
            return Answer(0.02, Signal.NEUTRAL, limited=True, retry_after=left)
        return Answer(0.1, duration_ms=80)

    run = simulate(RateLimiter(None), ConcurrencyLimiter(8), api, seconds=3_600)
    assert throughput(run.fine, 600, 3_600) > 0.98 * 100 / 60
    # More only while it is not known yet.
    assert len(run.limited) <= 60 + 5
    # And it is not gone in the first seconds, as it was at first.
    assert min(time % 60 for time in run.limited if time > 120) > 10


def test_an_api_that_answers_429_for_ten_minutes_is_left_alone_and_come_back_to() -> None:
    def api(now: float) -> Answer:
        if 60 < now < 660:
            return Answer(0.02, Signal.NEUTRAL, limited=True)
        return Answer(0.1, duration_ms=80)

    run = simulate(RateLimiter(20), ConcurrencyLimiter(8), api, seconds=2_400)
    assert throughput(run.fine, 0, 60) == pytest.approx(20, rel=0.02)
    assert len(run.limited) < 30
    assert throughput(run.fine, 1_800, 2_400) == pytest.approx(20, rel=0.02)
