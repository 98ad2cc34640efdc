"""The lock that gives a journal one writer. The kernel releases it when the process dies.

It is held on a file next to the journal, since SQLite needs its own locks on the journal: a process
that closes any descriptor of a file loses all its POSIX locks on that file.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from webhooks_sdk.errors import JournalError, JournalLockedError

if TYPE_CHECKING:
    from pathlib import Path

# The locks of this process, which the kernel would grant it a second time. The keys contain the
# process ID, since a forked child inherits this dict but not the locks. `setdefault` and `pop` are
# atomic.
_held_locks: dict[tuple[int, str], object] = {}

_CONTENTION_ERRNOS = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})
# Windows has no O_NOFOLLOW. Child programs do not inherit descriptors (PEP 446).
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class WriterLock:
    """An exclusive lock on a journal, held until `release` or the end of the process.

    A forked child does not hold it.

    Args:
        path: The journal, as `resolve_path` returned it.

    Raises:
        JournalLockedError: Another writer holds the lock, in this process or another.
        JournalError: The lock file cannot be created or locked.
    """

    def __init__(self, path: Path) -> None:
        self._lock_path = path.with_name(f"{path.name}-lock")
        self._key = os.getpid(), os.path.normcase(path)
        if _held_locks.setdefault(self._key, self) is not self:
            raise _locked(path, "this process")
        try:
            self._descriptor = self._acquire(path)
        except BaseException:
            _held_locks.pop(self._key)
            raise

    def _acquire(self, path: Path) -> int:
        while True:
            try:
                descriptor = os.open(self._lock_path, _OPEN_FLAGS, 0o600)
            except OSError as error:
                raise JournalError(
                    f"The lock file {str(self._lock_path)!r} cannot be created: {error.strerror}."
                    " Check that nothing else exists at that path and that its directory is"
                    " writable."
                ) from error
            try:
                _lock(descriptor)
                if _refers_to(descriptor, self._lock_path):
                    return descriptor
            except OSError as error:
                os.close(descriptor)
                if error.errno in _CONTENTION_ERRNOS:
                    raise _locked(path, "another process") from None
                raise JournalError(
                    f"The journal {str(path)!r} cannot be locked: {error.strerror}. Its file system"
                    " may not support locks; put the journal on a local disk."
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
            # Its last holder removed the file after it was opened and before it was locked.
            os.close(descriptor)

    def release(self) -> None:
        """Release the lock and remove the lock file. A forked child does nothing."""
        if self._key[0] != os.getpid() or _held_locks.pop(self._key, None) is not self:
            return
        _release(self._descriptor, self._lock_path)


def _locked(path: Path, writer: str) -> JournalLockedError:
    return JournalLockedError(
        f"The journal {str(path)!r} is being written by {writer}. Wait until that run has ended,"
        " or use a different journal."
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _refers_to(descriptor: int, path: Path) -> bool:  # noqa: ARG001 - same signature as below
        # An open file cannot be removed.
        return True

    def _release(descriptor: int, path: Path) -> None:
        os.close(descriptor)
        # Another process may have opened it in the meantime; it then removes the file.
        with suppress(OSError):
            path.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _refers_to(descriptor: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), path.lstat())
        except FileNotFoundError:
            return False

    def _release(descriptor: int, path: Path) -> None:
        # Removed while locked, so that no other process can hold the removed file.
        with suppress(OSError):
            if _refers_to(descriptor, path):
                path.unlink()
        os.close(descriptor)
