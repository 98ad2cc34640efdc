"""The file of a journal: checks of its path and format, and how it is opened.

Only SQLite opens a descriptor of an existing journal: closing any other would release the locks
that SQLite holds on the file for the rest of this process.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._journal.database import Database

if TYPE_CHECKING:
    from collections.abc import Generator

APPLICATION_ID = 0x48534A31
FORMAT_VERSION = 1

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    base_url TEXT NOT NULL,
    run INTEGER NOT NULL,
    plan TEXT
);
CREATE TABLE target (
    seq INTEGER PRIMARY KEY,
    request_id BLOB NOT NULL,
    hook_id BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run INTEGER NOT NULL,
    intent_at INTEGER,
    open_since INTEGER,
    previous_state TEXT,
    previous_intent_at INTEGER,
    settled_at INTEGER,
    response_status INTEGER,
    duration_ms INTEGER,
    delivery_id BLOB,
    error_kind TEXT,
    error_message TEXT,
    error_status INTEGER,
    error_retry_after REAL,
    UNIQUE (request_id, hook_id)
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
COMMIT;
"""

_CACHE_KIB = 16_384
# A checkpoint waits for the disk: larger checkpoints are rarer.
_CHECKPOINT_PAGES = 4_000
_MAX_IDLE_WAL_BYTES = 64 * 1024 * 1024


def resolve_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a journal, with the symbolic links of its directory resolved.

    Raises:
        JournalError: The path does not name a file, or something other than a regular file exists
            there.
    """
    name = os.fsdecode(path)
    directory, file = os.path.split(name)
    if file in ("", os.curdir, os.pardir) or "\0" in name:
        raise JournalError(f"The path of a journal must name a file, got {name!r}.")
    with _translate_os_errors(Path(name)):
        location = Path(os.path.realpath(directory or os.curdir, strict=True)) / file
    _stat_journal(location)
    return location


def _stat_journal(path: Path) -> os.stat_result | None:
    """Return the status of the file, None if it does not exist.

    Raises:
        JournalError: It is not a regular file.
    """
    with _translate_os_errors(path):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
    if stat.S_ISLNK(found.st_mode):
        raise JournalError(
            f"The journal {str(path)!r} is a symbolic link. Use the file that it points to."
        )
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise JournalError(f"The journal {str(path)!r} is {kind}. Use a different path.")
    return found


def open_for_writing(path: Path, *, synchronous: str) -> Database:
    """Open the journal, or create it if it does not exist. The caller holds its lock.

    Args:
        path: The file, as `resolve_path` returned it.
        synchronous: SQLite's setting, which decides what a power failure may lose.

    Raises:
        JournalError: It cannot be opened, or is not a journal of this version.
    """
    found = _stat_journal(path)
    if found is not None and found.st_nlink > 1:
        raise JournalError(
            f"The journal {str(path)!r} has other hard links, through which it could be written at"
            " the same time. Copy it, and use the copy."
        )
    if found is not None and not _is_writable(path):
        raise JournalError(
            f"The journal {str(path)!r} is not writable. Give yourself write permission."
        )
    with _translate_os_errors(path):
        if found is None:
            _create(path)
        elif found.st_size == 0:
            path.chmod(0o600)
        else:
            _check_header(path)
    database = Database(path, "mode=rw")
    try:
        _prepare(database, synchronous)
    except BaseException:
        database.close()
        raise
    return database


def open_for_reading(path: Path) -> tuple[Database, Path | None]:
    """Open an existing journal, whether or not it is being written.

    Args:
        path: The file, as `resolve_path` returned it.

    Returns:
        The database; and the temporary directory to remove after closing it, if the database is a
        copy.

    Raises:
        JournalError: It cannot be opened, or is not a journal of this version.
    """
    if _stat_journal(path) is None:
        raise JournalError(f"The journal {str(path)!r} does not exist. Check the path.")
    _check_header(path)
    log = path.with_name(f"{path.name}-wal")
    index = path.with_name(f"{path.name}-shm")
    # SQLite creates these two files to share a journal. If a reader without write permission
    # created them, they would remain and block the writer. `query_only` prevents changes.
    if (log.exists() and index.exists()) or (_is_writable(path) and _is_writable(path.parent)):
        try:
            return _open_checked(path, "mode=rw"), None
        except JournalError as error:
            if not _is_access_error(error):
                raise
    if not log.exists() or log.stat().st_size == 0:
        return _open_checked(path, "mode=ro&immutable=1"), None
    directory = temporary_directory()
    try:
        with _translate_os_errors(path):
            for file in (path, log):
                shutil.copyfile(file, directory / file.name)
        return _open_checked(directory / path.name, "mode=rw"), directory
    except BaseException:
        remove_directory(directory)
        raise


def _open_checked(path: Path, query: str) -> Database:
    database = Database(path, query)
    try:
        database.pragma("query_only = 1")
        _check_format(database)
    except BaseException:
        database.close()
        raise
    return database


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _is_access_error(error: JournalError) -> bool:
    cause = error.__cause__
    code = cause.sqlite_errorcode & 0xFF if isinstance(cause, sqlite3.OperationalError) else None
    return code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def temporary_directory() -> Path:
    """Create a directory that only its owner can read.

    Raises:
        JournalError: It cannot be created.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="webhooks-replay-"))
    except OSError as error:
        raise JournalError(
            f"The directory for a temporary journal cannot be created: {error}. Check the system's"
            " directory for temporary files."
        ) from error


def remove_directory(directory: Path) -> None:
    """Remove what `temporary_directory` created, as far as possible."""
    shutil.rmtree(directory, ignore_errors=True)


def _create(path: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    descriptor = os.open(path, flags, 0o600)
    os.close(descriptor)
    # The umask may have removed too much. SQLite gives the files next to it the same mode.
    path.chmod(0o600)


def _check_header(path: Path) -> None:
    # Immutable: no files are created next to it, and its log is not read.
    with closing(Database(path, "mode=ro&immutable=1")) as database:
        _check_format(database)


def _check_format(database: Database) -> None:
    """Check that the database is a journal that this version can read.

    Raises:
        JournalError: It is another file, or has another format version.
    """
    if database.pragma("application_id") != APPLICATION_ID:
        raise JournalError(
            f"The file {str(database.path)!r} is not a replay journal. Use a different file."
        )
    version = database.pragma("user_version")
    if version != FORMAT_VERSION:
        raise JournalError(
            f"The journal {str(database.path)!r} has format {version}, but this version of"
            f" webhooks-sdk reads format {FORMAT_VERSION}. Use the version that wrote it."
        )


def _prepare(database: Database, synchronous: str) -> None:
    database.pragma(f"cache_size = -{_CACHE_KIB}")
    # An earlier process may have died before it created the tables.
    if database.pragma("page_count") == 0:
        # Before the write-ahead log is enabled, so that the file itself identifies as a journal.
        database.execute_script(_SCHEMA)
    _check_format(database)
    if database.pragma("journal_mode = WAL") != "wal":
        raise JournalError(
            f"The journal {str(database.path)!r} is on a file system where SQLite cannot use a"
            " write-ahead log. Put it on a local disk."
        )
    database.pragma(f"synchronous = {synchronous}")
    database.pragma(f"wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    database.pragma(f"journal_size_limit = {_MAX_IDLE_WAL_BYTES}")


@contextmanager
def _translate_os_errors(path: Path) -> Generator[None]:
    """Raise `OSError`s of the block as `JournalError`s."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The journal {str(path)!r} cannot be opened: {error.strerror}."
            " Check the path and its permissions."
        ) from error
