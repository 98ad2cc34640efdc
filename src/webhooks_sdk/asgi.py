"""Receive deliveries in ASGI applications (FastAPI, Starlette and others), on asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeAlias

from anyio import to_thread

from webhooks_sdk._receiving.app import (
    SUCCESS,
    AppResponse,
    BaseDeliveryApp,
    BodyBuffer,
    find_handler,
    handler_failed,
    reject,
)
from webhooks_sdk._receiving.delivery import Delivery
from webhooks_sdk._receiving.router import DeliveryRouter
from webhooks_sdk.errors import DeliveryError

__all__ = ["DeliveryApp", "dispatch"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class DeliveryApp(BaseDeliveryApp):
    """An ASGI application that receives deliveries, at any path.

    It responds 204 if the handler returned or there is none; 500 if the handler raised, so that
    the service retries; and 400, 401, 405 or 413 if the request is not an acceptable delivery. A
    sync handler runs in a worker thread.

    Args:
        router: The handlers.
        secret: The subscription's secret; several during a rotation; None if the subscription has
            no secret.
        allow_unsigned: Accept deliveries without a signature although there is a secret, while a
            secret is being added to a live subscription. A signature that is present must still be
            valid.
        max_body_bytes: Maximum size of a body in bytes, from 1 to 2,147,483,647; no more is read.

    Raises:
        ConfigurationError: `router` is not a `DeliveryRouter`, `allow_unsigned` is not a bool,
            `max_body_bytes` is out of range, or `secret` holds no secret, an empty one, or one that
            cannot be encoded as UTF-8.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        match scope["type"]:
            case "http":
                response = await self._respond(scope, receive)
                if response is not None:
                    await _send_response(response, send)
            case "lifespan":
                await _handle_lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            case other:
                raise ValueError(f"DeliveryApp supports HTTP only, got the scope type {other!r}.")

    async def _respond(self, scope: Scope, receive: Receive) -> AppResponse | None:
        """Return the response to a request; None if the client disconnected."""
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        try:
            body = self._start_body(scope["method"], _content_length(headers))
            if not await _read_body(receive, body):
                return None
            delivery = self._parse_delivery(headers, body)
        except DeliveryError as error:
            return reject(error)
        try:
            await dispatch(self._router, delivery)
        except Exception as error:  # noqa: BLE001 - logged, and reported as 500
            return handler_failed(delivery, error)
        return SUCCESS


async def dispatch(router: DeliveryRouter, delivery: Delivery) -> None:
    """Run the handler for a delivery, if there is one, in your own async view.

    A sync handler runs in a worker thread.

    Args:
        router: The handlers.
        delivery: The delivery to handle.

    Raises:
        ConfigurationError: `router` is not a `DeliveryRouter`.
        Exception: Whatever the handler raises.
    """
    handler = find_handler(router, delivery)
    if handler is None:
        return
    if iscoroutinefunction(handler):
        await handler(delivery)
        return
    result = await to_thread.run_sync(handler, delivery)
    # Not every async callable is a coroutine function: a lambda, or an object with async __call__.
    if isawaitable(result):
        await result


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    values = (value.decode("latin-1") for name, value in headers if name == b"content-length")
    return next(values, None)


async def _read_body(receive: Receive, body: BodyBuffer) -> bool:
    """Read the body into a buffer; return False if the client disconnected."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        body.append(message.get("body", b""))
        more = message.get("more_body", False)
    return True


async def _send_response(response: AppResponse, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _handle_lifespan(receive: Receive, send: Send) -> None:
    shut_down = False
    while not shut_down:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        shut_down = event == "lifespan.shutdown"
