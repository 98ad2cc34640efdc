"""Many redeliveries that can be resumed: what their journal holds, and how to read it."""

from webhooks_sdk.replay._outcomes import OutcomeStatus
from webhooks_sdk.replay._reader import Journal, JournalEntry
from webhooks_sdk.replay._rows import Plan

__all__ = [
    "Journal",
    "JournalEntry",
    "OutcomeStatus",
    "Plan",
]
