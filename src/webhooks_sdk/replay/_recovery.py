"""The plan of a recovery: recorded before the first request, checked when resuming."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._journal.rows import Plan
from webhooks_sdk.replay._undelivered import Coverage, Recovery, find_in_listing

if TYPE_CHECKING:
    from webhooks_sdk.replay._journal.writer import JournalWriter
    from webhooks_sdk.replay._listing import Listing


def check_journal(journal: JournalWriter, recovery: Recovery | None) -> None:
    """Raise an error if a journal belongs to another replay.

    Args:
        journal: The journal.
        recovery: The recovery, None if the caller supplies the targets.

    Raises:
        JournalError: The journal belongs to another recovery, or is not a journal of a recovery.
    """
    plan = journal.plan
    if recovery is None:
        if plan is not None:
            raise JournalError(
                f"{journal.path} is the journal of a recovery ({_describe(plan)}): resume it with"
                " recover, or pass a different journal to redeliver_many."
            )
        return
    if plan is None:
        if any(journal.counts().values()):
            raise JournalError(
                f"{journal.path} is a journal of redeliver_many: pass a different journal to"
                " recover."
            )
        return
    # Without `until`, a journal of a window with an end is resumed too.
    requested = (recovery.hook_id, recovery.since, recovery.until or plan.until)
    if requested != (plan.hook_id, plan.since, plan.until):
        raise JournalError(
            f"{journal.path} is the journal of another recovery ({_describe(plan)}): resume it"
            " with the same hook_id, since and until, or pass a different journal."
        )


def _describe(plan: Plan) -> str:
    end = "" if plan.until is None else f" to {plan.until.isoformat()}"
    return f"subscription {plan.hook_id}, from {plan.since.isoformat()}{end}"


def write_plan(journal: JournalWriter, recovery: Recovery, listing: Listing) -> None:
    """Write all targets of a recovery to its journal.

    Args:
        journal: The journal.
        recovery: The recovery.
        listing: The delivery attempts listed by the service, and when.

    Raises:
        InvalidArgumentError: The window starts in the future.
        JournalError: The journal cannot be written.
    """
    found = find_in_listing(recovery, listing)
    plan = Plan(
        hook_id=recovery.hook_id,
        since=recovery.since,
        until=recovery.until,
        oldest_listed=found.coverage.oldest_listed,
        covers_since=found.coverage.covers_since,
        pending=found.coverage.pending,
        total=len(found),
    )
    journal.write_plan(plan, [(event.hook_id, event.id) for event in found])


def coverage_of(plan: Plan) -> Coverage:
    """Return the coverage of the list that a plan is based on."""
    return Coverage(
        oldest_listed=plan.oldest_listed, covers_since=plan.covers_since, pending=plan.pending
    )
