"""Sends deliveries: published events, redeliveries, and automatic retries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._records import DeliveryResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from uuid import UUID

    from webhooks_sdk.sandbox._delivering.sender import Sender
    from webhooks_sdk.sandbox._records import DeliveryAttempt, StartedDelivery
    from webhooks_sdk.sandbox._service.service import Service

_NOT_SENT = DeliveryResult(error="not sent: the subscription is inactive or its URL is invalid")
_CANCELLED = DeliveryResult(error="cancelled: the sandbox stopped, or the caller stopped waiting")
_POLL_INTERVAL = 0.5  # seconds


class DeliveryDispatcher:
    """Sends the deliveries of all tenants, and records their results.

    All methods run on the same event loop.

    Args:
        sender: Sends the HTTP requests.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._poller: asyncio.Task[None] | None = None
        self._background: dict[Service, set[asyncio.Task[object]]] = {}
        self._advancing: dict[Service, asyncio.Lock] = {}

    async def deliver(self, service: Service, delivery: StartedDelivery) -> DeliveryAttempt:
        """Send a delivery, and return its attempt whether it succeeds or fails."""
        try:
            result = (
                _NOT_SENT
                if delivery.request is None
                else await self._sender.send(delivery.request, service.timeouts)
            )
        except asyncio.CancelledError:
            service.finish_attempt(delivery, _CANCELLED)
            raise
        return service.finish_attempt(delivery, result)

    async def publish(
        self, service: Service, deliveries: Iterable[StartedDelivery]
    ) -> tuple[DeliveryAttempt, ...]:
        """Send deliveries concurrently, and return their attempts in the same order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.deliver(service, delivery)) for delivery in deliveries]
        return tuple(task.result() for task in tasks)

    async def redeliver(self, service: Service, hook_id: UUID, event_id: UUID) -> DeliveryAttempt:
        """Redeliver an event, and return the attempt.

        The attempt has ended, unless the `redelivery` variant is `"responds_early"`.

        Raises:
            RequestRefusedError: 404, the subscription or its event does not exist.
        """
        delivery = service.redeliver(hook_id, event_id)
        if service.variants.redelivery == "responds_early":
            self._send_in_background(service, delivery)
            return delivery.attempt
        return await self.deliver(service, delivery)

    async def advance(self, service: Service, step: timedelta) -> tuple[DeliveryAttempt, ...]:
        """Advance the clock, and send the retries that become due, in that order.

        Retries are sent one at a time, so their order is deterministic.

        Raises:
            ValueError: The step is negative, or moves the clock past the year 9998.
        """
        attempts: list[DeliveryAttempt] = []
        lock = self._advancing.setdefault(service, asyncio.Lock())
        async with lock:
            await self._wait_for_background(service)
            until = service.timeline.schedule_time_after(step)
            # After a reset or removal of the tenant, `until` no longer applies.
            while self._advancing.get(service) is lock:
                delivery = service.start_next_retry(until)
                if delivery is None:
                    service.step_to(until)
                    break
                attempts.append(await self.deliver(service, delivery))
        return tuple(attempts)

    async def start_real_time_retries(self, services: Callable[[], Iterable[Service]]) -> None:
        """Start sending retries as they become due in real time.

        Args:
            services: Returns the services of all tenants.
        """
        self._poller = asyncio.get_running_loop().create_task(self._poll(services))
        self._poller.add_done_callback(_report_failure)

    def cancel(self, service: Service) -> None:
        """Cancel a tenant's background deliveries, and end the steps of its clock."""
        self._advancing.pop(service, None)
        for task in self._background.pop(service, set()):
            task.cancel()

    def track(self, service: Service, task: asyncio.Task[object]) -> None:
        """Register a background task that sends deliveries. Steps of the clock wait for it.

        Args:
            service: The service of the tenant; `cancel` cancels the task.
            task: The task.
        """
        tasks = self._background.setdefault(service, set())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _send_in_background(self, service: Service, delivery: StartedDelivery) -> None:
        """Send a delivery in the background."""
        task = asyncio.get_running_loop().create_task(self.deliver(service, delivery))
        self.track(service, task)
        task.add_done_callback(_report_failure)

    async def _poll(self, services: Callable[[], Iterable[Service]]) -> None:
        while True:
            for service in services():
                service.timeline.start()
                while (
                    delivery := service.start_next_retry(service.timeline.schedule_time)
                ) is not None:
                    self._send_in_background(service, delivery)
            await asyncio.sleep(_POLL_INTERVAL)

    async def _wait_for_background(self, service: Service) -> None:
        """Wait until the background deliveries have ended."""
        while tasks := self._background.get(service):
            await asyncio.wait(tasks)


def _report_failure(task: asyncio.Task[DeliveryAttempt] | asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {
                "message": "A background delivery or the retry poller failed",
                "exception": error,
            }
        )
