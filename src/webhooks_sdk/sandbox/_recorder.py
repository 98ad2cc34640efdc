"""A log of the HTTP requests that an application receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from webhooks_sdk.sandbox._records import ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestRecorder:
    """An ASGI application that records what passes through it to another."""

    def __init__(self, app: ASGIApp, *, now: Callable[[], datetime]) -> None:
        self._app = app
        self._now = now
        # Grows at its end, items are replaced: copying it is atomic, so any thread may.
        self._requests: list[ReceivedRequest] = []

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Every request so far, in the order in which they came."""
        return tuple(self._requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and record it, then the status of its answer."""
        position = len(self._requests)
        request = ReceivedRequest(
            method=scope["method"], path=scope["path"], status=None, received_at=self._now()
        )
        self._requests.append(request)

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests[position] = evolve(request, status=message["status"])
            await send(message)

        await self._app(scope, receive, send_recorded)
