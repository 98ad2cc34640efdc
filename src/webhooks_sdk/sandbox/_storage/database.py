"""A thread-safe SQLite database, in memory or in a file that one sandbox has locked."""

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
MAX_INTEGER = 2**63 - 1
"""The largest integer that SQLite stores, and so the highest possible number of a row."""
# Stored in the header of the file: they identify the program and the schema version.
APPLICATION_ID = 0x77686B73  # "whks"
SCHEMA_VERSION = 3
# The statements that change a database of each earlier schema version to the next one.
_MIGRATIONS = {
    1: """
        ALTER TABLE attempts ADD COLUMN response_content_type TEXT;
        ALTER TABLE attempts ADD COLUMN response_body BLOB;
        ALTER TABLE attempts ADD COLUMN response_size INTEGER;
    """,
    # Renames the fields and a value of the variants.
    2: """
        UPDATE tenants SET variants = replace(replace(replace(replace(variants,
            '"unanswered":', '"missing_response":'),
            '"listed":', '"max_listed":'),
            '"rows":', '"list_items":'),
            '"answers_early"', '"responds_early"');
    """,
}


class SandboxDatabaseError(Exception):
    """A file cannot be used as the database of a sandbox. The message says why and what to do."""


class Database:
    """A connection that any thread may use, with a lock on the file.

    After `close`, a file can still be read, but not written. A database in memory is not affected.

    Args:
        path: The file, created if missing; None or `":memory:"` for a database in memory.

    Raises:
        SandboxDatabaseError: The file cannot be opened, is in use, or is not a sandbox database.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        in_memory = path is None or path == IN_MEMORY
        self._path = None if in_memory or path is None else Path(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = self._open()
        # A database in memory needs no close(), but an unclosed connection is a ResourceWarning.
        self._finalizer = weakref.finalize(self, self._connection.close)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a query."""
        with self._lock:
            if self._connection is not None:
                return self._connection.execute(sql, parameters).fetchall()
            with self._translated_errors(), closing(self._connect(mode="rw")) as connection:
                return connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query; None if there is none."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Execute a statement that writes, and return its cursor.

        Raises:
            RuntimeError: The database is a file and was closed.
        """
        with self._lock:
            return self._require_connection().execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Run the `with` block as a transaction: committed at the end, rolled back on an error."""
        with self._lock:
            connection = self._require_connection()
            connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close and unlock the file. Does nothing for a database in memory."""
        with self._lock:
            if self._path is not None:
                self._connection = None
                self._finalizer()

    def _require_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("The sandbox is closed. Its database can only be read.")
        return self._connection

    def _open(self) -> sqlite3.Connection:
        with self._translated_errors():
            connection = self._connect()
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    def _connect(self, mode: str = "rwc") -> sqlite3.Connection:
        uri = IN_MEMORY if self._path is None else f"{self._path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=0
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # The lock is held until the connection is closed or the process ends.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = self._check_version(connection)
        changes = "" if version == SCHEMA_VERSION else _changes_since(version)
        connection.executescript(f"BEGIN EXCLUSIVE; {changes} COMMIT")
        if self._path is not None:
            # After the migration, since this changes the file even if the migration fails.
            # Loses nothing if the process crashes, and at most the latest changes on a power loss.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    def _check_version(self, connection: sqlite3.Connection) -> int | None:
        """Check, without writing, that the database belongs to the sandbox.

        Returns:
            The version of its schema; None if the database is empty.
        """
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            return None
        if application_id != APPLICATION_ID:
            raise SandboxDatabaseError(
                f"{self._path} is a database of another program. Use a different file."
            )
        if version < 1:
            raise SandboxDatabaseError(
                f"{self._path} is not a database of the sandbox (its schema version is {version},"
                " and the first one is 1). Use a different file."
            )
        if version > SCHEMA_VERSION:
            raise SandboxDatabaseError(
                f"{self._path} was written by a newer version of the sandbox (its schema version is"
                f" {version}, and this one knows versions up to {SCHEMA_VERSION}). Update"
                " webhooks-sdk, or use a different file."
            )
        return int(version)

    @contextmanager
    def _translated_errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise SandboxDatabaseError(
                    f"{self._path} is in use by another sandbox. Stop it, or use a different file."
                ) from error
            hint = ""
            if self._path is not None and not self._path.parent.is_dir():
                hint = " Its directory does not exist. Create it, or use a different file."
            raise SandboxDatabaseError(f"{self._path} cannot be opened: {error}.{hint}") from error
        except sqlite3.DatabaseError as error:
            raise SandboxDatabaseError(
                f"{self._path} is not an SQLite database: {error}."
            ) from error


def _changes_since(version: int | None) -> str:
    """Return the SQL that updates the schema of a version; None for an empty database."""
    if version is None:
        schema = files("webhooks_sdk.sandbox._storage").joinpath("schema.sql").read_text("utf-8")
    else:
        schema = "".join(_MIGRATIONS[old] for old in range(version, SCHEMA_VERSION))
    return f"""
        {schema}
        PRAGMA application_id = {APPLICATION_ID};
        PRAGMA user_version = {SCHEMA_VERSION};
    """
