"""One writer for each journal: a lock that the kernel lets go of when its process dies.

POSIX locks belong to a process: a forked child does not keep them when its parent is killed. They
are lost when the process closes any descriptor of the file, so what is locked is a file beside the
journal, which nobody else opens.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from webhooks_sdk.errors import JournalLockedError

if TYPE_CHECKING:
    from pathlib import Path

# The kernel does not keep a process from locking what it has locked already.
_held: dict[Path, int] = {}


class WriterLock:
    """The right to write a journal, until `release`.

    Args:
        path: The journal.

    Raises:
        JournalLockedError: Somebody else writes it.
        OSError: The file beside it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._key = path.resolve()
        self._journal = path
        self._path = path.with_name(f"{path.name}-lock")
        if _held.get(self._key) == os.getpid():
            raise self._refusal("this process")
        self._descriptor = self._acquire()
        _held[self._key] = os.getpid()

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(descriptor)
            except OSError:
                os.close(descriptor)
                raise self._refusal("another process") from None
            if self._is_there(descriptor):
                return descriptor
            # Whoever had it took the file away between opening and locking it.
            os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _refusal(self, who: str) -> JournalLockedError:
        return JournalLockedError(
            f"{self._journal} is being written by {who}: wait until that run has ended, or give"
            " this one another journal."
        )

    def release(self) -> None:
        """Let others write."""
        _held.pop(self._key, None)
        if sys.platform == "win32":
            os.close(self._descriptor)
            with suppress(OSError):
                self._path.unlink()
        else:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
