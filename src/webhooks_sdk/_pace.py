"""When the next request of a replay may be sent. No clock, no I/O."""

from __future__ import annotations

from math import inf
from typing import cast

from webhooks_sdk.errors import ConfigurationError

MAX_PAUSE = 900.0
"""The longest pause in seconds, whatever a Retry-After asks for."""

_SLOWEST, _FASTEST = 1e-6, 1e6  # what a rate can be; faster than that is no limit

_FIRST_PAUSE = 1.0  # seconds, after a 429 without Retry-After
_LONGEST_PAUSE = 60.0  # what that grows to
_DECREASE = 0.7
_RECOVERY = 60.0  # seconds in which the pace regains as much as a 429 left of it
_FLOOR = 0.1  # requests a second that no 429 takes away
_SPAN = 10.0  # seconds: throughput is observed over one to two of these


class Pace:
    """Spaces requests evenly, and slows down when the API answers 429.

    There are never more than `rate * T + 1` requests in any T seconds, whatever came before: what
    an idle time or a pause left unused is not made up for.

    After a 429 all requests pause, and then go on at 70 % of the throughput that there was. From
    there the pace grows evenly, by as much as is left of it in a minute, up to `rate`. Those 429s
    that were in flight together slow down once.

    All times are monotonic seconds, of any clock.

    Args:
        rate: Requests a second, resends included; None for no limit but what the API sets.

    Raises:
        ConfigurationError: `rate` is out of its range.
    """

    __slots__ = (
        "_counted_from",
        "_counts",
        "_decreased_at",
        "_last",
        "_level",
        "_pause",
        "_paused_until",
        "_rate",
        "_recovered_at",
        "_top",
    )

    def __init__(self, rate: float | None) -> None:
        value = cast("object", rate)
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not _SLOWEST <= value <= _FASTEST
        ):
            raise ConfigurationError(
                "rate must be a number of requests a second from 0.000001 to 1000000, or None for "
                f"no limit, not {value!r}."
            )
        self._top = inf if rate is None else float(rate)
        self._rate = self._top
        self._level = self._top
        self._last = self._paused_until = self._decreased_at = self._recovered_at = -inf
        self._pause = 0.0
        self._counted_from = (-inf, -inf)
        self._counts = (0, 0)

    @property
    def rate(self) -> float | None:
        """Requests a second at the moment, None if there is no limit."""
        return None if self._rate == inf else self._rate

    def ready_at(self, now: float) -> float:
        """Return when the next request may be sent: `now`, or later."""
        if self._rate < self._top:
            self._recover(now)
        return max(now, self._paused_until, self._last + 1 / self._rate)

    def binds(self, now: float) -> bool:
        """Decide whether the pace is what holds requests back now."""
        return self.ready_at(now) > now

    def sent(self, now: float) -> None:
        """Note that a request is sent, a resend or not."""
        self._observe(now)
        self._last = max(self._last, now)

    def pause(self, now: float, seconds: float) -> None:
        """Let all requests wait, without a lower pace after it: for a 503 with `Retry-After`.

        Args:
            now: The time.
            seconds: How long, from now; at most 15 minutes are taken.
        """
        if seconds > 0:
            self._recover(now)
            self._paused_until = max(self._paused_until, now + min(seconds, MAX_PAUSE))

    def limited(self, now: float, retry_after: float | None, *, sent_at: float) -> None:
        """Pause and slow down, since the API answered 429.

        Args:
            now: The time.
            retry_after: Seconds that it asked to wait, of which at most 15 minutes are taken. None
                if it did not: a second, doubled up to a minute while such pauses do not help.
            sent_at: When the request was sent that it answered so. If that was before the pace was
                last lowered, it is not lowered again.
        """
        again = sent_at > self._decreased_at
        if again:
            self._decrease(now)
        if retry_after is not None:
            self.pause(now, retry_after)
        elif again:
            in_vain = sent_at <= self._paused_until + self._pause
            doubled = min(2 * self._pause, _LONGEST_PAUSE) if in_vain else 0.0
            self._pause = max(_FIRST_PAUSE, doubled)
            self.pause(now, self._pause)

    def _decrease(self, now: float) -> None:
        self._recover(now)
        level = _DECREASE * min(self._rate, self._observed(now))
        self._rate = self._level = max(level, min(_FLOOR, self._top))
        self._decreased_at = self._recovered_at = now

    def _recover(self, now: float) -> None:
        since = now - max(self._recovered_at, self._paused_until)
        if since <= 0 or self._rate >= self._top:
            return
        self._recovered_at = now
        self._rate += self._level * since / _RECOVERY
        if self._rate >= min(self._top, _FASTEST):
            self._rate = self._top
        elif self._rate >= 2 * self._level:
            # Who was slowed down from 50 to 1 would else need an hour.
            self._level = self._rate

    def _observe(self, now: float) -> None:
        (_, since), (_, count) = self._counted_from, self._counts
        if now - max(self._last, self._paused_until) > _SPAN:
            # Idle: nothing is known of what the API would have taken. A pause it asked for counts.
            self._counted_from, self._counts = (now, now), (0, 1)
        elif now - since >= _SPAN:
            self._counted_from, self._counts = (since, now), (count, 1)
        else:
            self._counts = (self._counts[0], count + 1)

    def _observed(self, now: float) -> float:
        return sum(self._counts) / max(1.0, now - self._counted_from[0])
