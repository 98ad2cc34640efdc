"""How a subscriber behaves, and from which request on. No I/O."""

from __future__ import annotations

import math
from typing import cast

from attrs import Factory, define, frozen

_ANSWERS = range(200, 600)
_SUCCESSES = range(200, 300)


@frozen
class Behaviour:
    """What a request meets.

    Attributes:
        status: The HTTP status that it is answered with.
        hangs: Whether it is never answered, whatever the status.
    """

    status: int
    hangs: bool = False


@define
class Script:
    """Which behaviour each request meets, the earliest first.

    Attributes:
        steps: What still matters of what was told: from which request on, and the behaviour.
        met: How many requests have come so far.
    """

    steps: list[tuple[int, Behaviour]] = Factory(list[tuple[int, Behaviour]])
    met: int = 0

    def tell(self, behaviour: Behaviour, *, at: int) -> None:
        """Have a request and all after it meet a behaviour, whatever was told before.

        Args:
            behaviour: The behaviour.
            at: Which request, counted from the next one, which is 1.

        Raises:
            ValueError: `at` is less than 1.
        """
        first = self._position(at)
        self.steps = [step for step in self.steps if step[0] < first]
        self.steps.append((first, behaviour))

    def behaviour(self, *, at: int = 1) -> Behaviour:
        """Return what a request meets, counted as above, unless something else is told."""
        position = self._position(at)
        return next(told for first, told in reversed(self.steps) if first <= position)

    def meet(self) -> Behaviour:
        """Take note of a request, and return what it meets."""
        met = self.behaviour()
        self.met += 1
        # What came before the one in force is of no use any more.
        while len(self.steps) > 1 and self.steps[1][0] <= self.met:
            del self.steps[0]
        return met

    def _position(self, at: int) -> int:
        if at < 1:
            raise ValueError(f"at must be at least 1, which is the next request, not {at!r}.")
        return self.met + at


def is_success(status: int) -> bool:
    """Return whether the service takes the status for a success."""
    return status in _SUCCESSES


def check_status(status: int) -> int:
    """Return a status that can end a request.

    Raises:
        ValueError: It is none.
    """
    # 503.0 is in the range, and can be sent by nobody.
    if not isinstance(cast("object", status), int) or status not in _ANSWERS:
        raise ValueError(f"status must be a whole number from 200 to 599, not {status!r}.")
    return status


def check_failure(status: int) -> int:
    """Return a status that the service takes for a failure.

    Raises:
        ValueError: It is none.
    """
    if is_success(check_status(status)):
        raise ValueError(f"status must be a failure, 300 to 599: {status} is a success.")
    return status


def check_delay(delay: float) -> float:
    """Return a time that can be waited for.

    Raises:
        ValueError: It is none.
    """
    if not 0 <= delay < math.inf:
        raise ValueError(
            f"delay must be a number of seconds, 0 or more, not {delay!r}: hang() never answers."
        )
    return delay
