"""Where every request comes in: past the guard, to the API or to the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhooks_sdk.sandbox._http.requests import read_headers
from webhooks_sdk.sandbox._http.response import refuse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhooks_sdk.sandbox._http.guard import Guard

CONTROL_PATH: Final = "/_sandbox/"


class RootApp:
    """An ASGI application in front of the others.

    Args:
        api: What answers the requests to the API.
        control: What answers those under `/_sandbox/`.
        guard: Who judges them first.
    """

    def __init__(self, api: ASGIApp, control: ASGIApp, guard: Guard) -> None:
        self._api = api
        self._control = control
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer whatever becomes of it."""
        has_answer = False

        async def watched_send(message: Message) -> None:
            nonlocal has_answer
            has_answer = True
            await send(message)

        headers = read_headers(scope)
        if (refusal := self._guard.judge(headers)) is not None:
            await refusal.send(send)
            return
        app = self._control if scope["path"].startswith(CONTROL_PATH) else self._api
        try:
            await app(scope, receive, watched_send)
        except Exception:
            if not has_answer:
                await refuse(500, "The sandbox itself failed.").send(send)
            # On to the server, which tells of it.
            raise
