"""Conversion between database rows and models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from webhooks_sdk.sandbox._clock import from_microseconds, to_microseconds
from webhooks_sdk.sandbox._records import DeliveryAttempt, Event, StoredEvent, Subscription

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._storage.database import Row

# The columns and tables of a SELECT, in the order in which the functions below read them.
SELECT_SUBSCRIPTION: Final = """
    s.id, s.active, s.events, s.url, s.secret, s.header, t.owner_id, t.id, s.created_at,
    s.updated_at
    FROM subscriptions s JOIN tenants t ON t.number = s.tenant
"""
SELECT_EVENT: Final = "number, hook_id, attempts, retry, id, name, body, enqueued_at FROM events"
SELECT_ATTEMPT: Final = """
    a.number, e.id, a.delivery_id, a.hook_id, e.name, a.ordinal, a.retry, e.enqueued_at,
    a.started_at, a.finished_at, a.url, a.headers, a.status, a.duration_ms, a.error,
    a.response_content_type, a.response_body, a.response_size
    FROM attempts a JOIN events e ON e.number = a.event
"""


def read_attempt(row: Row) -> DeliveryAttempt:
    """Convert a row of `SELECT_ATTEMPT`."""
    finished_at = row[9]
    return DeliveryAttempt(
        position=row[0],
        event_id=UUID(row[1]),
        delivery_id=UUID(row[2]),
        hook_id=UUID(row[3]),
        event=row[4],
        number=row[5],
        retry=row[6],
        enqueued_at=from_microseconds(row[7]),
        started_at=from_microseconds(row[8]),
        finished_at=None if finished_at is None else from_microseconds(finished_at),
        url=row[10],
        request_headers=tuple((name, value) for name, value in json.loads(row[11])),
        status=row[12],
        duration_ms=row[13],
        error=row[14],
        response_content_type=row[15],
        response_body=row[16],
        response_size=row[17],
    )


def read_subscription(row: Row) -> Subscription:
    """Convert a row of `SELECT_SUBSCRIPTION`."""
    return Subscription(
        id=UUID(row[0]),
        active=bool(row[1]),
        events=tuple(json.loads(row[2])),
        url=row[3],
        secret=row[4],
        header=row[5],
        owner_id=UUID(row[6]),
        tenant_id=UUID(row[7]),
        created_at=from_microseconds(row[8]),
        updated_at=from_microseconds(row[9]),
    )


def subscription_fields(subscription: Subscription) -> tuple[object, ...]:
    """Return the mutable fields of a subscription, in column order."""
    return (
        subscription.active,
        json.dumps(subscription.events),
        subscription.url,
        subscription.secret,
        subscription.header,
        to_microseconds(subscription.updated_at),
    )


def read_event(row: Row) -> StoredEvent:
    """Convert a row of `SELECT_EVENT`."""
    return StoredEvent(
        number=row[0],
        hook_id=UUID(row[1]),
        attempts=row[2],
        retry=row[3],
        event=Event(
            id=UUID(row[4]), name=row[5], body=row[6], enqueued_at=from_microseconds(row[7])
        ),
    )
