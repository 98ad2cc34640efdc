"""Deliveries for ASGI applications (FastAPI, Starlette and others), on asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio import to_thread

from webhooks_sdk._receiving.responder import HANDLED, Receiver, failed, find_handler, refused
from webhooks_sdk.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhooks_sdk._receiving.delivery import Delivery
    from webhooks_sdk._receiving.responder import IncomingBody, Reply
    from webhooks_sdk._receiving.router import DeliveryRouter

__all__ = ["DeliveryApp", "dispatch"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_POLICY_VIOLATION = 1008


class DeliveryApp(Receiver):
    """An ASGI application that receives deliveries, at whichever path it is mounted.

    It answers 204 where a handler has run or there is none; 500 where the handler raised, so that
    the service tries again; 405, 413, 401 and 400 to what is no delivery to be taken. A sync
    handler runs in a worker thread.

    Args:
        router: Who handles what.
        secret: The subscription's secret; several while one is being replaced; None if the
            subscription has no secret.
        allow_unsigned: Take deliveries without a signature although there is a secret: for the
            moment when a live subscription is given one. A signature that is there must hold.
        max_body_bytes: How large a body may be; no more is read.

    Raises:
        ConfigurationError: There is no secret in `secret`, or one that is empty or no UTF-8 text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        match scope["type"]:
            case "http":
                reply = await self._reply(scope, receive)
                if reply is not None:
                    await _send(reply, send)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            case other:
                raise ValueError(f"A DeliveryApp speaks http, not {other}.")

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        try:
            body = self._begin(scope["method"], _content_length(headers))
            if not await _read(receive, body):
                return None
            delivery = self._conclude(headers, body)
        except DeliveryError as error:
            return refused(error)
        try:
            await dispatch(self._router, delivery)
        except Exception as error:  # noqa: BLE001 - logged, and answered
            return failed(delivery, error)
        return HANDLED


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    values = (value.decode("latin-1") for name, value in headers if name == b"content-length")
    return next(values, None)


async def _read(receive: Receive, body: IncomingBody) -> bool:
    """Read a body to its end; False if the client left before that."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        body.feed(message.get("body", b""))
        more = message.get("more_body", False)
    return True


async def dispatch(router: DeliveryRouter, delivery: Delivery) -> None:
    """Run the handler of a delivery, if there is one: for an async view of your own.

    A sync handler runs in a worker thread.

    Args:
        router: Who handles what.
        delivery: What has been delivered.

    Raises:
        Exception: What the handler raises.
    """
    handler = find_handler(router, delivery)
    if handler is None:
        return
    if iscoroutinefunction(handler):
        await handler(delivery)
        return
    result = await to_thread.run_sync(handler, delivery)
    # Of a lambda, say, or an object whose __call__ is async: they do not look async.
    if isawaitable(result):
        await result


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    ended = False
    while not ended:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        ended = event == "lifespan.shutdown"
