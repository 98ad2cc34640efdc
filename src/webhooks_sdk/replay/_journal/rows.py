"""The contents of a journal, and their conversion to and from SQLite values. No I/O."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from attrs import frozen

from webhooks_sdk.replay._journal.database import SQLRow


class RowState(StrEnum):
    """The state of a target: never sent, an intent without an outcome, or its last outcome."""

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Plan:
    """The events that a recovery redelivers, as determined before its first request.

    Attributes:
        hook_id: The subscription.
        since: The start of the window. All datetimes are aware and in UTC.
        until: The end of the window, None if it has no end: the plan then has every event that was
            listed from `since` on.
        oldest_listed: How far back the service's list reached, None if it was empty.
        covers_since: Whether the list reached back to `since`.
        pending: The number of events left out because an attempt may still have been in flight.
        total: The number of events to redeliver.
    """

    hook_id: UUID
    since: datetime
    until: datetime | None
    oldest_listed: datetime | None
    covers_since: bool
    pending: int
    total: int


@frozen(kw_only=True)
class ErrorRecord:
    """What a journal keeps of an error.

    Attributes:
        kind: The name of its class.
        message: Its message, with credentials masked. It can quote the beginning of the response.
        status: The HTTP status of the response, None if there was none.
        retry_after: Seconds that the service asked to wait, None if it did not.
    """

    kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None


@frozen(kw_only=True)
class Row:
    """What a journal holds about a target.

    Attributes:
        hook_id: The subscription.
        request_id: The event.
        state: Its state.
        attempts: How many requests were sent for it, over all runs, without cancelled intents.
        run: The last run that handled it, 0 if none has. Negative if that run has only postponed
            it.
        intent_at: When its last request was about to be sent, None if there was none.
        unresolved_since: When the first request whose effect is unknown was about to be sent: a
            redelivery after that with a 2xx response means delivered. None if the effect of every
            request is known.
        outcome_at: When its last outcome was recorded, None if there was none.
        response_status: The status of the subscriber's response in that outcome, None if unknown.
        duration_ms: Milliseconds that the subscriber took to respond, None if unknown.
        delivery_id: The delivery attempt of that outcome, None if unknown.
        error: The error of that outcome, None if there was none.
    """

    hook_id: UUID
    request_id: UUID
    state: RowState
    attempts: int
    run: int
    intent_at: datetime | None
    unresolved_since: datetime | None
    outcome_at: datetime | None
    response_status: int | None
    duration_ms: int | None
    delivery_id: UUID | None
    error: ErrorRecord | None


COLUMNS = (
    "seq, hook_id, request_id, state, attempts, run, intent_at, open_since, settled_at,"
    " response_status, duration_ms, delivery_id, error_kind, error_message, error_status,"
    " error_retry_after"
)
"""The columns that `row_from_sql` reads. `seq` is the order of insertion."""


def row_from_sql(values: SQLRow) -> Row:
    """Convert a row of `COLUMNS`."""
    _, hook, request, state, attempts, run, *times_and_outcome = values
    intent_at, unresolved_since, outcome_at, *outcome = times_and_outcome
    response_status, duration_ms, delivery, kind, message, status, retry_after = outcome
    return Row(
        hook_id=UUID(bytes=hook),
        request_id=UUID(bytes=request),
        state=RowState(state),
        attempts=attempts,
        run=run,
        intent_at=None if intent_at is None else time_from_sql(intent_at),
        unresolved_since=None if unresolved_since is None else time_from_sql(unresolved_since),
        outcome_at=None if outcome_at is None else time_from_sql(outcome_at),
        response_status=response_status,
        duration_ms=duration_ms,
        delivery_id=None if delivery is None else UUID(bytes=delivery),
        error=None
        if kind is None
        else ErrorRecord(kind=kind, message=message, status=status, retry_after=retry_after),
    )


def error_to_sql(error: ErrorRecord | None) -> SQLRow:
    """Return the values of the last four `COLUMNS`."""
    if error is None:
        return None, None, None, None
    status = integer_to_sql(error.status)
    return text_to_sql(error.kind), text_to_sql(error.message), status, error.retry_after


_MAX_INTEGER = 2**63 - 1
_MAX_TEXT_LENGTH = 2_000


def integer_to_sql(number: int | None) -> int | None:
    """Return the nearest integer that SQLite can hold, since a server may send any."""
    if number is None:
        return None
    return max(-_MAX_INTEGER, min(number, _MAX_INTEGER))


def text_to_sql(text: str) -> str:
    """Return the first 2,000 characters of a text, with lone surrogates escaped."""
    return text[:_MAX_TEXT_LENGTH].encode("utf-8", "backslashreplace").decode()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def time_to_sql(moment: datetime) -> int:
    """Return the microseconds since 1970.

    Raises:
        TypeError: The datetime is naive.
    """
    return (moment - _EPOCH) // _MICROSECOND


def time_from_sql(microseconds: int) -> datetime:
    """Return the datetime, in UTC, of a number of microseconds since 1970."""
    return _EPOCH + microseconds * _MICROSECOND


def plan_to_sql(plan: Plan) -> str:
    """Return the plan as JSON."""
    oldest = plan.oldest_listed
    return json.dumps(
        {
            "hook_id": str(plan.hook_id),
            "since": time_to_sql(plan.since),
            "until": None if plan.until is None else time_to_sql(plan.until),
            "oldest_listed": None if oldest is None else time_to_sql(oldest),
            "covers_since": plan.covers_since,
            "pending": plan.pending,
            "total": plan.total,
        }
    )


def plan_from_sql(text: str) -> Plan:
    """Convert the JSON that `plan_to_sql` returned."""
    values = json.loads(text)
    oldest, until = values["oldest_listed"], values["until"]
    return Plan(
        hook_id=UUID(values["hook_id"]),
        since=time_from_sql(values["since"]),
        until=None if until is None else time_from_sql(until),
        oldest_listed=None if oldest is None else time_from_sql(oldest),
        covers_since=values["covers_since"],
        pending=values["pending"],
        total=values["total"],
    )
