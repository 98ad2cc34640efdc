"""Sandbox databases with a history of deliveries, written through the service."""

from __future__ import annotations

import json
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import UUID

from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._records import DeliveryResult
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._records import StartedDelivery
    from webhooks_sdk.sandbox._service.service import Service

SUBSCRIBERS = (
    ("https://hooks.example.com/webhooks/quotes", ("application_form", "quote_request"), 0.02),
    ("https://crm.example.net/inbound/events?source=hookshot", ("*",), 0.5),
    ("http://127.0.0.1:9/analytics", ("question_set:completed",), 0.05),
)
HOSTILE = "<img/src=x/onerror=alert(1)>"
NAMES = (
    "application_form:quoted",
    "application_form:inactive",
    "quote_request:completed",
    "quote_request:failed",
    "question_set:completed",
)


class ManualClock:
    """A clock that is set by hand."""

    def __init__(self, start: datetime) -> None:
        self.time = to_microseconds(start)

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time


@cache
def long_history() -> bytes:
    """Return a sandbox database with more than ten thousand attempts, as bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite"
        write_history(path, events=3_400)
        return path.read_bytes()


def write_history(path: Path, *, events: int, seed: int = 1) -> None:
    """Write a sandbox database with events published over the last three days."""
    rng = random.Random(seed)  # noqa: S311 - not a secret
    clock = ManualClock(datetime.now(UTC) - timedelta(days=3))
    step = to_microseconds(timedelta(days=3)) // (events + 1)
    with closing(Database(path)) as database:
        registry = TenantRegistry(
            database, clock=clock, new_id=lambda: UUID(int=rng.getrandbits(128), version=4)
        )
        service = registry.add("production", "demo-client", "demo-client-secret")
        failure_rates: dict[UUID, float] = {}
        for number, (url, event_names, failure_rate) in enumerate(SUBSCRIBERS):
            subscription = service.create_subscription(
                {
                    "url": url,
                    "events": event_names,
                    "active": True,
                    "secret": None if number == 2 else f"whsec-{number}",
                    "header": "Authorization: Bearer opaque-value" if number == 1 else None,
                }
            )
            failure_rates[subscription.id] = failure_rate
        service.create_subscription(
            {"url": "https://old.example.com/hooks", "events": ("carrier",)}
        )
        service.timeline.start()
        for number in range(events):
            clock.time += step
            body = json.dumps({"id": number, "owner": {"email": f"{number}@example.com"}}).encode()
            for delivery in service.publish(rng.choice(NAMES), body):
                _finish(service, delivery, rng, failure_rates)
            while (retry := service.start_next_retry(service.timeline.schedule_time)) is not None:
                _finish(service, retry, rng, failure_rates)
        service.shut_down()


def _finish(
    service: Service,
    delivery: StartedDelivery,
    rng: random.Random,
    failure_rates: dict[UUID, float],
) -> None:
    duration_ms = int(rng.lognormvariate(4.6, 0.5))
    fails = rng.random() < failure_rates[delivery.attempt.hook_id]
    if not fails:
        result = DeliveryResult(status=rng.choice((200, 200, 202, 204)), duration_ms=duration_ms)
    elif rng.random() < 0.3:
        result = DeliveryResult(error="the connection did not open within 5 s")
    else:
        result = DeliveryResult(status=rng.choice((500, 503, 503, 404)), duration_ms=duration_ms)
    service.finish_attempt(delivery, result)
