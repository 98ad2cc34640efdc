"""A simulated replay, in virtual time, against models of a subscriber and of the service."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from webhooks_sdk.replay._throttling.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
    from webhooks_sdk.replay._throttling.rate import RateLimiter


_ROUNDING = 1e-9


@dataclass
class SimulatedResponse:
    """The result of one request.

    Attributes:
        after: Seconds until it arrives.
        signal: What it indicates about the load.
        duration_ms: Milliseconds that the subscriber took, None if that is not known.
        rate_limited: Whether the service returned 429.
        retry_after: Seconds that the 429 asks to wait, None if it does not.
    """

    after: float
    signal: Signal = Signal.HEALTHY
    duration_ms: float | None = None
    rate_limited: bool = False
    retry_after: float | None = None


class Model(Protocol):
    """A model of whatever responds."""

    def __call__(self, now: float) -> SimulatedResponse: ...


class QueueingSubscriber:
    """A subscriber that processes some deliveries at once, and queues the others.

    Args:
        capacity: How many it processes at once.
        duration: Returns the seconds that one takes, given the time.
        timeout: Seconds that a delivery may take, queueing included, before it fails.
    """

    def __init__(
        self, capacity: int, duration: Callable[[float], float], timeout: float = 60.0
    ) -> None:
        self._free = [0.0] * capacity
        self._duration = duration
        self._timeout = timeout

    def __call__(self, now: float) -> SimulatedResponse:
        begin = max(now, heapq.heappop(self._free))
        end = begin + self._duration(now)
        heapq.heappush(self._free, end)
        if end - now > self._timeout:
            return SimulatedResponse(self._timeout, Signal.OVERLOAD)
        return SimulatedResponse(end - now, duration_ms=1000 * (end - now))


class RejectingSubscriber:
    """A subscriber that returns 503 immediately once it is at capacity.

    Args:
        capacity: How many deliveries it processes at once.
        duration: Seconds that one takes.
    """

    def __init__(self, capacity: int, duration: float) -> None:
        self._capacity = capacity
        self._duration = duration
        self._busy: list[float] = []

    def __call__(self, now: float) -> SimulatedResponse:
        while self._busy and self._busy[0] <= now:
            heapq.heappop(self._busy)
        if len(self._busy) >= self._capacity:
            return SimulatedResponse(0.01, Signal.OVERLOAD)
        heapq.heappush(self._busy, now + self._duration)
        return SimulatedResponse(self._duration, duration_ms=1000 * self._duration)


class TokenBucketService:
    """A service that accepts some requests per second, and returns 429 for the others.

    Args:
        rate: How many it accepts per second.
        size: How many it accepts in a burst after idle time.
        retry_after: Seconds that its 429 asks to wait, None if it does not.
    """

    def __init__(self, rate: float, size: float = 1.0, retry_after: float | None = None) -> None:
        self._rate = rate
        self._size = self._tokens = size
        self._retry_after = retry_after
        self._updated_at = 0.0

    def __call__(self, now: float) -> SimulatedResponse:
        self._tokens = min(self._size, self._tokens + (now - self._updated_at) * self._rate)
        self._updated_at = now
        if self._tokens < 1 - _ROUNDING:
            return SimulatedResponse(
                0.02, Signal.NEUTRAL, rate_limited=True, retry_after=self._retry_after
            )
        self._tokens -= 1
        return SimulatedResponse(0.1, duration_ms=80.0)


class RandomlyLimitedService:
    """A service with a shared limit: its 429s are unrelated to the load of the replay.

    Args:
        fraction: The fraction of requests that get a 429.
        random: Returns a random number from 0 to 1.
        retry_after: Seconds that its 429 asks to wait, None if it does not.
    """

    def __init__(
        self, fraction: float, random: Callable[[], float], retry_after: float | None = None
    ) -> None:
        self._fraction = fraction
        self._random = random
        self._retry_after = retry_after

    def __call__(self, now: float) -> SimulatedResponse:
        del now
        if self._random() < self._fraction:
            return SimulatedResponse(
                0.02, Signal.NEUTRAL, rate_limited=True, retry_after=self._retry_after
            )
        return SimulatedResponse(0.1, duration_ms=80.0)


class InitiallyLimitedService:
    """A service that returns 429 for the first requests only.

    Args:
        number: For how many requests.
        retry_after: Seconds that its 429 asks to wait, None if it does not.
    """

    def __init__(self, number: int, retry_after: float | None = None) -> None:
        self._left = number
        self._retry_after = retry_after

    def __call__(self, now: float) -> SimulatedResponse:
        del now
        if self._left:
            self._left -= 1
            return SimulatedResponse(
                0.02, Signal.NEUTRAL, rate_limited=True, retry_after=self._retry_after
            )
        return SimulatedResponse(0.1, duration_ms=80.0)


@dataclass
class SimulatedRun:
    """The times of what happened, in seconds.

    Attributes:
        sent: When requests were sent.
        healthy: When healthy responses arrived.
        overloaded: When other responses arrived that were not 429s.
        rate_limited: When 429s arrived.
        limits: The limit of the concurrency limiter after each response.
    """

    sent: list[float] = field(default_factory=list[float])
    healthy: list[float] = field(default_factory=list[float])
    overloaded: list[float] = field(default_factory=list[float])
    rate_limited: list[float] = field(default_factory=list[float])
    limits: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])


def simulate(
    rate_limiter: RateLimiter,
    concurrency_limiter: ConcurrencyLimiter,
    model: Model,
    *,
    seconds: float,
) -> SimulatedRun:
    """Run a replay with unlimited targets for some seconds."""
    run = SimulatedRun()
    in_flight: list[tuple[float, int, float, SimulatedResponse]] = []
    now = 0.0
    while now < seconds:
        while concurrency_limiter.has_room and rate_limiter.ready_at(now) <= now:
            rate_limiter.record_request(now)
            run.sent.append(now)
            response = model(now)
            heapq.heappush(
                in_flight, (now + response.after, concurrency_limiter.acquire(), now, response)
            )
        due = [rate_limiter.ready_at(now)] if concurrency_limiter.has_room else []
        now = min(due + [arrival for arrival, *_ in in_flight[:1]])
        while in_flight and in_flight[0][0] <= now:
            _, ticket, sent_at, response = heapq.heappop(in_flight)
            if response.rate_limited:
                rate_limiter.slow_down(now, response.retry_after, sent_at=sent_at)
                run.rate_limited.append(now)
            else:
                (run.healthy if response.signal is Signal.HEALTHY else run.overloaded).append(now)
            concurrency_limiter.release(
                ticket,
                response.signal,
                rate_limited=rate_limiter.is_limiting(now),
                duration_ms=response.duration_ms,
            )
            run.limits.append((now, concurrency_limiter.limit))
    return run
