"""Checks of decoded responses, after the call has succeeded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from webhooks_sdk._codec import format_timestamp
from webhooks_sdk.errors import AttemptNotListedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from webhooks_sdk._models import WebhookEvent, WebhookSubscription
    from webhooks_sdk.operations import Unset

_logger = logging.getLogger("webhooks_sdk")


def warn_if_inactive(
    subscription: WebhookSubscription, *, requested: bool | Unset
) -> WebhookSubscription:
    """Return a new subscription, and log a warning if it is unexpectedly inactive.

    Args:
        subscription: The subscription, as returned by the service.
        requested: The `active` argument of the call; False means that the caller wants it inactive.
    """
    if not subscription.active and requested is not False:
        _logger.warning(
            "subscription %s was created inactive%s: it receives no events until it is updated with"
            " active=True and at least one event",
            subscription.id,
            " although active=True was requested" if requested is True else "",
        )
    return subscription


def select_attempt(
    listed: Sequence[WebhookEvent], *, hook_id: UUID, delivery_id: UUID
) -> WebhookEvent:
    """Return the listed attempt with a delivery id.

    Args:
        listed: The attempts that the service lists.
        hook_id: The subscription that they belong to, for the message.
        delivery_id: The delivery id to find.

    Raises:
        AttemptNotListedError: None of them has it.
    """
    for attempt in listed:
        if attempt.delivery_id == delivery_id:
            return attempt
    oldest = min((attempt.created_at for attempt in listed), default=None)
    reach = (
        "which is empty"
        if oldest is None
        else f"which has {len(listed)} attempts and reaches back to {format_timestamp(oldest)}"
    )
    raise AttemptNotListedError(
        f"Delivery {delivery_id} is not in the list of recent attempts of subscription {hook_id},"
        f" {reach}. Check the delivery id and the subscription, or take the event's id from your"
        " own records."
    )
