"""What a journal holds, and how it is written into SQLite. No I/O."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from attrs import frozen

from webhooks_sdk import errors
from webhooks_sdk.errors import APIError

APPLICATION_ID = 0x7765_6268  # "webh"
FORMAT = 1

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE targets (
    seq INTEGER PRIMARY KEY,
    hook_id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    state TEXT NOT NULL,
    before TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run INTEGER NOT NULL,
    intended_at INTEGER,
    settled_at INTEGER,
    response_status INTEGER,
    duration_ms INTEGER,
    delivery_id BLOB,
    error TEXT
);
CREATE UNIQUE INDEX targets_by_id ON targets (request_id, hook_id);
"""

COLUMNS = (
    "seq, hook_id, request_id, state, attempts, run, intended_at, settled_at, response_status,"
    " duration_ms, delivery_id, error"
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class RowState(StrEnum):
    """Where a target stands: never sent, an intent without an outcome, or its last outcome."""

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Plan:
    """What a recovery was to send, as it was found before the first request.

    Attributes:
        hook_id: The subscription.
        since: When the window begins.
        until: When it ends, not included.
        oldest_listed: When the oldest record that the service listed was made.
        covers_since: Whether that is no later than `since`.
        pending: How many events were left alone because an attempt may have been under way.
        total: How many events were to be sent.
    """

    hook_id: UUID
    since: datetime
    until: datetime
    oldest_listed: datetime | None
    covers_since: bool
    pending: int
    total: int


@frozen
class ErrorRecord:
    """What is kept of an error: enough to tell of it again."""

    kind: str
    message: str
    status: int | None
    retry_after: float | None


@frozen(kw_only=True)
class Row:
    """What is known of one target."""

    seq: int
    hook_id: UUID
    request_id: UUID
    state: RowState
    attempts: int
    run: int
    intended_at: datetime | None
    settled_at: datetime | None
    response_status: int | None
    duration_ms: int | None
    delivery_id: UUID | None
    error: ErrorRecord | None


def read_row(values: tuple[Any, ...]) -> Row:
    """Read what SQLite returns for `COLUMNS`."""
    seq, hook_id, request_id, state, attempts, run, *rest = values
    intended, settled, status, duration, delivery, error = rest
    return Row(
        seq=seq,
        hook_id=UUID(bytes=hook_id),
        request_id=UUID(bytes=request_id),
        state=RowState(state),
        attempts=attempts,
        run=run,
        intended_at=None if intended is None else moment_of(intended),
        settled_at=None if settled is None else moment_of(settled),
        response_status=status,
        duration_ms=duration,
        delivery_id=None if delivery is None else UUID(bytes=delivery),
        error=None if error is None else ErrorRecord(**json.loads(error)),
    )


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime:
    """Return the moment that so many microseconds since 1970 are."""
    return _EPOCH + number * _MICROSECOND


def write_plan_text(plan: Plan) -> str:
    """Return a plan as the text that the journal keeps."""
    oldest = plan.oldest_listed
    return json.dumps(
        {
            "hook_id": str(plan.hook_id),
            "since": microseconds(plan.since),
            "until": microseconds(plan.until),
            "oldest_listed": None if oldest is None else microseconds(oldest),
            "covers_since": plan.covers_since,
            "pending": plan.pending,
            "total": plan.total,
        }
    )


def read_plan_text(text: str) -> Plan:
    """Read it back."""
    kept = json.loads(text)
    oldest = kept["oldest_listed"]
    return Plan(
        hook_id=UUID(kept["hook_id"]),
        since=moment_of(kept["since"]),
        until=moment_of(kept["until"]),
        oldest_listed=None if oldest is None else moment_of(oldest),
        covers_since=kept["covers_since"],
        pending=kept["pending"],
        total=kept["total"],
    )


def error_text(error: Exception) -> str:
    """Return what is kept of an error as text. Messages of the SDK's errors are masked already."""
    return json.dumps(
        {
            "kind": type(error).__name__,
            "message": str(error.args[0]) if isinstance(error, APIError) else str(error),
            "status": getattr(error, "status", None),
            "retry_after": getattr(error, "retry_after", None),
        }
    )


def rebuild_error(row: Row) -> APIError | None:
    """Return the error that a row tells of, as far as it was kept; None if it tells of none."""
    record = row.error
    if record is None:
        return None
    kind: object = getattr(errors, record.kind, None)
    message = record.message
    if not (isinstance(kind, type) and issubclass(kind, APIError)):
        kind, message = APIError, f"{record.kind}: {record.message}"
    return kind(
        message,
        operation="redeliver",
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=record.status,
        attempts=row.attempts,
        outcome_unknown=row.state is RowState.UNKNOWN,
        retry_after=record.retry_after,
    )
