"""Waiting until threads have reached a place in the code, when nothing else can be observed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_TIMEOUT = 30.0  # seconds after which a test fails instead of hanging


def wait_for_threads_in(function: str, file: str, number: int = 1) -> None:
    """Wait until this many threads are executing a function of this file."""
    end = time.monotonic() + _TIMEOUT
    while _threads_in(function, file) < number:
        assert time.monotonic() < end
        time.sleep(0.001)


def _threads_in(function: str, file: str) -> int:
    frames = sys._current_frames().values()  # pyright: ignore[reportPrivateUsage]
    return sum(_executes(frame, function, file) for frame in frames)


def _executes(frame: FrameType | None, function: str, file: str) -> bool:
    while frame is not None:
        if frame.f_code.co_name == function and frame.f_code.co_filename.endswith(file):
            return True
        frame = frame.f_back
    return False
