"""The report and the progress of a run."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType

from attrs import field, frozen

from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus
from webhooks_sdk.replay._undelivered import Coverage

MAX_PROBLEMS = 100
"""Maximum length of `Report.problems`. The journal has all of them."""

BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""Upper bounds of the duration histogram in milliseconds. The last bucket is unbounded."""

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

    Attributes:
        counts: Number of outcomes by status.
        requests: Number of requests sent, resends included.
        duration: Duration of the run.
        durations: Histogram of the subscriber's response times, with fixed buckets.
        problems: The first 100 rejected, failed or unknown outcomes. The journal has all of them:
            see `webhooks_sdk.replay.Journal`.
        finished: Whether every target has an outcome.
        stopped: Why the run stopped before that, None if it did not.
        coverage: How far back the service's list reached, for `recover` only.
    """

    counts: Mapping[str, int] = field(hash=False)
    requests: int
    duration: timedelta
    durations: tuple[HistogramBucket, ...]
    problems: tuple[Outcome, ...]
    finished: bool
    stopped: str | None
    coverage: Coverage | None

    @property
    def total(self) -> int:
        """Number of targets that have an outcome."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        seconds = self.duration.total_seconds()
        end = "finished" if self.finished else "not finished"
        if self.stopped is not None:
            end = f"stopped: {self.stopped}"
        return f"{counts or 'no targets'}; {self.requests} requests in {seconds:.1f} s; {end}"


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
        self._buckets = [0] * (len(BOUNDS_MS) + 1)
        self._problems: list[Outcome] = []

    def add(self, outcome: Outcome, *, sent: bool) -> None:
        """Count an outcome.

        Args:
            outcome: The outcome.
            sent: Whether this run sent a request for it.
        """
        self.done += 1
        self._sent += sent
        self._counts[outcome.status] += 1
        if outcome.status in PROBLEMS and len(self._problems) < MAX_PROBLEMS:
            self._problems.append(outcome)
        if outcome.event is not None and outcome.event.response_duration_ms is not None:
            self._buckets[bisect_left(BOUNDS_MS, outcome.event.response_duration_ms)] += 1

    def end(self, now: float) -> None:
        """Record when the run ended. Only the first call counts."""
        if self._ended_at is None:
            self._ended_at = now

    def report(
        self, now: float, *, finished: bool, stopped: str | None, coverage: Coverage | None
    ) -> Report:
        """Return the report at a point in time."""
        return Report(
            counts=MappingProxyType(dict(self._counts)),
            requests=self.requests,
            duration=timedelta(seconds=self._seconds(now)),
            durations=self._durations(),
            problems=tuple(self._problems),
            finished=finished,
            stopped=stopped,
            coverage=coverage,
        )

    def progress(self, now: float, *, in_flight: int) -> Progress:
        """Return the progress at a point in time."""
        seconds = self._seconds(now)
        # Skipped targets take no time, so they do not predict how long the rest will take.
        rate = self._sent / seconds if seconds > 0 else 0.0
        left = None if self.total is None else max(0, self.total - self.done)
        remaining = None
        if left == 0:
            remaining = timedelta(0)
        elif left is not None and rate > 0:
            remaining = timedelta(seconds=left / rate)
        return Progress(
            counts=MappingProxyType(dict(self._counts)),
            in_flight=in_flight,
            total=self.total,
            rate=rate,
            remaining=remaining,
        )

    def _seconds(self, now: float) -> float:
        return (now if self._ended_at is None else self._ended_at) - self._started_at

    def _durations(self) -> tuple[HistogramBucket, ...]:
        bounds = pairwise((0, *BOUNDS_MS, None))
        return tuple(
            HistogramBucket(above_ms=above or 0, up_to_ms=up_to, count=count)
            for (above, up_to), count in zip(bounds, self._buckets, strict=True)
        )
