"""Shared by the tests of replay: events, an in-memory service, and a harness."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid5

import anyio
import anyio.lowlevel

from webhooks_sdk import WebhookEvent
from webhooks_sdk.replay import AsyncReplay, Replay, ReplayOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from support.harness import ClientKind
    from webhooks_sdk.replay import Outcome, Recovery, Report, Target, TargetLike

NAMESPACE = UUID("00000000-0000-4000-8000-000000000000")
HOOK = uuid5(NAMESPACE, "hook")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event_id(name: str | int) -> UUID:
    return uuid5(NAMESPACE, f"event {name}")


def attempt(
    name: str | int, status: int | None = 200, *, at: float = 0.0, **fields: Any
) -> WebhookEvent:
    """A delivery attempt made `at` seconds after noon."""
    moment = NOON + timedelta(seconds=at)
    given: dict[str, Any] = {
        "id": event_id(name),
        "tenant_id": uuid5(NAMESPACE, "tenant"),
        "delivery_id": uuid5(NAMESPACE, f"delivery {name} {at}"),
        "event": "application_form:quoted",
        "enqueued_at": moment,
        "redelivery": False,
        "hook_id": HOOK,
        "created_at": moment,
        "updated_at": moment,
        "response_status": status,
        "response_duration_ms": None if status is None else 12,
    }
    return WebhookEvent(**(given | fields))


class Service:
    """An in-memory service that records redeliveries and responds as scripted.

    Attributes:
        sent: The events of the redelivery requests, in order.
        finished_before: For each of them, how many requests had finished when it was sent.
        max_in_flight: Maximum number of requests in flight.
        results: The results for each event, in order, the last one repeated: an HTTP status of the
            subscriber, None for no status, or an exception. Without an entry, 200.
        listed: The delivery attempts that the service lists.
    """

    def __init__(self) -> None:
        self.sent: list[UUID] = []
        self.finished_before: list[int] = []
        self.max_in_flight = 0
        self.results: dict[UUID, list[int | Exception | None]] = {}
        self.listed: list[WebhookEvent] = []
        self._in_flight = 0
        self._lock = Lock()

    def respond(self, name: str | int, *results: int | Exception | None) -> None:
        self.results[event_id(name)] = list(results)

    def begin(self, target: Target) -> None:
        with self._lock:
            self.finished_before.append(len(self.sent) - self._in_flight)
            self.sent.append(target.request_id)
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)

    def wait(self) -> None:
        """Wait in a thread, between `begin` and `end`, as long as a request lasts."""
        time.sleep(0)

    async def wait_async(self) -> None:
        """Wait in a task, as `wait` does."""
        await anyio.lowlevel.checkpoint()

    def end(self, target: Target) -> WebhookEvent:
        with self._lock:
            self._in_flight -= 1
            results = self.results.get(target.request_id, [200])
            result = results.pop(0) if len(results) > 1 else results[0]
        if isinstance(result, Exception):
            raise result
        return attempt("x", result, id=target.request_id, hook_id=target.hook_id, redelivery=True)


class ReplayHarness:
    """Runs `Replay`, or `AsyncReplay` on asyncio or trio, through one interface."""

    def __init__(self, name: ClientKind) -> None:
        self.name: ClientKind = name

    def collect(
        self,
        service: Service,
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        *,
        then: Callable[[Any], None] | None = None,
        each: Callable[[Any, Outcome], object] | None = None,
        recovery: Recovery | None = None,
        **options: Any,
    ) -> tuple[list[Outcome], Report]:
        """Run a replay and return its outcomes and its report.

        Args:
            service: The service to send to.
            targets: The events to redeliver.
            then: Called with the replay after the block is exited.
            each: Called with the replay and each outcome. A true result exits the block.
            recovery: The window to recover, instead of targets.
            **options: Fields of `ReplayOptions`.
        """
        arguments: dict[str, Any] = {
            "base_url": "https://service.test",
            "options": ReplayOptions(**options),
            "recovery": recovery,
        }
        outcomes: list[Outcome] = []
        replay: Replay | AsyncReplay
        if self.name == "sync":
            replay = self._run_sync(
                service, cast("Iterable[TargetLike]", targets), arguments, outcomes, each
            )
        else:
            replay = anyio.run(
                self._run_async, service, targets, arguments, outcomes, each, backend=self.name
            )
        if then is not None:
            then(replay)
        return outcomes, replay.report

    def _run_sync(
        self,
        service: Service,
        targets: Iterable[TargetLike],
        arguments: dict[str, Any],
        outcomes: list[Outcome],
        each: Callable[[Any, Outcome], object] | None,
    ) -> Replay:
        def send(target: Target) -> WebhookEvent:
            service.begin(target)
            service.wait()
            return service.end(target)

        with Replay(send, targets, list_events=lambda _: service.listed, **arguments) as replay:
            for outcome in replay:
                outcomes.append(outcome)
                if each is not None and each(replay, outcome):
                    break
        return replay

    async def _run_async(
        self,
        service: Service,
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        arguments: dict[str, Any],
        outcomes: list[Outcome],
        each: Callable[[Any, Outcome], object] | None,
    ) -> AsyncReplay:
        async def send(target: Target) -> WebhookEvent:
            service.begin(target)
            await service.wait_async()
            return service.end(target)

        async def list_events(_: UUID) -> list[WebhookEvent]:
            return service.listed

        async with AsyncReplay(send, targets, list_events=list_events, **arguments) as replay:
            async for outcome in replay:
                outcomes.append(outcome)
                if each is not None and each(replay, outcome):
                    break
        return replay
