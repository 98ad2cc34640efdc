"""Redeliver many events: with a journal, resumable, at a pace that both ends can handle.

Start with `client.hooks.redeliver_many` and `client.hooks.recover`. This package holds the types
they return, `Journal` for reading a journal, and `Replay` and `AsyncReplay` for sending requests by
means other than a client.
"""

from webhooks_sdk._public import set_public_module
from webhooks_sdk.replay._engine.async_replay import AsyncReplay
from webhooks_sdk.replay._engine.sync_replay import Replay
from webhooks_sdk.replay._journal.reader import Journal, JournalEntry
from webhooks_sdk.replay._journal.rows import Plan
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import NotSentReason, Outcome, OutcomeStatus
from webhooks_sdk.replay._report import HistogramBucket, Progress, Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Coverage, Recovery, UndeliveredEvents

__all__ = [
    "AsyncReplay",
    "Coverage",
    "HistogramBucket",
    "Journal",
    "JournalEntry",
    "NotSentReason",
    "Outcome",
    "OutcomeStatus",
    "Plan",
    "Progress",
    "Recovery",
    "Replay",
    "ReplayOptions",
    "Report",
    "Target",
    "TargetLike",
    "UndeliveredEvents",
]

set_public_module(__name__, __all__, globals())
