"""The service as a state machine in memory: subscriptions, events, delivery attempts. No I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import Factory, define, evolve

from webhooks_sdk.sandbox._outgoing import compose, receives
from webhooks_sdk.sandbox._records import Delivery, DeliveryAttempt, Event, Subscription
from webhooks_sdk.sandbox._refusals import not_found, unprocessable
from webhooks_sdk.sandbox._rules import matches

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from webhooks_sdk.sandbox._records import Outcome
    from webhooks_sdk.sandbox._rules import Changes

MAX_ACTIVE = 10
MAX_LISTED = 1000


@define
class _Hook:
    """A subscription with what has been delivered to it.

    Attributes:
        subscription: As it is now.
        events: Every event of it, which can all be redelivered.
        recent: Where its latest attempts stand among all attempts, oldest first.
    """

    subscription: Subscription
    events: dict[UUID, Event] = Factory(dict[UUID, Event])
    recent: deque[int] = Factory(lambda: deque[int](maxlen=MAX_LISTED))


class Service:
    """The rules of the service over its state.

    One thread calls it. Only `attempts` may be read by any: it is a list that grows at its end and
    whose items are replaced, so that copying it is atomic.

    Args:
        now: Returns the time, aware and in UTC.
        new_id: Returns a UUID that is new.
    """

    def __init__(self, *, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._now = now
        self._new_id = new_id
        self._owner_id = new_id()
        self._tenant_id = new_id()
        self._hooks: dict[UUID, _Hook] = {}
        self._attempts: list[DeliveryAttempt] = []

    @property
    def tenant_id(self) -> UUID:
        """The one tenant of this service."""
        return self._tenant_id

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """Every delivery attempt so far, in the order in which they began."""
        return tuple(self._attempts)

    def list_subscriptions(self) -> tuple[Subscription, ...]:
        """Return all subscriptions, oldest first."""
        return tuple(hook.subscription for hook in self._hooks.values())

    def get_subscription(self, hook_id: UUID) -> Subscription:
        """Return one subscription.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        return self._hook(hook_id).subscription

    def create_subscription(self, changes: Changes) -> Subscription:
        """Make a subscription.

        Raises:
            RequestRefusedError: 422, `url` is missing, or it must not be active.
        """
        if "url" not in changes:
            raise unprocessable("url is missing.")
        now = self._now()
        subscription = Subscription(
            id=self._new_id(),
            active=changes.get("active", False),
            events=changes.get("events", ()),
            url=changes["url"],
            secret=changes.get("secret"),
            header=changes.get("header"),
            owner_id=self._owner_id,
            tenant_id=self._tenant_id,
            created_at=now,
            updated_at=now,
        )
        self._check_active(subscription, was_active=False)
        self._hooks[subscription.id] = _Hook(subscription)
        return subscription

    def update_subscription(self, hook_id: UUID, changes: Changes) -> Subscription:
        """Change the given fields of a subscription.

        Raises:
            RequestRefusedError: 404, it is not known; 422, it must not be active.
        """
        hook = self._hook(hook_id)
        changed = evolve(hook.subscription, **changes, updated_at=self._now())
        self._check_active(changed, was_active=hook.subscription.active)
        hook.subscription = changed
        return changed

    def delete_subscription(self, hook_id: UUID) -> None:
        """Forget a subscription and its events.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        self._hook(hook_id)
        del self._hooks[hook_id]

    def list_attempts(self, hook_id: UUID) -> tuple[DeliveryAttempt, ...]:
        """Return the latest delivery attempts of a subscription, most recent first.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        return tuple(self._attempts[position] for position in reversed(self._hook(hook_id).recent))

    def publish(self, event: str, body: bytes) -> tuple[Delivery, ...]:
        """Begin the delivery of an event to every subscription that receives it."""
        now = self._now()
        return tuple(
            self._begin(hook, Event(id=self._new_id(), name=event, body=body, enqueued_at=now))
            for hook in self._hooks.values()
            if receives(hook.subscription) and matches(hook.subscription.events, event)
        )

    def redeliver(self, hook_id: UUID, event_id: UUID) -> Delivery:
        """Begin the redelivery of an event.

        Raises:
            RequestRefusedError: 404, the subscription or its event is not known.
        """
        hook = self._hook(hook_id)
        event = hook.events.get(event_id)
        if event is None:
            raise not_found("The subscription has no such event.")
        return self._begin(hook, event)

    def finish(self, delivery: Delivery, outcome: Outcome) -> DeliveryAttempt:
        """Record how a delivery ended, and return its attempt."""
        attempt = evolve(
            self._attempts[delivery.position],
            finished_at=self._now(),
            status=outcome.status,
            duration_ms=outcome.duration_ms,
            error=outcome.error,
        )
        self._attempts[delivery.position] = attempt
        return attempt

    def _hook(self, hook_id: UUID) -> _Hook:
        try:
            return self._hooks[hook_id]
        except KeyError:
            raise not_found("There is no such subscription.") from None

    def _check_active(self, subscription: Subscription, *, was_active: bool) -> None:
        if not subscription.active:
            return
        if not subscription.events:
            raise unprocessable("A subscription can be active only with at least one event.")
        count = sum(hook.subscription.active for hook in self._hooks.values())
        if not was_active and count >= MAX_ACTIVE:
            raise unprocessable(f"At most {MAX_ACTIVE} subscriptions can be active.")

    def _begin(self, hook: _Hook, event: Event) -> Delivery:
        attempt = DeliveryAttempt(
            event_id=event.id,
            delivery_id=self._new_id(),
            hook_id=hook.subscription.id,
            event=event.name,
            redelivery=event.id in hook.events,
            enqueued_at=event.enqueued_at,
            started_at=self._now(),
        )
        position = len(self._attempts)
        self._attempts.append(attempt)
        hook.events[event.id] = event
        hook.recent.append(position)
        request = compose(hook.subscription, event, attempt.delivery_id)
        return Delivery(position=position, request=request)
