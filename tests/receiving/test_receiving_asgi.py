"""The ASGI application at the level of ASGI messages, on asyncio and trio."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.receiving_helpers import BODY, SECRET, delivery_headers, to_byte_pairs

from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.asgi import DeliveryApp

if TYPE_CHECKING:
    from collections.abc import Sequence

Message = dict[str, Any]
HTTP: Message = {"type": "http", "method": "POST", "path": "/", "root_path": "/webhooks"}


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def exchange(
    app: DeliveryApp, scope: Message, messages: Sequence[Message], backend: str
) -> list[Message]:
    """Run an application, and return what it sends; it must not receive more than the messages."""
    incoming = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def run() -> None:
        await app(dict(scope), receive, send)

    anyio.run(run, backend=backend)
    return sent


def request(**changes: object) -> Message:
    return HTTP | {"headers": to_byte_pairs(delivery_headers())} | changes


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_async_handlers_run_in_the_event_loop_and_sync_ones_in_a_worker_thread(
    backend: str,
) -> None:
    router = DeliveryRouter()
    threads: dict[str, int] = {}

    @router.on("application_form")
    async def async_handler(_: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        threads["async"] = threading.get_ident()

    @router.on("carrier")
    def sync_handler(_: Delivery) -> None:
        threads["sync"] = threading.get_ident()

    app = DeliveryApp(router, secret=SECRET)
    for event in ("application_form:quoted", "carrier"):
        headers = to_byte_pairs(delivery_headers(event=event))
        sent = exchange(app, request(headers=headers), [part(BODY)], backend)
        assert sent == [
            {"type": "http.response.start", "status": 204, "headers": []},
            {"type": "http.response.body", "body": b""},
        ]
    assert threads["async"] == threading.get_ident() != threads["sync"]


def test_a_stop_iteration_in_a_sync_handler_is_a_failure(backend: str) -> None:
    router = DeliveryRouter()

    @router.on("*")
    def handle(_: Delivery) -> None:
        raise StopIteration

    start, _ = exchange(DeliveryApp(router, secret=SECRET), request(), [part(BODY)], backend)
    assert start["status"] == 500


def test_a_body_may_arrive_in_parts(backend: str) -> None:
    router = DeliveryRouter()
    deliveries: list[Delivery] = []
    router.on("*")(deliveries.append)
    parts = [part(BODY[:5], more=True), {"type": "http.request", "more_body": True}, part(BODY[5:])]
    start, _ = exchange(DeliveryApp(router, secret=SECRET), request(), parts, backend)
    assert start["status"] == 204
    assert deliveries[0].payload["id"] == 4711


def test_a_client_that_disconnects_gets_no_response(backend: str) -> None:
    router = DeliveryRouter()
    deliveries: list[Delivery] = []
    router.on("*")(deliveries.append)
    messages = [part(BODY, more=True), {"type": "http.disconnect"}]
    assert exchange(DeliveryApp(router, secret=SECRET), request(), messages, backend) == []
    assert deliveries == []


def test_no_more_than_the_limit_is_read(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET, max_body_bytes=10)
    start, body = exchange(app, request(), [part(b"x" * 6, more=True)] * 2, backend)
    assert start["status"] == 413
    assert body["body"] == b"The body is larger than max_body_bytes (10 bytes).\n"


@pytest.mark.parametrize("length", ["x", "-1", "", "1" * 19, "٣"])
def test_a_content_length_that_is_not_a_number_is_rejected(backend: str, length: str) -> None:
    headers = [(b"content-length", length.encode()), *to_byte_pairs(delivery_headers())]
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    start, _ = exchange(app, request(headers=headers), [], backend)
    assert start["status"] == 400


def test_the_lifespan_protocol_is_supported(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = exchange(app, {"type": "lifespan"}, messages, backend)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_websocket_is_closed(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    sent = exchange(app, {"type": "websocket"}, [{"type": "websocket.connect"}], backend)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_an_unknown_scope_type_is_an_error(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    with pytest.raises(ValueError, match="HTTP only, got the scope type 'webtransport'"):
        exchange(app, {"type": "webtransport"}, [], backend)


def test_cancelling_the_request_cancels_the_handler(backend: str) -> None:
    router = DeliveryRouter()
    app = DeliveryApp(router, secret=SECRET)
    ended: list[bool] = []

    async def run() -> None:
        with anyio.CancelScope() as scope:

            @router.on("*")
            async def wait(_: Delivery) -> None:
                scope.cancel()
                await anyio.sleep_forever()

            async def receive() -> Message:
                return part(BODY)

            async def send(_: object) -> None:
                ended.append(False)

            await app(request(), receive, send)
        ended.append(scope.cancelled_caught)

    anyio.run(run, backend=backend)
    assert ended == [True]
