"""How many redeliveries of a replay may be in flight at once. No clock, no I/O."""

from __future__ import annotations

from collections import deque
from typing import cast

from webhooks_sdk._signals import Signal
from webhooks_sdk.errors import ConfigurationError

_SAMPLES = 9  # durations of which the median is taken, so that a few slow ones are no trend
_ENOUGH = 5
_SHARPLY = 2.0
_HARMLESS = 100.0  # milliseconds: a smaller rise is no distress, whatever the factor
_DOWN = 1 / 8  # share of the way that the baseline goes down with each duration
_UP = 1 / 128  # and up with each round of durations
_LONGEST = 3_600_000.0


class Window:
    """How many may be in flight: one at first, then more while it goes well, fewer in distress.

    It doubles with each round of answers until the first distress, and grows by one with each
    after that, up to `limit`. Distress halves it, down to one: at most once for all that were sent
    before they could know of it. It grows only by sends during which it was full, and not while
    the pace is what holds requests back.

    Durations of a subscriber that rise sharply are distress too: when the median of the last few
    is twice the baseline, and 100 ms more. The baseline follows shorter durations quickly and
    longer ones slowly. What they take while only one is in flight is not the replay's doing, and
    becomes the baseline.

    Args:
        limit: The most that may be in flight.

    Raises:
        ConfigurationError: `limit` is no integer of at least 1.
    """

    __slots__ = (
        "_baseline",
        "_credit",
        "_decreased_at",
        "_filled_at",
        "_in_flight",
        "_limit",
        "_ramping",
        "_recent",
        "_size",
        "_ticket",
    )

    def __init__(self, limit: int) -> None:
        value = cast("object", limit)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(
                f"concurrency must be an integer of at least 1, not {value!r}."
            )
        self._limit = limit
        self._size = 1
        self._in_flight = 0
        self._credit = 0
        self._ramping = True
        self._ticket = self._filled_at = self._decreased_at = 0
        self._recent = deque[float](maxlen=_SAMPLES)
        self._baseline: float | None = None

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
        if signal is Signal.DISTRESS or (duration_ms is not None and self._rising(duration_ms)):
            self._decrease()
        elif not binding and ticket <= self._filled_at:
            self._grow()

    def _grow(self) -> None:
        if self._size >= self._limit:
            return
        self._credit += 1
        if self._ramping or self._credit >= self._size:
            self._size += 1
            self._credit = 0

    def _decrease(self) -> None:
        self._size = max(1, self._size // 2)
        self._credit = 0
        self._ramping = False
        self._decreased_at = self._ticket
        self._recent.clear()

    def _rising(self, duration_ms: float) -> bool:
        if not duration_ms >= 0:
            return False
        recent = self._recent
        recent.append(float(min(duration_ms, _LONGEST)))
        if len(recent) < _ENOUGH:
            return False
        median = sorted(recent)[len(recent) // 2]
        if self._baseline is None:
            self._baseline = median
        baseline = self._baseline
        if median > max(_SHARPLY * baseline, baseline + _HARMLESS):
            if self._size == 1:
                self._baseline = median
            return True
        share = _DOWN if median < baseline else _UP / self._size
        self._baseline = baseline + share * (median - baseline)
        return False
