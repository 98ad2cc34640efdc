"""One writer for a journal: a lock that the kernel lets go of when its holder dies.

It is held on a file beside the journal. POSIX locks belong to a process and a file: SQLite needs
its own on the journal, and a process that closes any descriptor of a file loses all of its locks
on it.
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

# What this process holds: the kernel would grant it a second time. With the process's id, as a
# forked child has a copy of this and none of the locks. `setdefault` and `pop` are atomic.
_held: dict[tuple[int, str], object] = {}

_BUSY = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})
# Windows has no O_NOFOLLOW. Descriptors are not inherited by other programs: PEP 446.
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class WriterLock:
    """The right to write a journal, from when it is made until `release`.

    It ends with the process however that dies, and a forked child has no part in it.

    Args:
        path: The journal, absolute and with no symbolic link on its way.

    Raises:
        JournalLockedError: Another writer has it, in this process or another.
        JournalError: The file beside the journal cannot be made or locked.
    """

    def __init__(self, path: Path) -> None:
        self._sidecar = path.with_name(f"{path.name}-lock")
        self._key = os.getpid(), os.path.normcase(path)
        if _held.setdefault(self._key, self) is not self:
            raise _locked(path, "by this process")
        try:
            self._descriptor = self._acquire(path)
        except BaseException:
            _held.pop(self._key)
            raise

    def _acquire(self, path: Path) -> int:
        while True:
            try:
                descriptor = os.open(self._sidecar, _FLAGS, 0o600)
            except OSError as error:
                raise JournalError(
                    f"The file {str(self._sidecar)!r}, which keeps other writers off, cannot be"
                    f" made: {error.strerror}."
                ) from error
            try:
                _lock(descriptor)
                if _is_named(descriptor, self._sidecar):
                    return descriptor
            except OSError as error:
                os.close(descriptor)
                if error.errno in _BUSY:
                    raise _locked(path, "by another process") from None
                raise JournalError(
                    f"{str(path)!r} is on a file system that cannot lock ({error.strerror}): put"
                    " the journal on a local disk."
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
            # Its last holder took it away between the opening and the locking.
            os.close(descriptor)

    def release(self) -> None:
        """Let others write, and take the file away. A forked child lets go of nothing."""
        if self._key[0] != os.getpid() or _held.pop(self._key, None) is not self:
            return
        _release(self._descriptor, self._sidecar)


def _locked(path: Path, by_whom: str) -> JournalLockedError:
    return JournalLockedError(
        f"The journal {str(path)!r} is being written {by_whom}: wait until that run has ended, or"
        " name another journal."
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _is_named(descriptor: int, path: Path) -> bool:  # noqa: ARG001 - as on other systems
        # What is open cannot be taken away.
        return True

    def _release(descriptor: int, path: Path) -> None:
        os.close(descriptor)
        # Another may have opened it meanwhile, and takes it away in turn.
        with suppress(OSError):
            path.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_named(descriptor: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), path.lstat())
        except FileNotFoundError:
            return False

    def _release(descriptor: int, path: Path) -> None:
        # Still locked, so that nobody else can hold the file that is taken away.
        with suppress(OSError):
            if _is_named(descriptor, path):
                path.unlink()
        os.close(descriptor)
