"""The clock, passed in as an argument so that tests can replace it."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Clock:
    """A monotonic and a wall clock.

    Attributes:
        monotonic: Returns seconds that never decrease, for durations and deadlines.
        wall: Returns seconds since 1970, for comparison with dates sent by a server.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]


SYSTEM_CLOCK = Clock(monotonic=time.monotonic, wall=time.time)
