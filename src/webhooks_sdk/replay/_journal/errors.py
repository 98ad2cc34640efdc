"""What a journal keeps of an error, and the error that can be made of it again. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk import errors
from webhooks_sdk._wire.redaction import one_line
from webhooks_sdk.errors import APIError
from webhooks_sdk.replay._journal.rows import ErrorRecord, RowState

if TYPE_CHECKING:
    from webhooks_sdk.replay._journal.rows import Row

_KINDS = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, APIError)
}
_OPEN = frozenset({RowState.IN_FLIGHT, RowState.UNKNOWN})


def record_of(error: Exception) -> ErrorRecord:
    """Return what is kept of an error: of one that is no `APIError`, its class and one line."""
    kind = type(error).__name__
    if not isinstance(error, APIError):
        return ErrorRecord(kind=kind, message=one_line(str(error)))
    return ErrorRecord(
        kind=kind, message=str(error.args[0]), status=error.status, retry_after=error.retry_after
    )


def rebuild_error(record: ErrorRecord, row: Row) -> APIError:
    """Return the error again, as far as it was kept.

    Args:
        record: What was kept of it.
        row: The target whose redelivery failed.

    Returns:
        One of the class that is named, if it is an `APIError` of the SDK; else an `APIError` whose
        message names the class. Headers and body were not kept.
    """
    known = _KINDS.get(record.kind)
    kind = APIError if known is None else known
    return kind(
        record.message if known is not None else f"{record.kind}: {record.message}",
        operation="redeliver",
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=record.status,
        attempts=row.attempts,
        outcome_unknown=row.state in _OPEN,
        retry_after=record.retry_after,
    )
