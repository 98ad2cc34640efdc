"""Where decisions get the time from: passed in, so that tests can supply their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Clock:
    """Two sources of time.

    Attributes:
        monotonic: Returns seconds that never go backwards, for durations and deadlines.
        wall: Returns seconds since 1970, for comparison with dates that a server sends.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]


SYSTEM_CLOCK = Clock(monotonic=time.monotonic, wall=time.time)
