"""Rows of the database as the nouns that they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import UUID

from webhooks_sdk.sandbox._clock import microseconds, moment
from webhooks_sdk.sandbox._records import DeliveryAttempt, Event, KnownEvent, Subscription

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._storage.database import Row

SUBSCRIPTION: Final = """
    s.id, s.active, s.events, s.url, s.secret, s.header, t.owner_id, t.id, s.created_at,
    s.updated_at
    FROM subscriptions s JOIN tenants t ON t.number = s.tenant
"""
EVENT: Final = "number, hook_id, attempts, retry, id, name, body, enqueued_at FROM events"
ATTEMPT: Final = """
    a.number, e.id, a.delivery_id, a.hook_id, e.name, a.ordinal, a.retry, e.enqueued_at,
    a.started_at, a.finished_at, a.url, a.headers, a.status, a.duration_ms, a.error
    FROM attempts a JOIN events e ON e.number = a.event
"""


def read_attempt(row: Row) -> DeliveryAttempt:
    """Return a row of `ATTEMPT` as the noun that it is."""
    finished_at = row[9]
    return DeliveryAttempt(
        position=row[0],
        event_id=UUID(row[1]),
        delivery_id=UUID(row[2]),
        hook_id=UUID(row[3]),
        event=row[4],
        number=row[5],
        retry=row[6],
        enqueued_at=moment(row[7]),
        started_at=moment(row[8]),
        finished_at=None if finished_at is None else moment(finished_at),
        url=row[10],
        request_headers=tuple((name, value) for name, value in json.loads(row[11])),
        status=row[12],
        duration_ms=row[13],
        error=row[14],
    )


def read_subscription(row: Row) -> Subscription:
    """Return a row of `SUBSCRIPTION` as the noun that it is."""
    return Subscription(
        id=UUID(row[0]),
        active=bool(row[1]),
        events=tuple(json.loads(row[2])),
        url=row[3],
        secret=row[4],
        header=row[5],
        owner_id=UUID(row[6]),
        tenant_id=UUID(row[7]),
        created_at=moment(row[8]),
        updated_at=moment(row[9]),
    )


def subscription_fields(subscription: Subscription) -> tuple[object, ...]:
    """Return what of a subscription can change, in the order of its columns."""
    return (
        subscription.active,
        json.dumps(subscription.events),
        subscription.url,
        subscription.secret,
        subscription.header,
        microseconds(subscription.updated_at),
    )


def read_event(row: Row) -> KnownEvent:
    """Return a row of `EVENT` as the noun that it is."""
    return KnownEvent(
        number=row[0],
        hook_id=UUID(row[1]),
        attempts=row[2],
        retry=row[3],
        event=Event(id=UUID(row[4]), name=row[5], body=row[6], enqueued_at=moment(row[7])),
    )
