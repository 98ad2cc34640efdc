"""An SQLite database, in memory or in a file of one sandbox's own, for any thread."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Mapping, Sequence

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = "Sequence[object] | Mapping[str, object]"

IN_MEMORY = ":memory:"
# SQLite keeps these two numbers in a file's head: whose it is, and of which version.
APPLICATION_ID = 0x77686B73  # "whks"
SCHEMA_VERSION = 1


class SandboxDatabaseError(Exception):
    """A file cannot be the sandbox's database; the message says why and what to do."""


class Database:
    """A connection that any thread may use, and the file lock that keeps other sandboxes out.

    What is in memory can be read and written as long as the object lives; what is in a file can,
    after `close`, only be read.

    Args:
        path: The file, made if it is not there; None or `":memory:"` for none.

    Raises:
        SandboxDatabaseError: The file cannot be opened, is in use, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        in_memory = path is None or path == IN_MEMORY
        self._path = None if in_memory or path is None else Path(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = self._open()
        # Nobody has to close what is in memory, but a connection that nobody closes is a warning.
        self._finalizer = weakref.finalize(self, self._connection.close)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return what a query finds."""
        with self._lock:
            if self._connection is not None:
                return self._connection.execute(sql, parameters).fetchall()
            with self._explained(), closing(self._connect(mode="rw")) as connection:
                return connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row that a query finds."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def write(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement that changes something, and return its cursor.

        Raises:
            RuntimeError: The database is a file, and was closed.
        """
        with self._lock:
            return self._writable().execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Let other threads, and a file, see all that is done inside, or nothing."""
        with self._lock:
            connection = self._writable()
            connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file. Does nothing if the database is in memory."""
        with self._lock:
            if self._path is not None:
                self._connection = None
                self._finalizer()

    def _writable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("The sandbox has ended: its database can only be read.")
        return self._connection

    def _open(self) -> sqlite3.Connection:
        with self._explained():
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _connect(self, mode: str = "rwc") -> sqlite3.Connection:
        place = IN_MEMORY if self._path is None else f"{self._path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            place, uri=True, isolation_level=None, check_same_thread=False, timeout=0
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # Held until the connection is closed, and by the system no longer than the process lives.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        fresh = self._check_version(connection)
        if self._path is not None:
            # A crash of the program loses nothing; one of the machine at most the latest changes.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        schema = f"""
            {files("webhooks_sdk.sandbox._storage").joinpath("schema.sql").read_text("utf-8")}
            PRAGMA application_id = {APPLICATION_ID};
            PRAGMA user_version = {SCHEMA_VERSION};
        """
        connection.executescript(f"BEGIN EXCLUSIVE; {schema if fresh else ''} COMMIT")

    def _check_version(self, connection: sqlite3.Connection) -> bool:
        """Return whether there is nothing yet, having touched nothing that is somebody else's."""
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            return True
        if application != APPLICATION_ID:
            raise SandboxDatabaseError(
                f"{self._path} is the database of another program: name a file that is not there."
            )
        if schema != SCHEMA_VERSION:
            raise SandboxDatabaseError(
                f"{self._path} was written by another version of the sandbox"
                f" (format {schema}, this one has {SCHEMA_VERSION}): name another file."
            )
        return False

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise SandboxDatabaseError(
                    f"{self._path} is in use by another sandbox: end that, or name another file."
                ) from error
            hint = ""
            if self._path is not None and not self._path.parent.is_dir():
                hint = " Its directory is not there: make it, or name another file."
            raise SandboxDatabaseError(f"{self._path} cannot be opened: {error}.{hint}") from error
        except sqlite3.DatabaseError as error:
            raise SandboxDatabaseError(f"{self._path} is no SQLite database: {error}.") from error
