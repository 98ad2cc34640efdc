"""Receive deliveries in WSGI applications (Flask, Django and others)."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Iterable
from http import HTTPStatus
from inspect import isawaitable
from wsgiref.types import StartResponse, WSGIEnvironment

import anyio

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

_CHUNK_BYTES = 65_536


class DeliveryApp(BaseDeliveryApp):
    """A WSGI application that receives deliveries, at any path.

    It responds 204 if the handler returned or there is none; 500 if the handler raised, so that
    the service retries; and 400, 401, 405 or 413 if the request is not an acceptable delivery. An
    async handler runs in a new asyncio event loop for each delivery.

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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one WSGI request."""
        response = self._respond(environ)
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", response.headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]

    def _respond(self, environ: WSGIEnvironment) -> AppResponse:
        """Return the response to a request."""
        try:
            body = self._start_body(environ["REQUEST_METHOD"], _content_length(environ))
            _read_body(environ, body)
            delivery = self._parse_delivery(environ, body)
        except DeliveryError as error:
            return reject(error)
        try:
            dispatch(self._router, delivery)
        # Under WSGI nothing cancels a request: the handler cancelled one of its own tasks.
        except (Exception, CancelledError) as error:  # noqa: BLE001 - logged, and reported as 500
            return handler_failed(delivery, error)
        return SUCCESS


def dispatch(router: DeliveryRouter, delivery: Delivery) -> None:
    """Run the handler for a delivery, if there is one, in your own sync view.

    An async handler runs in a new asyncio event loop, so do not call this in a thread that already
    runs one.

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
    result = handler(delivery)
    if isawaitable(result):
        anyio.run(_await, result)


def _content_length(environ: WSGIEnvironment) -> str | None:
    # An empty value means the same as no value (PEP 3333).
    return environ.get("CONTENT_LENGTH") or None


def _read_body(environ: WSGIEnvironment, body: BodyBuffer) -> None:
    """Read the body into a buffer.

    Raises:
        DeliveryError: The end of the body is unknown, or the client disconnected.
        DeliveryTooLargeError: The body is larger than the limit.
    """
    if _content_length(environ) is None and not environ.get("wsgi.input_terminated"):
        # The server does not know where the body ends, so reading may block indefinitely.
        raise DeliveryError("The request has no Content-Length, which this server requires.")
    try:
        while chunk := environ["wsgi.input"].read(min(body.remaining, _CHUNK_BYTES)):
            body.append(chunk)
    except OSError:
        raise DeliveryError("The connection was lost before the end of the body.") from None


async def _await(result: Awaitable[object]) -> None:
    await result
