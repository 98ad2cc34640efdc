"""What the journal of earlier runs says is to be done with a target. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.replay._journal.errors import rebuild_error
from webhooks_sdk.replay._journal.rows import RowState
from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus, is_gone

if TYPE_CHECKING:
    from webhooks_sdk.replay._journal.rows import Row

_DONE = frozenset({RowState.DELIVERED, RowState.ACCEPTED})
_TO_REPEAT = frozenset({RowState.REJECTED, RowState.FAILED})
_UNRESOLVED = frozenset({RowState.IN_FLIGHT, RowState.UNKNOWN})


def outcome_without_sending(
    row: Row, *, run: int, max_attempts: int, resend_unknown: bool
) -> Outcome | None:
    """Return the outcome of a target for which nothing is to be sent; None if it is to be sent.

    Args:
        row: What the journal says of it.
        run: The number of this run.
        max_attempts: How many requests a target may take, over all runs.
        resend_unknown: Whether what may have been delivered is to be sent again.
    """
    if row.run == run or row.state in _DONE:
        return _outcome(row, OutcomeStatus.SKIPPED)
    if row.state in _TO_REPEAT:
        gone = row.error is not None and is_gone(row.error.status)
        if gone or row.attempts >= max_attempts:
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
