"""What became of a target."""

from __future__ import annotations

from enum import StrEnum


class OutcomeStatus(StrEnum):
    """What became of a target. Every target of a run ends in exactly one."""

    DELIVERED = "delivered"
    """The subscriber answered 2xx."""
    REJECTED = "rejected"
    """The subscriber answered otherwise."""
    ACCEPTED = "accepted"
    """The service took it, and does not say how the subscriber answered. Not sent again."""
    FAILED = "failed"
    """The API refused, or the request was proven unsent until attempts ran out."""
    UNKNOWN = "unknown"
    """It may have been delivered: the request was sent, and no whole answer came."""
    SKIPPED = "skipped"
    """Nothing was sent: a duplicate, or done in an earlier run of the journal."""
