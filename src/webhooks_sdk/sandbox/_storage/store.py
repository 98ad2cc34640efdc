"""The subscriptions, events, attempts and pending retries of a tenant, in the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import asdict, frozen

from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._records import StoredEvent
from webhooks_sdk.sandbox._storage.mapping import (
    SELECT_ATTEMPT,
    SELECT_EVENT,
    SELECT_SUBSCRIPTION,
    read_attempt,
    read_event,
    read_subscription,
    subscription_fields,
)
from webhooks_sdk.sandbox._variants import Variants

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from uuid import UUID

    from webhooks_sdk.sandbox._records import (
        Account,
        DeliveryAttempt,
        DeliveryResult,
        Event,
        Subscription,
    )
    from webhooks_sdk.sandbox._storage.database import Database, Row


class Store:
    """The rows of one tenant.

    Args:
        database: The database.
        account: The account of the tenant.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context manager that runs its block as a transaction."""
        return self._database.transaction()

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, oldest first."""
        sql = f"SELECT {SELECT_SUBSCRIPTION} WHERE s.tenant = ? ORDER BY s.number"
        return [read_subscription(row) for row in self._database.rows(sql, (self._tenant,))]

    def subscription(self, hook_id: UUID) -> Subscription | None:
        """Return a subscription; None if the tenant does not have it."""
        sql = f"SELECT {SELECT_SUBSCRIPTION} WHERE s.id = ? AND s.tenant = ?"
        row = self._database.row(sql, (str(hook_id), self._tenant))
        return None if row is None else read_subscription(row)

    def count_active(self) -> int:
        """Return the number of active subscriptions."""
        sql = "SELECT count(*) FROM subscriptions WHERE tenant = ? AND active"
        row = self._database.row(sql, (self._tenant,))
        return 0 if row is None else int(row[0])

    def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._database.execute(
            "INSERT INTO subscriptions"
            " (active, events, url, secret, header, updated_at, id, tenant, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *subscription_fields(subscription),
                str(subscription.id),
                self._tenant,
                to_microseconds(subscription.created_at),
            ),
        )

    def update_subscription(self, subscription: Subscription) -> None:
        """Overwrite the subscription with the same ID."""
        self._database.execute(
            "UPDATE subscriptions SET active = ?, events = ?, url = ?, secret = ?, header = ?,"
            " updated_at = ? WHERE id = ?",
            (*subscription_fields(subscription), str(subscription.id)),
        )

    def delete_subscription(self, hook_id: UUID) -> None:
        """Delete a subscription and its pending retries; keep its events and attempts."""
        with self.transaction():
            key = (str(hook_id),)
            self._database.execute("DELETE FROM subscriptions WHERE id = ?", key)
            self._database.execute("UPDATE events SET due = NULL WHERE hook_id = ?", key)

    def add_event(self, hook_id: UUID, event: Event) -> StoredEvent:
        """Add an event of a subscription."""
        cursor = self._database.execute(
            "INSERT INTO events (id, tenant, hook_id, name, body, enqueued_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                str(event.id),
                self._tenant,
                str(hook_id),
                event.name,
                event.body,
                to_microseconds(event.enqueued_at),
            ),
        )
        return StoredEvent(
            number=cursor.lastrowid or 0, hook_id=hook_id, attempts=0, retry=0, event=event
        )

    def event(self, event_id: UUID, hook_id: UUID | None = None) -> StoredEvent | None:
        """Return an event; None if the tenant or the given subscription does not have it."""
        sql = f"SELECT {SELECT_EVENT} WHERE id = ? AND tenant = ?"
        row = self._database.row(sql, (str(event_id), self._tenant))
        if row is None or (hook_id is not None and row[1] != str(hook_id)):
            return None
        return read_event(row)

    def pop_due_retry(self, until: int) -> tuple[int, StoredEvent] | None:
        """Remove the next due retry from the schedule, and return it.

        Args:
            until: The latest schedule time at which the retry may be due.

        Returns:
            The schedule time of the retry and its event; None if no retry is due by then.
        """
        sql = (
            f"SELECT due, {SELECT_EVENT} WHERE tenant = ? AND due IS NOT NULL AND due <= ?"
            " ORDER BY due, number LIMIT 1"
        )
        row = self._database.row(sql, (self._tenant, until))
        if row is None:
            return None
        self._database.execute("UPDATE events SET due = NULL WHERE number = ?", (row[1],))
        return row[0], read_event(row[1:])

    def schedule_retry(self, event_number: int, retry: int, due: int) -> None:
        """Schedule a retry of an event, unless its subscription was deleted."""
        self._database.execute(
            "UPDATE events SET retry = ?, due = ? WHERE number = ?"
            " AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = events.hook_id)",
            (retry, due, event_number),
        )

    def pending_retries(self) -> list[Row]:
        """Return event ID, hook ID, event name, retry number and schedule time of each retry."""
        return self._database.rows(
            "SELECT id, hook_id, name, retry, due FROM events"
            " WHERE tenant = ? AND due IS NOT NULL ORDER BY due, number",
            (self._tenant,),
        )

    def start_attempt(self, stored: StoredEvent, delivery_id: UUID, started: StartedAttempt) -> int:
        """Record the start of an attempt, and return its number."""
        ordinal = stored.attempts + 1
        self._database.execute(
            "UPDATE events SET attempts = ? WHERE number = ?", (ordinal, stored.number)
        )
        cursor = self._database.execute(
            "INSERT INTO attempts"
            " (tenant, event, hook_id, delivery_id, ordinal, retry, url, headers, started_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._tenant,
                stored.number,
                str(stored.hook_id),
                str(delivery_id),
                ordinal,
                started.retry,
                started.url,
                json.dumps(started.headers),
                started.at,
            ),
        )
        return cursor.lastrowid or 0

    def finish_attempt(self, position: int, result: DeliveryResult, at: int) -> None:
        """Record the result of an attempt."""
        self._database.execute(
            "UPDATE attempts SET finished_at = ?, status = ?, duration_ms = ?, error = ?,"
            " response_content_type = ?, response_body = ?, response_size = ? WHERE number = ?",
            (
                at,
                result.status,
                result.duration_ms,
                result.error,
                result.response_content_type,
                result.response_body,
                result.response_size,
                position,
            ),
        )

    def attempts(self) -> list[DeliveryAttempt]:
        """Return all attempts, in the order they started."""
        sql = f"SELECT {SELECT_ATTEMPT} WHERE a.tenant = ? ORDER BY a.number"
        return [read_attempt(row) for row in self._database.rows(sql, (self._tenant,))]

    def recent_attempts(
        self, hook_id: UUID, limit: int, *, latest_of_event: bool
    ) -> list[DeliveryAttempt]:
        """Return the latest attempts of a subscription, newest first.

        Args:
            hook_id: The subscription.
            limit: The maximum number of attempts.
            latest_of_event: Whether to return only the latest attempt of each event.
        """
        condition = "AND a.ordinal = e.attempts" if latest_of_event else ""
        rows = self._database.rows(
            f"SELECT {SELECT_ATTEMPT} WHERE a.hook_id = ? {condition}"
            " ORDER BY a.number DESC LIMIT ?",
            (str(hook_id), limit),
        )
        return [read_attempt(row) for row in rows]

    def unfinished_attempts(self) -> list[tuple[DeliveryAttempt, int]]:
        """Return the attempts in flight, each with the number of its event."""
        sql = f"SELECT a.event, {SELECT_ATTEMPT} WHERE a.tenant = ? AND a.finished_at IS NULL"
        rows = self._database.rows(sql, (self._tenant,))
        return [(read_attempt(row[1:]), row[0]) for row in rows]

    def load_time(self) -> tuple[int, int]:
        """Return the sum of the clock's steps, and the real time that the schedule has run."""
        sql = "SELECT stepped, ran FROM tenants WHERE number = ?"
        stepped, elapsed = self._database.row(sql, (self._tenant,)) or (0, 0)
        return stepped, elapsed

    def save_time(self, stepped: int, elapsed: int) -> None:
        """Save what `load_time` returns."""
        self._database.execute(
            "UPDATE tenants SET stepped = ?, ran = ? WHERE number = ?",
            (stepped, elapsed, self._tenant),
        )

    def load_variants(self) -> Variants:
        """Return the variants of the tenant."""
        sql = "SELECT variants FROM tenants WHERE number = ?"
        row = self._database.row(sql, (self._tenant,))
        return Variants(**json.loads(row[0])) if row else Variants()

    def save_variants(self, variants: Variants) -> None:
        """Save the variants of the tenant."""
        self._database.execute(
            "UPDATE tenants SET variants = ? WHERE number = ?",
            (json.dumps(asdict(variants)), self._tenant),
        )

    def reset(self) -> None:
        """Delete everything but account, tokens and variants."""
        with self.transaction():
            key = (self._tenant,)
            self._database.execute("DELETE FROM attempts WHERE tenant = ?", key)
            self._database.execute("DELETE FROM events WHERE tenant = ?", key)
            self._database.execute("DELETE FROM subscriptions WHERE tenant = ?", key)
            self._database.execute("DELETE FROM requests WHERE tenant = ?", key)
            self.save_time(0, 0)


@frozen(kw_only=True)
class StartedAttempt:
    """The start of an attempt.

    Attributes:
        retry: The number of the retry, 0 for the first attempt; None for a redelivery.
        url: The URL that it is sent to.
        headers: The headers of the request; empty if no request is sent.
        at: The time of the start, in microseconds since 1970.
    """

    retry: int | None
    url: str
    headers: tuple[tuple[str, str], ...]
    at: int
