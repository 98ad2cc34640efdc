"""Find undelivered events in a list of delivery attempts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from attrs import Attribute, field, frozen
from attrs.validators import optional

from webhooks_sdk._core.validation import check_seconds
from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay._listing import EventList, Listing, read_list


def _check_aware(_: object, attribute: "Attribute[Any]", moment: object) -> None:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidArgumentError(
            f"{attribute.name} must be an aware datetime, such as"
            f" datetime(2026, 1, 31, tzinfo=UTC), got {moment!r}."
        )
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise InvalidArgumentError(
            f"{attribute.name} must be in the years 1 to 9999 in UTC, got {moment!r}."
        ) from None


def _check_grace(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_seconds(attribute.name, value, allow_zero=True, error_class=InvalidArgumentError)


@frozen(kw_only=True)
class Coverage:
    """How far back the service's list of recent events reached.

    Attributes:
        oldest_listed: When the oldest listed record was created, None if the list was empty.
        covers_since: Whether the list reaches back to the start of the window, so that it includes
            every event in it. If False, events before `oldest_listed` may be missing: take their
            IDs from your own records and pass them to `redeliver_many`.
        pending: Number of events left out because an attempt may still be in flight.
    """

    oldest_listed: datetime | None
    covers_since: bool
    pending: int


@frozen(kw_only=True)
class UndeliveredEvents:
    """The undelivered events of a window: those that `recover` would redeliver.

    Supports iteration and `len()`.

    Attributes:
        events: The latest listed attempt of each event. First the events that were never
            redelivered, in the order in which they happened, then the others, those with the least
            recent redelivery first.
        coverage: How far back the list reached.
    """

    events: tuple[WebhookEvent, ...]
    coverage: Coverage

    def __iter__(self) -> Iterator[WebhookEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


@frozen(kw_only=True)
class Recovery:
    """The window of a recovery: the undelivered events of one subscription are redelivered.

    Attributes:
        hook_id: The subscription.
        since: Start of the window, inclusive.
        until: End of the window, exclusive. None for no end: the window has every listed event
            from `since` on.
        pending_grace: Seconds for which an attempt without a status counts as still in flight,
            from 0 to 1,000,000.

    Raises:
        InvalidArgumentError: A datetime is naive or out of range, the window is empty, or
            `pending_grace` is out of range.
    """

    hook_id: UUID
    since: datetime = field(validator=_check_aware)
    until: datetime | None = field(default=None, validator=optional(_check_aware))
    pending_grace: float = field(default=120.0, validator=_check_grace)

    def __attrs_post_init__(self) -> None:
        if self.until is not None and self.since >= self.until:
            raise InvalidArgumentError(
                f"since must be before until ({self.until.isoformat()}),"
                f" got {self.since.isoformat()}."
            )

    def find_in(self, listed: Iterable[WebhookEvent], *, now: datetime) -> UndeliveredEvents:
        """Return the undelivered events.

        Attempts are grouped by event, in any order. An event is undelivered if none of its attempts
        received a 2xx response, and it is in the window if its earliest `enqueued_at` is.

        Args:
            listed: The attempts listed by the service.
            now: The current time, ideally by the service's clock.
        """
        attempts_of: defaultdict[UUID, list[WebhookEvent]] = defaultdict(list)
        for attempt in listed:
            attempts_of[attempt.id].append(attempt)
        undelivered: list[tuple[datetime, datetime, WebhookEvent]] = []
        pending = 0
        for attempts in attempts_of.values():
            happened = min(attempt.enqueued_at for attempt in attempts)
            if not self._in_window(happened) or any(attempt.delivered for attempt in attempts):
                continue
            if any(self._is_pending(attempt, now) for attempt in attempts):
                pending += 1
            else:
                latest = max(attempts, key=last_change)
                undelivered.append((_last_redelivery(attempts), happened, latest))
        # A run that the circuit breaker stops must not begin with the same failures each time.
        undelivered.sort(key=itemgetter(0, 1))
        # A record is never older than its event, so every event after the oldest record is listed.
        records = (attempt.created_at for attempts in attempts_of.values() for attempt in attempts)
        oldest = min(records, default=None)
        return UndeliveredEvents(
            events=tuple(event for _, _, event in undelivered),
            coverage=Coverage(
                oldest_listed=oldest,
                covers_since=oldest is not None and oldest <= truncated(self.since),
                pending=pending,
            ),
        )

    def _in_window(self, moment: datetime) -> bool:
        # The service truncates its timestamps to milliseconds.
        since = truncated(self.since)
        return since <= moment and (self.until is None or moment < self.until)

    def _is_pending(self, attempt: WebhookEvent, now: datetime) -> bool:
        age = now - last_change(attempt)
        # The time of the list is known to a second only, so a grace of 0 is not compared.
        in_flight = self.pending_grace > 0 and age.total_seconds() < self.pending_grace
        return attempt.response_status is None and in_flight


def find_in_list(
    recovery: Recovery, listed: EventList, *, began: datetime, ended: datetime
) -> UndeliveredEvents:
    """Return the undelivered events of a list that was just requested.

    Ages are measured by the clock of the service if the response shows it, otherwise by the local
    one.

    Args:
        recovery: The window.
        listed: The attempts listed by the service, or the response with them.
        began: The local time before the request was sent.
        ended: The local time after the response was received.

    Raises:
        InvalidArgumentError: The window starts in the future.
    """
    return find_in_listing(recovery, read_list(listed, began=began, ended=ended))


def find_in_listing(recovery: Recovery, listing: Listing) -> UndeliveredEvents:
    """Return the undelivered events of a listing.

    Raises:
        InvalidArgumentError: The window starts in the future.
    """
    if recovery.since > listing.not_after:
        raise InvalidArgumentError(
            f"since must not be in the future (it is now {listing.not_after.isoformat()}),"
            f" got {recovery.since.isoformat()}."
        )
    return recovery.find_in(listing.attempts, now=listing.not_before)


def last_change(attempt: WebhookEvent) -> datetime:
    """Return when the service last changed the record of an attempt."""
    # It is undocumented which of the two times changes when a record is updated.
    return max(attempt.created_at, attempt.updated_at)


def _last_redelivery(attempts: Iterable[WebhookEvent]) -> datetime:
    """Return when the last redelivery of an event was made, the earliest time if there was none."""
    times = (last_change(attempt) for attempt in attempts if attempt.redelivery)
    return max(times, default=datetime.min.replace(tzinfo=UTC))


def was_redelivered_since(attempt: WebhookEvent, intent_at: datetime) -> bool:
    """Return whether an attempt is a successful redelivery that started at or after a time.

    Args:
        attempt: The attempt as listed by the service.
        intent_at: When the request for the redelivery was about to be sent.
    """
    return attempt.redelivery and attempt.delivered and changed_since(attempt, intent_at)


def changed_since(attempt: WebhookEvent, moment: datetime) -> bool:
    """Return whether the record of an attempt changed at or after a time."""
    return last_change(attempt) >= truncated(moment)


def truncated(moment: datetime) -> datetime:
    """Return a time truncated to milliseconds, as the service truncates its timestamps."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
