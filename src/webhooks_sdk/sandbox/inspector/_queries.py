"""What the pages show, read from the database in bounded portions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._records import DeliveryAttempt
from webhooks_sdk.sandbox._storage.mapping import ATTEMPT, read_attempt
from webhooks_sdk.sandbox.inspector._chart import Count

if TYPE_CHECKING:
    from uuid import UUID

    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._storage.database import Database, Row
    from webhooks_sdk.sandbox.inspector._chart import Spans
    from webhooks_sdk.sandbox.inspector._filters import Filters
    from webhooks_sdk.sandbox.inspector._words import State

PAGE = 50

_DELIVERED = "ifnull(a.status BETWEEN 200 AND 299, 0)"
_STATES: dict[State, str] = {
    "delivered": _DELIVERED,
    "failed": f"(a.finished_at IS NOT NULL AND NOT {_DELIVERED})",
    "under_way": "a.finished_at IS NULL",
}
# The latest attempt of an event has the highest number, which is the end of an index.
_LATEST = "a.number = (SELECT max(number) FROM attempts WHERE event = e.number)"
_ROW = f"e.number, e.attempts, e.retry, e.due, {ATTEMPT.replace('e.number = a.event', _LATEST)}"


@frozen(kw_only=True)
class EventRow:
    """An event and the latest of its attempts.

    Attributes:
        number: Its number in the database.
        attempts: How many attempts were made so far.
        retry: Which retry is pending; None if none is.
        due: Where on the schedule that stands, in microseconds; None likewise.
        latest: Its latest attempt.
    """

    number: int
    attempts: int
    retry: int | None
    due: int | None
    latest: DeliveryAttempt


@frozen(kw_only=True)
class EventPage:
    """Some events, newest first.

    Attributes:
        rows: The events.
        next_before: What to give as `before` for the page that follows; None if this is the last.
    """

    rows: tuple[EventRow, ...]
    next_before: int | None


@frozen(kw_only=True)
class Totals:
    """How many events there are, by how their latest attempt stands, and retries to come."""

    delivered: int
    failed: int
    under_way: int
    pending: int

    @property
    def events(self) -> int:
        """How many events there are."""
        return self.delivered + self.failed + self.under_way


class Queries:
    """Reads what happened to one tenant.

    Args:
        database: Where it is.
        account: Whose it is.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def events(self, filters: Filters, limit: int = PAGE) -> EventPage:
        """Return the newest events that pass the filters.

        Args:
            filters: AttemptFilter.
            limit: How many at most.
        """
        conditions, values = _conditions(filters)
        where = " AND ".join(("e.tenant = ?", *conditions))
        # One more than asked for says whether there is another page.
        rows = self._database.rows(
            f"SELECT {_ROW} WHERE {where} ORDER BY e.number DESC LIMIT ?",
            (self._tenant, *values, limit + 1),
        )
        found = tuple(_event_row(row) for row in rows[:limit])
        return EventPage(rows=found, next_before=found[-1].number if len(rows) > limit else None)

    def event(self, event_id: UUID) -> EventRow | None:
        """Return one event; None if the tenant has no such."""
        rows = self._database.rows(
            f"SELECT {_ROW} WHERE e.id = ? AND e.tenant = ?", (str(event_id), self._tenant)
        )
        return _event_row(rows[0]) if rows else None

    def attempts(
        self, event_number: int, before: int | None, limit: int = PAGE
    ) -> tuple[DeliveryAttempt, ...]:
        """Return the latest attempts of an event, newest first, and one more if there are more.

        Args:
            event_number: The number of the event.
            before: Only those that began before the one with this position, if any.
            limit: How many at most, but for that one.
        """
        earlier = "" if before is None else "AND a.number < ?"
        rows = self._database.rows(
            f"SELECT {ATTEMPT} WHERE a.event = ? {earlier} ORDER BY a.number DESC LIMIT ?",
            (event_number, *(() if before is None else (before,)), limit + 1),
        )
        return tuple(read_attempt(row) for row in rows)

    def totals(self, hook_id: UUID | None) -> Totals:
        """Return how many events there are, of one subscription if it is given."""
        only, values = _of_hook("e", hook_id)
        states = ", ".join(f"ifnull(sum({condition}), 0)" for condition in _STATES.values())
        sql = (
            f"SELECT {states}, count(e.due) FROM events e JOIN attempts a ON {_LATEST}"  # noqa: S608 - constants
            f" WHERE e.tenant = ? {only}"
        )
        delivered, failed, under_way, pending = self._database.rows(sql, (self._tenant, *values))[0]
        return Totals(delivered=delivered, failed=failed, under_way=under_way, pending=pending)

    def first_attempt(self, hook_id: UUID | None) -> int | None:
        """Return when the first attempt began, in microseconds since 1970; None if none did."""
        only, values = _of_hook("a", hook_id)
        row = self._database.row(
            f"SELECT started_at FROM attempts a WHERE tenant = ? {only} ORDER BY number LIMIT 1",  # noqa: S608 - constants
            (self._tenant, *values),
        )
        return None if row is None else int(row[0])

    def counts(self, spans: Spans, hook_id: UUID | None) -> tuple[Count, ...]:
        """Return how many attempts began in each of some spans of time, those without left out."""
        only, values = _of_hook("a", hook_id)
        states = ", ".join(f"sum({condition})" for condition in _STATES.values())
        rows = self._database.rows(
            f"SELECT (a.started_at - ?) / ?, {states} FROM attempts a"  # noqa: S608 - constants
            f" WHERE a.tenant = ? AND a.started_at >= ? AND a.started_at < ? {only}"
            " GROUP BY 1 ORDER BY 1",
            (spans.start, spans.width, self._tenant, spans.start, spans.end, *values),
        )
        return tuple(
            Count(number=number, delivered=delivered, failed=failed, under_way=under_way)
            for number, delivered, failed, under_way in rows
        )

    def recent_states(self, hook_id: UUID, limit: int) -> tuple[State, ...]:
        """Return how the latest attempts of a subscription stand, oldest first."""
        rows = self._database.rows(
            f"SELECT a.finished_at IS NULL, {_DELIVERED} FROM attempts a"  # noqa: S608 - constants
            " WHERE a.hook_id = ? ORDER BY a.number DESC LIMIT ?",
            (str(hook_id), limit),
        )
        return tuple(
            "under_way" if is_open else "delivered" if delivered else "failed"
            for is_open, delivered in reversed(rows)
        )

    def names(self, limit: int = 100) -> tuple[str, ...]:
        """Return the names of events that there were, in alphabetical order."""
        rows = self._database.rows(
            "SELECT DISTINCT name FROM events WHERE tenant = ? ORDER BY name LIMIT ?",
            (self._tenant, limit),
        )
        return tuple(row[0] for row in rows)

    def next_due(self) -> int | None:
        """Return where on the schedule the next retry stands; None if none is pending."""
        row = self._database.row(
            "SELECT min(due) FROM events WHERE tenant = ? AND due IS NOT NULL", (self._tenant,)
        )
        return None if row is None or row[0] is None else int(row[0])


