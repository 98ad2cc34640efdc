"""Detection of a subscriber that slows down under the load of a replay. No clock, no I/O."""

from __future__ import annotations

_BATCH_SIZE = 24  # with fewer durations, chance would look like a trend
_SEQUENTIAL_BATCH_SIZE = 12  # without load the durations only update the baseline
_FIRST_BATCH_SIZE = 8  # sets the baseline before slow start has raised the load far
_RISE_FACTOR = 2.0
_MIN_RISE_MS = 100.0  # a smaller rise is ignored, whatever the factor
_SMOOTHING = 1 / 8  # the weight of a new median in the baseline
_MAX_DURATION_MS = 3_600_000.0  # longer durations count as this


class LatencyTracker:
    """Compares a subscriber's durations, in batches, with a baseline.

    Latency rises sharply when three quarters of a batch took more than twice the baseline, and at
    least 100 ms more than it. So neither a few slow responses nor a wide spread is a rise.

    The baseline is the smoothed latency of the unloaded subscriber: it follows the medians of
    batches down, but follows them up only if deliveries were sequential, since those durations are
    not caused by the replay. A baseline that rose with the load would never detect an overload.
    """

    __slots__ = ("_baseline", "_batch")

    def __init__(self) -> None:
        self._baseline: float | None = None
        self._batch: list[float] = []

    def record(self, duration_ms: float, *, sequential: bool) -> bool | None:
        """Record a duration, and evaluate the batch if that completes it.

        Args:
            duration_ms: Milliseconds that the subscriber took. Negative values and NaN are ignored.
            sequential: Whether only one delivery may be in flight now.

        Returns:
            Whether the batch shows a sharp rise; None if the batch is not complete.
        """
        if not duration_ms >= 0:
            return None
        batch = self._batch
        batch.append(float(min(duration_ms, _MAX_DURATION_MS)))
        if len(batch) < self._batch_size(sequential=sequential):
            return None
        self.discard_batch()
        batch.sort()
        return self._evaluate(batch[len(batch) // 4], batch[len(batch) // 2], sequential=sequential)

    def discard_batch(self) -> None:
        """Start a new batch, because the load has changed."""
        self._batch = []

    def _batch_size(self, *, sequential: bool) -> int:
        if self._baseline is None:
            return _FIRST_BATCH_SIZE
        return _SEQUENTIAL_BATCH_SIZE if sequential else _BATCH_SIZE

    def _evaluate(self, quartile: float, median: float, *, sequential: bool) -> bool:
        baseline = self._baseline
        if baseline is None:
            self._baseline = median
            return False
        if quartile > max(_RISE_FACTOR * baseline, baseline + _MIN_RISE_MS):
            if sequential:
                self._baseline = median
            return True
        if sequential or median < baseline:
            self._baseline = baseline + _SMOOTHING * (median - baseline)
        return False
