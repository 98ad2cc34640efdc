"""Behaviour shared by the ASGI and WSGI applications, over real sockets."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import anyio.lowlevel
import httpx
import pytest
from support.receiving_helpers import (
    BODY,
    DELIVERY_ID,
    EVENT,
    PRIVATE,
    SECRET,
    delivery_headers,
    serve_asgi,
    serve_validated_wsgi,
    serve_wsgi,
)

from webhooks_sdk import ConfigurationError, Delivery, DeliveryRouter, asgi, sign, wsgi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

App: TypeAlias = type[asgi.DeliveryApp] | type[wsgi.DeliveryApp]
Serve: TypeAlias = "Callable[[Any], AbstractContextManager[str]]"
LIMIT = 1000
INTERFACES: dict[str, tuple[App, Serve]] = {
    "ASGI": (asgi.DeliveryApp, lambda app: serve_asgi(app, "on")),
    "WSGI": (wsgi.DeliveryApp, serve_wsgi),
    "WSGI, validated": (wsgi.DeliveryApp, serve_validated_wsgi),
}


class Handlers:
    """A router whose handlers record their deliveries."""

    def __init__(self) -> None:
        self.router = DeliveryRouter()
        self.deliveries: list[Delivery] = []
        self.threads: list[int] = []
        self.router.on("application_form:quoted")(self.record)
        self.router.on("application_form")(self.record_async)
        self.router.on("carrier")(AsyncCallable(self))
        self.router.on("question_set")(self.record_awaitable)
        self.router.on("quote_request")(self.fail)
        self.router.on("quote_request:failed")(self.fail_async)

    def record(self, delivery: Delivery) -> str:
        self.deliveries.append(delivery)
        self.threads.append(threading.get_ident())
        return "ignored"

    async def record_async(self, delivery: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        self.record(delivery)

    def record_awaitable(self, delivery: Delivery) -> Awaitable[None]:
        return self.record_async(delivery)

    def fail(self, delivery: Delivery) -> None:
        raise LookupError(str(delivery.payload))

    async def fail_async(self, delivery: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError(str(delivery.payload))


class AsyncCallable:
    """An async handler that is not a coroutine function."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    async def __call__(self, delivery: Delivery) -> None:
        await self._handlers.record_async(delivery)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture(params=INTERFACES.values(), ids=list(INTERFACES))
def interface(request: pytest.FixtureRequest) -> tuple[App, Serve]:
    param: tuple[App, Serve] = request.param
    return param


@pytest.fixture
def url(interface: tuple[App, Serve], handlers: Handlers) -> Iterator[str]:
    app, serve = interface
    with serve(app(handlers.router, secret=SECRET, max_body_bytes=LIMIT)) as url:
        yield url


def post(url: str, body: bytes = BODY, headers: Mapping[str, str] | None = None) -> httpx.Response:
    headers = delivery_headers(body) if headers is None else headers
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)


