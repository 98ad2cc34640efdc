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
        self._locks: WeakKeyDictionary[object, anyio.Lock] = WeakKeyDictionary()

    def lock(self) -> anyio.Lock:
        """Return the lock that a task of the running event loop holds to request a token."""
        loop = current_event_loop()
        lock = self._locks.get(loop)
        if lock is None:
            remove_closed_loops(self._locks)
            lock = self._locks[loop] = anyio.Lock()
        return lock


def held_by_this_task(lock: anyio.Lock) -> bool:
    """Return whether the current task holds the lock."""
    return lock.statistics().owner == anyio.get_current_task()
