"""Subscriptions, events, attempts and pending retries of the tenants, as rows of the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attrs import asdict, frozen

from webhooks_sdk.sandbox._clock import microseconds
from webhooks_sdk.sandbox._records import KnownEvent
from webhooks_sdk.sandbox._storage.mapping import (
    ATTEMPT,
    EVENT,
    SUBSCRIPTION,
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
        Event,
        Outcome,
        Subscription,
    )
    from webhooks_sdk.sandbox._storage.database import Database, Row


class Store:
    """The rows of one tenant.

    Args:
        database: Where they are.
        account: Whose they are.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def transaction(self) -> AbstractContextManager[None]:
        """Have all that is done inside done together, or not at all."""
        return self._database.transaction()

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, oldest first."""
        sql = f"SELECT {SUBSCRIPTION} WHERE s.tenant = ? ORDER BY s.number"
        return [read_subscription(row) for row in self._database.rows(sql, (self._tenant,))]

    def subscription(self, hook_id: UUID) -> Subscription | None:
        """Return one subscription; None if the tenant has no such."""
        sql = f"SELECT {SUBSCRIPTION} WHERE s.id = ? AND s.tenant = ?"
        row = self._database.row(sql, (str(hook_id), self._tenant))
        return None if row is None else read_subscription(row)

    def count_active(self) -> int:
        """Return how many subscriptions are active."""
        sql = "SELECT count(*) FROM subscriptions WHERE tenant = ? AND active"
        row = self._database.row(sql, (self._tenant,))
        return 0 if row is None else int(row[0])

    def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._database.write(
            "INSERT INTO subscriptions"
            " (active, events, url, secret, header, updated_at, id, tenant, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *subscription_fields(subscription),
                str(subscription.id),
                self._tenant,
                microseconds(subscription.created_at),
            ),
        )

    def change_subscription(self, subscription: Subscription) -> None:
        """Put a subscription in the place of the one with its id."""
        self._database.write(
            "UPDATE subscriptions SET active = ?, events = ?, url = ?, secret = ?, header = ?,"
            " updated_at = ? WHERE id = ?",
            (*subscription_fields(subscription), str(subscription.id)),
        )

    def delete_subscription(self, hook_id: UUID) -> None:
        """Forget a subscription and the retries that are pending; keep what happened."""
        with self.transaction():
            key = (str(hook_id),)
            self._database.write("DELETE FROM subscriptions WHERE id = ?", key)
            self._database.write("UPDATE events SET due = NULL WHERE hook_id = ?", key)

    def add_event(self, hook_id: UUID, event: Event) -> KnownEvent:
        """Add an event of a subscription."""
        cursor = self._database.write(
            "INSERT INTO events (id, tenant, hook_id, name, body, enqueued_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                str(event.id),
                self._tenant,
                str(hook_id),
                event.name,
                event.body,
                microseconds(event.enqueued_at),
            ),
        )
        return KnownEvent(
            number=cursor.lastrowid or 0, hook_id=hook_id, attempts=0, retry=0, event=event
        )

    def event(self, event_id: UUID, hook_id: UUID | None = None) -> KnownEvent | None:
        """Return an event; None if the tenant, or the given subscription, has no such."""
        sql = f"SELECT {EVENT} WHERE id = ? AND tenant = ?"
        row = self._database.row(sql, (str(event_id), self._tenant))
        if row is None or (hook_id is not None and row[1] != str(hook_id)):
            return None
        return read_event(row)

    def take_due(self, until: int) -> tuple[int, KnownEvent] | None:
        """Take the next retry off the schedule.

        Args:
            until: Where on the schedule it stands at the latest.

        Returns:
            Where it stands, and its event; None if there is none.
        """
        sql = (
            f"SELECT due, {EVENT} WHERE tenant = ? AND due IS NOT NULL AND due <= ?"
            " ORDER BY due, number LIMIT 1"
        )
        row = self._database.row(sql, (self._tenant, until))
        if row is None:
            return None
        self._database.write("UPDATE events SET due = NULL WHERE number = ?", (row[1],))
        return row[0], read_event(row[1:])

    def schedule(self, event_number: int, retry: int, due: int) -> None:
        """Put the next retry of an event on the schedule, unless its subscription is gone."""
        self._database.write(
            "UPDATE events SET retry = ?, due = ? WHERE number = ?"
            " AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = events.hook_id)",
            (retry, due, event_number),
        )

    def pending(self) -> list[Row]:
        """Return the schedule: event id, hook id, name, retry and where it stands."""
        return self._database.rows(
            "SELECT id, hook_id, name, retry, due FROM events"
            " WHERE tenant = ? AND due IS NOT NULL ORDER BY due, number",
            (self._tenant,),
        )

    def begin(self, known: KnownEvent, delivery_id: UUID, begun: StartedAttempt) -> int:
        """Record the begin of an attempt, and return its number."""
        ordinal = known.attempts + 1
        self._database.write(
            "UPDATE events SET attempts = ? WHERE number = ?", (ordinal, known.number)
        )
        cursor = self._database.write(
            "INSERT INTO attempts"
            " (tenant, event, hook_id, delivery_id, ordinal, retry, url, headers, started_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._tenant,
                known.number,
                str(known.hook_id),
                str(delivery_id),
                ordinal,
                begun.retry,
                begun.url,
                json.dumps(begun.headers),
                begun.at,
            ),
        )
        return cursor.lastrowid or 0

    def finish(self, position: int, outcome: Outcome, at: int) -> None:
        """Record how an attempt ended."""
        self._database.write(
            "UPDATE attempts SET finished_at = ?, status = ?, duration_ms = ?, error = ?"
            " WHERE number = ?",
            (at, outcome.status, outcome.duration_ms, outcome.error, position),
        )

    def attempts(self) -> list[DeliveryAttempt]:
        """Return all attempts, in the order in which they began."""
        sql = f"SELECT {ATTEMPT} WHERE a.tenant = ? ORDER BY a.number"
        return [read_attempt(row) for row in self._database.rows(sql, (self._tenant,))]

    def recent(self, hook_id: UUID, limit: int, *, latest_of_event: bool) -> list[DeliveryAttempt]:
        """Return the latest attempts of a subscription, newest first.

        Args:
            hook_id: The subscription.
            limit: How many at most.
            latest_of_event: Whether only the latest attempt of each event counts.
        """
        only = "AND a.ordinal = e.attempts" if latest_of_event else ""
        sql = f"SELECT {ATTEMPT} WHERE a.hook_id = ? {only} ORDER BY a.number DESC LIMIT ?"
        return [read_attempt(row) for row in self._database.rows(sql, (str(hook_id), limit))]

    def unfinished(self) -> list[tuple[DeliveryAttempt, int]]:
        """Return the attempts under way, each with the number of its event."""
        sql = f"SELECT a.event, {ATTEMPT} WHERE a.tenant = ? AND a.finished_at IS NULL"
        rows = self._database.rows(sql, (self._tenant,))
        return [(read_attempt(row[1:]), row[0]) for row in rows]

    def time(self) -> tuple[int, int]:
        """Return how far the tenant's clock was stepped, and how long its retries have run."""
        sql = "SELECT stepped, ran FROM tenants WHERE number = ?"
        stepped, ran = self._database.row(sql, (self._tenant,)) or (0, 0)
        return stepped, ran

    def keep_time(self, stepped: int, ran: int) -> None:
        """Write these down."""
        self._database.write(
            "UPDATE tenants SET stepped = ?, ran = ? WHERE number = ?",
            (stepped, ran, self._tenant),
        )

    def variants(self) -> Variants:
        """Return how the tenant is answered."""
        sql = "SELECT variants FROM tenants WHERE number = ?"
        row = self._database.row(sql, (self._tenant,))
        return Variants(**json.loads(row[0])) if row else Variants()

    def keep_variants(self, variants: Variants) -> None:
        """Write that down."""
        self._database.write(
            "UPDATE tenants SET variants = ? WHERE number = ?",
            (json.dumps(asdict(variants)), self._tenant),
        )

    def clear(self) -> None:
        """Forget all but who the tenant is, its tokens, and how it is answered."""
        with self.transaction():
            key = (self._tenant,)
            self._database.write("DELETE FROM attempts WHERE tenant = ?", key)
            self._database.write("DELETE FROM events WHERE tenant = ?", key)
            self._database.write("DELETE FROM subscriptions WHERE tenant = ?", key)
            self._database.write("DELETE FROM requests WHERE tenant = ?", key)
            self.keep_time(0, 0)


@frozen(kw_only=True)
class StartedAttempt:
    """How an attempt began, beside which event it sends.

    Attributes:
        retry: Which retry it is, None for a redelivery.
        url: Where to.
        headers: What it sends, nothing if it sends nothing.
        at: When, in microseconds since 1970.
    """

    retry: int | None
    url: str
    headers: tuple[tuple[str, str], ...]
    at: int
