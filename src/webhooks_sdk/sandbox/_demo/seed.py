"""What has happened in the days before, for a sandbox that is to be looked at.

Nothing is sent and no clock is read: attempts and how they ended are told to the service, which
keeps its own rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import frozen

from webhooks_sdk.sandbox._clock import microseconds
from webhooks_sdk.sandbox._demo.events import draw_event
from webhooks_sdk.sandbox._records import Outcome
from webhooks_sdk.sandbox._service.rules import SubscriptionChanges
from webhooks_sdk.sandbox._service.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from webhooks_sdk.sandbox._records import Account, Delivery, DeliveryAttempt
    from webhooks_sdk.sandbox._storage.database import Database

Draw: TypeAlias = random.Random

_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_LENGTH: Final = 5 * 24 * _HOUR
_EVENTS: Final = 160
_OUTAGE: Final = 20 * _HOUR  # so long ago did the ledger go down
_REDELIVERIES: Final = 8
_NO_ANSWER: Final = Outcome(error="no answer came within 60 s")
_NO_CONNECTION: Final = Outcome(error="the connection did not open within 5 s")
_WAITS: Final = {_NO_ANSWER: 60 * _SECOND, _NO_CONNECTION: 5 * _SECOND}


@frozen
class _Role:
    """A subscriber of the story.

    Attributes:
        path: Its URL, under that of the sandbox's own subscribers.
        changes: Its subscription.
        outcome: How a delivery ends, so many microseconds before the end of the story.
    """

    path: str
    changes: SubscriptionChanges
    outcome: Callable[[Draw, int], Outcome]


class DemoClock:
    """A clock that stands where it was set; it is never set back.

    Attributes:
        time: Microseconds since 1970.
    """

    def __init__(self, time: int) -> None:
        self.time = time

    def now(self) -> int:
        """Return the time."""
        return self.time

    def running(self) -> int:
        """Return the time."""
        return self.time

    def reach(self, time: int) -> None:
        """Go on to a time, if it is not past."""
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
    """Let five days go by for a tenant that has nothing yet.

    Args:
        database: Where it is kept.
        account: Whose story it is.
        now: When it ends, in microseconds since 1970.
        url: Where the sandbox's own subscribers are, which answer with the status in their path.
        seed: What the story follows from.
        new_id: Returns a UUID that is new.

    Returns:
        How long the tenant's retries have run in it, in microseconds: what its timeline has to go
        on from.
    """
    clock = DemoClock(now - _LENGTH)
    service = Service(database, account, clock=clock, new_id=new_id)
    service.timeline.flow()
    _DemoHistory(service, clock, now, random.Random(f"story {seed}")).tell(url)  # noqa: S311 - no secret
    service.end()
    return service.timeline.ran


class _DemoHistory:
    def __init__(self, service: Service, clock: DemoClock, end: int, draw: Draw) -> None:
        self._service = service
        self._clock = clock
        self._end = end
        self._draw = draw
        self._roles: dict[UUID, _Role] = {}

    def tell(self, url: str) -> None:
        for role in _ROLES:
            changes: SubscriptionChanges = {**role.changes, "url": f"{url}{role.path}"}
            self._roles[self._service.create_subscription(changes).id] = role
        start = self._clock.time + _HOUR
        # Not after the last minute, in which what is under way comes to its end.
        last = self._end - 90 * _SECOND
        times = sorted(self._between(start, last) for _ in range(_EVENTS))
        for number, time in enumerate(times):
            self._reach(time)
            name, body = draw_event(self._draw)
            self._deliver(self._service.publish(name, body))
            if number == _EVENTS // 2:
                self._give_up_archive()
        self._redeliver()
        self._reach(self._end)

    def _between(self, start: int, end: int) -> int:
        return start + int(self._draw.random() * (end - start))

    def _reach(self, time: int) -> None:
        """Make the retries that come due until a time."""
        while pending := self._service.pending_retries:
            due = microseconds(pending[0].due_at)
            if due > time or self._clock.time > self._end - 60 * _SECOND:
                break
            self._clock.reach(due)
            delivery = self._service.retry_next(self._service.timeline.position)
            if delivery is None:
                break
            self._deliver((delivery,))
        self._clock.reach(time)

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        began = self._clock.time
        ends: list[tuple[int, Delivery, Outcome]] = []
        for delivery in deliveries:
            role = self._roles[delivery.attempt.hook_id]
            outcome = role.outcome(self._draw, self._end - began)
            if delivery.request is None:
                outcome = Outcome(error="not sent: the subscription is inactive")
            lasted = _WAITS.get(outcome, (outcome.duration_ms or 0) * 1000)
            ends.append((began + lasted, delivery, outcome))
        for end, delivery, outcome in sorted(ends, key=lambda one: one[0]):
            self._clock.reach(end)
            self._service.finish(delivery, outcome)

    def _give_up_archive(self) -> None:
        hook_id = list(self._roles)[-1]
        self._service.update_subscription(hook_id, {"active": False})

    def _redeliver(self) -> None:
        """Have somebody look after what has failed."""
        failed = [one for one in self._service.attempts if one.failure is not None]
        for attempt in self._pick(failed, _REDELIVERIES):
            if self._service.get_subscription(attempt.hook_id).active:
                delivery = self._service.redeliver(attempt.hook_id, attempt.event_id)
                self._deliver((delivery,))

    def _pick(self, attempts: Sequence[DeliveryAttempt], count: int) -> list[DeliveryAttempt]:
        indices = sorted(int(self._draw.random() * len(attempts)) for _ in range(count))
        return [attempts[index] for index in indices]


def _answered(draw: Draw, status: int, typical_ms: int) -> Outcome:
    return Outcome(status=status, duration_ms=int(typical_ms * (0.5 + 2 * draw.random() ** 3)))


def _healthy(draw: Draw, _: int) -> Outcome:
    return _answered(draw, 500 if draw.random() < 0.01 else 200, 120)  # noqa: PLR2004


def _flaky(draw: Draw, _: int) -> Outcome:
    luck = draw.random()
    if luck < 0.08:  # noqa: PLR2004
        return _NO_CONNECTION
    if luck < 0.11:  # noqa: PLR2004
        return _NO_ANSWER
    return _answered(draw, 502 if luck < 0.25 else 202, 900)  # noqa: PLR2004


def _down(draw: Draw, before_end: int) -> Outcome:
    if before_end > _OUTAGE:
        return _answered(draw, 204, 60)
    luck = draw.random()
    if luck < 0.2:  # noqa: PLR2004
        return _NO_CONNECTION if luck < 0.1 else _NO_ANSWER  # noqa: PLR2004
    return _answered(draw, 503, 30)


_ROLES: Final = (
    _Role(
        "200/crm",
        {
            "active": True,
            "events": ("application_form", "quote_request"),
            "secret": "demo-secret-of-the-crm",
            "header": "X-Team: sales",
        },
        _healthy,
    ),
    _Role(
        "503/ledger",
        {"active": True, "events": ("*",), "secret": "demo-secret-of-the-ledger"},
        _down,
    ),
    _Role("202/notifications", {"active": True, "events": ("quote_request:completed",)}, _flaky),
    _Role(
        "200/archive",
        {"active": True, "events": ("question_set:completed", "carrier")},
        _healthy,
    ),
)
