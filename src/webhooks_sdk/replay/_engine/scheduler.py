"""Decide which request is sent next, when, and what its result leads to. Pure.

Times are passed in, in monotonic seconds. A driver performs the action that `step` returns and
reports the result.
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

MAX_DEFERRAL = 3600.0
"""Seconds for which the service may defer every request before the run is aborted."""

_DEFERRED_TOO_LONG = "the service has deferred every request for an hour."


@define(eq=False)
class Job:
    """A target and the state of its requests in this run.

    Attributes:
        target: The event to redeliver.
        attempts: Number of requests sent for it over all runs, deferred ones excluded.
        resends: Number of times it was queued again in this run, deferrals excluded.
        was_unknown: Whether an earlier run left it unknown, so that it may have been delivered.
        intent_recorded: Whether the journal already has the intent of its next request.
        ticket: Ticket of the concurrency limiter for the request in flight.
        sent_at: When the request in flight was sent.
        last_result: Result of its last request in this run.
        abandoned: Whether the result of the request in flight is to be ignored.
    """

    target: Target
    attempts: int = 0
    resends: int = 0
    was_unknown: bool = False
    intent_recorded: bool = False
    ticket: int = 0
    sent_at: float = 0.0
    last_result: Result | None = None
    abandoned: bool = False

    def status_after(self, result: Result) -> OutcomeStatus:
        """Return the status of the target after a request, unless it is sent again.

        A request without effect does not resolve an earlier request whose result is unknown.
        """
        had_no_effect = not result.counts_as_attempt or result.resendable
        return OutcomeStatus.UNKNOWN if self.was_unknown and had_no_effect else result.status

    def outcome(self, status: OutcomeStatus | None = None) -> Outcome:
        """Return the outcome after the last request.

        Args:
            status: The status of an outcome without event or error; None to derive all three from
                the last request.
        """
        last = self.last_result
        return Outcome(
            hook_id=self.target.hook_id,
            request_id=self.target.request_id,
            status=status or (self.status_after(last) if last else OutcomeStatus.UNKNOWN),
            event=last.event if last and status is None else None,
            error=last.error if last and status is None else None,
            attempts=self.attempts,
        )


class Action(Enum):
    """An action other than sending a job or waiting."""

    TAKE_TARGET = "take the next target and send it"
    FINISH = "end the run"


@frozen
class Wait:
    """Wait until a request in flight ends.

    Attributes:
        seconds: Maximum time to wait, None for no limit.
    """

    seconds: float | None


Step: TypeAlias = Job | Action | Wait


class Scheduler:
    """Decides the next step of a run.

    Args:
        concurrency_limiter: Limits the requests in flight.
        rate_limiter: Limits the requests per second.
        circuit_breaker: Aborts the run when nothing succeeds.
        max_attempts: Maximum number of requests for a target in this run, deferred ones excluded.
        max_queued: Number of targets waiting to be sent again at which no new target is taken.
        random: Returns a number from 0 to 1, used as jitter.
    """

    def __init__(
        self,
        *,
        concurrency_limiter: ConcurrencyLimiter,
        rate_limiter: RateLimiter,
        circuit_breaker: CircuitBreaker,
        max_attempts: int,
        max_queued: int,
        random: Callable[[], float],
    ) -> None:
        self._concurrency_limiter = concurrency_limiter
        self._rate_limiter = rate_limiter
        self._circuit_breaker = circuit_breaker
        self._max_attempts = max_attempts
        self._max_queued = max_queued
        self._random = random
        # A heap of due time, sequence number and job.
        self._resends: list[tuple[float, int, Job]] = []
        self._sequence = 0
        self._in_flight: dict[Job, None] = {}
        self._exhausted = False
        self._stop_reason: str | None = None
        self._cause: Exception | None = None
        self._aborted = False
        self._deferred_since: float | None = None

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return len(self._in_flight)

    @property
    def queued(self) -> int:
        """Number of targets waiting to be sent again."""
        return len(self._resends)

    @property
    def stop_reason(self) -> str | None:
        """Why the run sends nothing more although targets may be left; None if not stopped."""
        return self._stop_reason

    @property
    def cause(self) -> Exception | None:
        """The error for which the run was aborted, if any."""
        return self._cause

    @property
    def aborted(self) -> bool:
        """Whether the scheduler, not the caller, stopped the run."""
        return self._aborted

    def stop(self, reason: str) -> None:
        """Send nothing more, at the caller's request. The first reason is kept."""
        if self._stop_reason is None:
            self._stop_reason = reason

    def _abort(self, reason: str, cause: Exception | None) -> None:
        if self._stop_reason is None:
            self._stop_reason, self._cause, self._aborted = reason, cause, True

    def step(self, now: float) -> Step:
        """Return the next action: send a job, wait, take a target, or finish.

        A target is taken only when it can be sent at once, so that a crash cannot lose one that has
        been taken but not sent.
        """
        if self._stop_reason is None:
            if not self._concurrency_limiter.has_room:
                return Wait(None)
            due = bool(self._resends) and self._resends[0][0] <= now
            if due or (not self._exhausted and len(self._resends) < self._max_queued):
                ready_at = self._rate_limiter.ready_at(now)
                if ready_at > now:
                    return Wait(ready_at - now)
                return heappop(self._resends)[2] if due else Action.TAKE_TARGET
            if self._resends:
                return Wait(self._resends[0][0] - now)
        return Wait(None) if self._in_flight else Action.FINISH

    def mark_exhausted(self) -> None:
        """Record that there are no more targets."""
        self._exhausted = True

    def started(self, job: Job, now: float) -> None:
        """Record that a request is sent, for a job returned by `step` or for a new target."""
        self._rate_limiter.record_request(now)
        job.ticket = self._concurrency_limiter.acquire()
        job.sent_at = now
        self._in_flight[job] = None

    def finished(self, job: Job, result: Result, now: float) -> Outcome | None:
        """Process the result of a request.

        Returns:
            The outcome of the target, or None if it is queued again.
        """
        self._in_flight.pop(job, None)
        job.last_result = result
        self._update_limiters(job, result, now)
        if result.fatal:
            self._abort(str(result.error), result.error)
        elif self._update_deferral(result, now):
            self._abort(_DEFERRED_TOO_LONG, result.error)
        elif self._requeue(job, result, now):
            return None
        outcome = job.outcome()
        self._circuit_breaker.record(outcome.status)
        if self._circuit_breaker.is_open:
            self._abort(f"{self._circuit_breaker.reason}.", result.error)
        return outcome

    def _update_limiters(self, job: Job, result: Result, now: float) -> None:
        event, error = result.event, result.error
        returned = event if event is not None else error
        # An error from outside the SDK tells no more than that the request failed.
        signal = Signal.OVERLOAD
        if isinstance(returned, WebhookEvent | APIError):
            signal = classify_signal(returned, result.elapsed)
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

    def _update_deferral(self, result: Result, now: float) -> bool:
        """Record whether a result was deferred; return whether that has lasted too long."""
        if not result.deferred:
            self._deferred_since = None
            return False
        if self._deferred_since is None:
            self._deferred_since = now
        return now - self._deferred_since > MAX_DEFERRAL

    def _requeue(self, job: Job, result: Result, now: float) -> bool:
        if result.deferred:
            # The rate limiter already pauses all requests.
            wait = 0.0
        elif result.resendable and job.resends + 1 < self._max_attempts:
            job.resends += 1
            wait = backoff(job.resends, self._random())
        else:
            return False
        self._sequence += 1
        heappush(self._resends, (now + wait, self._sequence, job))
        return True

    def discard(self, job: Job) -> None:
        """Remove a job in flight whose result is lost."""
        if job in self._in_flight:
            del self._in_flight[job]
            self._concurrency_limiter.release(job.ticket, Signal.NEUTRAL, rate_limited=False)

    def abandon(self) -> Iterator[Job]:
        """Remove and yield the jobs in flight, whose requests may still take effect."""
        # One at a time, so that none is lost if the caller fails halfway.
        while self._in_flight:
            job = next(iter(self._in_flight))
            del self._in_flight[job]
            job.abandoned = True
            yield job

    def drain_resends(self) -> Iterator[Job]:
        """Remove and yield the jobs that were queued to be sent again."""
        while self._resends:
            yield heappop(self._resends)[2]
