"""The root ASGI application of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhooks_sdk.sandbox._http.requests import read_headers
from webhooks_sdk.sandbox._http.response import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhooks_sdk.sandbox._http.guard import Guard

CONTROL_PATH: Final = "/_sandbox/"


class RootApp:
    """An ASGI application that checks each request and routes it to the API or the control API.

    Args:
        api: Handles requests to the API.
        control: Handles requests under `/_sandbox/`.
        guard: Rejects requests from other hosts and origins.
    """

    def __init__(self, api: ASGIApp, control: ASGIApp, guard: Guard) -> None:
        self._api = api
        self._control = control
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request, and respond with 500 if the application fails."""
        response_started = False

        async def tracking_send(message: Message) -> None:
            nonlocal response_started
            response_started = True
            await send(message)

        headers = read_headers(scope)
        if (rejection := self._guard.check(headers)) is not None:
            await rejection.send(send)
            return
        app = self._control if scope["path"].startswith(CONTROL_PATH) else self._api
        try:
            await app(scope, receive, tracking_send)
        except Exception:
            if not response_started:
                message = "An internal error occurred in the sandbox."
                await error_response(500, message).send(send)
            # The server records the failure.
            raise
