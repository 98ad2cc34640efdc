"""Reading the journal of a replay, also while it is being written."""

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
from webhooks_sdk.replay._journal.file import locate, open_for_reading, remove_directory
from webhooks_sdk.replay._journal.rows import COLUMNS, Plan, RowState, plan_from_sql, row_from_sql
from webhooks_sdk.replay._outcomes import OutcomeStatus

_PAGE = 500
_UNSETTLED = frozenset({RowState.PLANNED, RowState.IN_FLIGHT})


@frozen(kw_only=True)
class JournalEntry:
    """What a journal knows of one event.

    What is said of the outcome is that of the last request whose outcome is known to the journal:
    while the event is in flight again, that of the attempt before.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        status: What became of it; None if it was never sent, or is in flight. Never `skipped`.
        in_flight: Whether a request for it is under way, or was when a run died: it may have been
            delivered.
        attempts: How many requests were sent for it, over all runs. Those that the service put off
            do not count.
        response_status: What the subscriber answered, None if it did not or that is not known.
        response_duration_ms: Milliseconds until that answer, None as above.
        delivery_id: The delivery attempt, None if it is not known.
        error: The error of the request, as `"NotFoundError: ..."`; None if there was none.
        intended_at: When the last request was about to be sent, None if there was none. Aware and
            in UTC.
        settled_at: When the outcome was written, None if there is none.
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
    """The journal of a replay, for reading: while the replay runs, after it, and after a crash.

    ```python
    with Journal("outage.sqlite") as journal:
        for entry in journal.entries("rejected", "unknown"):
            print(entry.request_id, entry.response_status, entry.error)
    ```

    Iterating yields a `JournalEntry` for each event, in the order in which they came, with as
    little memory for a million as for a thousand. They are read 500 at a time: each 500 are of one
    moment; what is written in between shows in those that follow, so that the replay never waits
    for its readers. No event comes twice.

    A reader changes no entry and keeps no writer off. The last to close a journal, reader or
    writer, tidies up the files beside it. Where nothing may be written, the journal is read as it
    is when it is opened. A reader may be used by all threads of the process that opened it.

    Args:
        path: The file.

    Raises:
        JournalError: There is none, it is no journal of this version, or it cannot be read. The
            latter also from whatever is used later.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = locate(path)
        self._mutex = Lock()
        self._database, self._copy = open_for_reading(self._path)

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
        """Close the file. Closing twice does no harm."""
        with self._mutex:
            self._database.close()
            if self._copy is not None and not self._database.inherited:
                remove_directory(self._copy)

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return self._path

    @property
    def base_url(self) -> str:
        """The base URL of the API that the journal belongs to."""
        [(base_url,)] = self._all("SELECT base_url FROM journal")
        return str(base_url)

    @property
    def plan(self) -> Plan | None:
        """What a recovery was to send; None if that is not written, or the targets were given."""
        [(plan,)] = self._all("SELECT plan FROM journal")
        return None if plan is None else plan_from_sql(plan)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events stand where: by status, `"planned"` (never sent) and `"in_flight"`."""
        found: dict[str, int] = dict(self._all("SELECT state, count(*) FROM target GROUP BY state"))
        return MappingProxyType({state.value: found.get(state.value, 0) for state in RowState})

    def __len__(self) -> int:
        [(total,)] = self._all("SELECT count(*) FROM target")
        return int(total)

    def __iter__(self) -> Iterator[JournalEntry]:
        return self.entries()

    def entries(self, *statuses: OutcomeStatus | str) -> Iterator[JournalEntry]:
        """Yield the events that ended so, or all if no status is given.

        Args:
            *statuses: Such as `"rejected"` or `OutcomeStatus.REJECTED`.

        Raises:
            InvalidArgumentError: There is no such status.
        """
        try:
            wanted = [OutcomeStatus(status).value for status in statuses]
        except ValueError as error:
            known = ", ".join(OutcomeStatus)
            raise InvalidArgumentError(f"{error}: a status is one of {known}.") from None
        return self._pages(wanted)

    def _pages(self, states: list[str]) -> Iterator[JournalEntry]:
        chosen = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
        page = f"SELECT {COLUMNS} FROM target WHERE seq > ? {chosen} ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 - constants and placeholders
        last = 0
        while found := self._all(page, last, *states):
            last = found[-1][0]
            yield from map(_entry, found)

    def _all(self, statement: str, *values: object) -> list[SQLRow]:
        with self._mutex:
            self._database.check_usable()
            return self._database.all(statement, *values)


def _entry(values: SQLRow) -> JournalEntry:
    row = row_from_sql(values)
    return JournalEntry(
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=None if row.state in _UNSETTLED else OutcomeStatus(row.state.value),
        in_flight=row.state is RowState.IN_FLIGHT,
        attempts=row.attempts,
        response_status=row.response_status,
        response_duration_ms=row.duration_ms,
        delivery_id=row.delivery_id,
        error=None if row.error is None else f"{row.error.kind}: {row.error.message}",
        intended_at=row.intent_at,
        settled_at=row.settled_at,
    )
