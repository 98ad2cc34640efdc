"""The real time, also while a test has stopped the clocks.

freezegun stops clocks by replacing the functions of `time` and every module's attribute that is one
of them. What hangs on a class it does not find.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class _Real:
    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class RealClock:
    """What time it is, as taken when this module was imported."""

    @staticmethod
    def now() -> int:
        """Return the time of the day: microseconds since 1970, UTC."""
        return _Real.time_ns() // 1000

    @staticmethod
    def running() -> int:
        """Return microseconds since some moment, never set back."""
        return int(_Real.monotonic() * 1_000_000)


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timeouts run while the clocks are stopped."""

    def time(self) -> float:
        """Return the loop's seconds."""
        return _Real.monotonic()


def moment(microseconds: int) -> datetime:
    """Return a time as an aware datetime in UTC.

    Args:
        microseconds: Microseconds since 1970.
    """
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(time_or_span: datetime | timedelta) -> int:
    """Return an aware datetime as microseconds since 1970, or a time span as microseconds."""
    span = time_or_span if isinstance(time_or_span, timedelta) else time_or_span - EPOCH
    return span // MICROSECOND
