"""A rate limiter that adapts to the 429 responses of the service. No clock, no I/O."""

from __future__ import annotations

from math import inf

MAX_PAUSE = 900.0
"""The longest pause in seconds, whatever `Retry-After` asks for."""

_UNLIMITED_RATE = 1e6  # requests per second: a rate that has grown to this is no longer limited

_MIN_DEFAULT_PAUSE = 1.0  # seconds, after a 429 without Retry-After
_MAX_DEFAULT_PAUSE = 60.0  # seconds, what that pause doubles to
_MAX_UNCOUNTED_PAUSE = 2.0  # seconds: during a longer one the service may have refilled a quota

_DECREASE_FACTOR = 0.94  # of the throughput, after a 429
_INITIAL_DECREASE_FACTOR = 0.7  # the same, while little throughput has been observed
_MIN_RATE = 1.0  # requests per second: a 429 does not lower the rate further
_DOUBLING_TIME = 20.0  # seconds in which the rate doubles
_HOLD_FRACTION = 0.95  # of the ceiling: the rate is held there before it grows further
_SAME_LIMIT_FRACTION = 0.97  # of the ceiling: a 429 at this rate or above confirms the limit
_MIN_HOLD = 4.0  # seconds, once the ceiling is confirmed
_MAX_HOLD = 60.0  # seconds, what the hold doubles to
_HOLD_DECREASE_FACTOR = 0.25  # of the hold, after a 429 below the ceiling

_SPAN = 10.0  # seconds: throughput is observed over one to two of these


