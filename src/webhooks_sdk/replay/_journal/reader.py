"""Reads the journal of a replay, even while it is being written."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import Self
from uuid import UUID

from attrs import frozen

from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay._journal.database import SQLRow
from webhooks_sdk.replay._journal.file import open_for_reading, remove_directory, resolve_path
from webhooks_sdk.replay._journal.rows import COLUMNS, Plan, RowState, plan_from_sql, row_from_sql
from webhooks_sdk.replay._outcomes import OutcomeStatus

_PAGE_SIZE = 500
_WITHOUT_OUTCOME = frozenset({RowState.PLANNED, RowState.IN_FLIGHT})


@frozen(kw_only=True)
class JournalEntry:
    """What a journal holds about one event.

    The response, the error and `outcome_at` belong to the last request with a known outcome: while
    the event is in flight again, to the previous request.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        status: How it ended; None if it was never sent, or is in flight. Never `skipped`.
        in_flight: Whether a request for it is in flight, or was when a run died. It may have been
            delivered.
        attempts: How many requests were sent for it, over all runs. Requests that the service
            deferred (429, or 503 with `Retry-After`) do not count.
        response_status: The status of the subscriber's response, None if unknown.
        response_duration_ms: Milliseconds that the subscriber took to respond, None if unknown.
        delivery_id: The delivery attempt, None if unknown.
        error: The error of the request, as `"NotFoundError: ..."`; None if there was none.
        intent_at: When the last request was about to be sent, None if there was none. Aware and
            in UTC.
        outcome_at: When the outcome was recorded, None if there is none.
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
    intent_at: datetime | None
    outcome_at: datetime | None


class Journal:
    """Reads the journal of a replay: while it runs, after it has ended, or after a crash.

    ```python
    with Journal("outage.sqlite") as journal:
        for entry in journal.entries("rejected", "unknown"):
            print(entry.request_id, entry.response_status, entry.error)
    ```

    Iterating yields one `JournalEntry` for each event, in the order of insertion, in constant
    memory. Entries are read in pages of 500. Each page is a consistent snapshot; later pages show
    what was written in between, so a replay never waits for its readers. No event is yielded twice.

    A reader never changes an entry and never blocks a writer. The last reader or writer to close
    the journal removes the files next to it. Without write permission, the journal is read as it
    was when it was opened. A reader may be used by all threads of the process that opened it.

    Args:
        path: The file.

    Raises:
        JournalError: The file does not exist, is not a journal of this version, or cannot be read.
            All methods and properties raise it if the file can no longer be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = resolve_path(path)
        self._mutex = Lock()
        self._database, self._copy_directory = open_for_reading(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._mutex:
            self._database.close()
            if self._copy_directory is not None and not self._database.inherited:
                remove_directory(self._copy_directory)

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return self._path

    @property
    def base_url(self) -> str:
        """The base URL of the API that the journal belongs to."""
        [(base_url,)] = self._fetch_all("SELECT base_url FROM journal")
        return str(base_url)

    @property
    def plan(self) -> Plan | None:
        """The plan of a recovery; None if it was not recorded, or the caller gave the targets."""
        [(plan,)] = self._fetch_all("SELECT plan FROM journal")
        return None if plan is None else plan_from_sql(plan)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events there are by status, `"planned"` (never sent) and `"in_flight"`."""
        counts: dict[str, int] = dict(
            self._fetch_all("SELECT state, count(*) FROM target GROUP BY state")
        )
        return MappingProxyType({state.value: counts.get(state.value, 0) for state in RowState})

    def __len__(self) -> int:
        [(total,)] = self._fetch_all("SELECT count(*) FROM target")
        return int(total)

    def __iter__(self) -> Iterator[JournalEntry]:
        return self.entries()

    def entries(self, *statuses: OutcomeStatus | str) -> Iterator[JournalEntry]:
        """Yield the events with the given statuses, or all events if none is given.

        Args:
            *statuses: Statuses, such as `"rejected"` or `OutcomeStatus.REJECTED`.

        Raises:
            InvalidArgumentError: A status is not valid.
        """
        try:
            wanted = [OutcomeStatus(status).value for status in statuses]
        except ValueError as error:
            known = ", ".join(status for status in OutcomeStatus if status != "skipped")
            raise InvalidArgumentError(f"{error}. Valid statuses are {known}.") from None
        return self._pages(wanted)

    def _pages(self, states: list[str]) -> Iterator[JournalEntry]:
        where = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
        sql = f"SELECT {COLUMNS} FROM target WHERE seq > ? {where} ORDER BY seq LIMIT {_PAGE_SIZE}"  # noqa: S608 - constants and placeholders
        last = 0
        while rows := self._fetch_all(sql, last, *states):
            last = rows[-1][0]
            yield from map(_entry, rows)

    def _fetch_all(self, statement: str, *values: object) -> list[SQLRow]:
        with self._mutex:
            self._database.check_usable()
            return self._database.fetch_all(statement, *values)


def _entry(values: SQLRow) -> JournalEntry:
    row = row_from_sql(values)
    return JournalEntry(
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=None if row.state in _WITHOUT_OUTCOME else OutcomeStatus(row.state.value),
        in_flight=row.state is RowState.IN_FLIGHT,
        attempts=row.attempts,
        response_status=row.response_status,
        response_duration_ms=row.duration_ms,
        delivery_id=row.delivery_id,
        error=None if row.error is None else f"{row.error.kind}: {row.error.message}",
        intent_at=row.intent_at,
        outcome_at=row.outcome_at,
    )
