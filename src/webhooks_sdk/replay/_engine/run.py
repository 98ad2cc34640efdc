"""The state of a run: takes targets and results, returns jobs and outcomes. Never blocks.

Calls must not overlap, except for `record_result` and `stop`, which are thread-safe.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from math import inf
from random import random
from typing import TYPE_CHECKING

from webhooks_sdk._core.validation import check_seconds
from webhooks_sdk.errors import InvalidArgumentError, ReplayStoppedError
from webhooks_sdk.replay._engine.resuming import outcome_without_sending, resolve_accepted
from webhooks_sdk.replay._engine.scheduler import Action, Job, Scheduler, Wait
from webhooks_sdk.replay._journal.errors import to_error_record
from webhooks_sdk.replay._journal.rows import RowState
from webhooks_sdk.replay._journal.writer import JournalWriter
from webhooks_sdk.replay._listing import read_list
from webhooks_sdk.replay._outcomes import NotSentReason, OutcomeStatus
from webhooks_sdk.replay._recovery import check_journal, coverage_of, write_plan
from webhooks_sdk.replay._report import RunStats
from webhooks_sdk.replay._targets import Target, parse_target
from webhooks_sdk.replay._throttling.breaker import CircuitBreaker
from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.rate import RateLimiter
from webhooks_sdk.replay._undelivered import was_redelivered_since

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from webhooks_sdk._core.clock import Clock
    from webhooks_sdk._models import WebhookEvent
    from webhooks_sdk.replay._engine.scheduler import Step
    from webhooks_sdk.replay._journal.rows import Row
    from webhooks_sdk.replay._listing import EventList
    from webhooks_sdk.replay._options import ReplayOptions
    from webhooks_sdk.replay._outcomes import Outcome, Result
    from webhooks_sdk.replay._report import Report
    from webhooks_sdk.replay._undelivered import Recovery

_PROGRESS_INTERVAL = 1.0  # seconds
# Seconds for which an accepted redelivery without a status counts as in flight, as in Recovery.
_PENDING_GRACE = 120.0


def not_entered_error(statement: str) -> RuntimeError:
    """Build the error for a replay that is used without having been entered."""
    return RuntimeError(f"The replay has not been entered: use it as `{statement} ... as replay:`.")


class Run:
    """The state of a run. Its journal is open until `close`.

    Args:
        options: The options of the replay.
        base_url: The base URL of the API. A journal cannot be resumed with another one.
        recovery: The recovery, None if the caller supplies the targets.
        total: Number of the caller's targets, None if unknown.
        clock: The source of time.

    Attributes:
        outcomes: Outcomes that have not been consumed, in order of completion.
        has_abandoned: Whether requests may be in flight whose results will be ignored.

    Raises:
        JournalError: The journal cannot be used, or belongs to another replay.
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
        self.has_abandoned = False
        self._options = options
        self._clock = clock
        self._recovery = recovery
        self._pending_grace = _PENDING_GRACE if recovery is None else recovery.pending_grace
        self._scheduler = Scheduler(
            concurrency_limiter=ConcurrencyLimiter(options.concurrency),
            rate_limiter=RateLimiter(options.rate),
            circuit_breaker=CircuitBreaker(options.max_consecutive_failures),
            max_attempts=options.max_attempts,
            max_queued=options.concurrency,
            random=random,
        )
        started_at = clock.monotonic()
        self._stats = RunStats(total=total, started_at=started_at)
        self._next_progress = started_at + _PROGRESS_INTERVAL
        self._position = 0
        self._list_requested_at = self._now()
        self._found_delivered: set[Target] = set()
        self._unseen: Iterator[Row] | None = None
        self._grace_deadline = inf
        self._finished = False
        self._exhausted = False
        self._closed = False
        self._journal = JournalWriter.open(
            options.journal, base_url=base_url, durable=options.durable
        )
        try:
            check_journal(self._journal, recovery)
        except BaseException:
            self._journal.close()
            raise

    def close(self) -> None:
        """Close the journal. Requests in flight remain in it as intents."""
        self._closed = True
        self._stats.end(self._clock.monotonic())
        self._journal.close()

    def hook_to_list(self) -> UUID | None:
        """Return the subscription to list before `plan`, None if the journal already has a plan.

        Also records the time, for the age of the listed attempts.
        """
        if self._recovery is None or self._journal.plan is not None:
            return None
        self._list_requested_at = self._now()
        return self._recovery.hook_id

    def plan(self, listed: EventList) -> None:
        """Record which events will be redelivered, before the first request.

        Args:
            listed: The delivery attempts of the subscription, which the service has just listed.

        Raises:
            InvalidArgumentError: The window starts in the future.
            JournalError: The journal cannot be written.
        """
        assert self._recovery is not None
        listing = read_list(listed, began=self._list_requested_at, ended=self._now())
        write_plan(self._journal, self._recovery, listing)

    def mark_unknown_and_list_hooks(self) -> Iterable[UUID]:
        """Record targets left in flight by earlier runs as unknown, and find those to look up.

        Returns:
            The subscriptions of the targets that are unknown or were accepted.
        """
        hooks: dict[UUID, None] = {}
        for row in self._journal.unresolved():
            hooks[row.hook_id] = None
            if row.state is RowState.IN_FLIGHT:
                # The run that sent it is over, so no outcome will follow.
                self._record_outcome(Target(row.hook_id, row.request_id), OutcomeStatus.UNKNOWN)
        return hooks

    def resolve_unknown(self, hook_id: UUID, listed: EventList) -> None:
        """Record what the service lists about targets that were unknown or only accepted.

        Unknown targets are recorded as delivered if their redelivery is listed. Targets that an
        earlier run saw accepted are recorded as delivered or rejected, if the list tells.

        Args:
            hook_id: The subscription.
            listed: Its delivery attempts, as listed by the service.
        """
        # Iterate over the list, as it is shorter than the unknown targets may be.
        now = self._now()
        listing = read_list(listed, began=now, ended=now)
        accepted: dict[UUID, tuple[Row, list[WebhookEvent]]] = {}
        for attempt in listing.attempts:
            row = self._journal.find(hook_id, attempt.id)
            if row is None:
                continue
            if row.state is RowState.ACCEPTED and row.run < self._journal.run:
                accepted.setdefault(attempt.id, (row, []))[1].append(attempt)
            elif row.state is RowState.UNKNOWN:
                assert row.unresolved_since is not None
                if was_redelivered_since(attempt, row.unresolved_since):
                    self._record_found(Target(hook_id, attempt.id), attempt)
        for request_id, (row, attempts) in accepted.items():
            found = resolve_accepted(
                row, attempts, now=listing.not_before, grace=self._pending_grace
            )
            if found is None:
                continue
            status, attempt = found
            target = Target(hook_id, request_id)
            if status is OutcomeStatus.DELIVERED:
                self._record_found(target, attempt)
            else:
                self._record_outcome(target, status, attempt)

    def _record_found(self, target: Target, attempt: WebhookEvent) -> None:
        self._record_outcome(target, OutcomeStatus.DELIVERED, attempt)
        self._found_delivered.add(target)

    def _record_outcome(
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

    def set_total_from_journal(self) -> None:
        """Include the targets of the journal in the total number of targets.

        If the caller supplies targets too, the total is unknown until they are exhausted, as it is
        unknown how many of them are in the journal.
        """
        recorded = sum(self._journal.counts().values())
        if recorded:
            self._stats.total = None if self._stats.total != 0 else recorded

    def step(self) -> Step:
        """Return the next action: send a job, wait, take a target, or finish.

        Also reports progress if that is due. The action never waits beyond the next time.
        """
        now = self._clock.monotonic()
        if now >= self._next_progress:
            self._report_progress(now)
        step = self._scheduler.step(now)
        if not isinstance(step, Wait):
            return step
        until = inf if step.seconds is None else now + step.seconds
        if self._scheduler.stop_reason is not None:
            if now >= self._grace_deadline:
                self._abandon_in_flight()
                return Action.FINISH
            until = self._grace_deadline
        if self._options.on_progress is not None:
            until = min(until, self._next_progress)
        return Wait(None if until == inf else until - now)

    @property
    def outcomes_full(self) -> bool:
        """Whether outcomes must be consumed before more requests are sent."""
        return len(self.outcomes) >= self._options.concurrency

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return self._scheduler.in_flight

    def accept_target(self, item: object) -> Job | None:
        """Accept a target from the caller.

        Returns:
            The job to start at once, or None if nothing needs to be sent.

        Raises:
            InvalidArgumentError: The item does not identify an event.
        """
        target = parse_target(item, self._position)
        self._position += 1
        ids = (target.hook_id, target.request_id)
        # A new target needs no lookup. A durable write waits for the disk: `start` does that.
        if not self._options.durable and self._journal.record_first_intent(*ids, self._now()):
            return Job(target, attempts=1, intent_recorded=True)
        row = self._journal.find(*ids)
        job = self._make_job(target, row, from_journal=False)
        if job is None or row is None or row.state is RowState.PLANNED:
            return job
        # An earlier run sent it in vain: `take_from_journal` returns it after those never sent.
        self._journal.postpone(*ids)
        return None

    def take_from_journal(self) -> Job | None:
        """Take a target that is only in the journal or was postponed, after the caller's targets.

        Returns:
            The job to start at once, or None if nothing needs to be sent.
        """
        if self._unseen is None:
            self._unseen = self._journal.unseen()
            # Every target is now in the journal.
            self._stats.total = (
                self._stats.done
                + self._scheduler.in_flight
                + self._scheduler.queued
                + self._journal.count_unseen()
            )
        row = next(self._unseen, None)
        if row is None:
            self._scheduler.mark_exhausted()
            return None
        return self._make_job(Target(row.hook_id, row.request_id), row, from_journal=True)

    def _make_job(self, target: Target, row: Row | None, *, from_journal: bool) -> Job | None:
        outcome = None
        if row is not None:
            outcome = outcome_without_sending(
                row,
                run=self._journal.run,
                from_journal=from_journal,
                resend_unknown=self._options.resend_unknown,
                found_delivered=target in self._found_delivered,
            )
        if outcome is None:
            return Job(target, was_unknown=row is not None and row.state is RowState.UNKNOWN)
        if outcome.not_sent is not NotSentReason.DUPLICATE:
            self._journal.mark_seen(target.hook_id, target.request_id)
        self._emit(outcome)
        return None

    def start(self, job: Job) -> None:
        """Record the intent of a job's request. The caller sends it afterwards.

        Raises:
            JournalError: The journal cannot be written.
        """
        if not job.intent_recorded:
            ids = (job.target.hook_id, job.target.request_id)
            job.attempts = self._journal.record_intent(*ids, self._now())
        job.intent_recorded = False
        self._stats.requests += 1
        self._scheduler.started(job, self._clock.monotonic())

    def record_result(self, job: Job, result: Result) -> None:
        """Record the result of a request in the journal. Thread-safe.

        Raises:
            JournalError: The journal cannot be written.
        """
        if job.abandoned:
            return
        if result.counts_as_attempt:
            self._record_outcome(job.target, job.status_after(result), result.event, result.error)
        else:
            self._journal.cancel_intent(job.target.hook_id, job.target.request_id)

    def begin_batch(self) -> None:
        """Batch all writes to the journal until `flush`."""
        self._journal.begin_batch()

    def flush(self) -> None:
        """Write the batch to the journal.

        Raises:
            JournalError: The journal cannot be written. Nothing of the batch was.
        """
        self._journal.flush()

    def complete(self, job: Job, result: Result) -> None:
        """Process a result that has been recorded."""
        if job.abandoned:
            return
        if not result.counts_as_attempt:
            job.attempts -= 1
        outcome = self._scheduler.finished(job, result, self._clock.monotonic())
        if outcome is not None:
            self._emit(outcome)

    def discard(self, job: Job) -> None:
        """Drop a job whose result could not be recorded."""
        self._scheduler.discard(job)

    def stop(self, grace: float | None) -> None:
        """Take no more targets.

        Args:
            grace: Maximum number of seconds to wait for the requests in flight, None for no limit.

        Raises:
            InvalidArgumentError: `grace` is out of range.
        """
        check_seconds(
            "grace", grace, allow_zero=True, allow_none=True, error_class=InvalidArgumentError
        )
        self._scheduler.stop("stop() was called")
        if grace is not None:
            self._grace_deadline = min(self._grace_deadline, self._clock.monotonic() + grace)

    def stop_after_target_error(self) -> None:
        """Take no more targets, since iterating them failed and some may be missing."""
        self._scheduler.stop(
            "the iteration over the targets was interrupted by an exception or a cancellation"
        )

    def interrupt(self) -> None:
        """Stop without waiting for the requests in flight."""
        self._scheduler.stop("the run was interrupted")
        self._grace_deadline = -inf

    def stop_early(self) -> None:
        """Take no more targets, since the caller has exited the block. No-op once finished."""
        if not self._finished:
            self._scheduler.stop("the `with` block was exited early")

    def _abandon_in_flight(self) -> None:
        self.has_abandoned = True
        for job in self._scheduler.abandon():
            self._emit(job.outcome(OutcomeStatus.UNKNOWN))

    def finish(self) -> None:
        """End the run, with an outcome for every target that was still queued. Idempotent."""
        if self._finished:
            return
        for job in self._scheduler.drain_resends():
            self._emit(job.outcome())
        self._finished = True
        now = self._clock.monotonic()
        self._stats.end(now)
        self._report_progress(now)

    @property
    def ended(self) -> bool:
        """Whether the run is finished and all outcomes are consumed."""
        return self._finished and not self.outcomes

    def check_iterable(self) -> None:
        """Check that an iteration can yield outcomes.

        Raises:
            ReplayStoppedError: An earlier iteration ended because the run was aborted.
            RuntimeError: An earlier iteration yielded the last outcome, or the block was exited.
        """
        if self._exhausted:
            self._raise_if_aborted()
            raise RuntimeError(
                "The replay has ended: its outcomes were already consumed. See replay.report, or"
                " create a new replay to resume from a journal."
            )
        self.check_open()

    def check_open(self) -> None:
        """Check that the block has not been exited, unless all outcomes were consumed before.

        Raises:
            RuntimeError: It has.
        """
        if self._closed and not self._exhausted:
            raise RuntimeError(
                "The replay was exited, so it yields no more outcomes. See replay.report, or create"
                " a new replay to resume from a journal."
            )

    def end_iteration(self) -> None:
        """Mark the outcomes as consumed.

        Raises:
            ReplayStoppedError: The run was aborted: see `Scheduler.stop_reason`.
        """
        self._exhausted = True
        self._raise_if_aborted()

    def _raise_if_aborted(self) -> None:
        if self._scheduler.aborted:
            raise ReplayStoppedError(
                f"The replay was stopped: {self._scheduler.stop_reason} {self._resume_hint()}"
            ) from self._scheduler.cause

    def _resume_hint(self) -> str:
        if self._journal.temporary:
            return "There is no journal to resume from: pass journal= to be able to resume."
        return f"Fix the cause and run again with journal={str(self._journal.path)!r} to resume."

    def report(self) -> Report:
        """Return the report of the run so far."""
        plan = self._journal.plan
        stop_reason = self._scheduler.stop_reason
        return self._stats.report(
            self._clock.monotonic(),
            finished=self._finished and stop_reason is None,
            stop_reason=stop_reason,
            coverage=None if plan is None else coverage_of(plan),
        )

    def _emit(self, outcome: Outcome) -> None:
        self._stats.add(outcome)
        self.outcomes.append(outcome)

    def _report_progress(self, now: float) -> None:
        self._next_progress = now + _PROGRESS_INTERVAL
        if self._options.on_progress is None:
            return
        progress = self._stats.progress(now, in_flight=self._scheduler.in_flight)
        try:
            self._options.on_progress(progress)
        except (StopIteration, StopAsyncIteration) as error:
            raise RuntimeError(
                f"on_progress raised {type(error).__name__}, which would end the iteration. Raise"
                " another exception."
            ) from error

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)
