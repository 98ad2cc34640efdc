"""Which request is next, when it may be sent, and what its answer leads to. Pure.

Time is passed in, in monotonic seconds. A driver does what `step` says, and tells what came of it.
"""

from __future__ import annotations

from enum import Enum
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, frozen

from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import APIError
from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus, Result, is_rate_limit
from webhooks_sdk.replay._targets import Target
from webhooks_sdk.replay._throttling.signals import Signal, backoff, classify_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhooks_sdk.replay._throttling.breaker import CircuitBreaker
    from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
    from webhooks_sdk.replay._throttling.rate import RateLimiter

MAX_PUT_OFF = 3600.0
"""Seconds for which the service may put off whatever it is sent, before the run is stopped."""

_NEVER = "for an hour the service has put off every request."


@define(eq=False)
class Job:
    """A target on its way to an outcome.

    Attributes:
        target: What is to be redelivered.
        attempts: How many requests were sent for it, over all runs; not those put off.
        resends: How many times it was queued again in this run, for another reason.
        is_unknown: Whether an earlier run left it unknown, so that it may have been delivered.
        intended: Whether the journal has the intent of its next request already.
        ticket: What the window gave for the request under way.
        sent_at: When that was sent.
        last: What came of its last request in this run.
        abandoned: Whether nobody waits for the request under way any more.
    """

    target: Target
    attempts: int = 0
    resends: int = 0
    is_unknown: bool = False
    intended: bool = False
    ticket: int = 0
    sent_at: float = 0.0
    last: Result | None = None
    abandoned: bool = False

    def status_after(self, result: Result) -> OutcomeStatus:
        """Return what a request makes of it, if nothing is sent again.

        What is proven unsent says nothing of the request before, of which nobody knows.
        """
        nothing_was_done = result.not_attempted or result.resendable
        return OutcomeStatus.UNKNOWN if self.is_unknown and nothing_was_done else result.status

    def outcome(self, status: OutcomeStatus | None = None) -> Outcome:
        """Return the outcome that its last request makes, or one of another status."""
        last = self.last
        return Outcome(
            hook_id=self.target.hook_id,
            request_id=self.target.request_id,
            status=status or (self.status_after(last) if last else OutcomeStatus.UNKNOWN),
            event=last.event if last and status is None else None,
            error=last.error if last and status is None else None,
            attempts=self.attempts,
        )


class Idle(Enum):
    """What there is to be done when nothing can be sent."""

    TAKE_TARGET = "take a target, and send it"
    FINISHED = "nothing is left"


@frozen
class Wait:
    """Wait until a request under way has ended, at most so many seconds; None: until one has."""

    seconds: float | None


Step: TypeAlias = Job | Idle | Wait


