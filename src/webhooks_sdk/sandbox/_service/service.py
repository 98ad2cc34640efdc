"""The rules of the service for one tenant: subscriptions, events, attempts, retries.

What happens is decided here and in the pure modules below; the rows are in the store.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import evolve

from webhooks_sdk.sandbox._clock import microseconds, moment
from webhooks_sdk.sandbox._records import (
    DEFAULT_TIMEOUTS,
    Delivery,
    DeliveryAttempt,
    Event,
    Outcome,
    PendingRetry,
    Subscription,
)
from webhooks_sdk.sandbox._service.change_signal import ChangeSignal
from webhooks_sdk.sandbox._service.errors import not_found, unprocessable
from webhooks_sdk.sandbox._service.outgoing import compose, receives
from webhooks_sdk.sandbox._service.rules import matches
from webhooks_sdk.sandbox._service.schedule import next_retry
from webhooks_sdk.sandbox._service.timeline import Timeline
from webhooks_sdk.sandbox._storage.store import StartedAttempt, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from webhooks_sdk.sandbox._records import Account, KnownEvent, Timeouts
    from webhooks_sdk.sandbox._service.rules import SubscriptionChanges
    from webhooks_sdk.sandbox._service.timeline import Clock
    from webhooks_sdk.sandbox._storage.database import Database
    from webhooks_sdk.sandbox._variants import Variants

MAX_ACTIVE = 10
LOST = Outcome(error="the sandbox ended before an answer came")


class Service:
    """The service, as one tenant sees it.

    What changes something is called in one thread, or before and after that one runs.

    Args:
        database: Where everything is kept.
        account: Whose it is.
        timeouts: The attribute's first value.
        clock: The real time.
        new_id: Returns a UUID that is new.

    Attributes:
        account: Who the tenant is.
        timeouts: How long its deliveries wait for a subscriber.
        timeline: What time it is for the tenant.
        changes: Tells of every change.
        is_closed: Whether the tenant was forgotten.
    """

    def __init__(
        self,
        database: Database,
        account: Account,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self.account: Account = account
        self.timeouts: Timeouts = timeouts
        self.changes: ChangeSignal = ChangeSignal()
        self.is_closed: bool = False
        self._new_id = new_id
        self._store = Store(database, account)
        stepped, ran = self._store.time()
        self.timeline: Timeline = Timeline(clock, stepped=stepped, ran=ran)
        self._variants = self._store.variants()

    @property
    def variants(self) -> Variants:
        """How it answers where the documentation leaves it open."""
        return self._variants

    @variants.setter
    def variants(self, variants: Variants) -> None:
        self._store.keep_variants(variants)
        self._variants = variants
        self.changes.notify()

    @property
    def now(self) -> datetime:
        """The time by the tenant's clock."""
        return moment(self.timeline.now())

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """Every delivery attempt so far, in the order in which they began."""
        return tuple(self._store.attempts())

    @property
    def pending_retries(self) -> tuple[PendingRetry, ...]:
        """The retries to come, the next one first."""
        to_come = self.timeline.now() - self.timeline.position
        return tuple(
            PendingRetry(
                event_id=UUID(event_id),
                hook_id=UUID(hook_id),
                event=name,
                retry=retry,
                due_at=moment(to_come + due),
            )
            for event_id, hook_id, name, retry, due in self._store.pending()
        )

    def list_subscriptions(self) -> tuple[Subscription, ...]:
        """Return all subscriptions, oldest first."""
        return tuple(self._store.subscriptions())

    def get_subscription(self, hook_id: UUID) -> Subscription:
        """Return one subscription.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        subscription = self._store.subscription(hook_id)
        if subscription is None:
            raise not_found("There is no such subscription.")
        return subscription

    def create_subscription(self, changes: SubscriptionChanges) -> Subscription:
        """Make a subscription.

        Raises:
            RequestRefusedError: 422, `url` is missing, or it must not be active.
        """
        if "url" not in changes:
            raise unprocessable("url is missing.")
        now = self.now
        subscription = Subscription(
            id=self._new_id(),
            active=changes.get("active", False),
            events=changes.get("events", ()),
            url=changes["url"],
            secret=changes.get("secret"),
            header=changes.get("header"),
            owner_id=self.account.owner_id,
            tenant_id=self.account.id,
            created_at=now,
            updated_at=now,
        )
        self._check_active(subscription, was_active=False)
        self._store.add_subscription(subscription)
        self.changes.notify()
        return subscription

    def update_subscription(self, hook_id: UUID, changes: SubscriptionChanges) -> Subscription:
        """Change the given fields of a subscription.

        Raises:
            RequestRefusedError: 404, it is not known; 422, it must not be active.
        """
        before = self.get_subscription(hook_id)
        changed = evolve(before, **changes, updated_at=self.now)
        self._check_active(changed, was_active=before.active)
        self._store.change_subscription(changed)
        self.changes.notify()
        return changed

    def delete_subscription(self, hook_id: UUID) -> None:
        """Forget a subscription: its events cannot be redelivered, and nothing is tried again.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        self.get_subscription(hook_id)
        self._store.delete_subscription(hook_id)
        self.changes.notify()

    def list_attempts(self, hook_id: UUID) -> Sequence[DeliveryAttempt]:
        """Return the latest delivery attempts of a subscription, as the variants say.

        Raises:
            RequestRefusedError: 404, it is not known.
        """
        self.get_subscription(hook_id)
        variants = self._variants
        attempts = self._store.recent(
            hook_id, variants.listed, latest_of_event=variants.rows == "events"
        )
        if variants.order == "oldest_first":
            attempts.reverse()
        elif variants.order == "shuffled":
            attempts.sort(key=_shuffled)
        return attempts

    def publish(self, event: str, body: bytes) -> tuple[Delivery, ...]:
        """Begin the delivery of an event to every subscription that receives it."""
        now = self.now
        receivers = [
            one
            for one in self._store.subscriptions()
            if receives(one) and matches(one.events, event)
        ]
        with self._store.transaction():
            deliveries: list[Delivery] = []
            for one in receivers:
                happened = Event(id=self._new_id(), name=event, body=body, enqueued_at=now)
                known = self._store.add_event(one.id, happened)
                deliveries.append(self._begin(one, known, retry=0))
        self.changes.notify()
        return tuple(deliveries)

    def redeliver(self, hook_id: UUID, event_id: UUID) -> Delivery:
        """Begin the redelivery of an event.

        Raises:
            RequestRefusedError: 404, the subscription or its event is not known.
        """
        subscription = self.get_subscription(hook_id)
        known = self._store.event(event_id, hook_id)
        if known is None:
            raise not_found("The subscription has no such event.")
        with self._store.transaction():
            delivery = self._begin(subscription, known, retry=None)
        self.changes.notify()
        return delivery

    def retry_next(self, until: int) -> Delivery | None:
        """Begin the next retry that is due, stepping the clock to where it stands.

        Args:
            until: Where on the schedule it stands at the latest.

        Returns:
            The retry; None if none is due until then.
        """
        with self._store.transaction():
            taken = self._store.take_due(until)
            if taken is None:
                return None
            due, known = taken
            self._step_to(due)
            subscription = self.get_subscription(known.hook_id)
            delivery = self._begin(subscription, known, retry=known.retry)
        self.changes.notify()
        return delivery

    def step_to(self, position: int) -> None:
        """Step the clock until the schedule stands at a position."""
        self._step_to(position)
        self.changes.notify()

    def end(self) -> None:
        """End what is under way, stop the flow of time, and write down where it stands."""
        self.recover()
        if self.timeline.flows:
            self.timeline.stop()
            self._keep_time()

    def finish(self, delivery: Delivery, outcome: Outcome) -> DeliveryAttempt:
        """Record how a delivery ended, schedule what follows, and return its attempt."""
        now = self.timeline.now()
        attempt = evolve(
            delivery.attempt,
            finished_at=moment(now),
            status=outcome.status,
            duration_ms=outcome.duration_ms,
            error=outcome.error,
        )
        self._end(attempt, delivery.event_number, outcome, now)
        self.changes.notify()
        return attempt

    def recover(self) -> None:
        """End the attempts that are under way with nobody left to see what comes of them."""
        for attempt, event_number in self._store.unfinished():
            self._end(attempt, event_number, LOST, self.timeline.now())

    def body(self, event_id: UUID) -> bytes | None:
        """Return the body of an event, None if there is no such event."""
        known = self._store.event(event_id)
        return None if known is None else known.event.body

    def reset(self) -> None:
        """Forget everything but the account and its tokens, and go back to the real time."""
        self._store.clear()
        self.timeline.reset()
        self.changes.notify()

    def _end(self, attempt: DeliveryAttempt, event_number: int, outcome: Outcome, at: int) -> None:
        retry = attempt.retry
        wait = None if retry is None else next_retry(retry, delivered=attempt.delivered)
        if retry is None or wait is None:
            self._store.finish(attempt.position, outcome, at)
            return
        with self._store.transaction():
            self._store.finish(attempt.position, outcome, at)
            self._keep_time()
            due = self.timeline.position + microseconds(wait)
            self._store.schedule(event_number, retry + 1, due)

    def _step_to(self, position: int) -> None:
        self.timeline.step_to(position)
        self._keep_time()

    def _keep_time(self) -> None:
        self._store.keep_time(self.timeline.stepped, self.timeline.ran)

    def _check_active(self, subscription: Subscription, *, was_active: bool) -> None:
        if not subscription.active:
            return
        if not subscription.events:
            raise unprocessable("A subscription can be active only with at least one event.")
        if not was_active and self._store.count_active() >= MAX_ACTIVE:
            raise unprocessable(f"At most {MAX_ACTIVE} subscriptions can be active.")

    def _begin(
        self, subscription: Subscription, known: KnownEvent, *, retry: int | None
    ) -> Delivery:
        event = known.event
        delivery_id, now = self._new_id(), self.timeline.now()
        request = compose(subscription, event, delivery_id)
        headers = () if request is None else request.headers
        begun = StartedAttempt(retry=retry, url=subscription.url, headers=headers, at=now)
        attempt = DeliveryAttempt(
            position=self._store.begin(known, delivery_id, begun),
            event_id=event.id,
            delivery_id=delivery_id,
            hook_id=subscription.id,
            event=event.name,
            number=known.attempts + 1,
            retry=retry,
            enqueued_at=event.enqueued_at,
            started_at=moment(now),
            url=subscription.url,
            request_headers=headers,
        )
        return Delivery(attempt=attempt, event_number=known.number, request=request)


def _shuffled(attempt: DeliveryAttempt) -> bytes:
    return hashlib.blake2b(attempt.delivery_id.bytes, digest_size=8).digest()
