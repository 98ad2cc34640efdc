"""The access token of a `Client`, shared by all its drivers."""

from __future__ import annotations

import os
import threading

from webhooks_sdk._core.tokens import TokenCache


class SyncTokens:
    """The access token of a client, and one lock per process for requesting it."""

    def __init__(self) -> None:
        self.cache = TokenCache()
        self._locks: dict[int, TokenLock] = {}

    def lock(self) -> TokenLock:
        """Return the lock that a thread of the current process holds to request a token."""
        # One per process, as a fork can copy a lock that is held.
        return self._locks.setdefault(os.getpid(), TokenLock())


class TokenLock:
    """A lock that can tell whether the current thread holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def held_by_this_thread(self) -> bool:
        """Return whether the current thread holds the lock."""
        return self._owner == threading.get_ident()

    def acquire(self, timeout: float | None) -> bool:
        """Wait for the lock and return whether it was acquired.

        Args:
            timeout: The maximum number of seconds to wait; None for no limit.
        """
        acquired = self._lock.acquire(timeout=-1 if timeout is None else timeout)
        if acquired:
            self._owner = threading.get_ident()
        return acquired

    def release(self) -> None:
        """Release the lock."""
        self._owner = None
        self._lock.release()
