"""Many redeliveries that survive what goes wrong: journalled, resumable, gentle to both ends.

`client.hooks.redeliver_many` and `client.hooks.recover` are the way in. Here are what they return,
the journal to read, and `Replay` and `AsyncReplay` for who sends by other means than a client.
"""

from webhooks_sdk._public import set_public_module
from webhooks_sdk.replay._engine.async_replay import AsyncReplay
from webhooks_sdk.replay._engine.sync_replay import Replay
from webhooks_sdk.replay._journal.reader import Journal, JournalEntry
from webhooks_sdk.replay._journal.rows import Plan
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import Outcome, OutcomeStatus
from webhooks_sdk.replay._report import HistogramBucket, Progress, Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Coverage, Recovery, UndeliveredEvents

__all__ = [
    "AsyncReplay",
    "Coverage",
    "HistogramBucket",
    "Journal",
    "JournalEntry",
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
