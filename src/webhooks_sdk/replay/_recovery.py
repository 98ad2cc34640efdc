"""What `recover` writes down before it sends, and how a resumed one is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._journal.rows import Plan
from webhooks_sdk.replay._undelivered import Coverage, Recovery

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from webhooks_sdk._models import WebhookEvent
    from webhooks_sdk.replay._journal.writer import JournalWriter


def check_plan(journal: JournalWriter, recovery: Recovery | None) -> None:
    """Check that a journal is one of this replay.

    Args:
        journal: The journal.
        recovery: What is to be recovered; None if the targets come from the caller.

    Raises:
        JournalError: It is one of another recovery, or of none.
    """
    plan = journal.plan
    if recovery is None:
        if plan is not None:
            raise JournalError(
                f"{journal.path} is the journal of a recovery ({_words(plan)}): resume it with"
                " recover, or give redeliver_many another file."
            )
        return
    if plan is None:
        if any(journal.counts().values()):
            raise JournalError(
                f"{journal.path} is a journal of redeliver_many: give recover another file."
            )
        return
    asked = (recovery.hook_id, recovery.since, recovery.until or plan.until)
    if asked != (plan.hook_id, plan.since, plan.until):
        raise JournalError(
            f"{journal.path} is the journal of another recovery ({_words(plan)}): resume it with"
            " the same hook_id, since and until, or give this one another file."
        )


def _words(plan: Plan) -> str:
    return (
        f"of subscription {plan.hook_id}, from {plan.since.isoformat()} to {plan.until.isoformat()}"
    )


def make_plan(
    journal: JournalWriter, recovery: Recovery, listed: Iterable[WebhookEvent], *, now: datetime
) -> None:
    """Write the whole target set of a recovery to its journal.

    Raises:
        JournalError: It cannot be written.
    """
    until = now if recovery.until is None else recovery.until
    found = recovery.find_in(listed, now=now)
    plan = Plan(
        hook_id=recovery.hook_id,
        since=recovery.since,
        until=until,
        oldest_listed=found.coverage.oldest_listed,
        covers_since=found.coverage.covers_since,
        pending=found.coverage.pending,
        total=len(found),
    )
    journal.write_plan(plan, [(event.hook_id, event.id) for event in found])


def coverage_of(plan: Plan) -> Coverage:
    """Return how far back the list reached from which a plan was made."""
    return Coverage(
        oldest_listed=plan.oldest_listed, covers_since=plan.covers_since, pending=plan.pending
    )
