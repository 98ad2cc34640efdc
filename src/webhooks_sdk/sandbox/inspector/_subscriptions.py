"""Subscriptions as the pages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from attrs import frozen

from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._service.outgoing import can_receive
from webhooks_sdk.sandbox.inspector._formatting import State, display_static_header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhooks_sdk.sandbox._records import Subscription
    from webhooks_sdk.sandbox.inspector._queries import Queries

MAX_SHOWN = 100
"""The maximum number of subscriptions that a page shows. At most ten can be active."""
RECENT_ATTEMPTS = 24
"""The number of latest attempts that are shown for each subscription."""


@frozen(kw_only=True)
class SubscriptionView:
    """A subscription with the states of its latest attempts.

    Attributes:
        id: The ID of the subscription.
        url: The URL that its events are sent to.
        events: The events it receives.
        active: Whether it is active.
        can_receive: Whether it is active, with events and a valid URL.
        secret: Its secret, possibly masked; None if it has none.
        header: Its static header, its value possibly masked; None if it has none.
        recent: The states of its latest attempts, oldest first.
    """

    id: UUID
    url: str
    events: tuple[str, ...]
    active: bool
    can_receive: bool
    secret: str | None
    header: str | None
    recent: tuple[State, ...]

    @property
    def is_failing(self) -> bool:
        """Whether the latest finished attempt failed."""
        finished = [state for state in self.recent if state != "in_flight"]
        return bool(finished) and finished[-1] == "failed"

    @property
    def failure_count(self) -> int:
        """How many of the latest attempts failed."""
        return self.recent.count("failed")


def build_subscription_views(
    subscriptions: Iterable[Subscription], queries: Queries, *, reveal: bool
) -> list[SubscriptionView]:
    """Return subscriptions for display, active ones first, at most `MAX_SHOWN`.

    Args:
        subscriptions: The subscriptions.
        queries: The source of their attempts.
        reveal: Whether to show their secrets and static headers.
    """
    return [
        SubscriptionView(
            id=subscription.id,
            url=subscription.url,
            events=subscription.events,
            active=subscription.active,
            can_receive=can_receive(subscription),
            secret=(subscription.secret if reveal else MASK) if subscription.secret else None,
            header=display_static_header(subscription.header, reveal=reveal),
            recent=queries.recent_states(subscription.id, RECENT_ATTEMPTS),
        )
        for subscription in sorted(subscriptions, key=lambda subscription: not subscription.active)[
            :MAX_SHOWN
        ]
    ]
