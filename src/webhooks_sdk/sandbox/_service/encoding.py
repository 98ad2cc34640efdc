"""Subscriptions and delivery attempts as the JSON objects that the API returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from webhooks_sdk.sandbox._records import DeliveryAttempt, Subscription
    from webhooks_sdk.sandbox._variants import MissingResponse


def encode_subscription(subscription: Subscription) -> dict[str, object]:
    """Return the JSON object of a subscription."""
    return {
        "id": str(subscription.id),
        "active": subscription.active,
        "confirmed": False,
        "events": list(subscription.events),
        "config": {
            "url": subscription.url,
            "secret": subscription.secret,
            "header": subscription.header,
        },
        "owner_id": str(subscription.owner_id),
        "tenant_id": str(subscription.tenant_id),
        "created_at": _timestamp(subscription.created_at),
        "updated_at": _timestamp(subscription.updated_at),
    }


def encode_event(
    attempt: DeliveryAttempt, tenant_id: UUID, missing_response: MissingResponse = "null"
) -> dict[str, object]:
    """Return the JSON object of a delivery attempt: a webhook event.

    Args:
        attempt: The attempt.
        tenant_id: The tenant of the event.
        missing_response: How to encode status and duration if the subscriber has not responded.
    """
    item: dict[str, object] = {
        "id": str(attempt.event_id),
        "tenant_id": str(tenant_id),
        "delivery_id": str(attempt.delivery_id),
        "event": attempt.event,
        "enqueued_at": _timestamp(attempt.enqueued_at),
        "redelivery": attempt.redelivery,
        "hook_id": str(attempt.hook_id),
        "created_at": _timestamp(attempt.started_at),
        "updated_at": _timestamp(attempt.finished_at or attempt.started_at),
    }
    if attempt.status is not None or missing_response == "null":
        item["response_status"] = attempt.status
        item["response_duration_ms"] = attempt.duration_ms
    return item


def _timestamp(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