class Scheduler:
    """The queue of a run.

    Args:
        window: How many requests may be under way.
        pace: When the next request may be sent.
        breaker: Whether anything works.
        max_attempts: How many requests a target may take, over all runs.
        max_queued: How many targets may wait to be sent again before no new one is taken.
        random: Returns a number from 0 to 1, for the jitter of waits.
    """

    def __init__(
        self,
        *,
        window: ConcurrencyLimiter,
        pace: RateLimiter,
        breaker: CircuitBreaker,
        max_attempts: int,
        max_queued: int,
        random: Callable[[], float],
    ) -> None:
        self._concurrency_limiter = window
        self._rate_limiter = pace
        self._circuit_breaker = breaker
        self._max_attempts = max_attempts
        self._max_queued = max_queued
        self._random = random
        self._later: list[tuple[float, int, Job]] = []
        self._queued = 0
        self._under_way: dict[Job, None] = {}
        self._exhausted = False
        self._stopped: str | None = None
        self._cause: Exception | None = None
        self._gave_up = False
        self._put_off_since: float | None = None

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    @property
    def stopped(self) -> str | None:
        """Why no more targets are taken although there may be some; None if they are."""
        return self._stopped

    @property
    def cause(self) -> Exception | None:
        """The error for which the run was stopped, if there was one."""
        return self._cause

    @property
    def gave_up(self) -> bool:
        """Whether the run stopped by itself, because nothing worked."""
        return self._gave_up

    def stop(self, reason: str) -> None:
        """Send nothing more, as the caller wishes. The first reason counts."""
        if self._stopped is None:
            self._stopped = reason

    def _give_up(self, reason: str, cause: Exception | None) -> None:
        if self._stopped is None:
            self._stopped, self._cause, self._gave_up = reason, cause, True

    def step(self, now: float) -> Step:
        """Say what to do next: send a job, or wait, or take a target, or end.

        A target is asked for when it can be sent at once, so that none waits where a sudden end
        would forget it.
        """
        if self._stopped is None:
            if not self._concurrency_limiter.has_room:
                return Wait(None)
            due = bool(self._later) and self._later[0][0] <= now
            if due or (not self._exhausted and len(self._later) < self._max_queued):
                at = self._rate_limiter.ready_at(now)
                if at > now:
                    return Wait(at - now)
                return heappop(self._later)[2] if due else Idle.TAKE_TARGET
            if self._later:
                return Wait(self._later[0][0] - now)
        return Wait(None) if self._under_way else Idle.FINISHED

    def end_of_targets(self) -> None:
        """Note that there are no more targets."""
        self._exhausted = True

    def sent(self, job: Job, now: float) -> None:
        """Note that a job is under way: one that `step` returned, or that of a new target."""
        self._rate_limiter.record_request(now)
        job.ticket = self._concurrency_limiter.acquire()
        job.sent_at = now
        self._under_way[job] = None

    def ended(self, job: Job, result: Result, now: float) -> Outcome | None:
        """Decide what comes of a request that has ended.

        Returns:
            The outcome of its target; None if it is queued again.
        """
        self._under_way.pop(job, None)
        job.last = result
        self._learn(job, result, now)
        if result.stops:
            self._give_up(str(result.error), result.error)
        elif self._put_off_for_too_long(result, now):
            self._give_up(_NEVER, result.error)
        elif self._queue_again(job, result, now):
            return None
        outcome = job.outcome()
        self._circuit_breaker.record(outcome.status)
        if self._circuit_breaker.is_open:
            self._give_up(f"{self._circuit_breaker.reason}.", result.error)
        return outcome

    def _learn(self, job: Job, result: Result, now: float) -> None:
        event, error = result.event, result.error
        said = event if event is not None else error
        # What is no error of the service's says only that it did not go well.
        signal = Signal.OVERLOAD
        if isinstance(said, WebhookEvent | APIError):
            signal = classify_signal(said, result.elapsed)
        self._concurrency_limiter.release(
            job.ticket,
            signal,
            rate_limited=self._rate_limiter.is_limiting(now),
            duration_ms=event.response_duration_ms if event and event.delivered else None,
        )
        if not isinstance(error, APIError):
            return
        if is_rate_limit(error):
            self._rate_limiter.slow_down(now, error.retry_after, sent_at=job.sent_at)
        elif result.deferred:
            self._rate_limiter.pause(now, error.retry_after or 0.0)

    def _put_off_for_too_long(self, result: Result, now: float) -> bool:
        if not result.deferred:
            self._put_off_since = None
            return False
        if self._put_off_since is None:
            self._put_off_since = now
        return now - self._put_off_since > MAX_PUT_OFF

    def _queue_again(self, job: Job, result: Result, now: float) -> bool:
        if result.deferred:
            # The pace waits for all of them.
            wait = 0.0
        elif result.resendable and job.attempts < self._max_attempts:
            job.resends += 1
            wait = backoff(job.resends, self._random())
        else:
            return False
        self._queued += 1
        heappush(self._later, (now + wait, self._queued, job))
        return True

    def forget(self, job: Job) -> None:
        """Take a job out that nobody will say more of."""
        if job in self._under_way:
            del self._under_way[job]
            self._concurrency_limiter.release(job.ticket, Signal.NEUTRAL, rate_limited=False)

    def abandon(self) -> Iterator[Job]:
        """Take out what is under way, when nobody waits for it any more; it may take effect."""
        # One by one, since whoever takes them may fail half-way.
        while self._under_way:
            job = next(iter(self._under_way))
            del self._under_way[job]
            job.abandoned = True
            yield job

    def queued(self) -> Iterator[Job]:
        """Take out what was to be sent again, and is not, since the run was stopped."""
        while self._later:
            yield heappop(self._later)[2]
