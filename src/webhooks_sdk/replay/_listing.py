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

    Attributes:
        attempts: The delivery attempts.
        not_before: The earliest time at which the list was made, by the service's clock if the
            response has a valid date, otherwise by the local clock.
        not_after: The latest time at which the list was made, by whichever clock is ahead.
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
    if date is None:
        return Listing(listed.value, began, ended)
    # The local clock may have been set back during the request.
    elapsed = max(ended - began, timedelta(0))
    return Listing(listed.value, date - elapsed, max(date + _DATE_RESOLUTION, ended))


# These leave room for arithmetic.
_EARLIEST_DATE = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_DATE = datetime(9999, 1, 1, tzinfo=UTC)


def _parse_date(text: str | None) -> datetime | None:
    """Return the time of a Date header (RFC 9110, section 6.6.1), None if it is not valid."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        date = date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if _EARLIEST_DATE <= date < _LATEST_DATE else None
