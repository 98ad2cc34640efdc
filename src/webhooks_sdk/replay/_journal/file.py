"""The file of a journal: where it may be, what has to be in it, and how SQLite opens it.

No descriptor of an existing journal is opened but by SQLite: closing one would take the locks away
that SQLite holds on the file for others in this process.
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
FORMAT = 1

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
PRAGMA user_version = {FORMAT};
COMMIT;
"""

_CACHE_KIB = 16_384
# A checkpoint waits for the disk: the more pages each brings over, the fewer there are.
_CHECKPOINT_PAGES = 4_000
_LARGEST_IDLE_LOG = 64 * 1024 * 1024  # bytes


def locate(path: str | os.PathLike[str]) -> Path:
    """Return where a journal is: absolute, and its directory without symbolic links.

    Raises:
        JournalError: It names no file, or something else than a regular file is there.
    """
    name = os.fsdecode(path)
    directory, file = os.path.split(name)
    if file in ("", os.curdir, os.pardir) or "\0" in name:
        raise JournalError(f"A journal needs the name of a file, not {name!r}.")
    with os_errors(Path(name)):
        location = Path(os.path.realpath(directory or os.curdir, strict=True)) / file
    check_kind(location)
    return location


def check_kind(path: Path) -> os.stat_result | None:
    """Return what is known of the file, None if there is none.

    Raises:
        JournalError: It is no regular file, or has further names.
    """
    with os_errors(path):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
    if stat.S_ISLNK(found.st_mode):
        raise JournalError(f"{str(path)!r} is a symbolic link: name the journal itself.")
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise JournalError(f"{str(path)!r} is {kind}: a journal needs a file of its own.")
    return found


def open_for_writing(path: Path, *, synchronous: str) -> Database:
    """Open the journal, which is made if there is none. The caller holds its lock.

    Args:
        path: The file, as `locate` returned it.
        synchronous: SQLite's setting: what a loss of power may take.

    Raises:
        JournalError: It cannot be opened, or is no journal of this version.
    """
    found = check_kind(path)
    if found is not None and found.st_nlink > 1:
        raise JournalError(
            f"{str(path)!r} has further names (hard links), by which others could write it: copy"
            " it, and name the copy."
        )
    if found is not None and not _may_write(path):
        raise JournalError(f"The journal {str(path)!r} may not be written: give yourself access.")
    with os_errors(path):
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
    """Open a journal that is there, whether or not it is being written.

    Args:
        path: The file, as `locate` returned it.

    Returns:
        The database, and the directory to be removed after it if that is a copy.

    Raises:
        JournalError: It cannot be opened, or is no journal of this version.
    """
    if check_kind(path) is None:
        raise JournalError(f"There is no journal {str(path)!r}.")
    _check_header(path)
    log = path.with_name(f"{path.name}-wal")
    index = path.with_name(f"{path.name}-shm")
    # What SQLite shares a file by, only who may write the journal may make: they would stay beside
    # it, and be in the writer's way. No row is ever changed.
    if (log.exists() and index.exists()) or (_may_write(path) and _may_write(path.parent)):
        try:
            return _open_checked(path, "mode=rw"), None
        except JournalError as error:
            if not _cannot_share(error):
                raise
    if not log.exists() or log.stat().st_size == 0:
        return _open_checked(path, "mode=ro&immutable=1"), None
    directory = temporary_directory()
    try:
        with os_errors(path):
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
        check_format(database)
    except BaseException:
        database.close()
        raise
    return database


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _cannot_share(error: JournalError) -> bool:
    cause = error.__cause__
    code = cause.sqlite_errorcode & 0xFF if isinstance(cause, sqlite3.OperationalError) else None
    return code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def temporary_directory() -> Path:
    """Make a directory that only its owner can read.

    Raises:
        JournalError: There is no place for one.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="webhooks-replay-"))
    except OSError as error:
        raise JournalError(f"There is no place for a temporary journal: {error}") from error


def remove_directory(directory: Path) -> None:
    """Remove what `temporary_directory` made, as far as that is possible."""
    shutil.rmtree(directory, ignore_errors=True)


def _create(path: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    descriptor = os.open(path, flags, 0o600)
    os.close(descriptor)
    # A umask may have taken too much. SQLite gives the files beside it the same mode.
    path.chmod(0o600)


def _check_header(path: Path) -> None:
    # Immutable: nothing is made beside the file, and nothing brought over from there.
    with closing(Database(path, "mode=ro&immutable=1")) as database:
        check_format(database)


def check_format(database: Database) -> None:
    """Check that it is a journal that this version can read.

    Raises:
        JournalError: It is not.
    """
    if database.pragma("application_id") != APPLICATION_ID:
        raise JournalError(f"{str(database.path)!r} is no journal of a replay: name another file.")
    version = database.pragma("user_version")
    if version != FORMAT:
        raise JournalError(
            f"The journal {str(database.path)!r} has format {version}, and this version of"
            f" webhooks-sdk reads format {FORMAT}: use the version that wrote it."
        )


def _prepare(database: Database, synchronous: str) -> None:
    database.pragma(f"cache_size = -{_CACHE_KIB}")
    # An earlier process may have died before it had made the tables.
    if database.pragma("page_count") == 0:
        # Not in the log yet, so that the file itself says from now on what it is.
        database.write_script(_SCHEMA)
    check_format(database)
    if database.pragma("journal_mode = WAL") != "wal":
        raise JournalError(
            f"The journal {str(database.path)!r} is where SQLite cannot keep a write-ahead log:"
            " put it on a local disk."
        )
    database.pragma(f"synchronous = {synchronous}")
    database.pragma(f"wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    database.pragma(f"journal_size_limit = {_LARGEST_IDLE_LOG}")


@contextmanager
def os_errors(path: Path) -> Generator[None]:
    """Turn what the operating system says into a `JournalError`."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The journal {str(path)!r} cannot be opened: {error.strerror}."
        ) from error
