"""Whether a subscriber gets slower under what a replay sends. No clock, no I/O."""

from __future__ import annotations

_BATCH = 24  # durations that are judged together: fewer would take chance for a trend
_ALONE = 12  # and where they only say what is normal
_FIRST = 8  # and where the load is about to double with each round
_SHARPLY = 2.0
_HARMLESS = 100.0  # milliseconds: a smaller rise is none, whatever the factor
_SHARE = 1 / 8  # of the way to the median of a batch that the baseline goes
_LONGEST = 3_600_000.0  # milliseconds: what is longer counts as this


class LatencyTracker:
    """Judges a subscriber's durations, batch by batch, against a baseline of its own.

    They rise sharply when three quarters of a batch took more than twice the baseline, and 100 ms
    more than it. So neither a few slow ones nor a wide spread is a rise.

    The baseline is what durations are at their lowest, smoothed: it follows the medians of batches
    down, and up only with those of which each delivery was alone in flight. What those take is not
    the replay's doing. A baseline that rose with the load would never find the load too high.
    """

    __slots__ = ("_baseline", "_batch")

    def __init__(self) -> None:
        self._baseline: float | None = None
        self._batch: list[float] = []

    def rising(self, duration_ms: float, *, alone: bool) -> bool | None:
        """Take in a duration and classify_result the batch that it completes.

        Args:
            duration_ms: Milliseconds that the subscriber took. What is no time is left out.
            alone: Whether only one delivery may be in flight now.

        Returns:
            Whether the batch shows a sharp rise; None if there is no judgement yet.
        """
        if not duration_ms >= 0:
            return None
        batch = self._batch
        batch.append(float(min(duration_ms, _LONGEST)))
        if len(batch) < (_FIRST if self._baseline is None else _ALONE if alone else _BATCH):
            return None
        self.forget()
        batch.sort()
        return self._judge(batch[len(batch) // 4], batch[len(batch) // 2], alone=alone)

    def forget(self) -> None:
        """Begin a new batch, since the load is another one now."""
        self._batch = []

    def _judge(self, quartile: float, median: float, *, alone: bool) -> bool:
        baseline = self._baseline
        if baseline is None:
            self._baseline = median
            return False
        if quartile > max(_SHARPLY * baseline, baseline + _HARMLESS):
            if alone:
                self._baseline = median
            return True
        if alone or median < baseline:
            self._baseline = baseline + _SHARE * (median - baseline)
        return False
