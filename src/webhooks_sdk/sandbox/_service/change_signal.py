"""A signal that a tenant's state has changed."""

from __future__ import annotations

import asyncio
import threading


class ChangeSignal:
    """A version number that grows with each change, and a way to wait for the next one.

    `notify` can be called from any thread; `wait` needs a running event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self._version

    def notify(self) -> None:
        """Count a change and wake all waiters."""
        with self._lock:
            self._version += 1
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    async def wait(self, after: int) -> int:
        """Wait for a version later than `after`, and return it.

        Args:
            after: The last version seen. Returns at once if there is a later one.
        """
        with self._lock:
            if self._version > after:
                return self._version
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
        try:
            await waiter
        finally:
            with self._lock:
                self._waiters.discard(waiter)
        return self._version


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
