"""Carries deliveries out: at once, again on demand, and again on their own as time goes by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from uuid import UUID

    from webhooks_sdk.sandbox._delivering.sender import Sender
    from webhooks_sdk.sandbox._records import Delivery, DeliveryAttempt
    from webhooks_sdk.sandbox._service.service import Service

_NOT_SENT = Outcome(error="not sent: the subscription is inactive or its url is not valid")
_CUT_OFF = Outcome(error="cut off: the sandbox ended, or whoever waited for it left")
_TICK = 0.5  # seconds between looks at what real time has brought about


class DeliveryDispatcher:
    """Sends what the service has begun, and tells it how each delivery ended.

    Everything happens on one event loop.

    Args:
        sender: Who sends.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._watch: asyncio.Task[None] | None = None
        self._background: dict[Service, set[asyncio.Task[object]]] = {}
        self._advancing: dict[Service, asyncio.Lock] = {}

    async def deliver(self, service: Service, delivery: Delivery) -> DeliveryAttempt:
        """Send a delivery, whatever comes of it, and return its attempt."""
        try:
            outcome = (
                _NOT_SENT
                if delivery.request is None
                else await self._sender.send(delivery.request, service.timeouts)
            )
        except asyncio.CancelledError:
            service.finish(delivery, _CUT_OFF)
            raise
        return service.finish(delivery, outcome)

    async def publish(
        self, service: Service, deliveries: Iterable[Delivery]
    ) -> tuple[DeliveryAttempt, ...]:
        """Send deliveries at the same time; return their attempts in the same order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.deliver(service, one)) for one in deliveries]
        return tuple(task.result() for task in tasks)

    async def redeliver(self, service: Service, hook_id: UUID, event_id: UUID) -> DeliveryAttempt:
        """Send an event again; return the attempt when it has ended, or early in that variant.

        Raises:
            RequestRefusedError: 404, the subscription or its event is not known.
        """
        delivery = service.redeliver(hook_id, event_id)
        if service.variants.redelivery == "answers_early":
            self._start(service, delivery)
            return delivery.attempt
        return await self.deliver(service, delivery)

    async def advance(self, service: Service, step: timedelta) -> tuple[DeliveryAttempt, ...]:
        """Step the clock, and on the way deliver everything that is due, in order of time.

        Retries go one after the other, so that a subscriber sees them in the same order always.

        Raises:
            ValueError: The step goes back, or beyond the year 9998.
        """
        attempts: list[DeliveryAttempt] = []
        lock = self._advancing.setdefault(service, asyncio.Lock())
        async with lock:
            await self._settle(service)
            until = service.timeline.target(step)
            # Who was forgotten meanwhile has another clock now, if any.
            while self._advancing.get(service) is lock:
                delivery = service.retry_next(until)
                if delivery is None:
                    service.step_to(until)
                    break
                attempts.append(await self.deliver(service, delivery))
        return tuple(attempts)

    async def follow_real_time(self, services: Callable[[], Iterable[Service]]) -> None:
        """From now on deliver what real time brings about.

        Args:
            services: Returns the services of all tenants.
        """
        self._watch = asyncio.get_running_loop().create_task(self._watch_time(services))
        self._watch.add_done_callback(_report)

    def forget(self, service: Service) -> None:
        """Cut off what goes on in the background for a tenant, and steps of its clock."""
        self._advancing.pop(service, None)
        for task in self._background.pop(service, set()):
            task.cancel()

    def go_on(self, service: Service, task: asyncio.Task[object]) -> None:
        """Have deliveries go on in the background: steps of the clock wait for them.

        Args:
            service: Whose they are. When it is forgotten, they are cut off.
            task: What makes them.
        """
        tasks = self._background.setdefault(service, set())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _start(self, service: Service, delivery: Delivery) -> None:
        """Send a delivery for which nobody waits."""
        task = asyncio.get_running_loop().create_task(self.deliver(service, delivery))
        self.go_on(service, task)
        task.add_done_callback(_report)

    async def _watch_time(self, services: Callable[[], Iterable[Service]]) -> None:
        while True:
            for service in services():
                service.timeline.flow()
                while (delivery := service.retry_next(service.timeline.position)) is not None:
                    self._start(service, delivery)
            await asyncio.sleep(_TICK)

    async def _settle(self, service: Service) -> None:
        """Wait until the deliveries in the background have ended."""
        while tasks := self._background.get(service):
            await asyncio.wait(tasks)


def _report(task: asyncio.Task[DeliveryAttempt] | asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler({"message": "A task failed", "exception": error})
