"""The rules of the service for one tenant: subscriptions, events, attempts, retries.

The rules are here and in the pure modules of this package; the store reads and writes the rows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import evolve

from webhooks_sdk.sandbox._clock import from_microseconds, to_microseconds
from webhooks_sdk.sandbox._records import (
    DEFAULT_TIMEOUTS,
    DeliveryAttempt,
    DeliveryResult,
    Event,
    PendingRetry,
    StartedDelivery,
    Subscription,
)
from webhooks_sdk.sandbox._service.change_signal import ChangeSignal
from webhooks_sdk.sandbox._service.errors import not_found, unprocessable
from webhooks_sdk.sandbox._service.outgoing import build_request, can_receive
from webhooks_sdk.sandbox._service.rules import matches
from webhooks_sdk.sandbox._service.schedule import next_retry_delay
from webhooks_sdk.sandbox._service.timeline import Timeline
from webhooks_sdk.sandbox._storage.store import StartedAttempt, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from webhooks_sdk.sandbox._records import Account, StoredEvent, Timeouts
    from webhooks_sdk.sandbox._service.rules import SubscriptionChanges
    from webhooks_sdk.sandbox._service.timeline import Clock
    from webhooks_sdk.sandbox._storage.database import Database
    from webhooks_sdk.sandbox._variants import Variants

MAX_ACTIVE_SUBSCRIPTIONS = 10
_INTERRUPTED = DeliveryResult(error="the sandbox stopped before the subscriber responded")


class Service:
    """The service for one tenant.

    Call methods that change state only in the server's thread, or while that thread is not running.

    Args:
        database: The database.
        account: The account of the tenant.
        timeouts: The initial timeouts of its deliveries.
        clock: The source of real time.
        new_id: Returns a new UUID.

    Attributes:
        account: The account of the tenant.
        timeouts: The timeouts of its deliveries.
        timeline: The virtual time of the tenant.
        changes: Signals every change of state.
        is_closed: Whether the tenant was removed.
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
        stepped, elapsed = self._store.load_time()
        self.timeline: Timeline = Timeline(clock, stepped=stepped, elapsed=elapsed)
        self._variants = self._store.load_variants()

    @property
    def variants(self) -> Variants:
        """The behaviour where the documentation of the service is silent."""
        return self._variants

    @variants.setter
    def variants(self, variants: Variants) -> None:
        self._store.save_variants(variants)
        self._variants = variants
        self.changes.notify()

    @property
    def now(self) -> datetime:
        """The current time of the tenant's clock."""
        return from_microseconds(self.timeline.now())

    @property
    def attempts(self) -> tuple[DeliveryAttempt, ...]:
        """All delivery attempts, in the order they started."""
        return tuple(self._store.attempts())

    @property
    def pending_retries(self) -> tuple[PendingRetry, ...]:
        """The pending retries, in the order they are due."""
        offset = self.timeline.now() - self.timeline.schedule_time
        return tuple(
            PendingRetry(
                event_id=UUID(event_id),
                hook_id=UUID(hook_id),
                event=name,
                retry=retry,
                due_at=from_microseconds(offset + due),
            )
            for event_id, hook_id, name, retry, due in self._store.pending_retries()
        )

    def list_subscriptions(self) -> tuple[Subscription, ...]:
        """Return all subscriptions, oldest first."""
        return tuple(self._store.subscriptions())

    def get_subscription(self, hook_id: UUID) -> Subscription:
        """Return one subscription.

        Raises:
            RequestRefusedError: 404, the subscription does not exist.
        """
        subscription = self._store.subscription(hook_id)
        if subscription is None:
            raise not_found("Subscription not found.")
        return subscription

    def create_subscription(self, changes: SubscriptionChanges) -> Subscription:
        """Create a subscription.

        Raises:
            RequestRefusedError: 422, `url` is missing, or the subscription cannot be active.
        """
        if "url" not in changes:
            raise unprocessable("url is required.")
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
            RequestRefusedError: 404, the subscription does not exist; 422, it cannot be active.
        """
        before = self.get_subscription(hook_id)
        changed = evolve(before, **changes, updated_at=self.now)
        self._check_active(changed, was_active=before.active)
        self._store.update_subscription(changed)
        self.changes.notify()
        return changed

    def delete_subscription(self, hook_id: UUID) -> None:
        """Delete a subscription and its pending retries. Its events can no longer be redelivered.

        Raises:
            RequestRefusedError: 404, the subscription does not exist.
        """
        self.get_subscription(hook_id)
        self._store.delete_subscription(hook_id)
        self.changes.notify()

    def list_attempts(self, hook_id: UUID) -> Sequence[DeliveryAttempt]:
        """Return the latest delivery attempts of a subscription, as the variants specify.

        Raises:
            RequestRefusedError: 404, the subscription does not exist.
        """
        self.get_subscription(hook_id)
        variants = self._variants
        attempts = self._store.recent_attempts(
            hook_id, variants.max_listed, latest_of_event=variants.list_items == "events"
        )
        if variants.order == "oldest_first":
            attempts.reverse()
        elif variants.order == "shuffled":
            attempts.sort(key=_shuffle_key)
        return attempts

    def publish(self, event: str, body: bytes) -> tuple[StartedDelivery, ...]:
        """Start the delivery of an event to every subscription that matches it."""
        now = self.now
        matching = [
            subscription
            for subscription in self._store.subscriptions()
            if can_receive(subscription) and matches(subscription.events, event)
        ]
        with self._store.transaction():
            deliveries: list[StartedDelivery] = []
            for subscription in matching:
                new_event = Event(id=self._new_id(), name=event, body=body, enqueued_at=now)
                stored = self._store.add_event(subscription.id, new_event)
                deliveries.append(self._start_attempt(subscription, stored, retry=0))
        self.changes.notify()
        return tuple(deliveries)

    def redeliver(self, hook_id: UUID, event_id: UUID) -> StartedDelivery:
        """Start the redelivery of an event.

        Raises:
            RequestRefusedError: 404, the subscription or its event does not exist.
        """
        subscription = self.get_subscription(hook_id)
        stored = self._store.event(event_id, hook_id)
        if stored is None:
            raise not_found("Event not found for this subscription.")
        with self._store.transaction():
            delivery = self._start_attempt(subscription, stored, retry=None)
        self.changes.notify()
        return delivery

    def start_next_retry(self, until: int) -> StartedDelivery | None:
        """Start the next due retry, and step the clock to the time at which it is due.

        Args:
            until: The latest schedule time at which the retry may be due.

        Returns:
            The delivery; None if no retry is due by then.
        """
        with self._store.transaction():
            retry = self._store.pop_due_retry(until)
            if retry is None:
                return None
            due, stored = retry
            self._step_to(due)
            subscription = self.get_subscription(stored.hook_id)
            delivery = self._start_attempt(subscription, stored, retry=stored.retry)
        self.changes.notify()
        return delivery

    def step_to(self, schedule_time: int) -> None:
        """Step the clock forward to a schedule time."""
        self._step_to(schedule_time)
        self.changes.notify()

    def shut_down(self) -> None:
        """Record attempts in flight as failed, stop following real time, and save the time."""
        self.fail_interrupted_attempts()
        if self.timeline.is_running:
            self.timeline.stop()
            self._save_time()

    def finish_attempt(self, delivery: StartedDelivery, result: DeliveryResult) -> DeliveryAttempt:
        """Record the result of a delivery, schedule a retry if needed, and return the attempt."""
        now = self.timeline.now()
        attempt = evolve(
            delivery.attempt,
            finished_at=from_microseconds(now),
            status=result.status,
            duration_ms=result.duration_ms,
            error=result.error,
            response_content_type=result.response_content_type,
            response_body=result.response_body,
            response_size=result.response_size,
        )
        self._finish_attempt(attempt, delivery.event_number, result, now)
        self.changes.notify()
        return attempt

    def fail_interrupted_attempts(self) -> None:
        """Record the attempts that were in flight when the sandbox stopped as failed."""
        for attempt, event_number in self._store.unfinished_attempts():
            self._finish_attempt(attempt, event_number, _INTERRUPTED, self.timeline.now())

    def event_body(self, event_id: UUID) -> bytes | None:
        """Return the body of an event; None if the event does not exist."""
        stored = self._store.event(event_id)
        return None if stored is None else stored.event.body

    def reset(self) -> None:
        """Delete everything but the account, tokens and variants, and undo all clock steps."""
        self._store.reset()
        self.timeline.reset()
        self.changes.notify()

    def _finish_attempt(
        self, attempt: DeliveryAttempt, event_number: int, result: DeliveryResult, at: int
    ) -> None:
        retry = attempt.retry
        delay = None if retry is None else next_retry_delay(retry, delivered=attempt.delivered)
        if retry is None or delay is None:
            self._store.finish_attempt(attempt.position, result, at)
            return
        with self._store.transaction():
            self._store.finish_attempt(attempt.position, result, at)
            self._save_time()
            due = self.timeline.schedule_time + to_microseconds(delay)
            self._store.schedule_retry(event_number, retry + 1, due)

    def _step_to(self, schedule_time: int) -> None:
        self.timeline.step_to(schedule_time)
        self._save_time()

    def _save_time(self) -> None:
        self._store.save_time(self.timeline.stepped, self.timeline.elapsed)

    def _check_active(self, subscription: Subscription, *, was_active: bool) -> None:
        if not subscription.active:
            return
        if not subscription.events:
            raise unprocessable("An active subscription must have at least one event.")
        if not was_active and self._store.count_active() >= MAX_ACTIVE_SUBSCRIPTIONS:
            raise unprocessable(f"At most {MAX_ACTIVE_SUBSCRIPTIONS} subscriptions can be active.")

    def _start_attempt(
        self, subscription: Subscription, stored: StoredEvent, *, retry: int | None
    ) -> StartedDelivery:
        event = stored.event
        delivery_id, now = self._new_id(), self.timeline.now()
        request = build_request(subscription, event, delivery_id)
        headers = () if request is None else request.headers
        started = StartedAttempt(retry=retry, url=subscription.url, headers=headers, at=now)
        attempt = DeliveryAttempt(
            position=self._store.start_attempt(stored, delivery_id, started),
            event_id=event.id,
            delivery_id=delivery_id,
            hook_id=subscription.id,
            event=event.name,
            number=stored.attempts + 1,
            retry=retry,
            enqueued_at=event.enqueued_at,
            started_at=from_microseconds(now),
            url=subscription.url,
            request_headers=headers,
        )
        return StartedDelivery(attempt=attempt, event_number=stored.number, request=request)


def _shuffle_key(attempt: DeliveryAttempt) -> bytes:
    return hashlib.blake2b(attempt.delivery_id.bytes, digest_size=8).digest()
