"""Conversion between errors and what a journal keeps of them. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk import errors
from webhooks_sdk._wire.redaction import one_line
from webhooks_sdk.errors import APIError
from webhooks_sdk.replay._journal.rows import ErrorRecord, RowState

if TYPE_CHECKING:
    from webhooks_sdk.replay._journal.rows import Row

_ERROR_CLASSES = {
    error_class.__name__: error_class
    for error_class in vars(errors).values()
    if isinstance(error_class, type) and issubclass(error_class, APIError)
}
_UNRESOLVED = frozenset({RowState.IN_FLIGHT, RowState.UNKNOWN})


def to_error_record(error: Exception) -> ErrorRecord:
    """Return what a journal keeps of an error. For other than `APIError`: class and message.

    The message of an `APIError` can quote up to 200 characters of the response.
    """
    kind = type(error).__name__
    if not isinstance(error, APIError):
        return ErrorRecord(kind=kind, message=one_line(str(error)))
    return ErrorRecord(
        kind=kind, message=str(error.args[0]), status=error.status, retry_after=error.retry_after
    )


def rebuild_error(record: ErrorRecord, row: Row) -> APIError:
    """Rebuild an error from what the journal kept of it.

    Args:
        record: What was kept of it.
        row: The target whose redelivery failed.

    Returns:
        An error of the recorded class if that is an `APIError` of the SDK; otherwise an `APIError`
        whose message names the class. Headers and body are not kept, except what the message
        quotes of the body.
    """
    known = _ERROR_CLASSES.get(record.kind)
    error_class = APIError if known is None else known
    return error_class(
        record.message if known is not None else f"{record.kind}: {record.message}",
        operation="redeliver",
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=record.status,
        attempts=row.attempts,
        outcome_unknown=row.state in _UNRESOLVED,
        retry_after=record.retry_after,
    )
