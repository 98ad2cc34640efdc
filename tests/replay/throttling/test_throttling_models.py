"""Both limiters against simulated subscribers and services: they converge on the capacity."""

from __future__ import annotations

import random
from math import exp

import pytest
from support.replay_models import (
    InitiallyLimitedService,
    QueueingSubscriber,
    RandomlyLimitedService,
    RejectingSubscriber,
    SimulatedResponse,
    SimulatedRun,
    TokenBucketService,
    simulate,
)

from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.rate import RateLimiter
from webhooks_sdk.replay._throttling.signals import Signal


def throughput(times: list[float], begin: float, end: float) -> float:
    return sum(begin < time <= end for time in times) / (end - begin)


def limits(run: SimulatedRun, begin: float) -> list[int]:
    return [limit for time, limit in run.limits if time > begin]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


# A subscriber with limited capacity


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("capacity", [1, 2, 4, 8, 16])
def test_a_queueing_subscriber_is_kept_busy_and_not_overloaded(
    capacity: int, spread: float
) -> None:
    rng = random.Random(3)  # noqa: S311 - not for security
    subscriber = QueueingSubscriber(capacity, lambda _: 0.5 * exp(rng.gauss(0, spread)))
    run = simulate(RateLimiter(None), ConcurrencyLimiter(128), subscriber, seconds=600)
    maximum = capacity / (0.5 * exp(spread**2 / 2))
    assert throughput(run.healthy, 100, 600) > 0.95 * maximum
    assert not run.overloaded
    assert mean(limits(run, 100)) < 2 * capacity + 5
    assert max(limits(run, 100)) <= 3 * capacity + 8


@pytest.mark.parametrize("capacity", [1, 2, 4, 8, 16, 32])
def test_few_deliveries_are_rejected_at_capacity(capacity: int) -> None:
    run = simulate(
        RateLimiter(None), ConcurrencyLimiter(64), RejectingSubscriber(capacity, 0.5), seconds=600
    )
    assert throughput(run.healthy, 50, 600) > 0.8 * capacity / 0.5
    assert len(run.overloaded) <= len(run.sent) / 9
    assert max(limits(run, 50)) <= capacity + 1


def test_few_queued_deliveries_time_out() -> None:
    run = simulate(
        RateLimiter(None),
        ConcurrencyLimiter(64),
        QueueingSubscriber(4, lambda _: 10.0),
        seconds=6_000,
    )
    assert throughput(run.healthy, 500, 6_000) > 0.95 * 0.4
    # All of them at the start: from then on, latency shows the overload in time.
    assert max(run.overloaded) < 500
    assert len(run.overloaded) < 0.05 * len(run.sent)


@pytest.mark.parametrize("spread", [0.3, 0.6])
def test_a_wide_spread_of_durations_does_not_limit_throughput(spread: float) -> None:
    rng = random.Random(5)  # noqa: S311 - not for security
    subscriber = QueueingSubscriber(1_000, lambda _: 0.5 * exp(rng.gauss(0, spread)))
    run = simulate(RateLimiter(None), ConcurrencyLimiter(32), subscriber, seconds=300)
    assert throughput(run.healthy, 20, 300) > 0.9 * 32 / (0.5 * exp(spread**2 / 2))


def test_a_lasting_latency_becomes_the_baseline() -> None:
    begin = 100
    subscriber = QueueingSubscriber(1_000, lambda now: 0.5 if now < begin else 3.0)
    run = simulate(RateLimiter(None), ConcurrencyLimiter(16), subscriber, seconds=600)
    assert min(limits(run, begin)) == 1
    assert set(limits(run, 400)) == {16}


def test_during_an_outage_one_request_is_in_flight() -> None:
    healthy = QueueingSubscriber(50, lambda _: 0.2)

    def subscriber(now: float) -> SimulatedResponse:
        if 100 < now < 130:
            return SimulatedResponse(0.01, Signal.OVERLOAD)
        return healthy(now)

    run = simulate(RateLimiter(50), ConcurrencyLimiter(32), subscriber, seconds=300)
    assert throughput(run.healthy, 20, 100) == pytest.approx(50, rel=0.01)
    assert {limit for time, limit in run.limits if 101 < time < 130} == {1}
    assert throughput(run.healthy, 200, 300) == pytest.approx(50, rel=0.01)


def test_concurrency_stays_at_one_while_rate_limited() -> None:
    run = simulate(
        RateLimiter(20), ConcurrencyLimiter(8), QueueingSubscriber(2, lambda _: 0.005), seconds=100
    )
    assert throughput(run.sent, 0, 100) == pytest.approx(20, rel=0.01)
    assert set(limits(run, 0)) == {1}


