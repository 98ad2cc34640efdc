"""The notice that a page shows about the preceding action, carried in the query string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhooks_sdk.sandbox._records import DeliveryAttempt

_ACTIONS = {"published", "redelivered", "advanced"}
_match_count = re.compile("[0-9]{1,9}").fullmatch


@frozen(kw_only=True)
class Notice:
    """The result of an action.

    Attributes:
        action: `"published"`, `"redelivered"` or `"advanced"`.
        delivered: How many attempts were delivered.
        failed: How many attempts failed.
        finished: Whether the action has finished; otherwise it is still running.
    """

    action: str
    delivered: int = 0
    failed: int = 0
    finished: bool = True

    @property
    def has_failures(self) -> bool:
        """Whether any attempt failed."""
        return self.failed > 0

    @property
    def text(self) -> str:
        """The text of the notice."""
        if not self.finished:
            return _RUNNING[self.action]
        if self.delivered + self.failed == 0:
            return _NO_ATTEMPTS[self.action]
        parts = (
            f"{self.delivered:,} delivered" if self.delivered else "",
            f"{self.failed:,} failed" if self.failed else "",
        )
        return f"{_FINISHED[self.action]}: {', '.join(filter(None, parts))}."


_FINISHED = {"published": "Published", "redelivered": "Redelivered", "advanced": "Clock advanced"}
_NO_ATTEMPTS = {
    "published": "Published, but no active subscription receives this event.",
    "redelivered": "Redelivered.",
    "advanced": "Clock advanced. No retry was due.",
}
_RUNNING = {
    "published": "Published. The subscriber has not responded yet.",
    "redelivered": "Redelivery in flight. The subscriber has not responded yet.",
    "advanced": "The clock is advancing. Retries that are due are being sent.",
}


def build_notice(action: str, attempts: Sequence[DeliveryAttempt] | None) -> Notice:
    """Build the notice for an action.

    Args:
        action: The action.
        attempts: The attempts that it made; None if it is still running.
    """
    if attempts is None or any(attempt.finished_at is None for attempt in attempts):
        return Notice(action=action, finished=False)
    delivered = sum(attempt.delivered for attempt in attempts)
    return Notice(action=action, delivered=delivered, failed=len(attempts) - delivered)


def add_notice(link: str, notice: Notice) -> str:
    """Return a link with a notice added to its query string."""
    query = urlencode(
        {
            "notice": notice.action,
            "delivered": notice.delivered,
            "failed": notice.failed,
            "finished": int(notice.finished),
        }
    )
    return f"{link}{'&' if '?' in link else '?'}{query}"


def read_notice(query: str) -> Notice | None:
    """Return the notice in a query string; None if there is none."""
    parameters = dict(parse_qsl(query))
    action = parameters.get("notice")
    counts = [parameters.get(name, "0") for name in ("delivered", "failed")]
    if action not in _ACTIONS or not all(map(_match_count, counts)):
        return None
    delivered, failed = map(int, counts)
    return Notice(
        action=action,
        delivered=delivered,
        failed=failed,
        finished=parameters.get("finished") != "0",
    )
