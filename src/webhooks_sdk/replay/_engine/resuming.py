"""Decide from the journal of earlier runs whether a target is sent again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.replay._journal.errors import rebuild_error
from webhooks_sdk.replay._journal.rows import RowState
from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus, is_not_found

if TYPE_CHECKING:
    from webhooks_sdk.replay._journal.rows import Row

_SUCCEEDED = frozenset({RowState.DELIVERED, RowState.ACCEPTED})
_RETRYABLE = frozenset({RowState.REJECTED, RowState.FAILED})
_UNRESOLVED = frozenset({RowState.IN_FLIGHT, RowState.UNKNOWN})


def outcome_without_sending(
    row: Row, *, run: int, max_attempts: int, resend_unknown: bool
) -> Outcome | None:
    """Return the outcome of a target that must not be sent, or None if it must be sent.

    Args:
        row: The target's row in the journal.
        run: Number of this run.
        max_attempts: Maximum number of requests for a target, over all runs.
        resend_unknown: Whether to send targets again that may have been delivered.
    """
    if row.run == run or row.state in _SUCCEEDED:
        return _outcome(row, OutcomeStatus.SKIPPED)
    if row.state in _RETRYABLE:
        not_found = row.error is not None and is_not_found(row.error.status)
        if not_found or row.attempts >= max_attempts:
            return _outcome(row, OutcomeStatus(row.state))
    if row.state in _UNRESOLVED and not resend_unknown:
        return _outcome(row, OutcomeStatus.UNKNOWN)
    return None


def _outcome(row: Row, status: OutcomeStatus) -> Outcome:
    error = None if status is OutcomeStatus.SKIPPED else row.error
    return Outcome(
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=status,
        error=None if error is None else rebuild_error(error, row),
        attempts=row.attempts,
    )
