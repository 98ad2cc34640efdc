"""What the forms of the pages do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox.inspector._forms import FormError, read_publication, read_step
from webhooks_sdk.sandbox.inspector._notices import Notice, notice_of
from webhooks_sdk.sandbox.inspector._queries import Queries

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from uuid import UUID

    from webhooks_sdk.sandbox._records import DeliveryAttempt
    from webhooks_sdk.sandbox._runtime import Runtime
    from webhooks_sdk.sandbox._service.service import Service

NEXT_RETRY = "next_retry"
"""The step of the clock that leads to the next retry."""

# A subscriber that answers at all mostly does so within this; for others no page waits.
_PATIENCE = 1.0


class Actions:
    """Carries out what the forms ask for; what takes long goes on when the answer is given.

    Args:
        runtime: The parts of the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._under_way: set[asyncio.Task[Sequence[DeliveryAttempt]]] = set()

    async def publish(self, service: Service, form: Mapping[str, str]) -> Notice:
        """Publish an event.

        Raises:
            FormError: The form has none.
        """
        wanted = read_publication(form)
        deliveries = service.publish(wanted.name, wanted.body)
        task = self._begin(self._runtime.dispatcher.publish(service, deliveries))
        self._runtime.dispatcher.track(service, task)
        return await _watch("published", task)

    async def redeliver(self, service: Service, event_id: UUID) -> Notice:
        """Redeliver an event.

        Raises:
            RequestRefusedError: 404, its subscription is not known.
        """
        event = Queries(self._runtime.database, service.account).event(event_id)
        # It was found a moment ago, and nothing has run since.
        assert event is not None
        hook_id = event.latest.hook_id
        service.get_subscription(hook_id)

        async def redeliver() -> tuple[DeliveryAttempt, ...]:
            return (await self._runtime.dispatcher.redeliver(service, hook_id, event_id),)

        task = self._begin(redeliver())
        self._runtime.dispatcher.track(service, task)
        return await _watch("redelivered", task)

    async def advance(self, service: Service, form: Mapping[str, str]) -> Notice:
        """Step the clock.

        Raises:
            FormError: The form does not say by how much, or that cannot be done.
        """
        if form.get("step") == NEXT_RETRY:
            due = Queries(self._runtime.database, service.account).next_due()
            if due is None:
                raise FormError("amount", "No retry is pending.")
            step = timedelta(microseconds=max(0, due - service.timeline.schedule_time))
        else:
            step = read_step(form)
        try:
            service.timeline.schedule_time_after(step)
        except ValueError as error:
            raise FormError("amount", str(error)) from None
        return await _watch(
            "advanced", self._begin(self._runtime.dispatcher.advance(service, step))
        )

    def _begin(
        self, doing: Coroutine[object, object, Sequence[DeliveryAttempt]]
    ) -> asyncio.Task[Sequence[DeliveryAttempt]]:
        task = asyncio.get_running_loop().create_task(doing)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task


async def _watch(action: str, task: asyncio.Task[Sequence[DeliveryAttempt]]) -> Notice:
    """Wait for an action, but not long, and say what came of it."""
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
    # It is cancelled where the tenant is reset or closed meanwhile.
    if done and not task.cancelled():
        return notice_of(action, task.result())
    task.add_done_callback(_report)
    return notice_of(action, None)


def _report(task: asyncio.Task[Sequence[DeliveryAttempt]]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler({"message": "An action failed", "exception": error})
