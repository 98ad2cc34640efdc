"""When to stop a replay in which nothing works. No clock, no I/O."""

from __future__ import annotations

_GOOD = frozenset({"delivered", "accepted"})
_BAD = ("rejected", "failed", "unknown")


class CircuitBreaker:
    """Counts the outcomes in a row, in order of completion, of which none is a success.

    Once open it stays open, and keeps its reason: those still in flight change nothing.

    Args:
        limit: How many in a row open it, at least 1; None for never.
    """

    __slots__ = ("_counts", "_in_a_row", "_limit")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._in_a_row = 0
        self._counts = dict.fromkeys(_BAD, 0)

    @property
    def is_open(self) -> bool:
        """Whether the run is to stop."""
        return self._limit is not None and self._in_a_row >= self._limit

    def completed(self, status: str) -> None:
        """Count an outcome.

        Args:
            status: What became of a target: delivered and accepted begin the count anew; rejected,
                failed and unknown count; anything else, such as skipped, says nothing.
        """
        if self.is_open:
            return
        if status in self._counts:
            self._in_a_row += 1
            self._counts[status] += 1
        elif status in _GOOD and self._in_a_row:
            self._in_a_row = 0
            self._counts = dict.fromkeys(_BAD, 0)

    @property
    def reason(self) -> str:
        """What was counted, such as `the last 20 outcomes are no success: 18 rejected, 2 failed`.

        Without a full stop, so that it can stand inside an error's message.
        """
        if not self._in_a_row:
            return "the last outcome is a success, or there is none yet"
        kinds = ", ".join(f"{count} {kind}" for kind, count in self._counts.items() if count)
        if self._in_a_row == 1:
            return f"the last outcome is no success: {kinds}"
        return f"the last {self._in_a_row} outcomes are no success: {kinds}"
