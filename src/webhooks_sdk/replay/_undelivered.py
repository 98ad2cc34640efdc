"""Which events were not delivered, as far as a list of delivery attempts can tell."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import inf
from operator import itemgetter
from typing import Any
from uuid import UUID

from attrs import Attribute, field, frozen
from attrs.validators import optional

from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import InvalidArgumentError


def _aware(_: object, attribute: "Attribute[Any]", moment: object) -> None:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidArgumentError(
            f"{attribute.name} must be an aware datetime, such as"
            f" datetime(2026, 1, 31, tzinfo=UTC), not {moment!r}."
        )


def _seconds(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise InvalidArgumentError(
            f"{attribute.name} must be a number of seconds of at least 0, not {value!r}."
        )


@frozen(kw_only=True)
class Coverage:
    """How far back the service's list of recent events reached.

    Attributes:
        oldest_listed: When the oldest record of the list was made, None if the list was empty.
        covers_since: Whether that is no later than the beginning of the window, so that nothing in
            the window can be missing. If it is False, events from before `oldest_listed` may be
            missing: take their ids from your own records and pass them to `redeliver_many`.
        pending: How many events were left alone because an attempt may still be under way.
    """

    oldest_listed: datetime | None
    covers_since: bool
    pending: int


@frozen(kw_only=True)
class UndeliveredEvents:
    """The events of a window that no attempt delivered: what `recover` would send.

    It can be iterated, and has a length.

    Attributes:
        events: For each such event its latest attempt that is listed, in the order in which the
            events happened.
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
    """What is to be recovered: the undelivered events of one subscription in a window.

    Attributes:
        hook_id: The subscription.
        since: When the window begins.
        until: When it ends, not included; None for now.
        pending_grace: Seconds for which an attempt without a status may still be under way.

    Raises:
        InvalidArgumentError: A datetime is naive, the window is empty, or the seconds are none.
    """

    hook_id: UUID
    since: datetime = field(validator=_aware)
    until: datetime | None = field(default=None, validator=optional(_aware))
    pending_grace: float = field(default=120.0, validator=_seconds)

    def __attrs_post_init__(self) -> None:
        if self.until is not None and self.since >= self.until:
            raise InvalidArgumentError(
                f"since ({self.since.isoformat()}) must be before until ({self.until.isoformat()})."
            )

    def find_in(self, listed: Iterable[WebhookEvent], *, now: datetime) -> UndeliveredEvents:
        """Tell which events were not delivered.

        All attempts of an event are taken together, whatever their order: it counts if none was
        answered 2xx. Then its earliest `enqueued_at` decides whether it lies in the window.

        Args:
            listed: The attempts, as the service lists them.
            now: The time, by the service's clock as well as it is known.
        """
        attempts_of: defaultdict[UUID, list[WebhookEvent]] = defaultdict(list)
        for attempt in listed:
            attempts_of[attempt.id].append(attempt)
        undelivered: list[tuple[datetime, WebhookEvent]] = []
        pending = 0
        for attempts in attempts_of.values():
            happened = min(attempt.enqueued_at for attempt in attempts)
            if not self._covers(happened, now) or any(attempt.delivered for attempt in attempts):
                continue
            if any(self._is_pending(attempt, now) for attempt in attempts):
                pending += 1
            else:
                undelivered.append((happened, max(attempts, key=_last_change)))
        undelivered.sort(key=itemgetter(0))
        # The record of an event's first attempt is no older than the event: what happened after
        # the oldest record of all has one in the list.
        records = (one.created_at for attempts in attempts_of.values() for one in attempts)
        oldest = min(records, default=None)
        return UndeliveredEvents(
            events=tuple(event for _, event in undelivered),
            coverage=Coverage(
                oldest_listed=oldest,
                covers_since=oldest is not None and oldest <= self.since,
                pending=pending,
            ),
        )

    def _covers(self, moment: datetime, now: datetime) -> bool:
        return self.since <= moment < (now if self.until is None else self.until)

    def _is_pending(self, attempt: WebhookEvent, now: datetime) -> bool:
        age = now - _last_change(attempt)
        return attempt.response_status is None and age.total_seconds() < self.pending_grace


def _last_change(attempt: WebhookEvent) -> datetime:
    # Which of the two an attempt's record changes is undocumented.
    return max(attempt.created_at, attempt.updated_at)


def redelivered_since(attempt: WebhookEvent, intended_at: datetime) -> bool:
    """Tell whether an attempt is a redelivery that was begun at a moment, and answered 2xx.

    Args:
        attempt: As the service lists it.
        intended_at: Just before the request for the redelivery was sent.
    """
    # The service cuts its timestamps to milliseconds.
    begun = intended_at.replace(microsecond=intended_at.microsecond // 1000 * 1000)
    return attempt.redelivery and attempt.delivered and _last_change(attempt) >= begun
