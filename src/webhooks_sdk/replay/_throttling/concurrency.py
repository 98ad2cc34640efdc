"""An adaptive limit on a replay's requests in flight. No clock, no I/O."""

from __future__ import annotations

from webhooks_sdk.replay._throttling.latency import LatencyTracker
from webhooks_sdk.replay._throttling.signals import Signal

_PROBE_ROUNDS = 8  # healthy rounds before a limit that caused an overload is tried again


class ConcurrencyLimiter:
    """Limits the requests in flight: additive increase, multiplicative decrease.

    The limit starts at one. It doubles with each round of responses until the first overload
    (slow start), and grows by one per round after that, up to `max_limit`. An overload halves it,
    down to one, but only once for all requests that were sent before that decrease. The limit that
    was too high is tried again after eight rounds. Only requests sent while the limiter was full
    make it grow, and none do while the rate limiter is what delays requests.

    A sharp rise of the subscriber's latency (see `LatencyTracker`) counts as an overload. After it,
    the limit does not grow until a batch of durations is back to normal.

    Args:
        max_limit: The highest limit, at least 1.
    """

    __slots__ = (
        "_in_flight",
        "_last_decrease_ticket",
        "_last_full_ticket",
        "_last_ticket",
        "_latency",
        "_latency_is_high",
        "_limit",
        "_max_limit",
        "_overloaded_limit",
        "_slow_start",
        "_successes",
    )

    def __init__(self, max_limit: int) -> None:
        self._max_limit = max_limit
        self._limit = 1
        self._in_flight = 0
        self._successes = 0
        self._slow_start = True
        self._overloaded_limit = 0
        self._last_ticket = self._last_full_ticket = self._last_decrease_ticket = 0
        self._latency = LatencyTracker()
        self._latency_is_high = False

    @property
    def limit(self) -> int:
        """Number of requests that may be in flight now. After a decrease, more can still be."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """Number of requests in flight."""
        return self._in_flight

    @property
    def has_room(self) -> bool:
        """Whether another request may be sent now."""
        return self._in_flight < self._limit

    def acquire(self) -> int:
        """Count a request as in flight.

        Returns:
            Its ticket, to be passed to `release`: a number that increases with each request.
        """
        self._last_ticket += 1
        self._in_flight += 1
        if self._in_flight >= self._limit:
            self._last_full_ticket = self._last_ticket
        return self._last_ticket

    def release(
        self, ticket: int, signal: Signal, *, rate_limited: bool, duration_ms: float | None = None
    ) -> None:
        """Count a request as finished, and adapt the limit.

        Args:
            ticket: What `acquire` returned for the request. It must be released once.
            signal: How the request ended.
            rate_limited: Whether the rate limiter is what delays requests now.
            duration_ms: Milliseconds that the subscriber took to return a success. None if it did
                not succeed (an error is quick, and says nothing about the load), or if the
                duration is not known.
        """
        self._in_flight -= 1
        # A request sent before the last decrease reflects the load before it.
        if signal is Signal.NEUTRAL or ticket <= self._last_decrease_ticket:
            return
        if signal is Signal.OVERLOAD or (
            duration_ms is not None and self._latency_rises(duration_ms)
        ):
            self._decrease()
        elif (
            not rate_limited
            and ticket <= self._last_full_ticket
            and (duration_ms is None or not self._latency_is_high)
        ):
            self._increase()

    def _increase(self) -> None:
        if self._limit >= self._max_limit:
            return
        self._successes += 1
        rounds = _PROBE_ROUNDS if self._limit + 1 == self._overloaded_limit else 1
        if self._slow_start or self._successes >= rounds * self._limit:
            self._limit += 1
            self._successes = 0

    def _decrease(self) -> None:
        self._overloaded_limit = max(2, self._limit)
        self._limit = max(1, self._limit // 2)
        self._successes = 0
        self._slow_start = False
        self._last_decrease_ticket = self._last_ticket
        self._latency.discard_batch()

    def _latency_rises(self, duration_ms: float) -> bool:
        rises = self._latency.record(duration_ms, sequential=self._limit == 1)
        if rises is not None:
            self._latency_is_high = rises
        return rises is True
