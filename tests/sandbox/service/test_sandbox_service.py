"""The rules of the service, with a database in memory and a fake clock; no server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from webhooks_sdk.sandbox import Variants
from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._records import DeliveryResult
from webhooks_sdk.sandbox._service.encoding import encode_event, encode_subscription
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox._service.service import MAX_ACTIVE_SUBSCRIPTIONS, Service
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from webhooks_sdk.sandbox import DeliveryAttempt, Subscription
    from webhooks_sdk.sandbox._records import StartedDelivery

URL = "http://subscriber.example/"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED, DELIVERED = (
    DeliveryResult(status=500, duration_ms=1),
    DeliveryResult(status=200, duration_ms=1),
)


class TickingClock:
    """A clock that advances by a second each time it is read."""

    def __init__(self) -> None:
        self._ticks = count()

    def now(self) -> int:
        return to_microseconds(START + timedelta(seconds=next(self._ticks)))

    def monotonic(self) -> int:
        raise AssertionError


@pytest.fixture
def service() -> Service:
    ids = count(1)
    registry = TenantRegistry(Database(), clock=TickingClock(), new_id=lambda: UUID(int=next(ids)))
    return registry.add("production", None, None)


def activate(service: Service, *events: str, url: str = URL) -> Subscription:
    return service.create_subscription({"url": url, "active": True, "events": events or ("*",)})


def attempt_of(service: Service, delivery: StartedDelivery) -> DeliveryAttempt:
    (attempt,) = [item for item in service.attempts if item.position == delivery.attempt.position]
    return attempt


def test_url_is_the_only_required_field(service: Service) -> None:
    created = service.create_subscription({"url": URL})
    assert (created.url, created.active, created.events) == (URL, False, ())
    assert (created.secret, created.header) == (None, None)
    assert created.created_at == created.updated_at == START
    assert service.get_subscription(created.id) == created


def test_a_subscription_requires_a_url(service: Service) -> None:
    with pytest.raises(RequestRefusedError, match="url"):
        service.create_subscription({"active": False})
    assert service.list_subscriptions() == ()


def test_subscriptions_are_listed_oldest_first(service: Service) -> None:
    created = [service.create_subscription({"url": URL}) for _ in range(3)]
    assert service.list_subscriptions() == tuple(created)


def test_an_update_changes_only_the_given_fields(service: Service) -> None:
    created = service.create_subscription(
        {"url": URL, "events": ("carrier",), "secret": "s", "header": "A: b"}
    )
    changed = service.update_subscription(created.id, {"active": True, "secret": None})
    assert (changed.active, changed.secret) == (True, None)
    assert (changed.url, changed.events, changed.header) == (URL, ("carrier",), "A: b")
    assert changed.created_at == created.created_at
    assert changed.updated_at > created.updated_at
    assert service.get_subscription(created.id) == changed


def test_an_active_subscription_needs_an_event(service: Service) -> None:
    with pytest.raises(RequestRefusedError, match="at least one event"):
        service.create_subscription({"url": URL, "active": True})
    idle = service.create_subscription({"url": URL})
    with pytest.raises(RequestRefusedError, match="at least one event"):
        service.update_subscription(idle.id, {"active": True})
    busy = activate(service)
    with pytest.raises(RequestRefusedError, match="at least one event"):
        service.update_subscription(busy.id, {"events": ()})
    assert service.list_subscriptions() == (idle, busy)
    assert service.update_subscription(idle.id, {"active": True, "events": ("*",)}).active


def test_at_most_ten_subscriptions_can_be_active(service: Service) -> None:
    active = [activate(service) for _ in range(MAX_ACTIVE_SUBSCRIPTIONS)]
    with pytest.raises(RequestRefusedError, match="10") as caught:
        activate(service)
    assert caught.value.status == 422
    idle = service.create_subscription({"url": URL, "events": ("*",)})
    with pytest.raises(RequestRefusedError, match="10"):
        service.update_subscription(idle.id, {"active": True})
    # An active one can still be changed; deactivating or deleting one makes room.
    service.update_subscription(active[0].id, {"active": True, "secret": "s"})
    service.update_subscription(active[0].id, {"active": False})
    service.update_subscription(idle.id, {"active": True})
    service.delete_subscription(active[1].id)
    activate(service)


def test_deleting_a_subscription_makes_its_events_unavailable(service: Service) -> None:
    hook = activate(service)
    (delivery,) = service.publish("carrier", b"{}")
    service.delete_subscription(hook.id)
    for call in (
        lambda: service.get_subscription(hook.id),
        lambda: service.update_subscription(hook.id, {}),
        lambda: service.delete_subscription(hook.id),
        lambda: service.list_attempts(hook.id),
        lambda: service.redeliver(hook.id, attempt_of(service, delivery).event_id),
    ):
        with pytest.raises(RequestRefusedError) as caught:
            call()
        assert caught.value.status == 404
    # The delivery in progress still ends.
    assert service.finish_attempt(delivery, DeliveryResult(status=200, duration_ms=1)).delivered


def test_an_event_is_delivered_to_every_matching_subscription(service: Service) -> None:
    everything = activate(service)
    carrier = activate(service, "carrier")
    activate(service, "question_set")
    activate(service, "*", url="not a url")
    service.create_subscription({"url": URL, "events": ("*",)})
    attempts = [
        attempt_of(service, delivery) for delivery in service.publish("carrier:bridged", b"{}")
    ]
    assert [attempt.hook_id for attempt in attempts] == [everything.id, carrier.id]
    assert len({attempt.event_id for attempt in attempts}) == 2
    assert len({attempt.delivery_id for attempt in attempts}) == 2


def test_an_attempt_is_listed_before_it_ends(service: Service) -> None:
    hook = activate(service)
    (delivery,) = service.publish("carrier:bridged", b"{}")
    (started,) = service.list_attempts(hook.id)
    assert (started.status, started.duration_ms, started.error, started.finished_at) == (None,) * 4
    assert not started.delivered
    finished = service.finish_attempt(delivery, DeliveryResult(status=503, duration_ms=12))
    assert (finished.status, finished.duration_ms, finished.error) == (503, 12, None)
    assert finished.finished_at is not None
    assert finished.finished_at > finished.started_at
    assert not finished.delivered
    assert [*service.attempts] == [*service.list_attempts(hook.id)] == [finished]


def test_an_attempt_without_a_response_has_no_status(service: Service) -> None:
    activate(service)
    (delivery,) = service.publish("carrier", b"{}")
    finished = service.finish_attempt(delivery, DeliveryResult(error="refused"))
    assert (finished.status, finished.duration_ms, finished.error) == (None, None, "refused")


def test_a_redelivery_is_a_new_attempt_of_the_same_event(service: Service) -> None:
    hook = activate(service)
    (first,) = service.publish("carrier:bridged", b'{"a": 1}')
    before = service.finish_attempt(first, DeliveryResult(status=500, duration_ms=1))
    again = service.redeliver(hook.id, before.event_id)
    after = service.finish_attempt(again, DeliveryResult(status=204, duration_ms=2))
    assert (before.redelivery, after.redelivery) == (False, True)
    assert after.event_id == before.event_id
    assert after.delivery_id != before.delivery_id
    assert (after.event, after.enqueued_at) == (before.event, before.enqueued_at)
    assert again.request is not None
    assert again.request.body == b'{"a": 1}'
    assert [*service.list_attempts(hook.id)] == [after, before]


def test_an_event_belongs_to_one_subscription(service: Service) -> None:
    one, other = activate(service), activate(service)
    attempts = [attempt_of(service, delivery) for delivery in service.publish("carrier", b"{}")]
    assert [attempt.hook_id for attempt in attempts] == [one.id, other.id]
    with pytest.raises(RequestRefusedError) as caught:
        service.redeliver(other.id, attempts[0].event_id)
    assert caught.value.status == 404


def test_a_redelivery_uses_the_current_settings_of_the_subscription(service: Service) -> None:
    hook = activate(service)
    (delivery,) = service.publish("carrier", b"{}")
    event_id = attempt_of(service, delivery).event_id
    service.update_subscription(hook.id, {"url": "http://moved.example:81/", "secret": "s"})
    request = service.redeliver(hook.id, event_id).request
    assert request is not None
    assert request.address.authority == "moved.example:81"
    assert "X-Signature" in dict(request.headers)


def test_a_redelivery_to_an_inactive_subscription_sends_nothing(service: Service) -> None:
    hook = activate(service)
    (delivery,) = service.publish("carrier", b"{}")
    event_id = attempt_of(service, delivery).event_id
    service.update_subscription(hook.id, {"active": False})
    again = service.redeliver(hook.id, event_id)
    assert again.request is None
    assert attempt_of(service, again).redelivery


def test_unlisted_events_can_be_redelivered(service: Service) -> None:
    hook = activate(service)
    service.variants = Variants(max_listed=3)
    for _ in range(4):
        service.publish("carrier", b"{}")
    listed = service.list_attempts(hook.id)
    assert [*listed] == [*service.attempts[:0:-1]]
    oldest = service.attempts[0]
    assert oldest not in listed
    service.redeliver(hook.id, oldest.event_id)
    assert service.list_attempts(hook.id)[0].event_id == oldest.event_id


def test_encode_subscription(service: Service) -> None:
    created = service.create_subscription({"url": URL, "events": ("*",), "secret": "s"})
    assert encode_subscription(created) == {
        "id": "00000000-0000-0000-0000-000000000003",
        "active": False,
        "confirmed": False,
        "events": ["*"],
        "config": {"url": URL, "secret": "s", "header": None},
        "owner_id": "00000000-0000-0000-0000-000000000002",
        "tenant_id": "00000000-0000-0000-0000-000000000001",
        "created_at": "2026-01-02T03:04:05.000Z",
        "updated_at": "2026-01-02T03:04:05.000Z",
    }


def test_encode_event(service: Service) -> None:
    hook = activate(service)
    (delivery,) = service.publish("carrier:bridged", b"{}")
    attempt = service.finish_attempt(delivery, DeliveryResult(status=200, duration_ms=293))
    assert encode_event(attempt, service.account.id) == {
        "id": str(attempt.event_id),
        "tenant_id": "00000000-0000-0000-0000-000000000001",
        "delivery_id": str(attempt.delivery_id),
        "event": "carrier:bridged",
        "enqueued_at": "2026-01-02T03:04:06.000Z",
        "redelivery": False,
        "hook_id": str(hook.id),
        "created_at": "2026-01-02T03:04:07.000Z",
        "updated_at": "2026-01-02T03:04:08.000Z",
        "response_status": 200,
        "response_duration_ms": 293,
    }


def test_attempts_in_progress_at_shutdown_fail_and_are_retried(service: Service) -> None:
    hook = activate(service)
    (first,) = service.publish("carrier", b"{}")
    service.redeliver(hook.id, first.attempt.event_id)
    (finished,) = service.publish("carrier", b"{}")
    service.finish_attempt(finished, DELIVERED)
    service.shut_down()
    interrupted = [attempt for attempt in service.attempts if attempt.error]
    assert [attempt.retry for attempt in interrupted] == [0, None]
    assert all(attempt.finished_at for attempt in service.attempts)
    # A redelivery is not retried automatically.
    (pending,) = service.pending_retries
    assert (pending.event_id, pending.retry) == (first.attempt.event_id, 1)


def test_a_delivery_that_ends_after_a_reset_leaves_no_trace(service: Service) -> None:
    activate(service)
    (delivery,) = service.publish("carrier", b"{}")
    service.reset()
    assert not service.finish_attempt(delivery, FAILED).delivered
    assert (service.attempts, service.pending_retries) == ((), ())
