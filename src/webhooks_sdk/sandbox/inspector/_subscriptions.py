"""Subscriptions as the pages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from attrs import frozen

from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._service.outgoing import can_receive
from webhooks_sdk.sandbox.inspector._words import State, shown_static_header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhooks_sdk.sandbox._records import Subscription
    from webhooks_sdk.sandbox.inspector._queries import Queries

MOST = 100
"""How many subscriptions are shown; at most ten can be active."""
RECENT = 24
"""Of how many attempts the marks of a subscription tell."""


@frozen(kw_only=True)
class SubscriptionView:
    """A subscription, with what became of its latest attempts.

    Attributes:
        id: The subscription.
        url: Where its events are sent.
        events: What it receives.
        active: Whether it is active.
        receives: Whether it is in a state to receive: active, with events and a valid URL.
        secret: Its secret, or the mask; None if it has none.
        header: Its static header, with the value masked or not; None if it has none.
        recent: How its latest attempts stand, oldest first.
    """

    id: UUID
    url: str
    events: tuple[str, ...]
    active: bool
    receives: bool
    secret: str | None
    header: str | None
    recent: tuple[State, ...]

    @property
    def failing(self) -> bool:
        """Whether the latest attempt that ended has failed."""
        ended = [state for state in self.recent if state != "under_way"]
        return bool(ended) and ended[-1] == "failed"

    @property
    def failed(self) -> int:
        """How many of the latest attempts failed."""
        return self.recent.count("failed")


def describe(
    subscriptions: Iterable[Subscription], queries: Queries, *, reveal: bool
) -> list[SubscriptionView]:
    """Return subscriptions as they are to be shown, active ones first, and so many at most.

    Args:
        subscriptions: The subscriptions.
        queries: Tells of their attempts.
        reveal: Whether their secrets and static headers are shown.
    """
    return [
        SubscriptionView(
            id=one.id,
            url=one.url,
            events=one.events,
            active=one.active,
            receives=can_receive(one),
            secret=(one.secret if reveal else MASK) if one.secret else None,
            header=shown_static_header(one.header, revealed=reveal),
            recent=queries.recent_states(one.id, RECENT),
        )
        for one in sorted(subscriptions, key=lambda one: not one.active)[:MOST]
    ]