# A service with a rate limit


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("limit", [1.0, 2.0, 10.0, 40.0])
@pytest.mark.parametrize("rate", [None, 50.0])
def test_the_rate_converges_on_the_limit_of_the_service(
    rate: float | None, limit: float, retry_after: float | None
) -> None:
    service = TokenBucketService(limit, size=max(1.0, limit / 2), retry_after=retry_after)
    run = simulate(RateLimiter(rate), ConcurrencyLimiter(16), service, seconds=1_200)
    assert throughput(run.healthy, 200, 1_200) > 0.75 * limit
    # Including those at the start, while the limit is found.
    assert len(run.rate_limited) <= 0.04 * len(run.sent)
    settled = [time for time in run.rate_limited if time > 200]
    assert len(settled) <= 0.03 * len([time for time in run.sent if time > 200])
    assert len(settled) <= 1_000 / 10


@pytest.mark.parametrize("retry_after", [None, 0.0, 1.0])
@pytest.mark.parametrize(("fraction", "least"), [(0.01, 10.0), (0.03, 4.0), (0.1, 2.0)])
def test_429s_unrelated_to_the_load_do_not_stop_the_replay(
    fraction: float, least: float, retry_after: float | None
) -> None:
    rng = random.Random(7)  # noqa: S311 - not for security
    run = simulate(
        RateLimiter(50),
        ConcurrencyLimiter(16),
        RandomlyLimitedService(fraction, rng.random, retry_after),
        seconds=3_600,
    )
    if retry_after is None:
        # Each default pause is a second or more.
        least /= 2
    assert throughput(run.healthy, 0, 3_600) > least


@pytest.mark.parametrize("retry_after", [0.0, 1.0])
def test_it_recovers_from_429s_at_the_start(retry_after: float) -> None:
    run = simulate(
        RateLimiter(50),
        ConcurrencyLimiter(16),
        InitiallyLimitedService(50, retry_after),
        seconds=300,
    )
    assert len(run.rate_limited) == 50
    assert max(run.rate_limited) < 60
    assert run.healthy[2_000 - 1] < 200
    assert throughput(run.healthy, 250, 300) == pytest.approx(50, rel=0.02)


def test_a_raised_limit_is_detected() -> None:
    low, high = (
        TokenBucketService(5, size=3, retry_after=1.0),
        TokenBucketService(40, size=20, retry_after=1.0),
    )
    run = simulate(
        RateLimiter(50),
        ConcurrencyLimiter(16),
        lambda now: (low if now < 600 else high)(now),
        seconds=900,
    )
    assert throughput(run.healthy, 300, 600) > 0.75 * 5
    assert throughput(run.healthy, 800, 900) > 0.75 * 40


def test_below_the_limit_of_the_api_the_full_rate_is_kept() -> None:
    run = simulate(
        RateLimiter(12), ConcurrencyLimiter(16), TokenBucketService(40, size=20), seconds=300
    )
    assert throughput(run.sent, 0, 300) == pytest.approx(12, rel=0.01)
    assert not run.rate_limited


def test_a_quota_per_minute_is_used_up_with_one_429_each() -> None:
    requests_in: dict[int, int] = {}

    def service(now: float) -> SimulatedResponse:
        minute, left = int(now // 60), 60 - now % 60
        requests_in[minute] = requests_in.get(minute, 0) + 1
        if requests_in[minute] > 100:
            return SimulatedResponse(0.02, Signal.NEUTRAL, rate_limited=True, retry_after=left)
        return SimulatedResponse(0.1, duration_ms=80)

    run = simulate(RateLimiter(None), ConcurrencyLimiter(8), service, seconds=3_600)
    assert throughput(run.healthy, 600, 3_600) > 0.98 * 100 / 60
    # One a minute, and a few more while the quota is found.
    assert len(run.rate_limited) <= 60 + 5
    # From then on the quota is not used up in the first seconds of a minute.
    assert min(time % 60 for time in run.rate_limited if time > 120) > 10


def test_it_recovers_from_ten_minutes_of_429s() -> None:
    def service(now: float) -> SimulatedResponse:
        if 60 < now < 660:
            return SimulatedResponse(0.02, Signal.NEUTRAL, rate_limited=True)
        return SimulatedResponse(0.1, duration_ms=80)

    run = simulate(RateLimiter(20), ConcurrencyLimiter(8), service, seconds=2_400)
    assert throughput(run.healthy, 0, 60) == pytest.approx(20, rel=0.02)
    assert len(run.rate_limited) < 30
    assert throughput(run.healthy, 1_800, 2_400) == pytest.approx(20, rel=0.02)
