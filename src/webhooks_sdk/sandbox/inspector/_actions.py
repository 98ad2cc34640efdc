"""The actions behind the forms on the pages."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox.inspector._forms import FormError, read_advance_form, read_publish_form
from webhooks_sdk.sandbox.inspector._notices import Notice, build_notice
from webhooks_sdk.sandbox.inspector._queries import Queries

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from uuid import UUID

    from webhooks_sdk.sandbox._records import DeliveryAttempt
    from webhooks_sdk.sandbox._runtime import Runtime
    from webhooks_sdk.sandbox._service.service import Service

NEXT_RETRY = "next_retry"
"""The value of the `step` field that advances the clock to the next retry."""

# Seconds that a page waits for a subscriber. Most subscribers respond sooner.
_MAX_WAIT = 1.0


class Actions:
    """Runs the actions that forms request; slow ones continue after the response is sent.

    Args:
        runtime: The parts of the sandbox.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._running: set[asyncio.Task[Sequence[DeliveryAttempt]]] = set()

    async def publish(self, service: Service, form: Mapping[str, str]) -> Notice:
        """Publish an event.

        Raises:
            FormError: The event name or the payload is invalid.
        """
        event = read_publish_form(form)
        deliveries = service.publish(event.name, event.body)
        task = self._start(self._runtime.dispatcher.publish(service, deliveries))
        self._runtime.dispatcher.track(service, task)
        return await _wait_briefly("published", task)

    async def redeliver(self, service: Service, event_id: UUID) -> Notice:
        """Redeliver an event.

        Raises:
            RequestRefusedError: 404, the subscription of the event was deleted.
        """
        event = Queries(self._runtime.database, service.account).event(event_id)
        # The caller has just looked it up, without an `await` in between.
        assert event is not None
        hook_id = event.latest.hook_id
        service.get_subscription(hook_id)

        async def redeliver() -> tuple[DeliveryAttempt, ...]:
            return (await self._runtime.dispatcher.redeliver(service, hook_id, event_id),)

        task = self._start(redeliver())
        self._runtime.dispatcher.track(service, task)
        return await _wait_briefly("redelivered", task)

    async def advance(self, service: Service, form: Mapping[str, str]) -> Notice:
        """Advance the clock.

        Raises:
            FormError: The amount or the unit is invalid, or the step is too long.
        """
        if form.get("step") == NEXT_RETRY:
            due = Queries(self._runtime.database, service.account).next_retry_due()
            if due is None:
                raise FormError("amount", "No retry is pending.")
            step = timedelta(microseconds=max(0, due - service.timeline.schedule_time))
        else:
            step = read_advance_form(form)
        try:
            service.timeline.schedule_time_after(step)
        except ValueError as error:
            raise FormError("amount", str(error)) from None
        return await _wait_briefly(
            "advanced", self._start(self._runtime.dispatcher.advance(service, step))
        )

    def _start(
        self, action: Coroutine[object, object, Sequence[DeliveryAttempt]]
    ) -> asyncio.Task[Sequence[DeliveryAttempt]]:
        task = asyncio.get_running_loop().create_task(action)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


async def _wait_briefly(action: str, task: asyncio.Task[Sequence[DeliveryAttempt]]) -> Notice:
    """Wait for an action for a short time, and return a notice about it."""
    done, _ = await asyncio.wait({task}, timeout=_MAX_WAIT)
    # Resetting or closing the tenant cancels the task.
    if done and not task.cancelled():
        return build_notice(action, task.result())
    task.add_done_callback(_report_failure)
    return build_notice(action, None)


def _report_failure(task: asyncio.Task[Sequence[DeliveryAttempt]]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {"message": "An action of the inspector failed", "exception": error}
        )
