"""A replay on a clock that is a number, against models of a subscriber and of an API."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from webhooks_sdk.replay._throttling.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
    from webhooks_sdk.replay._throttling.rate import RateLimiter


_ROUNDED = 1e-9


@dataclass
class Answer:
    """What comes of a send."""

    after: float
    signal: Signal = Signal.FINE
    duration_ms: float | None = None
    limited: bool = False
    retry_after: float | None = None


class Model(Protocol):
    """Who answers."""

    def __call__(self, now: float) -> Answer: ...


class Machine:
    """A subscriber that works on some deliveries at once, and lets the others queue.

    Args:
        at_once: How many it works on.
        takes: Seconds for one, at a time.
        patience: Seconds that a delivery may take, queueing included, before it has failed.
    """

    def __init__(
        self, at_once: int, takes: Callable[[float], float], patience: float = 60.0
    ) -> None:
        self._free = [0.0] * at_once
        self._takes = takes
        self._patience = patience

    def __call__(self, now: float) -> Answer:
        begin = max(now, heapq.heappop(self._free))
        end = begin + self._takes(now)
        heapq.heappush(self._free, end)
        if end - now > self._patience:
            return Answer(self._patience, Signal.OVERLOAD)
        return Answer(end - now, duration_ms=1000 * (end - now))


class Crowded:
    """A subscriber that answers 503, at once, to what is more than it takes at a time.

    Args:
        at_once: How many it takes.
        takes: Seconds for one.
    """

    def __init__(self, at_once: int, takes: float) -> None:
        self._at_once = at_once
        self._takes = takes
        self._busy: list[float] = []

    def __call__(self, now: float) -> Answer:
        while self._busy and self._busy[0] <= now:
            heapq.heappop(self._busy)
        if len(self._busy) >= self._at_once:
            return Answer(0.01, Signal.OVERLOAD)
        heapq.heappush(self._busy, now + self._takes)
        return Answer(self._takes, duration_ms=1000 * self._takes)


class Bucket:
    """An API that takes some requests a second, and answers 429 to the others.

    Args:
        rate: How many a second.
        size: How many at once, after a quiet time.
        retry_after: Seconds that its 429 asks to wait, if it does.
    """

    def __init__(self, rate: float, size: float = 1.0, retry_after: float | None = None) -> None:
        self._rate = rate
        self._size = self._tokens = size
        self._retry_after = retry_after
        self._at = 0.0

    def __call__(self, now: float) -> Answer:
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1 - _ROUNDED:
            return Answer(0.02, Signal.NEUTRAL, limited=True, retry_after=self._retry_after)
        self._tokens -= 1
        return Answer(0.1, duration_ms=80.0)


class Shared:
    """An API whose limit is shared with others: its 429s have nothing to do with one's own load.

    Args:
        share: The part of all requests that it answers so.
        chance: Returns a number from 0 to 1.
        retry_after: Seconds that its 429 asks to wait, if it does.
    """

    def __init__(
        self, share: float, chance: Callable[[], float], retry_after: float | None = None
    ) -> None:
        self._share = share
        self._chance = chance
        self._retry_after = retry_after

    def __call__(self, now: float) -> Answer:
        del now
        if self._chance() < self._share:
            return Answer(0.02, Signal.NEUTRAL, limited=True, retry_after=self._retry_after)
        return Answer(0.1, duration_ms=80.0)


class Storm:
    """An API that answers 429 to the first requests, and then to none.

    Args:
        number: To how many.
        retry_after: Seconds that its 429 asks to wait, if it does.
    """

    def __init__(self, number: int, retry_after: float | None = None) -> None:
        self._left = number
        self._retry_after = retry_after

    def __call__(self, now: float) -> Answer:
        del now
        if self._left:
            self._left -= 1
            return Answer(0.02, Signal.NEUTRAL, limited=True, retry_after=self._retry_after)
        return Answer(0.1, duration_ms=80.0)


@dataclass
class Run:
    """What was seen."""

    sends: list[float] = field(default_factory=list[float])
    fine: list[float] = field(default_factory=list[float])
    distressed: list[float] = field(default_factory=list[float])
    limited: list[float] = field(default_factory=list[float])
    sizes: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])


def simulate(pace: RateLimiter, window: ConcurrencyLimiter, model: Model, *, seconds: float) -> Run:
    """Let a replay with endless targets run for some seconds."""
    run = Run()
    flying: list[tuple[float, int, float, Answer]] = []
    now = 0.0
    while now < seconds:
        while window.has_room and pace.ready_at(now) <= now:
            pace.sent(now)
            run.sends.append(now)
            answer = model(now)
            heapq.heappush(flying, (now + answer.after, window.started(), now, answer))
        due = [pace.ready_at(now)] if window.has_room else []
        now = min(due + [flight[0] for flight in flying[:1]])
        while flying and flying[0][0] <= now:
            _, ticket, sent_at, answer = heapq.heappop(flying)
            if answer.limited:
                pace.limited(now, answer.retry_after, sent_at=sent_at)
                run.limited.append(now)
            else:
                (run.fine if answer.signal is Signal.FINE else run.distressed).append(now)
            window.finished(
                ticket, answer.signal, binding=pace.binds(now), duration_ms=answer.duration_ms
            )
            run.sizes.append((now, window.size))
    return run
