"""What the tests of replay share."""

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
    """An attempt to deliver an event, made so many seconds after noon."""
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
    """A service in memory that answers redeliveries as it is told, and remembers them.

    Attributes:
        sent: The events that it was asked to redeliver, in order.
        ended_before: For each of them, how many had ended when it was sent.
        most_at_once: How many requests were under way at once at most.
        answers: What it answers for an event, one after the other, the last one for ever: an HTTP
            status of the subscriber, None for none, or an exception. 200 if nothing is said.
        listed: What it lists.
    """

    def __init__(self) -> None:
        self.sent: list[UUID] = []
        self.ended_before: list[int] = []
        self.most_at_once = 0
        self.answers: dict[UUID, list[int | Exception | None]] = {}
        self.listed: list[WebhookEvent] = []
        self._under_way = 0
        self._lock = Lock()

    def answer(self, name: str | int, *answers: int | Exception | None) -> None:
        self.answers[event_id(name)] = list(answers)

    def begin(self, target: Target) -> None:
        with self._lock:
            self.ended_before.append(len(self.sent) - self._under_way)
            self.sent.append(target.request_id)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)

    def end(self, target: Target) -> WebhookEvent:
        with self._lock:
            self._under_way -= 1
            answers = self.answers.get(target.request_id, [200])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return attempt("x", answer, id=target.request_id, hook_id=target.hook_id, redelivery=True)


class ReplayHarness:
    """`Replay`, or `AsyncReplay` on asyncio or trio, driven alike."""

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
        """Carry a replay out; return its outcomes and its report.

        Args:
            service: Whom to send to.
            targets: What to redeliver.
            then: Called with the replay once the block is left.
            each: Called with the replay and each outcome; what is true leaves the block.
            recovery: Instead of targets.
            **options: Those of `ReplayOptions`.
        """
        given: dict[str, Any] = {
            "base_url": "https://service.test",
            "options": ReplayOptions(**options),
            "recovery": recovery,
        }
        outcomes: list[Outcome] = []
        replay: Replay | AsyncReplay
        if self.name == "sync":
            replay = self._sync(
                service, cast("Iterable[TargetLike]", targets), given, outcomes, each
            )
        else:
            replay = anyio.run(
                self._async, service, targets, given, outcomes, each, backend=self.name
            )
        if then is not None:
            then(replay)
        return outcomes, replay.report

    def _sync(
        self,
        service: Service,
        targets: Iterable[TargetLike],
        given: dict[str, Any],
        outcomes: list[Outcome],
        each: Callable[[Any, Outcome], object] | None,
    ) -> Replay:
        def send(target: Target) -> WebhookEvent:
            service.begin(target)
            time.sleep(0)
            return service.end(target)

        with Replay(send, targets, list_events=lambda _: service.listed, **given) as replay:
            for outcome in replay:
                outcomes.append(outcome)
                if each is not None and each(replay, outcome):
                    break
        return replay

    async def _async(
        self,
        service: Service,
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        given: dict[str, Any],
        outcomes: list[Outcome],
        each: Callable[[Any, Outcome], object] | None,
    ) -> AsyncReplay:
        async def send(target: Target) -> WebhookEvent:
            service.begin(target)
            await anyio.lowlevel.checkpoint()
            return service.end(target)

        async def list_events(_: UUID) -> list[WebhookEvent]:
            return service.listed

        async with AsyncReplay(send, targets, list_events=list_events, **given) as replay:
            async for outcome in replay:
                outcomes.append(outcome)
                if each is not None and each(replay, outcome):
                    break
        return replay