def owner_of_event(database: Database, event_id: UUID) -> int | None:
    """Return the number of the tenant whose an event is; None if there is no such event."""
    row = database.row("SELECT tenant FROM events WHERE id = ?", (str(event_id),))
    return None if row is None else int(row[0])


def _conditions(filters: Filters) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if filters.state is not None:
        conditions.append(_STATES[filters.state])
    if filters.hook is not None:
        conditions.append("e.hook_id = ?")
        values.append(str(filters.hook))
    if filters.event is not None:
        # A subject stands for all its actions: substr, for LIKE gives some characters a meaning.
        conditions.append("(e.name = ? OR substr(e.name, 1, ?) = ?)")
        values += [filters.event, len(filters.event) + 1, f"{filters.event}:"]
    if filters.since is not None or filters.until is not None:
        conditions.append(
            "e.number IN (SELECT event FROM attempts"
            " WHERE tenant = e.tenant AND started_at >= ? AND started_at < ?)"
        )
        values += [filters.since or 0, _FOREVER if filters.until is None else filters.until]
    if filters.before is not None:
        conditions.append("e.number < ?")
        values.append(filters.before)
    return conditions, values


_FOREVER = (1 << 63) - 1


def _of_hook(table: str, hook_id: UUID | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if hook_id is None else (f"AND {table}.hook_id = ?", (str(hook_id),))


def _event_row(row: Row) -> EventRow:
    number, attempts, retry, due, *attempt = row
    return EventRow(
        number=number,
        attempts=attempts,
        retry=None if due is None else retry,
        due=due,
        latest=read_attempt(tuple(attempt)),
    )
