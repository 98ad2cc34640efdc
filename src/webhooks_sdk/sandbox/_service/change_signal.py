"""A signal for whoever shows a tenant's state: something has changed."""

from __future__ import annotations

import asyncio
import threading


class ChangeSignal:
    """A number that grows with each change, and a way to wait for the next.

    Any thread may tell of a change; who waits does so in an event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def version(self) -> int:
        """How many changes there have been."""
        return self._version

    def notify(self) -> None:
        """Tell of a change."""
        with self._lock:
            self._version += 1
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            future.get_loop().call_soon_threadsafe(_wake, future)

    async def wait(self, after: int) -> int:
        """Wait until there is a later version, and return it.

        Args:
            after: The version that is known already; return at once if there is a later one.
        """
        with self._lock:
            if self._version > after:
                return self._version
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
        try:
            await future
        finally:
            with self._lock:
                self._waiting.discard(future)
        return self._version


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
