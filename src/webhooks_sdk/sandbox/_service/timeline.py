"""The virtual time of a tenant: a clock that can be stepped, and the time of its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from webhooks_sdk.sandbox._clock import LATEST_TIME, to_microseconds

if TYPE_CHECKING:
    from datetime import timedelta


class Clock(Protocol):
    """A source of real time, in microseconds."""

    def now(self) -> int:
        """Return the wall-clock time since 1970."""
        ...

    def monotonic(self) -> int:
        """Return the monotonic time since an arbitrary point."""
        ...


class Timeline:
    """The virtual time of a tenant. All values are in microseconds.

    The clock is real time plus all steps. The schedule time, which decides when retries become
    due, is separate: it is the sum of the steps alone, so retries become due only by a step. In
    real-time mode, the real time that passes between `start` and `stop` is added to it.

    Args:
        clock: The source of real time.
        stepped: The sum of all steps so far.
        elapsed: The real time that the schedule has run so far.
    """

    def __init__(self, clock: Clock, *, stepped: int = 0, elapsed: int = 0) -> None:
        self._clock = clock
        self._stepped = stepped
        self._elapsed = elapsed
        self._started_at: int | None = None

    def now(self) -> int:
        """Return the time of the tenant's clock, since 1970."""
        return self._clock.now() + self._stepped

    @property
    def stepped(self) -> int:
        """The sum of all steps."""
        return self._stepped

    @property
    def elapsed(self) -> int:
        """The real time that the schedule has run."""
        if self._started_at is None:
            return self._elapsed
        return self._elapsed + self._clock.monotonic() - self._started_at

    @property
    def schedule_time(self) -> int:
        """The current time of the retry schedule."""
        return self._stepped + self.elapsed

    @property
    def is_running(self) -> bool:
        """Whether the schedule follows real time."""
        return self._started_at is not None

    def start(self) -> None:
        """Make the schedule follow real time. Idempotent."""
        if self._started_at is None:
            self._started_at = self._clock.monotonic()

    def stop(self) -> None:
        """Stop following real time. Idempotent."""
        self._elapsed = self.elapsed
        self._started_at = None

    def reset(self) -> None:
        """Undo all steps, and restart the schedule at 0."""
        self._stepped = self._elapsed = 0
        if self._started_at is not None:
            self._started_at = self._clock.monotonic()

    def schedule_time_after(self, step: timedelta) -> int:
        """Return the schedule time after a step.

        Raises:
            ValueError: The step is negative, or moves the clock past the year 9998.
        """
        span = to_microseconds(step)
        if span < 0:
            raise ValueError(f"step must not be negative, got {step!r}.")
        if self.now() + span > LATEST_TIME:
            raise ValueError("step must not move the clock past the year 9998.")
        return self.schedule_time + span

    def step_to(self, schedule_time: int) -> None:
        """Step the clock forward to a schedule time. Does nothing if that has passed."""
        self._stepped += max(0, schedule_time - self.schedule_time)
