"""One run of a replay: targets in, outcomes out. It never waits; the two drivers do.

One thread or task calls it, the one that iterates; but `record` is called by those that send.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from math import inf
from random import random
from typing import TYPE_CHECKING

from webhooks_sdk.errors import ReplayStoppedError
from webhooks_sdk.replay._engine.resuming import outcome_without_sending
from webhooks_sdk.replay._engine.scheduler import Idle, Job, Scheduler, Wait
from webhooks_sdk.replay._journal.errors import to_error_record
from webhooks_sdk.replay._journal.rows import RowState
from webhooks_sdk.replay._journal.writer import JournalWriter
from webhooks_sdk.replay._outcomes import OutcomeStatus
from webhooks_sdk.replay._recovery import check_plan, coverage_of, make_plan
from webhooks_sdk.replay._report import Tally
from webhooks_sdk.replay._targets import Target, read_target
from webhooks_sdk.replay._throttling.breaker import CircuitBreaker
from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.rate import RateLimiter
from webhooks_sdk.replay._undelivered import redelivered_since

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from webhooks_sdk._core.clock import Clock
    from webhooks_sdk._models import WebhookEvent
    from webhooks_sdk.replay._engine.scheduler import Step
    from webhooks_sdk.replay._journal.rows import Row
    from webhooks_sdk.replay._options import ReplayOptions
    from webhooks_sdk.replay._outcomes import Outcome, Result
    from webhooks_sdk.replay._report import Report
    from webhooks_sdk.replay._undelivered import Recovery

_PROGRESS_INTERVAL = 1.0


def not_entered(statement: str) -> RuntimeError:
    """Say that a replay was used without its block."""
    return RuntimeError(f"The replay has not been entered: use it as `{statement} ... as replay:`.")


class Run:
    """The state of a run, whose journal is open until `close`.

    Args:
        options: How it is carried out.
        base_url: The environment, to which the journal is bound.
        recovery: What is to be recovered; None if the targets come from the caller.
        total: How many targets the caller has, None if that is not known.
        clock: Where the time comes from.

    Attributes:
        outcomes: Those that nobody has taken yet, in order of completion.
        gave_up_on_some: Whether requests may be under way for which nobody waits any more.

    Raises:
        JournalError: The journal cannot be used, or is one of another replay.
    """

    def __init__(
        self,
        options: ReplayOptions,
        *,
        base_url: str,
        recovery: Recovery | None,
        total: int | None,
        clock: Clock,
    ) -> None:
        self.outcomes: deque[Outcome] = deque()
        self._options = options
        self._clock = clock
        self._recovery = recovery
        self._scheduler = Scheduler(
            window=ConcurrencyLimiter(options.concurrency),
            pace=RateLimiter(options.rate),
            breaker=CircuitBreaker(options.max_consecutive_failures),
            max_attempts=options.max_attempts,
            max_queued=options.concurrency,
            random=random,
        )
        began = clock.monotonic()
        self._tally = Tally(total=total, began=began)
        self._next_progress = began + _PROGRESS_INTERVAL
        self._position = 0
        self._asked_at = self._now()
        self._leftovers: Iterator[Row] | None = None
        self._grace_ends = inf
        self._finished = False
        self.gave_up_on_some = False
        self._journal = JournalWriter.open(
            options.journal, base_url=base_url, durable=options.durable
        )
        try:
            check_plan(self._journal, recovery)
        except BaseException:
            self._journal.close()
            raise

    def close(self) -> None:
        """Close the journal; what is under way stays an intent in it."""
        self._tally.end(self._clock.monotonic())
        self._journal.close()

    def to_plan(self) -> UUID | None:
        """Return the subscription whose events `plan` needs listed; None if it needs none."""
        if self._recovery is None or self._journal.plan is not None:
            return None
        # The list says nothing of what happens after this.
        self._asked_at = self._now()
        return self._recovery.hook_id

    def plan(self, listed: Iterable[WebhookEvent]) -> None:
        """Write down, before the first request, which events are to be redelivered."""
        assert self._recovery is not None
        make_plan(self._journal, self._recovery, listed, now=self._asked_at)

    def to_look_up(self) -> Iterable[UUID]:
        """Return the subscriptions that are to be listed, as earlier runs left some unknown."""
        hooks: dict[UUID, None] = {}
        for row in self._journal.unresolved():
            hooks[row.hook_id] = None
            if row.state is RowState.IN_FLIGHT:
                # Its run is over: it is under way no more.
                self._settle(Target(row.hook_id, row.request_id), OutcomeStatus.UNKNOWN)
        return hooks

    def look_up(self, hook_id: UUID, listed: Iterable[WebhookEvent]) -> None:
        """Note which of the unknown ones the list shows to be delivered after all."""
        # By what is listed, which is less than what can be unknown.
        for attempt in listed:
            row = self._journal.find(hook_id, attempt.id)
            if row is None or row.state is not RowState.UNKNOWN:
                continue
            assert row.open_since is not None
            if redelivered_since(attempt, row.open_since):
                self._settle(Target(hook_id, attempt.id), OutcomeStatus.DELIVERED, attempt)

    def _settle(
        self,
        target: Target,
        status: OutcomeStatus,
        event: WebhookEvent | None = None,
        error: Exception | None = None,
    ) -> None:
        self._journal.record_outcome(
            target.hook_id,
            target.request_id,
            status,
            self._now(),
            response_status=None if event is None else event.response_status,
            duration_ms=None if event is None else event.response_duration_ms,
            delivery_id=None if event is None else event.delivery_id,
            error=None if error is None else to_error_record(error),
        )

    def begin(self) -> None:
        """Note that targets are taken from now on."""
        plan = self._journal.plan
        if plan is not None:
            self._tally.total = plan.total

    def step(self) -> Step:
        """Say what to do next: send a job, or wait, or take a target, or end."""
        now = self._clock.monotonic()
        step = self._scheduler.step(now)
        if self._scheduler.stopped is None or not isinstance(step, Wait):
            return step
        if now >= self._grace_ends:
            self._give_up()
            return Idle.FINISHED
        left = self._grace_ends - now
        return step if left == inf else Wait(left)

    @property
    def outcomes_full(self) -> bool:
        """Whether so many outcomes are there that they are to be taken first."""
        return len(self.outcomes) >= self._options.concurrency

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._scheduler.in_flight

    def take(self, item: object) -> Job | None:
        """Take a target of the caller's.

        Returns:
            What is to be sent for it at once; None if that is nothing.

        Raises:
            InvalidArgumentError: It names no event.
        """
        target = read_target(item, self._position)
        self._position += 1
        ids = (target.hook_id, target.request_id)
        # A new target needs no look at the journal; what waits for the disk is left to `dispatch`.
        if not self._options.durable and self._journal.add(*ids, self._now()):
            return Job(target, attempts=1, intended=True)
        return self._consider(target, self._journal.find(*ids))

    def take_leftover(self) -> Job | None:
        """Take a target that is only in the journal, when the caller has no more.

        Returns:
            As `take`.
        """
        if self._leftovers is None:
            self._leftovers = self._journal.unseen()
        row = next(self._leftovers, None)
        if row is None:
            self._scheduler.end_of_targets()
            return None
        return self._consider(Target(row.hook_id, row.request_id), row)

    def _consider(self, target: Target, row: Row | None) -> Job | None:
        outcome = None
        if row is not None:
            outcome = outcome_without_sending(
                row,
                run=self._journal.run,
                max_attempts=self._options.max_attempts,
                resend_unknown=self._options.resend_unknown,
            )
        if outcome is None:
            return Job(target, is_unknown=row is not None and row.state is RowState.UNKNOWN)
        self._journal.mark_seen(target.hook_id, target.request_id)
        self._emit(outcome, sent=False)
        return None

    def dispatch(self, job: Job) -> None:
        """Write down that a request is about to be sent; after that, send it."""
        if not job.intended:
            ids = (job.target.hook_id, job.target.request_id)
            job.attempts = self._journal.record_intent(*ids, self._now())
        job.intended = False
        self._tally.requests += 1
        self._scheduler.sent(job, self._clock.monotonic())

    def record(self, job: Job, result: Result) -> None:
        """Write down what came of a request. Whoever sent it calls this, from any thread.

        Raises:
            JournalError: It cannot be written.
        """
        if job.abandoned:
            return
        if result.not_attempted:
            self._journal.cancel_intent(job.target.hook_id, job.target.request_id)
        else:
            self._settle(job.target, job.status_after(result), result.event, result.error)

    def hold(self) -> None:
        """Gather what is written from now on until `flush`."""
        self._journal.begin_batch()

    def flush(self) -> None:
        """Write down what was gathered.

        Raises:
            JournalError: It cannot be written, and none of it is.
        """
        self._journal.flush()

    def complete(self, job: Job, result: Result) -> None:
        """Decide what comes of a request that was recorded."""
        if job.abandoned:
            return
        if result.not_attempted:
            job.attempts -= 1
        outcome = self._scheduler.ended(job, result, self._clock.monotonic())
        if outcome is not None:
            self._emit(outcome)

    def forget(self, job: Job) -> None:
        """Wait no more for a request whose end could not be recorded."""
        self._scheduler.forget(job)

    def stop(self, grace: float | None) -> None:
        """Take no more targets, and wait at most so many seconds for what is under way."""
        self._scheduler.stop("stop() was called")
        if grace is not None:
            self._grace_ends = min(self._grace_ends, self._clock.monotonic() + grace)

    def targets_failed(self) -> None:
        """Take no more targets, as there may be some that cannot be had any more."""
        self._scheduler.stop("the targets broke off: an exception or a cancellation ended them")

    def interrupt(self) -> None:
        """Wait for nothing any more: what was just being done may have been left half-way."""
        self._scheduler.stop("it was interrupted")
        self._grace_ends = -inf

    def leave(self) -> None:
        """Take no more targets, as the caller has left the block."""
        if not self._finished:
            self._scheduler.stop("the block was left early")

    def _give_up(self) -> None:
        self.gave_up_on_some = True
        for job in self._scheduler.abandon():
            self._emit(job.outcome(OutcomeStatus.UNKNOWN))

    def finish(self) -> None:
        """Note that nothing is left to be done, and end what was queued again in vain."""
        if self._finished:
            return
        for job in self._scheduler.queued():
            self._emit(job.outcome())
        self._finished = True
        now = self._clock.monotonic()
        self._tally.end(now)
        self._tell_progress(now)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done, and every outcome has been taken."""
        return self._finished and not self.outcomes

    def check_stopped(self) -> None:
        """Check whether the run ended as the caller wished.

        Raises:
            ReplayStoppedError: It was stopped because nothing worked.
        """
        if self._scheduler.gave_up:
            raise ReplayStoppedError(
                f"The replay was stopped: {self._scheduler.stopped} {self._how_to_resume()}"
            ) from self._scheduler.cause

    def _how_to_resume(self) -> str:
        if self._journal.temporary:
            return "What is left was not kept: give it a journal= to be able to resume."
        return (
            "Nothing is lost: mend the cause, then do the same again with"
            f" journal={str(self._journal.path)!r} to resume."
        )

    def report(self) -> Report:
        """Return what the run has come to."""
        plan = self._journal.plan
        stopped = self._scheduler.stopped
        return self._tally.report(
            self._clock.monotonic(),
            finished=self._finished and stopped is None,
            stopped=stopped,
            coverage=None if plan is None else coverage_of(plan),
        )

    def _emit(self, outcome: Outcome, *, sent: bool = True) -> None:
        self._tally.count(outcome, sent=sent)
        self.outcomes.append(outcome)
        now = self._clock.monotonic()
        if now >= self._next_progress:
            self._tell_progress(now)

    def _tell_progress(self, now: float) -> None:
        self._next_progress = now + _PROGRESS_INTERVAL
        if self._options.on_progress is None:
            return
        progress = self._tally.progress(now, in_flight=self._scheduler.in_flight)
        try:
            self._options.on_progress(progress)
        except StopIteration as error:
            # It would end the iteration as if all were done.
            raise RuntimeError("on_progress raised StopIteration.") from error

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)
