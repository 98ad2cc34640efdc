"""The demo history of an empty sandbox.

Nothing is sent and no clock is read: attempts and their results are recorded through `Service`, so
the history follows the rules of the service.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from attrs import frozen

from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._demo.events import random_event
from webhooks_sdk.sandbox._records import DeliveryResult
from webhooks_sdk.sandbox._service.rules import SubscriptionChanges
from webhooks_sdk.sandbox._service.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from webhooks_sdk.sandbox._records import Account, DeliveryAttempt, StartedDelivery
    from webhooks_sdk.sandbox._storage.database import Database

_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_DURATION: Final = 5 * 24 * _HOUR
_EVENTS: Final = 160
_OUTAGE: Final = 20 * _HOUR  # from the start of the ledger's outage to the end
_REDELIVERIES: Final = 8
_NO_RESPONSE: Final = DeliveryResult(error="no response within 60 s")
_NO_CONNECTION: Final = DeliveryResult(error="the connection did not open within 5 s")
_ERROR_RESPONSES: Final[Mapping[int, tuple[str, bytes]]] = {
    500: ("application/json", b'{"error": "internal", "message": "duplicate key in table quotes"}'),
    502: ("text/html", b"<h1>502 Bad Gateway</h1>\n"),
    503: ("text/plain; charset=utf-8", b"The ledger is down for maintenance.\n"),
}
_DURATIONS: Final = {_NO_RESPONSE: 60 * _SECOND, _NO_CONNECTION: 5 * _SECOND}


@frozen
class _DemoSubscriber:
    """A subscriber in the demo history.

    Attributes:
        path: The path of its URL, below that of the sandbox's built-in subscribers.
        changes: The fields of its subscription.
        result: Returns the result of a delivery, given the time between its start and the end of
            the history, in microseconds.
    """

    path: str
    changes: SubscriptionChanges
    result: Callable[[random.Random, int], DeliveryResult]


class DemoClock:
    """A clock that moves only when told to, and only forward.

    Attributes:
        time: Microseconds since 1970.
    """

    def __init__(self, time: int) -> None:
        self.time = time

    def now(self) -> int:
        """Return the time."""
        return self.time

    def monotonic(self) -> int:
        """Return the time."""
        return self.time

    def advance_to(self, time: int) -> None:
        """Move forward to a time. Does nothing if that has passed."""
        self.time = max(self.time, time)


def seed_demo_history(
    database: Database,
    account: Account,
    *,
    now: int,
    url: str,
    seed: int,
    new_id: Callable[[], UUID],
) -> int:
    """Record five days of history for a tenant that has no data yet.

    Args:
        database: The database.
        account: The account of the tenant.
        now: The end of the history, in microseconds since 1970.
        url: The base URL of the sandbox's built-in subscribers, which return the status in their
            path.
        seed: Makes the history reproducible.
        new_id: Returns a new UUID.

    Returns:
        The real time that the retry schedule has run, in microseconds: the initial `elapsed` of
        the tenant's timeline.
    """
    clock = DemoClock(now - _DURATION)
    service = Service(database, account, clock=clock, new_id=new_id)
    service.timeline.start()
    _DemoHistory(service, clock, now, random.Random(f"story {seed}")).build(url)  # noqa: S311 - not a secret
    service.shut_down()
    return service.timeline.elapsed


class _DemoHistory:
    def __init__(
        self, service: Service, clock: DemoClock, end: int, generator: random.Random
    ) -> None:
        self._service = service
        self._clock = clock
        self._end = end
        self._generator = generator
        self._subscribers: dict[UUID, _DemoSubscriber] = {}

    def build(self, url: str) -> None:
        for subscriber in _SUBSCRIBERS:
            changes: SubscriptionChanges = {**subscriber.changes, "url": f"{url}{subscriber.path}"}
            self._subscribers[self._service.create_subscription(changes).id] = subscriber
        start = self._clock.time + _HOUR
        # Leaves time for the last attempts to end.
        last = self._end - 90 * _SECOND
        times = sorted(self._between(start, last) for _ in range(_EVENTS))
        for number, time in enumerate(times):
            self._advance_to(time)
            name, body = random_event(self._generator)
            self._deliver(self._service.publish(name, body))
            if number == _EVENTS // 2:
                self._deactivate_archive()
        self._redeliver()
        self._advance_to(self._end)

    def _between(self, start: int, end: int) -> int:
        return start + int(self._generator.random() * (end - start))

    def _advance_to(self, time: int) -> None:
        """Run the retries that become due by a time, and move the clock there."""
        while pending := self._service.pending_retries:
            due = to_microseconds(pending[0].due_at)
            if due > time or self._clock.time > self._end - 60 * _SECOND:
                break
            self._clock.advance_to(due)
            delivery = self._service.start_next_retry(self._service.timeline.schedule_time)
            if delivery is None:
                break
            self._deliver((delivery,))
        self._clock.advance_to(time)

    def _deliver(self, deliveries: Iterable[StartedDelivery]) -> None:
        start = self._clock.time
        ends: list[tuple[int, StartedDelivery, DeliveryResult]] = []
        for delivery in deliveries:
            subscriber = self._subscribers[delivery.attempt.hook_id]
            result = subscriber.result(self._generator, self._end - start)
            if delivery.request is None:
                result = DeliveryResult(error="not sent: the subscription is inactive")
            duration = _DURATIONS.get(result, (result.duration_ms or 0) * 1000)
            ends.append((start + duration, delivery, result))
        for end, delivery, result in sorted(ends, key=itemgetter(0)):
            self._clock.advance_to(end)
            self._service.finish_attempt(delivery, result)

    def _deactivate_archive(self) -> None:
        hook_id = list(self._subscribers)[-1]
        self._service.update_subscription(hook_id, {"active": False})

    def _redeliver(self) -> None:
        """Redeliver some of the failed events."""
        failed = [attempt for attempt in self._service.attempts if attempt.failure is not None]
        for attempt in self._pick(failed, _REDELIVERIES):
            if self._service.get_subscription(attempt.hook_id).active:
                delivery = self._service.redeliver(attempt.hook_id, attempt.event_id)
                self._deliver((delivery,))

    def _pick(self, attempts: Sequence[DeliveryAttempt], count: int) -> list[DeliveryAttempt]:
        indices = sorted(int(self._generator.random() * len(attempts)) for _ in range(count))
        return [attempts[index] for index in indices]


def _response(generator: random.Random, status: int, typical_ms: int) -> DeliveryResult:
    content_type, body = _ERROR_RESPONSES.get(status, (None, b""))
    return DeliveryResult(
        status=status,
        duration_ms=int(typical_ms * (0.5 + 2 * generator.random() ** 3)),
        response_content_type=content_type,
        response_body=body,
        response_size=len(body),
    )


def _healthy(generator: random.Random, _: int) -> DeliveryResult:
    return _response(generator, 500 if generator.random() < 0.01 else 200, 120)  # noqa: PLR2004


def _flaky(generator: random.Random, _: int) -> DeliveryResult:
    roll = generator.random()
    if roll < 0.08:  # noqa: PLR2004
        return _NO_CONNECTION
    if roll < 0.11:  # noqa: PLR2004
        return _NO_RESPONSE
    return _response(generator, 502 if roll < 0.25 else 202, 900)  # noqa: PLR2004


def _down(generator: random.Random, before_end: int) -> DeliveryResult:
    if before_end > _OUTAGE:
        return _response(generator, 204, 60)
    roll = generator.random()
    if roll < 0.2:  # noqa: PLR2004
        return _NO_CONNECTION if roll < 0.1 else _NO_RESPONSE  # noqa: PLR2004
    return _response(generator, 503, 30)


_SUBSCRIBERS: Final = (
    _DemoSubscriber(
        "200/crm",
        {
            "active": True,
            "events": ("application_form", "quote_request"),
            "secret": "demo-secret-of-the-crm",
            "header": "X-Team: sales",
        },
        _healthy,
    ),
    _DemoSubscriber(
        "503/ledger",
        {"active": True, "events": ("*",), "secret": "demo-secret-of-the-ledger"},
        _down,
    ),
    _DemoSubscriber(
        "202/notifications", {"active": True, "events": ("quote_request:completed",)}, _flaky
    ),
    _DemoSubscriber(
        "200/archive",
        {"active": True, "events": ("question_set:completed", "carrier")},
        _healthy,
    ),
)
