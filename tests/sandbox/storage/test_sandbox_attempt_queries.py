"""Pages and counts of attempts, and the signal of changes."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import AttemptCount, Sandbox, Subscriber
from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._records import DeliveryResult
from webhooks_sdk.sandbox._service.change_signal import ChangeSignal
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._storage.attempts import AttemptFilter, AttemptQueries
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhooks_sdk.sandbox import DeliveryAttempt
    from webhooks_sdk.sandbox._storage.attempts import AttemptState

UNKNOWN = UUID(int=0)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OUTCOMES = (
    DeliveryResult(status=200, duration_ms=1),
    DeliveryResult(status=500, duration_ms=1),
    DeliveryResult(error="refused"),
    DeliveryResult(status=302, duration_ms=1),
    None,
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


class ManualClock:
    """A clock that moves only when `time` is set."""

    def __init__(self) -> None:
        self.time = to_microseconds(NOON)

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        raise AssertionError


@pytest.fixture
def queries() -> AttemptQueries:
    """Five attempts for each of two subscriptions, one of each outcome, a minute apart."""
    clock, database, ids = ManualClock(), Database(), count(1)
    registry = TenantRegistry(database, clock=clock, new_id=lambda: UUID(int=next(ids)))
    services = [registry.add("production", None, None) for _ in range(2)]
    for service in services:
        for events in (("*",), ("carrier",)):
            service.create_subscription({"url": "http://h/", "active": True, "events": events})
    for outcome in OUTCOMES:
        for service in services:
            for delivery in service.publish("carrier", b"{}"):
                if outcome is not None:
                    service.finish_attempt(delivery, outcome)
        clock.time += to_microseconds(MINUTE)
    return AttemptQueries(database, services[0].account)


def all_pages(
    queries: AttemptQueries, make_filter: Callable[[int | None], AttemptFilter], limit: int
) -> list[int]:
    """Return the positions of all attempts, in the order of the pages."""
    positions: list[int] = []
    before: int | None = None
    while True:
        page = queries.page(make_filter(before), limit)
        assert 0 < len(page.attempts) <= limit
        positions += [attempt.position for attempt in page.attempts]
        before = page.next_before
        if before is None:
            return positions


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
def test_pages_contain_every_attempt_once_newest_first(queries: AttemptQueries, limit: int) -> None:
    positions = all_pages(queries, lambda before: AttemptFilter(before=before), limit)
    assert positions == sorted(set(positions), reverse=True)
    assert len(positions) == 10


@pytest.mark.parametrize(("state", "expected"), [("delivered", 2), ("failed", 6), ("in_flight", 2)])
def test_a_page_can_be_filtered_by_outcome(
    queries: AttemptQueries, state: AttemptState, expected: int
) -> None:
    page = queries.page(AttemptFilter(state=state), 50)
    assert len(page.attempts) == expected
    conditions: dict[str, Callable[[DeliveryAttempt], bool]] = {
        "delivered": lambda attempt: attempt.delivered,
        "failed": lambda attempt: attempt.finished_at is not None and not attempt.delivered,
        "in_flight": lambda attempt: attempt.finished_at is None,
    }
    assert all(conditions[state](attempt) for attempt in page.attempts)


def test_a_page_can_be_filtered_by_subscription_or_event(queries: AttemptQueries) -> None:
    everything = queries.page(AttemptFilter(), 50).attempts
    some = everything[3]
    of_hook = queries.page(AttemptFilter(hook_id=some.hook_id), 50).attempts
    assert of_hook == tuple(attempt for attempt in everything if attempt.hook_id == some.hook_id)
    assert len(of_hook) == 5
    assert queries.page(AttemptFilter(event_id=some.event_id), 50).attempts == (some,)
    assert queries.page(AttemptFilter(hook_id=UNKNOWN), 50).attempts == ()


def test_invalid_limits_and_states_are_rejected(queries: AttemptQueries) -> None:
    with pytest.raises(ValueError, match="limit"):
        queries.page(AttemptFilter(), 0)
    with pytest.raises(ValueError, match="'delivered', 'failed', 'in_flight'"):
        queries.page(AttemptFilter(state="lost"), 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - tests the error


def test_attempts_are_counted_by_time_span(queries: AttemptQueries) -> None:
    counts = queries.count(NOON - MINUTE, 2 * MINUTE, 4)
    assert counts == (
        AttemptCount(start=NOON - MINUTE, delivered=2, failed=0, in_flight=0),
        AttemptCount(start=NOON + MINUTE, delivered=0, failed=4, in_flight=0),
        AttemptCount(start=NOON + 3 * MINUTE, delivered=0, failed=2, in_flight=2),
        AttemptCount(start=NOON + 5 * MINUTE, delivered=0, failed=0, in_flight=0),
    )


@pytest.mark.parametrize(("width", "buckets"), [(timedelta(), 1), (-MINUTE, 1), (MINUTE, 0)])
def test_non_positive_spans_are_rejected(
    queries: AttemptQueries, width: timedelta, buckets: int
) -> None:
    with pytest.raises(ValueError, match=r"width|buckets"):
        queries.count(NOON, width, buckets)


def test_a_tenant_sees_only_its_own_attempts(sandbox: Sandbox, client: SandboxClient) -> None:
    with Subscriber() as subscriber, sandbox.add_tenant() as other:
        client.subscribe(subscriber.url)
        attempts = [sandbox.publish(EVENT, {})[0] for _ in range(3)]
        page = sandbox.attempts_page(limit=2, hook_id=attempts[0].hook_id)
        assert page.attempts == (attempts[2], attempts[1])
        rest = sandbox.attempts_page(before=page.next_before)
        assert (rest.attempts, rest.next_before) == ((attempts[0],), None)
        assert sandbox.attempts_page(state="failed").attempts == ()
        assert sandbox.attempt(attempts[1].position) == attempts[1]
        (counted,) = sandbox.count_attempts(sandbox.now - MINUTE, 2 * MINUTE, 1)
        assert (counted.delivered, counted.failed, counted.in_flight) == (3, 0, 0)
        assert other.attempts_page().attempts == ()
        for tenant, position in ((sandbox, 10**6), (sandbox, -1), (other, attempts[1].position)):
            with pytest.raises(LookupError):
                tenant.attempt(position)


def test_every_change_is_signalled(sandbox: Sandbox, client: SandboxClient) -> None:
    versions = [sandbox.changes.version]

    def changed() -> bool:
        versions.append(sandbox.changes.version)
        return versions[-1] > versions[-2]

    with Subscriber() as subscriber:
        row = client.subscribe(subscriber.url)
        assert changed()
        client.patch(f"/hooks/{row['id']}", json={"secret": "s"})
        assert changed()
        (attempt,) = sandbox.publish(EVENT, {})
        assert changed()
        client.redeliver(attempt)
        assert changed()
        sandbox.advance(MINUTE)
        assert changed()
        sandbox.variants = "shuffled"
        assert changed()
        client.get(f"/hooks/{row['id']}/requests")
        assert not changed()
        client.delete(f"/hooks/{row['id']}")
        assert changed()
        sandbox.reset()
        assert changed()


def test_a_change_in_any_thread_wakes_all_waiters() -> None:
    changes = ChangeSignal()

    async def wait() -> list[int]:
        # The first call returns at once, the others wait.
        changes.notify()
        seen = [await changes.wait(0)]
        waiters = [asyncio.create_task(changes.wait(1)) for _ in range(3)]
        await asyncio.sleep(0)
        cancelled = waiters.pop()
        cancelled.cancel()
        thread = threading.Thread(target=changes.notify)
        thread.start()
        thread.join()
        seen += await asyncio.gather(*waiters)
        assert (await asyncio.gather(cancelled, return_exceptions=True))[0] is not None
        return seen

    assert asyncio.run(wait()) == [1, 2, 2]
