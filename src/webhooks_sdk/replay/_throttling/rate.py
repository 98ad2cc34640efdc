"""When the next request of a replay may be sent. No clock, no I/O."""

from __future__ import annotations

from math import inf

MAX_PAUSE = 900.0
"""The longest pause in seconds, whatever a Retry-After asks for."""

_FASTEST = 1e6  # requests a second: what is faster is no limit

_FIRST_PAUSE = 1.0  # seconds, after a 429 without Retry-After
_LONGEST_PAUSE = 60.0  # what that grows to
_SHORT_PAUSE = 2.0  # seconds: in a longer one the API may have been filling up a quota

_DECREASE = 0.94  # what a 429 leaves
_FIRST_DECREASE = 0.7  # and before much was observed
_FLOOR = 1.0  # requests a second that no 429 takes away
_RECOVERY = 20.0  # seconds in which the pace regains as much as a 429 left of it
_BRINK = 0.95  # of the ceiling: so near it patience is had
_AGAIN = 0.97  # of the ceiling: a 429 from there on tells of the same limit
_FIRST_PATIENCE = 4.0  # seconds, when the ceiling was hit twice
_LONGEST_PATIENCE = 60.0  # what that doubles to
_IMPATIENCE = 0.25  # what is left of it when a 429 comes below the ceiling

_SPAN = 10.0  # seconds: throughput is observed over one to two of these


class RateLimiter:
    """Spaces requests evenly, and slows down when the API answers 429.

    There are never more than `rate * T + 1` requests in any T seconds, whatever came before: what
    an idle time or a pause left unused is not made up for.

    After a 429 all requests pause, and then go on at 94 % of the throughput that there was. As long
    as less than ten seconds of that were observed, they go on at 70 %: of `rate` if there is one,
    for a first 429 says little of it. It never gets below one a second (or `rate`, if that is
    lower). From there the pace grows evenly, by as much as is left of it in 20 seconds, up to
    `rate`. Those 429s that were in flight together slow down once.

    Where 429s come again and again at the same throughput, that is a limit. So the pace stays just
    below for 4 seconds before it tries whether the limit is still there, and for twice as long each
    time that it is, up to a minute. A 429 that comes below that throughput shows that there is
    another reason, and most of this patience is lost: 429s that have nothing to do with one's own
    load must not hold back for long.

    All times are monotonic seconds, of any clock.

    Args:
        rate: Requests a second, from 0.000001 to 1000000, resends included; None for no limit but
            what the API sets.
    """

    __slots__ = (
        "_brink",
        "_ceiling",
        "_counted_from",
        "_counts",
        "_decreased_at",
        "_last",
        "_level",
        "_patience",
        "_pause",
        "_paused_until",
        "_rate",
        "_recovered_at",
        "_sends",
        "_to_be_patient",
        "_top",
    )

    def __init__(self, rate: float | None) -> None:
        self._top = inf if rate is None else float(rate)
        self._rate = self._level = self._top
        self._last = self._paused_until = self._decreased_at = self._recovered_at = -inf
        self._pause = 0.0
        self._ceiling = inf
        self._brink = self._patience = self._to_be_patient = 0.0
        self._sends = 0
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
        self._sends += 1
        self._last = max(self._last, now)

    def pause(self, now: float, seconds: float) -> None:
        """Let all requests wait, without a lower pace after it: for a 503 with `Retry-After`.

        Args:
            now: The time.
            seconds: How long, from now; at most 15 minutes are taken.
        """
        if seconds > 0:
            self._recover(now)
            begin = max(now, self._paused_until)
            self._paused_until = max(begin, now + min(seconds, MAX_PAUSE))
            if (added := self._paused_until - begin) <= _SHORT_PAUSE:
                older, newer = self._counted_from
                self._counted_from = (older + added, newer + added)

    def limited(self, now: float, retry_after: float | None, *, sent_at: float) -> None:
        """Pause and slow down, since the API answered 429.

        Args:
            now: The time.
            retry_after: Seconds that it asked to wait, of which at most 15 minutes are taken. None
                if it did not: a second, doubled up to a minute while requests that are sent within
                a second after such a pause are answered so too.
            sent_at: When the request was sent that it answered so. If that was before the pace was
                last lowered, it is not lowered again.
        """
        again = sent_at > self._decreased_at
        in_vain = sent_at < self._paused_until + _FIRST_PAUSE
        if again:
            self._decrease(now)
        if retry_after is not None:
            self.pause(now, retry_after)
        elif again:
            doubled = min(2 * self._pause, _LONGEST_PAUSE) if in_vain else 0.0
            self._pause = max(_FIRST_PAUSE, doubled)
            self.pause(now, self._pause)

    def _decrease(self, now: float) -> None:
        self._recover(now)
        # The first one after a decrease says nothing of how long the API could bear the pace.
        hit = self._rate >= _AGAIN * self._ceiling and self._sends > 1
        if hit:
            self._patience = min(max(_FIRST_PATIENCE, 2 * self._patience), _LONGEST_PATIENCE)
        else:
            self._patience *= _IMPATIENCE
        known = now - self._counted_from[0] >= _SPAN
        self._ceiling = self._rate
        if known or self._rate == inf:
            self._ceiling = min(self._rate, self._observed(now))
        level = (_DECREASE if known else _FIRST_DECREASE) * self._ceiling
        self._rate = self._level = max(level, min(_FLOOR, self._top))
        self._brink = max(_BRINK * self._ceiling, self._level)
        self._to_be_patient = self._patience
        self._sends = 0
        self._decreased_at = self._recovered_at = now

    def _recover(self, now: float) -> None:
        since = now - max(self._recovered_at, self._paused_until)
        if since <= 0 or self._rate >= self._top:
            return
        self._recovered_at = now
        self._grow(since)
        if self._rate >= min(self._top, _FASTEST):
            self._rate = self._top
            self._ceiling = inf
        elif self._rate >= 2 * self._level:
            # Who was slowed down from 50 to 1 would else need a quarter of an hour.
            self._level = self._rate

    def _grow(self, since: float) -> None:
        slope = self._level / _RECOVERY
        to_brink = min(since, max(0.0, self._brink - self._rate) / slope)
        patient = min(since - to_brink, self._to_be_patient)
        self._to_be_patient -= patient
        self._rate += slope * (since - patient)

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
