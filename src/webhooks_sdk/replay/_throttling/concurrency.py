"""How many redeliveries of a replay may be in flight at once. No clock, no I/O."""

from __future__ import annotations

from webhooks_sdk.replay._throttling.latency import LatencyTracker
from webhooks_sdk.replay._throttling.signals import Signal

_PATIENCE = 8  # rounds that go well before the size that was too much is tried again


class ConcurrencyLimiter:
    """How many may be in flight: one at first, then more while it goes well, fewer in distress.

    It doubles with each round of answers until the first distress, and grows by one with each
    after that, up to `limit`. Distress halves it, down to one: at most once for all that were sent
    before they could know of it. The size that was too much is tried again after eight rounds. It
    grows only by sends during which it was full, and not while the pace is what holds requests
    back.

    Durations of the subscriber that rise sharply (see `LatencyTracker`) are distress too. After that it
    stays as it is until a batch of durations shows that it is small enough.

    Args:
        limit: The most that may be in flight, at least 1.
    """

    __slots__ = (
        "_credit",
        "_decreased_at",
        "_doubtful",
        "_durations",
        "_filled_at",
        "_in_flight",
        "_limit",
        "_ramping",
        "_size",
        "_ticket",
        "_too_much",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 1
        self._in_flight = 0
        self._credit = 0
        self._ramping = True
        self._too_much = 0
        self._ticket = self._filled_at = self._decreased_at = 0
        self._durations = LatencyTracker()
        self._doubtful = False

    @property
    def size(self) -> int:
        """How many may be in flight now. After distress there can still be more."""
        return self._size

    @property
    def in_flight(self) -> int:
        """How many are."""
        return self._in_flight

    @property
    def has_room(self) -> bool:
        """Whether another one may be sent now."""
        return self._in_flight < self._size

    def started(self) -> int:
        """Note that one is sent.

        Returns:
            Its ticket, for `finished`: a number that grows from send to send.
        """
        self._ticket += 1
        self._in_flight += 1
        if self._in_flight >= self._size:
            self._filled_at = self._ticket
        return self._ticket

    def finished(
        self, ticket: int, signal: Signal, *, binding: bool, duration_ms: float | None = None
    ) -> None:
        """Note that one is no longer in flight, and draw the conclusions.

        Args:
            ticket: What `started` returned for it. Each is finished once.
            signal: What it says.
            binding: Whether the pace is what holds requests back now.
            duration_ms: Milliseconds that the subscriber took to answer with success. None if it
                did not, or if that is not known; a refusal is quick and says nothing of the work.
        """
        self._in_flight -= 1
        # What was sent before the last decrease tells of a load that is history.
        if signal is Signal.NEUTRAL or ticket <= self._decreased_at:
            return
        if signal is Signal.OVERLOAD or (duration_ms is not None and self._rising(duration_ms)):
            self._decrease()
        elif not binding and ticket <= self._filled_at:
            self._grow(doubtful=self._doubtful and duration_ms is not None)

    def _grow(self, *, doubtful: bool) -> None:
        if doubtful or self._size >= self._limit:
            return
        self._credit += 1
        rounds = _PATIENCE if self._size + 1 == self._too_much else 1
        if self._ramping or self._credit >= rounds * self._size:
            self._size += 1
            self._credit = 0

    def _decrease(self) -> None:
        self._too_much = max(2, self._size)
        self._size = max(1, self._size // 2)
        self._credit = 0
        self._ramping = False
        self._decreased_at = self._ticket
        self._durations.forget()

    def _rising(self, duration_ms: float) -> bool:
        rising = self._durations.rising(duration_ms, alone=self._size == 1)
        if rising is not None:
            self._doubtful = rising
        return rising is True
