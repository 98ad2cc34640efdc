"""The report and the progress of a run."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType

from attrs import field, frozen

from webhooks_sdk.replay._outcomes import NotSentReason, Outcome, OutcomeStatus
from webhooks_sdk.replay._undelivered import Coverage

MAX_PROBLEMS = 100
"""Maximum length of `Report.problems`. The journal has all of them."""

BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Upper bounds of the histogram of response times in milliseconds. The last bucket is unbounded."""

_MAX_REMAINING = 1e13  # seconds, within the limit of timedelta

PROBLEMS = frozenset({OutcomeStatus.REJECTED, OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN})


@frozen(kw_only=True)
class HistogramBucket:
    """One bucket of the histogram of the subscriber's response times.

    Attributes:
        above_ms: Lower bound in milliseconds, exclusive (0 is included).
        up_to_ms: Upper bound in milliseconds, inclusive. None in the last bucket.
        count: Number of responses in this bucket.
    """

    above_ms: int
    up_to_ms: int | None
    count: int


@frozen(kw_only=True)
class Report:
    """The results of a run, complete or so far.

    `print(report)` shows a summary, and a line for everything that is missing.

    Attributes:
        counts: Number of outcomes by status.
        not_sent: Number of outcomes without a request in this run, by `NotSentReason`. They are
            included in `counts`.
        not_reached: Number of targets that have no outcome, None if unknown.
        requests: Number of requests sent, resends included.
        duration: Duration of the run.
        response_times: Histogram of the subscriber's response times, with fixed buckets.
        problems: The first 100 rejected, failed or unknown outcomes. The journal has all of them:
            see `webhooks_sdk.replay.Journal`.
        finished: Whether every target has an outcome.
        stop_reason: Why the run stopped before that, None if it did not.
        coverage: How far back the service's list reached, for `recover` only.
    """

    counts: Mapping[str, int] = field(hash=False)
    not_sent: Mapping[str, int] = field(hash=False)
    not_reached: int | None
    requests: int
    duration: timedelta
    response_times: tuple[HistogramBucket, ...]
    problems: tuple[Outcome, ...]
    finished: bool
    stop_reason: str | None
    coverage: Coverage | None

    @property
    def done(self) -> int:
        """Number of targets that have an outcome."""
        return sum(self.counts.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do.

        True if the run is finished, every target was delivered, in this run or before, and for
        `recover`, the service's list covered the window and no event was pending.
        """
        return (
            self.finished
            and not self.counts[OutcomeStatus.ACCEPTED]
            and not any(self.counts[status] for status in PROBLEMS)
            and (self.coverage is None or self.coverage.covers_since)
            and (self.coverage is None or not self.coverage.pending)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing, and what to do about it, as sentences. Empty if nothing is."""
        notes: list[str] = []
        if not self.finished and self.not_reached:
            notes.append(f"{_count(self.not_reached, 'target')} had no outcome yet.")
        accepted = self.counts[OutcomeStatus.ACCEPTED]
        if accepted:
            notes.append(
                f"{_count(accepted, 'event')} {'was' if accepted == 1 else 'were'} accepted by the"
                " service, which did not report a response of the subscriber: run again with the"
                " same journal after two minutes to check, and to send again what failed."
            )
        unknown = self.not_sent[NotSentReason.UNKNOWN_EARLIER]
        if unknown:
            notes.append(
                f"{_count(unknown, 'event')} had an unknown outcome in an earlier run and may have"
                " been delivered: pass resend_unknown=True to send such events again."
            )
        not_found = self.not_sent[NotSentReason.NOT_FOUND_EARLIER]
        if not_found:
            notes.append(
                f"{_count(not_found, 'event')} cannot be redelivered: the service returned 404 in"
                " an earlier run."
            )
        if self.coverage is not None:
            notes += _coverage_notes(self.coverage)
        return tuple(notes)

    def __str__(self) -> str:
        counts = ", ".join(map(self._describe, filter(self.counts.get, self.counts)))
        seconds = self.duration.total_seconds()
        end = "finished" if self.finished else "not finished"
        if self.stop_reason is not None:
            end = f"stopped: {self.stop_reason}"
        requests = _count(self.requests, "request")
        summary = f"{counts or 'no targets'}; {requests} in {seconds:.1f} s; {end}"
        return "\n".join((summary, *self.notes))

    def _describe(self, status: str) -> str:
        reasons = ", ".join(
            f"{self.not_sent[reason]} {reason}"
            for reason in NotSentReason
            if reason.status == status and self.not_sent[reason]
        )
        return f"{self.counts[status]} {status}" + (f" ({reasons})" if reasons else "")


def _coverage_notes(coverage: Coverage) -> list[str]:
    notes: list[str] = []
    if coverage.oldest_listed is None:
        notes.append(
            "The service listed no events: if there were any in the window, pass their IDs to"
            " redeliver_many."
        )
    elif not coverage.covers_since:
        notes.append(
            f"The service listed only events from {coverage.oldest_listed.isoformat()} on, not from"
            " since: earlier events may be missing. Pass their IDs to redeliver_many."
        )
    if coverage.pending:
        notes.append(
            f"{_count(coverage.pending, 'event')} had an attempt in flight when the events were"
            " listed: run recover again later, with a new journal."
        )
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@frozen(kw_only=True)
class Progress:
    """The progress of a run, as passed to `on_progress`.

    Attributes:
        counts: Number of outcomes so far by status.
        in_flight: Number of requests in flight.
        total: Number of targets, None if unknown.
        rate: Targets completed per second, averaged over the run. Targets that needed no request,
            such as those completed by an earlier run, do not count.
        remaining: Estimated time left at that rate, None if unknown.
    """

    counts: Mapping[str, int] = field(hash=False)
    in_flight: int
    total: int | None
    rate: float
    remaining: timedelta | None

    @property
    def done(self) -> int:
        """Number of targets that have an outcome."""
        return sum(self.counts.values())


class RunStats:
    """Statistics of a run, updated with every outcome.

    Args:
        total: Number of targets, None if unknown.
        started_at: When the run started, in monotonic seconds.

    Attributes:
        total: Number of targets, None if unknown.
        requests: Number of requests sent.
        done: Number of outcomes.
    """

    def __init__(self, *, total: int | None, started_at: float) -> None:
        self.total = total
        self.requests = 0
        self.done = 0
        self._sent = 0
        self._started_at = started_at
        self._ended_at: float | None = None
        self._counts: dict[str, int] = dict.fromkeys(OutcomeStatus, 0)
        self._not_sent: dict[str, int] = dict.fromkeys(NotSentReason, 0)
        self._buckets = [0] * (len(BOUNDS_MS) + 1)
        self._problems: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.done += 1
        self._counts[outcome.status] += 1
        if outcome.not_sent is None:
            self._sent += 1
        else:
            self._not_sent[outcome.not_sent] += 1
        if outcome.status in PROBLEMS and len(self._problems) < MAX_PROBLEMS:
            self._problems.append(outcome)
        if outcome.event is not None and outcome.event.response_duration_ms is not None:
            self._buckets[bisect_left(BOUNDS_MS, outcome.event.response_duration_ms)] += 1

    def end(self, now: float) -> None:
        """Record when the run ended. Only the first call counts."""
        if self._ended_at is None:
            self._ended_at = now

    def report(
        self, now: float, *, finished: bool, stop_reason: str | None, coverage: Coverage | None
    ) -> Report:
        """Return the report at a point in time."""
        return Report(
            counts=MappingProxyType(dict(self._counts)),
            not_sent=MappingProxyType(dict(self._not_sent)),
            not_reached=0 if finished else self._left,
            requests=self.requests,
            duration=timedelta(seconds=self._seconds(now)),
            response_times=self._response_times(),
            problems=tuple(self._problems),
            finished=finished,
            stop_reason=stop_reason,
            coverage=coverage,
        )

    def progress(self, now: float, *, in_flight: int) -> Progress:
        """Return the progress at a point in time."""
        seconds = self._seconds(now)
        # Skipped targets take no time, so they do not predict how long the rest will take.
        rate = self._sent / seconds if seconds > 0 else 0.0
        left = self._left
        remaining = None
        if left == 0:
            remaining = timedelta(0)
        elif left is not None and rate > 0 and left / rate < _MAX_REMAINING:
            remaining = timedelta(seconds=left / rate)
        return Progress(
            counts=MappingProxyType(dict(self._counts)),
            in_flight=in_flight,
            total=self.total,
            rate=rate,
            remaining=remaining,
        )

    @property
    def _left(self) -> int | None:
        return None if self.total is None else max(0, self.total - self.done)

    def _seconds(self, now: float) -> float:
        return (now if self._ended_at is None else self._ended_at) - self._started_at

    def _response_times(self) -> tuple[HistogramBucket, ...]:
        bounds = pairwise((0, *BOUNDS_MS, None))
        return tuple(
            HistogramBucket(above_ms=above or 0, up_to_ms=up_to, count=count)
            for (above, up_to), count in zip(bounds, self._buckets, strict=True)
        )
