"""The real time, also while a test has stopped the clocks.

freezegun stops clocks by replacing the functions of `time`, and whatever attribute of a module is
one of them. The functions of a second `time`, which is in nobody's reach, are none of them: they go
on, also if this module is imported while the clocks stand still.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _second_time() -> ModuleType:
    spec = find_spec("time")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_time = _second_time()
_time_ns: Callable[[], int] = _time.time_ns
_monotonic: Callable[[], float] = _time.monotonic


class RealClock:
    """What time it is, whatever the other clocks of the process say."""

    @staticmethod
    def now() -> int:
        """Return the time of the day: microseconds since 1970, UTC."""
        return _time_ns() // 1000

    @staticmethod
    def running() -> int:
        """Return microseconds since some moment, never set back."""
        return int(_monotonic() * 1_000_000)


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timeouts run while the clocks are stopped."""

    def time(self) -> float:
        """Return the loop's seconds."""
        return _monotonic()


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
