"""A circuit breaker that stops a replay in which nothing succeeds. No clock, no I/O."""

from __future__ import annotations

_SUCCESS = "delivered"
_FAILURES = ("rejected", "failed", "unknown")


class CircuitBreaker:
    """Opens after a number of consecutive unsuccessful outcomes, in order of completion.

    Once open it stays open and keeps its reason, whatever becomes of the requests still in flight.

    Args:
        threshold: How many consecutive unsuccessful outcomes open it, at least 1; None for never.
    """

    __slots__ = ("_consecutive_failures", "_counts", "_threshold")

    def __init__(self, threshold: int | None) -> None:
        self._threshold = threshold
        self._consecutive_failures = 0
        self._counts = dict.fromkeys(_FAILURES, 0)

    @property
    def is_open(self) -> bool:
        """Whether the run must stop."""
        return self._threshold is not None and self._consecutive_failures >= self._threshold

    def record(self, status: str) -> None:
        """Record an outcome.

        Args:
            status: The status of the outcome. Delivered resets the count; rejected, failed and
                unknown are counted; any other status is ignored. That includes accepted: the
                service may report no response because the subscriber is down.
        """
        if self.is_open:
            return
        if status in self._counts:
            self._consecutive_failures += 1
            self._counts[status] += 1
        elif status == _SUCCESS and self._consecutive_failures:
            self._consecutive_failures = 0
            self._counts = dict.fromkeys(_FAILURES, 0)

    @property
    def reason(self) -> str:
        """The count as text, such as `the last 20 outcomes were unsuccessful: 18 rejected, ...`.

        It has no full stop, so that it can be part of an error message.
        """
        if not self._consecutive_failures:
            return "no consecutive unsuccessful outcomes"
        counts = ", ".join(f"{count} {status}" for status, count in self._counts.items() if count)
        if self._consecutive_failures == 1:
            return f"the last outcome was unsuccessful: {counts}"
        return f"the last {self._consecutive_failures} outcomes were unsuccessful: {counts}"