def send_raw(url: str, *parts: bytes, close_early: bool = False) -> bytes:
    """Send bytes, and return everything received until the server closes the connection."""
    parsed = urlsplit(url)
    with socket.create_connection((parsed.hostname, parsed.port or 0), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        if close_early:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def request_head(**fields: str) -> bytes:
    headers = {"Host": "localhost", "Connection": "close"} | delivery_headers()
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(
    "event", [EVENT, "application_form:inactive", "carrier", "question_set:completed"]
)
def test_the_handler_runs_before_the_response(url: str, handlers: Handlers, event: str) -> None:
    response = post(url, headers=delivery_headers(event=event))
    assert (response.status_code, response.content) == (204, b"")
    (delivery,) = handlers.deliveries
    assert (delivery.event, str(delivery.delivery_id)) == (event, DELIVERY_ID)
    assert delivery.payload["id"] == 4711
    assert delivery.signature_verified


def test_any_path_is_served(url: str, handlers: Handlers) -> None:
    assert post(f"{url}/any/where?at=all").status_code == 204
    assert len(handlers.deliveries) == 1


def test_an_event_without_a_handler_returns_204(url: str, handlers: Handlers) -> None:
    assert post(url, headers=delivery_headers(event="new:thing")).status_code == 204
    assert handlers.deliveries == []


@pytest.mark.parametrize("event", ["quote_request:completed", "quote_request:failed"])
def test_a_failing_handler_returns_500_and_is_logged_without_the_payload(
    url: str, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = post(url, headers=delivery_headers(event=event))
    assert (response.status_code, response.text) == (500, "The handler failed.\n")
    (record,) = [record for record in caplog.records if record.name == "webhooks_sdk"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    message = record.getMessage()
    assert message.startswith(
        f"The handler for {event} raised LookupError on delivery {DELIVERY_ID}, so the response is"
        " 500 and the service will retry."
    )
    assert "LookupError was raised at:\n  File " in message
    assert ", in fail" in message
    assert PRIVATE not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("change", "body", "status"),
    [
        ({"X-Signature": sign(BODY, "another")}, BODY, 401),
        ({"X-Signature": ""}, BODY, 401),
        ({"X-Signature": sign(BODY, SECRET).upper()}, BODY, 401),
        ({}, BODY + b" ", 401),
        ({"X-Emperor-Event": "a b"}, BODY, 400),
        ({"X-Emperor-Delivery": PRIVATE}, BODY, 400),
        ({"X-Signature": sign(b"[]", SECRET)}, b"[]", 400),
        ({"X-Signature": sign(b"", SECRET)}, b"", 400),
    ],
)
def test_an_invalid_delivery_is_rejected_with_only_the_reason(
    url: str, change: dict[str, str], body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    response = post(url, body, delivery_headers() | change)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    (record,) = [record for record in caplog.records if record.name == "webhooks_sdk"]
    assert record.levelno == logging.WARNING
    reason = response.text.strip()
    assert record.getMessage() == f"Rejected a delivery with status {status}: {reason}"
    for private in (PRIVATE, SECRET, sign(BODY, SECRET)):
        assert private not in response.text + caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(url: str, method: str) -> None:
    response = httpx.request(method, url, trust_env=False, timeout=30)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_a_content_length_over_the_limit_is_rejected_before_the_body_is_read(url: str) -> None:
    for length in (str(LIMIT + 1), "9" * 18):
        received = send_raw(url, request_head(Content_Length=length))
        assert b" 413 " in received.partition(b"\r\n")[0]


def test_a_body_of_exactly_the_limit_is_accepted(url: str) -> None:
    body = BODY + b" " * (LIMIT - len(BODY))
    assert post(url, body).status_code == 204
    assert post(url, body + b" ").status_code == 413


def test_an_incomplete_body_is_not_handled(url: str, handlers: Handlers) -> None:
    # The bytes that arrived are a valid delivery.
    received = send_raw(
        url, request_head(Content_Length=str(len(BODY) + 1)), BODY, close_early=True
    )
    assert not received.startswith(b"HTTP/1.1 2")
    assert not received.startswith(b"HTTP/1.0 2")
    assert handlers.deliveries == []
    assert post(url).status_code == 204


# wsgiref does not support chunked bodies.
@pytest.mark.parametrize(
    "interface", [INTERFACES["ASGI"], INTERFACES["WSGI"]], ids=["ASGI", "WSGI"]
)
@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([BODY], 204),
        ([BODY[:10], BODY[10:]], 204),
        ([], 401),
        ([BODY, b" "], 401),
        ([b" " * (LIMIT + 1)], 413),
        ([b" " * 600, b" " * 600], 413),
    ],
)
def test_a_chunked_body_has_the_same_limit(url: str, chunks: list[bytes], status: int) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    received = send_raw(url, request_head(Transfer_Encoding="chunked") + framed + b"0\r\n\r\n")
    assert received.split(b" ", 2)[1] == str(status).encode()


@pytest.mark.parametrize("app", [asgi.DeliveryApp, wsgi.DeliveryApp])
@pytest.mark.parametrize("secret", ["", b"", [], [SECRET, ""]])
def test_an_empty_secret_is_rejected_when_the_app_is_created(app: App, secret: str) -> None:
    with pytest.raises(ConfigurationError):
        app(DeliveryRouter(), secret=secret)


@pytest.mark.parametrize("app", [asgi.DeliveryApp, wsgi.DeliveryApp])
def test_the_repr_of_an_app_does_not_show_its_secret(app: App) -> None:
    assert SECRET not in repr(app(DeliveryRouter(), secret=SECRET))


def test_adding_and_rotating_a_secret(interface: tuple[App, Serve], handlers: Handlers) -> None:
    app, serve = interface
    unsigned = delivery_headers(secret=None)
    # The app must keep the secrets of an iterator for more than one delivery.
    with serve(app(handlers.router, secret=iter(["new", SECRET]), allow_unsigned=True)) as url:
        assert post(url, headers=unsigned).status_code == 204
        assert post(url, headers=delivery_headers(secret="new")).status_code == 204
        assert post(url, headers=delivery_headers()).status_code == 204
        assert post(url, headers=delivery_headers(secret="third")).status_code == 401
    with serve(app(handlers.router, secret=None)) as url:
        assert post(url, headers=unsigned).status_code == 204
        assert post(url).status_code == 401
    verified = [delivery.signature_verified for delivery in handlers.deliveries]
    assert verified == [False, True, True, False]
