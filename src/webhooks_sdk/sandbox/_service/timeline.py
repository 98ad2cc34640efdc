"""The time of one tenant: a clock that can be stepped, and where its retry schedule stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from webhooks_sdk.sandbox._clock import microseconds

if TYPE_CHECKING:
    from datetime import timedelta

END_OF_TIME = microseconds(datetime(9999, 1, 1, tzinfo=UTC))
"""A year before what a datetime can express, which leaves room for what is scheduled then."""


class Clock(Protocol):
    """A source of real time, in microseconds."""

    def now(self) -> int:
        """Return the time of the day, since 1970."""
        ...

    def running(self) -> int:
        """Return the time since some moment, never set back."""
        ...


class Timeline:
    """What time it is for a tenant; all numbers are microseconds.

    Timestamps are real time plus the steps. The schedule of retries is another thing: where it
    stands is the sum of the steps alone, so that nothing comes due but by a step. Only where real
    time is to bring retries about, the time during which it flows is added.

    Args:
        clock: The real time.
        stepped: The sum of the steps so far.
        ran: For how long it has flown so far.
    """

    def __init__(self, clock: Clock, *, stepped: int = 0, ran: int = 0) -> None:
        self._clock = clock
        self._stepped = stepped
        self._ran = ran
        self._flows_since: int | None = None

    def now(self) -> int:
        """Return the time by the tenant's clock, since 1970."""
        return self._clock.now() + self._stepped

    @property
    def stepped(self) -> int:
        """The sum of the steps."""
        return self._stepped

    @property
    def ran(self) -> int:
        """For how long real time has brought retries about."""
        if self._flows_since is None:
            return self._ran
        return self._ran + self._clock.running() - self._flows_since

    @property
    def position(self) -> int:
        """Where the schedule stands."""
        return self._stepped + self.ran

    @property
    def flows(self) -> bool:
        """Whether real time moves the schedule."""
        return self._flows_since is not None

    def flow(self) -> None:
        """Let real time move the schedule on from now on."""
        if self._flows_since is None:
            self._flows_since = self._clock.running()

    def stop(self) -> None:
        """Let real time no longer do that."""
        self._ran = self.ran
        self._flows_since = None

    def reset(self) -> None:
        """Go back to the real time, and to the beginning of the schedule."""
        self._stepped = self._ran = 0
        if self._flows_since is not None:
            self._flows_since = self._clock.running()

    def target(self, step: timedelta) -> int:
        """Return where the schedule stands after a step.

        Raises:
            ValueError: The step goes back, or beyond the year 9998.
        """
        span = microseconds(step)
        if span < 0:
            raise ValueError(f"Time goes forward only: the step must not be {step!r}.")
        if self.now() + span > END_OF_TIME:
            raise ValueError("The step leads beyond the year 9998.")
        return self.position + span

    def step_to(self, position: int) -> None:
        """Step the clock until the schedule stands at a position, if it is not there yet."""
        self._stepped += max(0, position - self.position)
