"""The access token of an `AsyncClient`, shared by all its drivers."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import anyio

from webhooks_sdk._core.tokens import TokenCache
from webhooks_sdk._transport.event_loops import current_event_loop, remove_closed_loops


class AsyncTokens:
    """The access token of a client, and one lock per event loop for requesting it."""

    def __init__(self) -> None:
        self.cache = TokenCache()
        self._locks: WeakKeyDictionary[object, TokenLock] = WeakKeyDictionary()

    def lock(self) -> TokenLock:
        """Return the lock that a task of the running event loop holds to request a token."""
        loop = current_event_loop()
        lock = self._locks.get(loop)
        if lock is None:
            remove_closed_loops(self._locks)
            lock = self._locks[loop] = TokenLock()
        return lock


class TokenLock:
    """A lock that can tell whether the current task holds it."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()

    def held_by_this_task(self) -> bool:
        """Return whether the current task holds the lock."""
        return self._lock.statistics().owner == anyio.get_current_task()

    async def acquire(self) -> None:
        """Wait for the lock."""
        await self._lock.acquire()

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()
