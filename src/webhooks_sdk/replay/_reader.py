"""Reading the journal of a replay, also while it is being written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

from attrs import frozen

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._outcomes import OutcomeStatus
from webhooks_sdk.replay._rows import (
    APPLICATION_ID,
    COLUMNS,
    FORMAT,
    Plan,
    Row,
    RowState,
    read_plan_text,
    read_row,
    rebuild_error,
)

_PAGE = 500
_UNSETTLED = frozenset({RowState.PLANNED, RowState.IN_FLIGHT})


@frozen(kw_only=True)
class JournalEntry:
    """What a journal knows of one target.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        status: What its last request made of it; None if none has ended.
        in_flight: Whether a request was begun of which no end is written down: it is under way, or
            was when the process died.
        attempts: How many requests were sent for it, over all runs.
        response_status: The HTTP status with which the subscriber answered, None if that is not
            known.
        response_duration_ms: Milliseconds until that answer, None as above.
        delivery_id: The delivery attempt that this was, None as above.
        error: Why its last request failed, None if it did not.
        intended_at: When its last request was begun, None if none was.
        settled_at: When that had ended, None if it has not.
    """

    hook_id: UUID
    request_id: UUID
    status: OutcomeStatus | None
    in_flight: bool
    attempts: int
    response_status: int | None
    response_duration_ms: int | None
    delivery_id: UUID | None
    error: str | None
    intended_at: datetime | None
    settled_at: datetime | None


class Journal:
    """The journal of a replay, to be read: also while a run is on, and after one was killed.

    A context manager. Iterating over it yields a `JournalEntry` for each target, in the order in
    which they were first written; page by page, so that rows which change meanwhile can be seen as
    they were or as they are.

    Args:
        path: The file.

    Raises:
        JournalError: It is not there, cannot be read, or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._mutex = Lock()
        if not self._path.is_file():
            raise JournalError(f"There is no journal {self._path}.")
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        problem: sqlite3.Error | None = None
        # Where no file can be made beside it, SQLite reads it only on the word that it is at rest.
        at_rest = not self._path.with_name(f"{self._path.name}-wal").exists()
        for options in ("", "&immutable=1") if at_rest else ("",):
            connection = sqlite3.connect(
                address + options, uri=True, isolation_level=None, check_same_thread=False
            )
            try:
                self._check(connection)
            except sqlite3.OperationalError as error:
                connection.close()
                problem = error
            except sqlite3.Error:
                connection.close()
                raise self._no_journal() from None
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise JournalError(f"The journal {self._path} cannot be read: {problem}.") from problem

    def _check(self, connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if owner != APPLICATION_ID:
            raise self._no_journal()
        if version != FORMAT:
            raise JournalError(
                f"{self._path} is of another version of the SDK (format {version}): read it with"
                " that one."
            )

    def _no_journal(self) -> JournalError:
        return JournalError(f"{self._path} is no journal of a replay.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._connection.close()

    @property
    def base_url(self) -> str:
        """The environment that it belongs to."""
        return str(self._meta("base_url"))

    @property
    def plan(self) -> Plan | None:
        """What a recovery was to send; None for a journal of `redeliver_many`."""
        text = self._meta("plan")
        return None if text is None else read_plan_text(text)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many targets stand where: by status, and `planned` (never sent) or `in_flight`."""
        found = dict(self._all("SELECT state, count(*) FROM targets GROUP BY state"))
        return MappingProxyType({state.value: found.get(state.value, 0) for state in RowState})

    def __len__(self) -> int:
        return int(self._all("SELECT count(*) FROM targets")[0][0])

    def __iter__(self) -> Iterator[JournalEntry]:
        return self.entries()

    def entries(self, *statuses: OutcomeStatus | str) -> Iterator[JournalEntry]:
        """Yield an entry for each target, or for those whose last request ended so.

        Args:
            *statuses: Such as `"rejected"`; none for all targets.

        Raises:
            ValueError: There is no such status.
            JournalError: The file cannot be read.
        """
        wanted = [OutcomeStatus(status).value for status in statuses]
        choice = f"AND state IN ({', '.join('?' * len(wanted))})" if wanted else ""
        statement = (
            f"SELECT {COLUMNS} FROM targets WHERE seq > ? {choice} ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 - constants
        )
        return self._pages(statement, wanted)

    def _pages(self, statement: str, wanted: list[str]) -> Iterator[JournalEntry]:
        seq = 0
        while rows := self._all(statement, seq, *wanted):
            for values in rows:
                row = read_row(values)
                seq = row.seq
                yield _entry(row)

    def _meta(self, name: str) -> str | None:
        rows = self._all("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with self._mutex:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"The journal {self._path} cannot be read: {error}.") from error


def _entry(row: Row) -> JournalEntry:
    error = rebuild_error(row)
    return JournalEntry(
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=None if row.state in _UNSETTLED else OutcomeStatus(row.state.value),
        in_flight=row.state is RowState.IN_FLIGHT,
        attempts=row.attempts,
        response_status=row.response_status,
        response_duration_ms=row.duration_ms,
        delivery_id=row.delivery_id,
        error=None if error is None else str(error.args[0]),
        intended_at=row.intended_at,
        settled_at=row.settled_at,
    )
