"""The service's nouns as JSON objects, field by field as the API documents them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from webhooks_sdk.sandbox._records import DeliveryAttempt, Subscription
    from webhooks_sdk.sandbox._variants import Unanswered


def subscription_row(subscription: Subscription) -> dict[str, object]:
    """Return a subscription as the API answers it."""
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


def event_row(
    attempt: DeliveryAttempt, tenant_id: UUID, unanswered: Unanswered = "null"
) -> dict[str, object]:
    """Return a delivery attempt as the API answers it: a webhook event.

    Args:
        attempt: The attempt.
        tenant_id: The tenant where the event happened.
        unanswered: What status and duration are if the subscriber has not answered.
    """
    row: dict[str, object] = {
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
    if attempt.status is not None or unanswered == "null":
        row["response_status"] = attempt.status
        row["response_duration_ms"] = attempt.duration_ms
    return row


def _timestamp(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
