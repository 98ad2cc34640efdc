"""A SQLite connection that raises `JournalError`s with advice."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from webhooks_sdk.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

SQLRow: TypeAlias = tuple[Any, ...]

_BUSY_TIMEOUT = 10.0  # seconds


class Database:
    """An open database file, in autocommit mode. Sharing it among threads requires a lock.

    Args:
        path: The file, absolute. It must exist.
        query: The query of the SQLite URI, such as `"mode=ro"`.

    Raises:
        JournalError: The file cannot be opened. Methods raise it if it cannot be read or written.
    """

    def __init__(self, path: Path, query: str) -> None:
        self.path = path
        with self._translate_errors():
            self._connection = sqlite3.connect(
                f"{path.as_uri()}?{query}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_TIMEOUT,
            )
        self._execute = self._connection.execute
        self._pid = os.getpid()
        self._closed = False

    @property
    def inherited(self) -> bool:
        """Whether this process is a forked child of the process that opened the database."""
        return self._pid != os.getpid()

    def check_usable(self) -> None:
        """Check that the database is open, and was opened by this process.

        Raises:
            JournalError: It is closed, or was opened by a parent process.
        """
        if self._closed:
            raise JournalError(f"The journal {str(self.path)!r} is closed. Open it again.")
        if self.inherited:
            raise JournalError(
                f"The journal {str(self.path)!r} was opened by the parent of this process. Open it"
                " after the fork, or use it only in the parent."
            )

    def execute(self, statement: str, *values: object) -> None:
        """Execute one statement."""
        try:
            self._execute(statement, values)
        except sqlite3.Error as error:
            raise _journal_error(self.path, error) from error

    def insert(self, statement: str, *values: object) -> int | None:
        """Execute an insert, and return the number of the new row; None if it was ignored."""
        try:
            cursor = self._execute(statement, values)
        except sqlite3.Error as error:
            raise _journal_error(self.path, error) from error
        return cursor.lastrowid if cursor.rowcount else None

    def execute_many(self, statement: str, values: Iterable[SQLRow]) -> None:
        """Execute one statement for each row of values."""
        with self._translate_errors():
            self._connection.executemany(statement, values)

    def execute_script(self, script: str) -> None:
        """Execute statements that have no parameters."""
        with self._translate_errors():
            self._connection.executescript(script)

    def fetch_all(self, statement: str, *values: object) -> list[SQLRow]:
        """Return all rows of a query."""
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _journal_error(self.path, error) from error

    def fetch_one(self, statement: str, *values: object) -> SQLRow | None:
        """Return the first row of a query, None if there is none."""
        rows = self.fetch_all(statement, *values)
        return rows[0] if rows else None

    def pragma(self, name: str) -> Any:  # noqa: ANN401 - an integer or text, depending on the pragma
        """Return the value of a pragma, or its new value if `name` is `"name = value"`."""
        row = self.fetch_one(f"PRAGMA {name}")
        return None if row is None else row[0]

    def commit(self) -> None:
        """Commit the transaction, or roll it back if that fails."""
        try:
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Run the block as one transaction."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # After some errors SQLite has already rolled back.
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. A forked child leaves it open for its parent."""
        self._closed = True
        if self.inherited:
            return
        with self._translate_errors():
            self._connection.close()

    @contextmanager
    def _translate_errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _journal_error(self.path, error) from error


def _journal_error(path: Path, error: sqlite3.Error) -> JournalError:
    """Build a `JournalError` from an error of SQLite, with advice."""
    code = getattr(error, "sqlite_errorcode", None)
    advice = None if code is None else _ADVICE.get(code & 0xFF)
    message = f"The journal {str(path)!r} cannot be used: {error}."
    return JournalError(message if advice is None else f"{message} {advice}")


_ADVICE = {
    sqlite3.SQLITE_BUSY: "Another program has locked it. Wait until that program has finished.",
    sqlite3.SQLITE_CANTOPEN: (
        "The file, or a file next to it, is missing or cannot be created. Check that its directory"
        " exists and is writable."
    ),
    sqlite3.SQLITE_CORRUPT: (
        "It is damaged. Use a different file, and decide from your own records what to redeliver."
    ),
    sqlite3.SQLITE_FULL: "Free some disk space and resume. Everything written before is kept.",
    sqlite3.SQLITE_IOERR: "The disk failed or is full. Fix the cause and resume.",
    sqlite3.SQLITE_NOTADB: "It is not a replay journal. Use a different file.",
    sqlite3.SQLITE_READONLY: "The file or its directory is not writable. Check the permissions.",
}
