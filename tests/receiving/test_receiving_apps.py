"""What the ASGI and the WSGI application have in common: one suite for both, over real sockets."""

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
    EVENT,
    ID,
    PRIVATE,
    SECRET,
    delivery_headers,
    serving_asgi,
    serving_strict_wsgi,
    serving_wsgi,
)

from webhooks_sdk import ConfigurationError, Delivery, DeliveryRouter, asgi, sign, wsgi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

App: TypeAlias = type[asgi.DeliveryApp] | type[wsgi.DeliveryApp]
Serving: TypeAlias = "Callable[[Any], AbstractContextManager[str]]"
LIMIT = 1000
KINDS: dict[str, tuple[App, Serving]] = {
    "ASGI": (asgi.DeliveryApp, lambda app: serving_asgi(app, "on")),
    "WSGI": (wsgi.DeliveryApp, serving_wsgi),
    "WSGI, checked": (wsgi.DeliveryApp, serving_strict_wsgi),
}


class Handlers:
    """A router, and what its handlers were given."""

    def __init__(self) -> None:
        self.router = DeliveryRouter()
        self.deliveries: list[Delivery] = []
        self.threads: list[int] = []
        self.router.on("application_form:quoted")(self.take)
        self.router.on("application_form")(self.take_async)
        self.router.on("carrier")(TakesLater(self))
        self.router.on("question_set")(self.take_soon)
        self.router.on("quote_request")(self.fail)
        self.router.on("quote_request:failed")(self.fail_async)

    def take(self, delivery: Delivery) -> str:
        self.deliveries.append(delivery)
        self.threads.append(threading.get_ident())
        return "not looked at"

    async def take_async(self, delivery: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        self.take(delivery)

    def take_soon(self, delivery: Delivery) -> Awaitable[None]:
        return self.take_async(delivery)

    def fail(self, delivery: Delivery) -> None:
        raise LookupError(str(delivery.payload))

    async def fail_async(self, delivery: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError(str(delivery.payload))


class TakesLater:
    """A handler that does not look async."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    async def __call__(self, delivery: Delivery) -> None:
        await self._handlers.take_async(delivery)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> tuple[App, Serving]:
    param: tuple[App, Serving] = request.param
    return param


@pytest.fixture
def url(kind: tuple[App, Serving], handlers: Handlers) -> Iterator[str]:
    app, serving = kind
    with serving(app(handlers.router, secret=SECRET, max_body_bytes=LIMIT)) as url:
        yield url


def post(url: str, body: bytes = BODY, headers: Mapping[str, str] | None = None) -> httpx.Response:
    headers = delivery_headers(body) if headers is None else headers
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)


def say(url: str, *parts: bytes, leave: bool = False) -> bytes:
    """Send bytes, and return all that comes back until the server hangs up."""
    parsed = urlsplit(url)
    with socket.create_connection((parsed.hostname, parsed.port or 0), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def head(**fields: str) -> bytes:
    headers = {"Host": "localhost", "Connection": "close"} | delivery_headers()
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(
    "event", [EVENT, "application_form:inactive", "carrier", "question_set:completed"]
)
def test_the_handler_has_run_when_the_answer_comes(
    url: str, handlers: Handlers, event: str
) -> None:
    answer = post(url, headers=delivery_headers(event=event))
    assert (answer.status_code, answer.content) == (204, b"")
    (delivery,) = handlers.deliveries
    assert (delivery.event, str(delivery.delivery_id)) == (event, ID)
    assert delivery.payload["application_form_id"] == 4711
    assert delivery.signature_verified


def test_any_path_is_served(url: str, handlers: Handlers) -> None:
    assert post(f"{url}/any/where?at=all").status_code == 204
    assert len(handlers.deliveries) == 1


def test_an_event_that_nobody_handles_is_a_success(url: str, handlers: Handlers) -> None:
    assert post(url, headers=delivery_headers(event="new:thing")).status_code == 204
    assert handlers.deliveries == []


@pytest.mark.parametrize("event", ["quote_request:completed", "quote_request:failed"])
def test_a_handler_that_raises_is_answered_500_and_logged_without_the_payload(
    url: str, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(url, headers=delivery_headers(event=event))
    assert (answer.status_code, answer.text) == (500, "The handler failed.\n")
    (record,) = [record for record in caplog.records if record.name == "webhooks_sdk"]
    assert record.levelno == logging.ERROR
    assert record.exc_info is None
    said = record.getMessage()
    assert said.startswith(f"the handler of {event}, delivery {ID}, raised LookupError\n")
    assert ", in fail" in said
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
def test_what_is_no_delivery_is_refused_with_the_reason_alone(
    url: str, change: dict[str, str], body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(url, body, delivery_headers() | change)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    (record,) = [record for record in caplog.records if record.name == "webhooks_sdk"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"refused a delivery with {status}: {answer.text.strip()}"
    for hidden in (PRIVATE, SECRET, sign(BODY, SECRET)):
        assert hidden not in answer.text + caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(url: str, method: str) -> None:
    answer = httpx.request(method, url, trust_env=False, timeout=30)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_a_length_over_the_limit_is_refused_before_a_byte_is_read(url: str) -> None:
    assert b" 413 " in say(url, head(Content_Length=str(LIMIT + 1))).partition(b"\r\n")[0]
    assert b" 413 " in say(url, head(Content_Length="9" * 18)).partition(b"\r\n")[0]


def test_a_body_of_exactly_the_limit_is_taken(url: str) -> None:
    body = BODY + b" " * (LIMIT - len(BODY))
    assert post(url, body).status_code == 204
    assert post(url, body + b" ").status_code == 413


def test_a_body_that_breaks_off_is_not_handled(url: str, handlers: Handlers) -> None:
    # Even if what came is a valid delivery.
    said = say(url, head(Content_Length=str(len(BODY) + 1)), BODY, leave=True)
    assert not said.startswith(b"HTTP/1.1 2")
    assert not said.startswith(b"HTTP/1.0 2")
    assert handlers.deliveries == []
    assert post(url).status_code == 204


# The server of the standard library knows no chunks.
@pytest.mark.parametrize("kind", [KINDS["ASGI"], KINDS["WSGI"]], ids=["ASGI", "WSGI"])
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
def test_a_body_in_chunks_has_the_same_limit(url: str, chunks: list[bytes], status: int) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    said = say(url, head(Transfer_Encoding="chunked") + framed + b"0\r\n\r\n")
    assert said.split(b" ", 2)[1] == str(status).encode()


@pytest.mark.parametrize("app", [asgi.DeliveryApp, wsgi.DeliveryApp])
@pytest.mark.parametrize("secret", ["", b"", [], [SECRET, ""]])
def test_an_empty_secret_is_noticed_when_the_app_is_made(app: App, secret: str) -> None:
    with pytest.raises(ConfigurationError):
        app(DeliveryRouter(), secret=secret)


@pytest.mark.parametrize("app", [asgi.DeliveryApp, wsgi.DeliveryApp])
def test_an_app_does_not_show_its_secret(app: App) -> None:
    assert SECRET not in repr(app(DeliveryRouter(), secret=SECRET))


def test_introducing_and_replacing_a_secret(kind: tuple[App, Serving], handlers: Handlers) -> None:
    app, serving = kind
    unsigned = delivery_headers(secret=None)
    # An iterator: it has to last for more than one delivery.
    with serving(app(handlers.router, secret=iter(["new", SECRET]), allow_unsigned=True)) as url:
        assert post(url, headers=unsigned).status_code == 204
        assert post(url, headers=delivery_headers(secret="new")).status_code == 204
        assert post(url, headers=delivery_headers()).status_code == 204
        assert post(url, headers=delivery_headers(secret="third")).status_code == 401
    with serving(app(handlers.router, secret=None)) as url:
        assert post(url, headers=unsigned).status_code == 204
        assert post(url).status_code == 401
    verified = [delivery.signature_verified for delivery in handlers.deliveries]
    assert verified == [False, True, True, False]
