"""Decide from the journal of earlier runs whether a target is sent again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.replay._journal.errors import rebuild_error
from webhooks_sdk.replay._journal.rows import RowState
from webhooks_sdk.replay._outcomes import NotSentReason, Outcome, OutcomeStatus, is_not_found
from webhooks_sdk.replay._undelivered import changed_since, last_change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from webhooks_sdk._models import WebhookEvent
    from webhooks_sdk.replay._journal.rows import Row

_UNRESOLVED = frozenset({RowState.IN_FLIGHT, RowState.UNKNOWN})


def outcome_without_sending(
    row: Row, *, run: int, from_journal: bool, resend_unknown: bool, found_delivered: bool
) -> Outcome | None:
    """Return the outcome of a target that must not be sent, or None if it must be sent.

    The number of requests that earlier runs sent does not matter: while the subscriber is down,
    they all fail, and a run after the outage must still send the target.

    Args:
        row: The target's row in the journal.
        run: Number of this run.
        from_journal: Whether the target was taken from the journal, not from the caller.
        resend_unknown: Whether to send targets again that may have been delivered.
        found_delivered: Whether this run found a redelivery in the service's list.
    """
    reason = _reason_not_to_send(
        row,
        run=run,
        from_journal=from_journal,
        resend_unknown=resend_unknown,
        found_delivered=found_delivered,
    )
    if reason is None:
        return None
    error = None if reason.status is OutcomeStatus.SKIPPED else row.error
    return Outcome(
        hook_id=row.hook_id,
        request_id=row.request_id,
        status=reason.status,
        error=None if error is None else rebuild_error(error, row),
        attempts=row.attempts,
        not_sent=reason,
    )


def _reason_not_to_send(
    row: Row, *, run: int, from_journal: bool, resend_unknown: bool, found_delivered: bool
) -> NotSentReason | None:
    was_postponed = row.run == -run
    if row.run == run or (was_postponed and not from_journal):
        return NotSentReason.DUPLICATE
    if row.state is RowState.DELIVERED:
        return NotSentReason.FOUND_DELIVERED if found_delivered else NotSentReason.DONE_EARLIER
    if row.state is RowState.ACCEPTED:
        return NotSentReason.ACCEPTED_EARLIER
    if row.state in _UNRESOLVED and not resend_unknown:
        return NotSentReason.UNKNOWN_EARLIER
    if row.state is RowState.FAILED and row.error is not None and is_not_found(row.error.status):
        return NotSentReason.NOT_FOUND_EARLIER
    return None


def resolve_accepted(
    row: Row, listed: Sequence[WebhookEvent], *, now: datetime, grace: float
) -> tuple[OutcomeStatus, WebhookEvent] | None:
    """Return what became of a redelivery for which no response was reported at the time.

    The service can report no response because it does not wait for the subscriber, or because the
    subscriber was down. The list tells the two apart.

    Args:
        row: The accepted target's row in the journal.
        listed: Its delivery attempts, as listed by the service.
        now: The current time, ideally by the service's clock.
        grace: Seconds for which an attempt without a status counts as still in flight.

    Returns:
        Delivered or rejected, and the attempt that shows it; None if the list does not tell.
    """
    assert row.intent_at is not None
    since = row.intent_at
    attempts = [
        attempt
        for attempt in listed
        if attempt.delivery_id == row.delivery_id or changed_since(attempt, since)
    ]
    for attempt in attempts:
        if attempt.delivered:
            return OutcomeStatus.DELIVERED, attempt
    latest = max(attempts, key=last_change, default=None)
    if latest is None:
        return None
    age = (now - last_change(latest)).total_seconds()
    if latest.response_status is None and grace > 0 and age < grace:
        return None
    return OutcomeStatus.REJECTED, latest
