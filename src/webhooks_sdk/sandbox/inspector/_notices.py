"""What a page says of the action before it, as its query string holds it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from attrs import frozen

from webhooks_sdk.sandbox.inspector._words import several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhooks_sdk.sandbox._records import DeliveryAttempt

_NAMES = {"published", "redelivered", "advanced"}
_is_count = re.compile("[0-9]{1,9}").fullmatch


@frozen(kw_only=True)
class Notice:
    """What came of an action.

    Attributes:
        action: `"published"`, `"redelivered"` or `"advanced"`.
        delivered: How many attempts were delivered.
        failed: How many failed.
        ended: Whether it has ended; it goes on otherwise.
    """

    action: str
    delivered: int = 0
    failed: int = 0
    ended: bool = True

    @property
    def is_bad(self) -> bool:
        """Whether something failed."""
        return self.failed > 0

    @property
    def text(self) -> str:
        """The notice in words."""
        if not self.ended:
            return _UNDER_WAY[self.action]
        if self.delivered + self.failed == 0:
            return _NOTHING[self.action]
        parts = (
            several(self.delivered, "delivery").replace("deliverys", "deliveries") + " made"
            if self.delivered
            else "",
            f"{self.failed:,} failed" if self.failed else "",
        )
        return f"{_DONE[self.action]}: {', '.join(filter(None, parts))}."


_DONE = {"published": "Published", "redelivered": "Redelivered", "advanced": "Clock advanced"}
_NOTHING = {
    "published": "Published, but no active subscription receives this event.",
    "redelivered": "Redelivered.",
    "advanced": "Clock advanced. No retry came due.",
}
_UNDER_WAY = {
    "published": "Published. The subscriber has not answered yet.",
    "redelivered": "Redelivery under way. The subscriber has not answered yet.",
    "advanced": "The clock is advancing; retries that came due are being delivered.",
}


def notice_of(action: str, attempts: Sequence[DeliveryAttempt] | None) -> Notice:
    """Return what to say of an action.

    Args:
        action: The action.
        attempts: The attempts that it made; None if it goes on.
    """
    if attempts is None or any(one.finished_at is None for one in attempts):
        return Notice(action=action, ended=False)
    delivered = sum(one.delivered for one in attempts)
    return Notice(action=action, delivered=delivered, failed=len(attempts) - delivered)


def add_notice(link: str, notice: Notice) -> str:
    """Return a link to a page that shows a notice."""
    query = urlencode(
        {
            "notice": notice.action,
            "delivered": notice.delivered,
            "failed": notice.failed,
            "ended": int(notice.ended),
        }
    )
    return f"{link}{'&' if '?' in link else '?'}{query}"


def read_notice(query: str) -> Notice | None:
    """Return the notice of a query string; None if there is none."""
    given = dict(parse_qsl(query))
    action = given.get("notice")
    counts = [given.get(name, "0") for name in ("delivered", "failed")]
    if action not in _NAMES or not all(map(_is_count, counts)):
        return None
    delivered, failed = map(int, counts)
    return Notice(
        action=action, delivered=delivered, failed=failed, ended=given.get("ended") != "0"
    )