class RateLimiter:
    """Spaces requests evenly, and slows down when the service returns 429.

    There are never more than `rate * T + 1` requests in any T seconds: unused capacity, from idle
    time or a pause, is not carried over.

    After a 429 all requests pause, and then continue at 94 % of the observed throughput. If less
    than ten seconds were observed, they continue at 70 %, of `rate` if there is one, since the
    first 429 says little about it. The rate is never lowered below one request per second (or
    `rate`, if that is lower). From there it doubles every 20 seconds, linearly between doublings,
    up to `rate`. The 429s of requests that were in flight together lower the rate once.

    Repeated 429s at the same throughput reveal a limit. The rate is then held just below it for
    4 seconds before the limit is probed again, and for twice as long each time that it is still
    there, up to a minute. A 429 below that throughput has another cause, and shortens the hold to a
    quarter: 429s that are unrelated to the load must not slow the replay down for long.

    All times are in seconds of any monotonic clock.

    Args:
        rate: Requests per second, from 0.000001 to 1,000,000, resends included; None for no limit
            other than that of the service.
    """

    __slots__ = (
        "_ceiling",
        "_decreased_at",
        "_default_pause",
        "_growth_base",
        "_hold",
        "_hold_left",
        "_hold_rate",
        "_last_sent_at",
        "_max_rate",
        "_paused_until",
        "_rate",
        "_sent_since_decrease",
        "_span_counts",
        "_span_starts",
        "_updated_at",
    )

    def __init__(self, rate: float | None) -> None:
        self._max_rate = inf if rate is None else float(rate)
        self._rate = self._growth_base = self._max_rate
        self._last_sent_at = self._paused_until = self._decreased_at = self._updated_at = -inf
        self._default_pause = 0.0
        self._ceiling = inf
        self._hold_rate = self._hold = self._hold_left = 0.0
        self._sent_since_decrease = 0
        # Of the previous span of observation and the current one.
        self._span_starts = (-inf, -inf)
        self._span_counts = (0, 0)

    @property
    def rate(self) -> float | None:
        """The current rate in requests per second, None if there is no limit."""
        return None if self._rate == inf else self._rate

    def ready_at(self, now: float) -> float:
        """Return when the next request may be sent: `now`, or later."""
        if self._rate < self._max_rate:
            self._update_rate(now)
        return max(now, self._paused_until, self._last_sent_at + 1 / self._rate)

    def is_limiting(self, now: float) -> bool:
        """Return whether a request would have to wait now."""
        return self.ready_at(now) > now

    def record_request(self, now: float) -> None:
        """Record that a request is sent, whether for the first time or again."""
        self._observe(now)
        self._sent_since_decrease += 1
        self._last_sent_at = max(self._last_sent_at, now)

    def pause(self, now: float, seconds: float) -> None:
        """Delay all requests without lowering the rate, for a 503 with `Retry-After`.

        Args:
            now: The current time.
            seconds: The length of the pause from now, limited to 15 minutes.
        """
        if seconds > 0:
            self._update_rate(now)
            begin = max(now, self._paused_until)
            self._paused_until = max(begin, now + min(seconds, MAX_PAUSE))
            if (added := self._paused_until - begin) <= _MAX_UNCOUNTED_PAUSE:
                previous, current = self._span_starts
                self._span_starts = (previous + added, current + added)

    def slow_down(self, now: float, retry_after: float | None, *, sent_at: float) -> None:
        """Pause all requests and lower the rate, because the service returned 429.

        Args:
            now: The current time.
            retry_after: Seconds that the service asked to wait, limited to 15 minutes. None if it
                did not: the pause is then a second, and doubles up to a minute if a request sent
                within a second of the end of such a pause gets a 429 as well.
            sent_at: When the request was sent that got the 429. If that was before the rate was
                last lowered, the rate is not lowered again.
        """
        is_new = sent_at > self._decreased_at
        pause_was_too_short = sent_at < self._paused_until + _MIN_DEFAULT_PAUSE
        if is_new:
            self._decrease(now)
        if retry_after is not None:
            self.pause(now, retry_after)
        elif is_new:
            doubled = min(2 * self._default_pause, _MAX_DEFAULT_PAUSE)
            self._default_pause = max(_MIN_DEFAULT_PAUSE, doubled if pause_was_too_short else 0.0)
            self.pause(now, self._default_pause)

    def _decrease(self, now: float) -> None:
        self._update_rate(now)
        # The first request after a decrease does not show how long the service could sustain it.
        confirmed = (
            self._rate >= _SAME_LIMIT_FRACTION * self._ceiling and self._sent_since_decrease > 1
        )
        if confirmed:
            self._hold = min(max(_MIN_HOLD, 2 * self._hold), _MAX_HOLD)
        else:
            self._hold *= _HOLD_DECREASE_FACTOR
        observed = now - self._span_starts[0] >= _SPAN
        self._ceiling = self._rate
        if observed or self._rate == inf:
            self._ceiling = min(self._rate, self._throughput(now))
        lowered = (_DECREASE_FACTOR if observed else _INITIAL_DECREASE_FACTOR) * self._ceiling
        self._rate = self._growth_base = max(lowered, min(_MIN_RATE, self._max_rate))
        self._hold_rate = max(_HOLD_FRACTION * self._ceiling, self._growth_base)
        self._hold_left = self._hold
        self._sent_since_decrease = 0
        self._decreased_at = self._updated_at = now

    def _update_rate(self, now: float) -> None:
        elapsed = now - max(self._updated_at, self._paused_until)
        if elapsed <= 0 or self._rate >= self._max_rate:
            return
        self._updated_at = now
        self._grow(elapsed)
        if self._rate >= min(self._max_rate, _UNLIMITED_RATE):
            self._rate = self._max_rate
            self._ceiling = inf
        elif self._rate >= 2 * self._growth_base:
            # At a constant slope, it would take a quarter of an hour to grow from 1 to 50.
            self._growth_base = self._rate

    def _grow(self, elapsed: float) -> None:
        slope = self._growth_base / _DOUBLING_TIME
        until_hold = min(elapsed, max(0.0, self._hold_rate - self._rate) / slope)
        held = min(elapsed - until_hold, self._hold_left)
        self._hold_left -= held
        self._rate += slope * (elapsed - held)

    def _observe(self, now: float) -> None:
        (_, start), (_, count) = self._span_starts, self._span_counts
        if now - max(self._last_sent_at, self._paused_until) > _SPAN:
            # Idle time says nothing about the capacity of the service. A pause it asked for does.
            self._span_starts, self._span_counts = (now, now), (0, 1)
        elif now - start >= _SPAN:
            self._span_starts, self._span_counts = (start, now), (count, 1)
        else:
            self._span_counts = (self._span_counts[0], count + 1)

    def _throughput(self, now: float) -> float:
        return sum(self._span_counts) / max(1.0, now - self._span_starts[0])
