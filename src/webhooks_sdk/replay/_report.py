"""What a run came to: counts, durations, problems; how far it is."""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType

from attrs import field, frozen

from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus
from webhooks_sdk.replay._undelivered import Coverage

MAX_PROBLEMS = 100
"""How many outcomes `Report.problems` holds at most; the journal has them all."""

BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
"""The upper bounds of the histogram of durations, in milliseconds; a last bin has none."""

PROBLEMS = frozenset({OutcomeStatus.REJECTED, OutcomeStatus.FAILED, OutcomeStatus.UNKNOWN})


@frozen(kw_only=True)
class HistogramBucket:
    """One bin of the histogram of how long the subscriber took to answer.

    Attributes:
        above_ms: The duration is more than this many milliseconds (or 0).
        up_to_ms: And at most this many; None in the last bin.
        count: How many answers took so long.
    """

    above_ms: int
    up_to_ms: int | None
    count: int


@frozen(kw_only=True)
class Report:
    """What a run came to, or has come to so far.

    Attributes:
        counts: How many outcomes there were of each status.
        requests: How many requests were sent, resends included.
        duration: How long the run has lasted.
        durations: A histogram of how long the subscriber took to answer, of fixed size.
        problems: The first 100 outcomes that are rejected, failed or unknown. All of them are in
            the journal: `webhooks_sdk.replay.Journal`.
        finished: Whether every target has its outcome.
        stopped: Why the run ended before that, None if it did not.
        coverage: For `recover`, how far back the service's list reached.
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
        """How many targets have an outcome."""
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
    """How far a run is, as `on_progress` is told.

    Attributes:
        counts: How many outcomes there were so far of each status.
        in_flight: How many requests are under way.
        total: How many targets there are, None if that is not known.
        rate: Targets a second that were sent and got their outcome, over the whole run. What needed
            no request, such as what an earlier run has done, is not counted.
        remaining: How long the rest will take at that rate, None if that is not known.
    """

    counts: Mapping[str, int] = field(hash=False)
    in_flight: int
    total: int | None
    rate: float
    remaining: timedelta | None

    @property
    def done(self) -> int:
        """How many targets have an outcome."""
        return sum(self.counts.values())


class Tally:
    """Counts the outcomes of a run.

    Args:
        total: The attribute's first value.
        began: When the run began, in monotonic seconds.

    Attributes:
        total: How many targets there are, None if that is not known.
        requests: How many requests were sent.
        done: How many outcomes there were.
    """

    def __init__(self, *, total: int | None, began: float) -> None:
        self.total = total
        self.requests = 0
        self.done = 0
        self._sent = 0
        self._began = began
        self._ended: float | None = None
        self._counts: dict[str, int] = dict.fromkeys(OutcomeStatus, 0)
        self._bins = [0] * (len(BOUNDS_MS) + 1)
        self._problems: list[Outcome] = []

    def count(self, outcome: Outcome, *, sent: bool) -> None:
        """Count an outcome, for which this run has sent something or not."""
        self.done += 1
        self._sent += sent
        self._counts[outcome.status] += 1
        if outcome.status in PROBLEMS and len(self._problems) < MAX_PROBLEMS:
            self._problems.append(outcome)
        if outcome.event is not None and outcome.event.response_duration_ms is not None:
            self._bins[bisect_left(BOUNDS_MS, outcome.event.response_duration_ms)] += 1

    def end(self, now: float) -> None:
        """Note when the run ended; from then on it lasts no longer."""
        if self._ended is None:
            self._ended = now

    def report(
        self, now: float, *, finished: bool, stopped: str | None, coverage: Coverage | None
    ) -> Report:
        """Return what the run has come to."""
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
        """Return how far the run is."""
        seconds = self._seconds(now)
        # What is skipped passes at once, and says nothing of how long the rest will take.
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
        return (now if self._ended is None else self._ended) - self._began

    def _durations(self) -> tuple[HistogramBucket, ...]:
        bounds = pairwise((0, *BOUNDS_MS, None))
        return tuple(
            HistogramBucket(above_ms=above or 0, up_to_ms=up_to, count=count)
            for (above, up_to), count in zip(bounds, self._bins, strict=True)
        )
