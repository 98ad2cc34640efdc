"""A connection to SQLite whose errors are `JournalError`s that say what to do."""

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
    """An open database file, in autocommit mode. Whoever shares it among threads locks.

    Args:
        path: A file that exists, absolute.
        query: How to open it, as SQLite's URIs say it, such as `"mode=ro"`.

    Raises:
        JournalError: It cannot be opened. From the methods: it cannot be read or written.
    """

    def __init__(self, path: Path, query: str) -> None:
        self.path = path
        with self._sqlite_errors():
            self._connection = sqlite3.connect(
                f"{path.as_uri()}?{query}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_TIMEOUT,
            )
        self._execute = self._connection.execute
        self._process = os.getpid()
        self._closed = False

    @property
    def inherited(self) -> bool:
        """Whether this process is a forked child of the one that opened it."""
        return self._process != os.getpid()

    def check_usable(self) -> None:
        """Check that it is open, and was opened by this process.

        Raises:
            JournalError: It is not.
        """
        if self._closed:
            raise JournalError(f"The journal {str(self.path)!r} is closed: open it again.")
        if self.inherited:
            raise JournalError(
                f"The journal {str(self.path)!r} was opened by the parent of this process: open it"
                " after the fork, or leave it to the parent."
            )

    def write(self, statement: str, *values: object) -> None:
        """Carry out one statement."""
        try:
            self._execute(statement, values)
        except sqlite3.Error as error:
            raise journal_error(self.path, error) from error

    def add(self, statement: str, *values: object) -> int | None:
        """Carry out an insert, and return the new row's number; None if it was ignored."""
        try:
            cursor = self._execute(statement, values)
        except sqlite3.Error as error:
            raise journal_error(self.path, error) from error
        return cursor.lastrowid if cursor.rowcount else None

    def write_many(self, statement: str, values: Iterable[SQLRow]) -> None:
        """Carry out one statement for each row of values."""
        with self._sqlite_errors():
            self._connection.executemany(statement, values)

    def write_script(self, script: str) -> None:
        """Carry out statements that take no values."""
        with self._sqlite_errors():
            self._connection.executescript(script)

    def all(self, statement: str, *values: object) -> list[SQLRow]:
        """Return the rows that a statement finds."""
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise journal_error(self.path, error) from error

    def one(self, statement: str, *values: object) -> SQLRow | None:
        """Return the row that a statement finds, None if there is none."""
        found = self.all(statement, *values)
        return found[0] if found else None

    def pragma(self, name: str) -> Any:  # noqa: ANN401 - a number or a text, as it has it
        """Return what a setting of the file is, or after `name = value` has become."""
        found = self.one(f"PRAGMA {name}")
        return None if found is None else found[0]

    def commit(self) -> None:
        """End a transaction, or take it back if that cannot be done."""
        try:
            self.write("COMMIT")
        except BaseException:
            # SQLite has done it itself after some errors.
            if self._connection.in_transaction:
                self.write("ROLLBACK")
            raise

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Carry out what the block writes as a whole, or nothing of it."""
        self.write("BEGIN IMMEDIATE")
        try:
            yield
            self.write("COMMIT")
        except BaseException:
            # SQLite has done it itself after some errors.
            if self._connection.in_transaction:
                self.write("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file; a forked child leaves it to its parent."""
        self._closed = True
        if self.inherited:
            return
        with self._sqlite_errors():
            self._connection.close()

    @contextmanager
    def _sqlite_errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise journal_error(self.path, error) from error


def journal_error(path: Path, error: sqlite3.Error) -> JournalError:
    """Return what SQLite says, and what is to be done about it."""
    code = getattr(error, "sqlite_errorcode", None)
    advice = None if code is None else _ADVICE.get(code & 0xFF)
    if advice is None:
        return JournalError(f"The journal {str(path)!r} cannot be used: {error}.")
    return JournalError(f"The journal {str(path)!r} cannot be used ({error}): {advice}.")


_ADVICE = {
    sqlite3.SQLITE_BUSY: "another program has it locked, wait until that has ended",
    sqlite3.SQLITE_CANTOPEN: "the file, or one beside it, is missing or cannot be made",
    sqlite3.SQLITE_CORRUPT: "it is damaged, name another file and go by your own records",
    sqlite3.SQLITE_FULL: "make room and resume, what was written before is kept",
    sqlite3.SQLITE_IOERR: "the disk failed or is full, mend that and resume",
    sqlite3.SQLITE_NOTADB: "it is no journal of a replay, name another file",
    sqlite3.SQLITE_READONLY: "it, or its directory, may not be written",
}
