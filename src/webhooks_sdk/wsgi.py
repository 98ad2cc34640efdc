"""Deliveries for WSGI applications (Flask, Django and others)."""

from __future__ import annotations

from asyncio import CancelledError
from http import HTTPStatus
from inspect import isawaitable
from typing import TYPE_CHECKING

import anyio

from webhooks_sdk._receiving.responder import HANDLED, Receiver, failed, find_handler, refused
from webhooks_sdk.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from webhooks_sdk._receiving.delivery import Delivery
    from webhooks_sdk._receiving.responder import IncomingBody, Reply
    from webhooks_sdk._receiving.router import DeliveryRouter

__all__ = ["DeliveryApp", "dispatch"]

_CHUNK = 65_536


class DeliveryApp(Receiver):
    """A WSGI application that receives deliveries, at whichever path it is mounted.

    It answers 204 where a handler has run or there is none; 500 where the handler raised, so that
    the service tries again; 405, 413, 401 and 400 to what is no delivery to be taken. An async
    handler runs in an asyncio event loop of its own, one for each delivery.

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

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        reply = self._reply(environ)
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", reply.headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else reply.body]

    def _reply(self, environ: WSGIEnvironment) -> Reply:
        try:
            # Absent and empty mean the same (PEP 3333).
            body = self._begin(environ["REQUEST_METHOD"], environ.get("CONTENT_LENGTH") or None)
            _read(environ, body)
            delivery = self._conclude(environ, body)
        except DeliveryError as error:
            return refused(error)
        try:
            dispatch(self._router, delivery)
        # Nobody cancels a WSGI application: what is cancelled is a task of the handler's own.
        except (Exception, CancelledError) as error:  # noqa: BLE001 - logged, and answered
            return failed(delivery, error)
        return HANDLED


def _read(environ: WSGIEnvironment, body: IncomingBody) -> None:
    if not environ.get("CONTENT_LENGTH") and not environ.get("wsgi.input_terminated"):
        # Such a server may block where the body ends, for it does not know where that is.
        raise DeliveryError("The request has no Content-Length, which this server needs.")
    try:
        while chunk := environ["wsgi.input"].read(min(body.wanted, _CHUNK)):
            body.feed(chunk)
    except OSError:
        raise DeliveryError("The request was broken off.") from None


def dispatch(router: DeliveryRouter, delivery: Delivery) -> None:
    """Run the handler of a delivery, if there is one: for a sync view of your own.

    An async handler runs in an asyncio event loop of its own, so this is not for a thread in which
    one runs already.

    Args:
        router: Who handles what.
        delivery: What has been delivered.

    Raises:
        Exception: What the handler raises.
    """
    handler = find_handler(router, delivery)
    result = None if handler is None else handler(delivery)
    if isawaitable(result):
        anyio.run(_wait, result)


async def _wait(result: Awaitable[object]) -> None:
    await result
