"""Database queries for the pages, each with a bounded result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._records import DeliveryAttempt
from webhooks_sdk.sandbox._storage.database import MAX_INTEGER
from webhooks_sdk.sandbox._storage.mapping import SELECT_ATTEMPT, read_attempt
from webhooks_sdk.sandbox.inspector._chart import BucketCounts

if TYPE_CHECKING:
    from uuid import UUID

    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._storage.database import Database, Row
    from webhooks_sdk.sandbox.inspector._chart import Buckets
    from webhooks_sdk.sandbox.inspector._filters import Filters
    from webhooks_sdk.sandbox.inspector._formatting import State

PAGE_SIZE = 50

_DELIVERED = "ifnull(a.status BETWEEN 200 AND 299, 0)"
_STATES: dict[State, str] = {
    "delivered": _DELIVERED,
    "failed": f"(a.finished_at IS NOT NULL AND NOT {_DELIVERED})",
    "in_flight": "a.finished_at IS NULL",
}
# The latest attempt of an event has the highest number, which an index finds directly.
_IS_LATEST = "a.number = (SELECT max(number) FROM attempts WHERE event = e.number)"
_SELECT_LATEST_ATTEMPT = SELECT_ATTEMPT.replace("e.number = a.event", _IS_LATEST)
_SELECT_EVENT = f"e.number, e.attempts, e.retry, e.due, {_SELECT_LATEST_ATTEMPT}"


@frozen(kw_only=True)
class EventRow:
    """An event with its latest attempt.

    Attributes:
        number: The number of the event in the database.
        attempts: How many attempts were made so far.
        retry: The number of the pending retry; None if none is pending.
        due: The schedule time at which the pending retry is due, in microseconds; None if none is
            pending.
        latest: The latest attempt.
    """

    number: int
    attempts: int
    retry: int | None
    due: int | None
    latest: DeliveryAttempt


@frozen(kw_only=True)
class EventPage:
    """A page of events, newest first.

    Attributes:
        rows: The events.
        next_before: The value of `before` for the next page; None on the last page.
    """

    rows: tuple[EventRow, ...]
    next_before: int | None


@frozen(kw_only=True)
class Totals:
    """How many events there are, by the state of their latest attempt, and pending retries."""

    delivered: int
    failed: int
    in_flight: int
    pending: int

    @property
    def events(self) -> int:
        """How many events there are."""
        return self.delivered + self.failed + self.in_flight


class Queries:
    """Reads the events and attempts of one tenant.

    Args:
        database: The database.
        account: The tenant.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def events(self, filters: Filters, limit: int = PAGE_SIZE) -> EventPage:
        """Return the newest events that match the filters.

        Args:
            filters: The filters.
            limit: The maximum number of events.
        """
        conditions, values = _conditions(filters)
        where = " AND ".join(("e.tenant = ?", *conditions))
        # One more than the limit, to find out whether there is another page.
        rows = self._database.rows(
            f"SELECT {_SELECT_EVENT} WHERE {where} ORDER BY e.number DESC LIMIT ?",
            (self._tenant, *values, limit + 1),
        )
        found = tuple(_event_row(row) for row in rows[:limit])
        return EventPage(rows=found, next_before=found[-1].number if len(rows) > limit else None)

    def event(self, event_id: UUID) -> EventRow | None:
        """Return an event; None if the tenant has no event with this ID."""
        rows = self._database.rows(
            f"SELECT {_SELECT_EVENT} WHERE e.id = ? AND e.tenant = ?", (str(event_id), self._tenant)
        )
        return _event_row(rows[0]) if rows else None

    def attempts(
        self, event_number: int, before: int | None, limit: int = PAGE_SIZE
    ) -> tuple[DeliveryAttempt, ...]:
        """Return the latest attempts of an event, newest first.

        Args:
            event_number: The number of the event.
            before: Only attempts with a lower position than this, if given.
            limit: The maximum number of attempts. One more is returned if there are more.
        """
        earlier = "" if before is None else "AND a.number < ?"
        rows = self._database.rows(
            f"SELECT {SELECT_ATTEMPT} WHERE a.event = ? {earlier} ORDER BY a.number DESC LIMIT ?",
            (event_number, *(() if before is None else (before,)), limit + 1),
        )
        return tuple(read_attempt(row) for row in rows)

    def totals(self, hook_id: UUID | None) -> Totals:
        """Return how many events there are, only of one subscription if an ID is given."""
        condition, values = _subscription_condition("e", hook_id)
        states = ", ".join(f"ifnull(sum({state}), 0)" for state in _STATES.values())
        sql = (
            f"SELECT {states}, count(e.due) FROM events e JOIN attempts a ON {_IS_LATEST}"  # noqa: S608 - constants
            f" WHERE e.tenant = ? {condition}"
        )
        delivered, failed, in_flight, pending = self._database.rows(sql, (self._tenant, *values))[0]
        return Totals(delivered=delivered, failed=failed, in_flight=in_flight, pending=pending)

    def first_attempt(self, hook_id: UUID | None) -> int | None:
        """Return when the first attempt began, in microseconds since 1970; None if none did."""
        condition, values = _subscription_condition("a", hook_id)
        row = self._database.row(
            f"SELECT started_at FROM attempts a WHERE tenant = ? {condition}"  # noqa: S608 - constants
            " ORDER BY number LIMIT 1",
            (self._tenant, *values),
        )
        return None if row is None else int(row[0])

    def bucket_counts(self, buckets: Buckets, hook_id: UUID | None) -> tuple[BucketCounts, ...]:
        """Return how many attempts began in each bucket, without the empty buckets."""
        condition, values = _subscription_condition("a", hook_id)
        states = ", ".join(f"sum({state})" for state in _STATES.values())
        rows = self._database.rows(
            f"SELECT (a.started_at - ?) / ?, {states} FROM attempts a"  # noqa: S608 - constants
            f" WHERE a.tenant = ? AND a.started_at >= ? AND a.started_at < ? {condition}"
            " GROUP BY 1 ORDER BY 1",
            (buckets.start, buckets.width, self._tenant, buckets.start, buckets.end, *values),
        )
        return tuple(
            BucketCounts(index=index, delivered=delivered, failed=failed, in_flight=in_flight)
            for index, delivered, failed, in_flight in rows
        )

    def recent_states(self, hook_id: UUID, limit: int) -> tuple[State, ...]:
        """Return the states of the latest attempts of a subscription, oldest first."""
        rows = self._database.rows(
            f"SELECT a.finished_at IS NULL, {_DELIVERED} FROM attempts a"  # noqa: S608 - constants
            " WHERE a.hook_id = ? ORDER BY a.number DESC LIMIT ?",
            (str(hook_id), limit),
        )
        return tuple(
            "in_flight" if is_in_flight else "delivered" if delivered else "failed"
            for is_in_flight, delivered in reversed(rows)
        )

    def event_names(self, limit: int = 100) -> tuple[str, ...]:
        """Return the names of the events, in alphabetical order."""
        rows = self._database.rows(
            "SELECT DISTINCT name FROM events WHERE tenant = ? ORDER BY name LIMIT ?",
            (self._tenant, limit),
        )
        return tuple(row[0] for row in rows)

    def next_retry_due(self) -> int | None:
        """Return the schedule time at which the next retry is due; None if none is pending."""
        row = self._database.row(
            "SELECT min(due) FROM events WHERE tenant = ? AND due IS NOT NULL", (self._tenant,)
        )
        return None if row is None or row[0] is None else int(row[0])


def find_event_tenant(database: Database, event_id: UUID) -> int | None:
    """Return the number of the tenant that an event belongs to; None if there is no such event."""
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
        # A subject matches all its actions. Not LIKE, which would interpret `%` and `_`.
        conditions.append("(e.name = ? OR substr(e.name, 1, ?) = ?)")
        values += [filters.event, len(filters.event) + 1, f"{filters.event}:"]
    if filters.since is not None or filters.until is not None:
        conditions.append(
            "e.number IN (SELECT event FROM attempts"
            " WHERE tenant = e.tenant AND started_at >= ? AND started_at < ?)"
        )
        until = MAX_INTEGER if filters.until is None else filters.until
        values += [filters.since or 0, until]
    if filters.before is not None:
        conditions.append("e.number < ?")
        values.append(filters.before)
    return conditions, values


def _subscription_condition(table: str, hook_id: UUID | None) -> tuple[str, tuple[str, ...]]:
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
