"""Real time, even in a test that freezes the clocks.

freezegun replaces the functions of `time`, and every module attribute that refers to one of them.
This module uses a second, private copy of `time` that freezegun does not find, so it works even if
it is imported while time is frozen.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _load_time_module() -> ModuleType:
    spec = find_spec("time")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_time = _load_time_module()
_time_ns: Callable[[], int] = _time.time_ns
_monotonic: Callable[[], float] = _time.monotonic


class RealClock:
    """The real time, even while other clocks of the process are frozen."""

    @staticmethod
    def now() -> int:
        """Return the wall-clock time, in microseconds since 1970, UTC."""
        return _time_ns() // 1000

    @staticmethod
    def monotonic() -> int:
        """Return the monotonic time, in microseconds."""
        return int(_monotonic() * 1_000_000)


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timeouts work while clocks are frozen."""

    def time(self) -> float:
        """Return the time of the loop, in seconds."""
        return _monotonic()


def from_microseconds(microseconds: int) -> datetime:
    """Convert microseconds since 1970 to an aware datetime in UTC.

    Args:
        microseconds: Microseconds since 1970.
    """
    return EPOCH + timedelta(microseconds=microseconds)


def http_date(moment: datetime) -> bytes:
    """Format an aware datetime in UTC as the value of a `Date` header (RFC 9110, section 5.6.7)."""
    return format_datetime(moment, usegmt=True).encode()


def to_microseconds(value: datetime | timedelta) -> int:
    """Convert an aware datetime to microseconds since 1970, or a timedelta to microseconds."""
    span = value if isinstance(value, timedelta) else value - EPOCH
    return span // MICROSECOND


LATEST_TIME = to_microseconds(datetime(9999, 1, 1, tzinfo=UTC))
"""The latest time of a clock: a year before the limit of `datetime`, as room for retries."""
