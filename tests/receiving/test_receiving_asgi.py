"""The ASGI application as ASGI has it: messages in and out, on asyncio and on trio."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.receiving_helpers import BODY, SECRET, byte_pairs_of, delivery_headers

from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.asgi import DeliveryApp

if TYPE_CHECKING:
    from collections.abc import Sequence

Message = dict[str, Any]
HTTP: Message = {"type": "http", "method": "POST", "path": "/", "root_path": "/webhooks"}


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def talk(app: DeliveryApp, scope: Message, said: Sequence[Message], backend: str) -> list[Message]:
    """Say something to an application, and return what it answers; it must not ask for more."""
    incoming = iter(said)
    answers: list[Message] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Any) -> None:
        answers.append(dict(message))

    async def run() -> None:
        await app(dict(scope), receive, send)

    anyio.run(run, backend=backend)
    return answers


def request(**changes: object) -> Message:
    return HTTP | {"headers": byte_pairs_of(delivery_headers())} | changes


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_async_handlers_run_on_the_loop_and_sync_ones_beside_it(backend: str) -> None:
    router = DeliveryRouter()
    threads: dict[str, int] = {}

    @router.on("application_form")
    async def on_the_loop(_: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        threads["async"] = threading.get_ident()

    @router.on("carrier")
    def beside_it(_: Delivery) -> None:
        threads["sync"] = threading.get_ident()

    app = DeliveryApp(router, secret=SECRET)
    for event in ("application_form:quoted", "carrier"):
        headers = byte_pairs_of(delivery_headers(event=event))
        answers = talk(app, request(headers=headers), [part(BODY)], backend)
        assert answers == [
            {"type": "http.response.start", "status": 204, "headers": []},
            {"type": "http.response.body", "body": b""},
        ]
    assert threads["async"] == threading.get_ident() != threads["sync"]


def test_even_a_stop_iteration_is_a_failure(backend: str) -> None:
    router = DeliveryRouter()

    @router.on("*")
    def handle(_: Delivery) -> None:
        raise StopIteration

    start, _ = talk(DeliveryApp(router, secret=SECRET), request(), [part(BODY)], backend)
    assert start["status"] == 500


def test_a_body_may_come_in_parts(backend: str) -> None:
    router = DeliveryRouter()
    taken: list[Delivery] = []
    router.on("*")(taken.append)
    parts = [part(BODY[:5], more=True), {"type": "http.request", "more_body": True}, part(BODY[5:])]
    start, _ = talk(DeliveryApp(router, secret=SECRET), request(), parts, backend)
    assert start["status"] == 204
    assert taken[0].payload["application_form_id"] == 4711


def test_a_client_that_leaves_is_not_answered(backend: str) -> None:
    router = DeliveryRouter()
    taken: list[Delivery] = []
    router.on("*")(taken.append)
    messages = [part(BODY, more=True), {"type": "http.disconnect"}]
    assert talk(DeliveryApp(router, secret=SECRET), request(), messages, backend) == []
    assert taken == []


def test_nothing_is_read_after_the_limit(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET, max_body_bytes=10)
    start, body = talk(app, request(), [part(b"x" * 6, more=True)] * 2, backend)
    assert start["status"] == 413
    assert body["body"] == b"The body is larger than max_body_bytes (10 bytes).\n"


@pytest.mark.parametrize("length", ["x", "-1", "", "1" * 19, "٣"])
def test_a_length_that_is_no_number_is_refused(backend: str, length: str) -> None:
    headers = [(b"content-length", length.encode()), *byte_pairs_of(delivery_headers())]
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    start, _ = talk(app, request(headers=headers), [], backend)
    assert start["status"] == 400


def test_its_lifespan_is_that_of_the_server(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answers = talk(app, {"type": "lifespan"}, messages, backend)
    assert [answer["type"] for answer in answers] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_websocket_is_closed(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    answers = talk(app, {"type": "websocket"}, [{"type": "websocket.connect"}], backend)
    assert answers == [{"type": "websocket.close", "code": 1008}]


def test_what_asgi_may_have_one_day_is_an_error(backend: str) -> None:
    app = DeliveryApp(DeliveryRouter(), secret=SECRET)
    with pytest.raises(ValueError, match="speaks http, not webtransport"):
        talk(app, {"type": "webtransport"}, [], backend)


def test_who_cancels_the_request_cancels_the_handler(backend: str) -> None:
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
