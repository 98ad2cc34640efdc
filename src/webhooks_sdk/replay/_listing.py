"""The service's list of delivery attempts, and when it was made by the service's clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from attrs import frozen

from webhooks_sdk._core.responses import APIResponse
from webhooks_sdk._models import WebhookEvent

EventList: TypeAlias = Iterable[WebhookEvent] | APIResponse[list[WebhookEvent]]
"""The delivery attempts, or the response to `list_events` with them, which also has a date."""

# A Date header has no fractions of a second.
_DATE_RESOLUTION = timedelta(seconds=1)


@frozen
class Listing:
    """The listed delivery attempts, and when the list was made.

    The times are those of the service's clock if it is ahead of the local clock, and of the local
    clock otherwise.

    Attributes:
        attempts: The delivery attempts.
        not_before: The earliest time at which the list was made.
        not_after: The latest time at which the list was made.
    """

    attempts: Iterable[WebhookEvent]
    not_before: datetime
    not_after: datetime


def read_list(listed: EventList, *, began: datetime, ended: datetime) -> Listing:
    """Return the listed attempts, and when the list was made.

    Args:
        listed: The delivery attempts, or the response with them.
        began: The local time before the request was sent.
        ended: The local time after the response was received.
    """
    if not isinstance(listed, APIResponse):
        return Listing(listed, began, ended)
    date = _parse_date(listed.headers.get("date"))
    if date is None or date <= ended:
        return Listing(listed.value, began, ended)
    return Listing(listed.value, began + (date - ended), date + _DATE_RESOLUTION)


_LATEST_DATE = datetime(9999, 1, 1, tzinfo=UTC)  # leaves room for arithmetic


def _parse_date(text: str | None) -> datetime | None:
    """Return the time of a Date header (RFC 9110, section 6.6.1), None if it is not valid."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date < _LATEST_DATE else None
