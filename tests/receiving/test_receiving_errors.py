"""Mistakes in the calling code: invalid settings, bodies, headers and handlers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
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
    serve_wsgi,
    to_environ,
)

from webhooks_sdk import (
    ConfigurationError,
    Delivery,
    DeliveryError,
    DeliveryRouter,
    asgi,
    sign,
    verify_signature,
    wsgi,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def make_delivery() -> Delivery:
    return Delivery(delivery_id=UUID(DELIVERY_ID), event=EVENT, payload={}, signature_verified=True)


# dispatch


def test_dispatch_runs_sync_and_async_handlers_and_only_the_most_specific() -> None:
    ran: list[str] = []
    router = DeliveryRouter()

    @router.on("application_form")
    def less_specific(_: Delivery) -> None:
        ran.append("less specific")

    @router.on(EVENT)
    async def most_specific(_: Delivery) -> None:
        await anyio.lowlevel.checkpoint()
        ran.append("most specific")

    wsgi.dispatch(router, make_delivery())
    assert ran == ["most specific"]
    anyio.run(asgi.dispatch, router, make_delivery())
    assert ran == ["most specific"] * 2
    del less_specific, most_specific


def test_dispatch_does_nothing_for_an_event_without_a_handler() -> None:
    wsgi.dispatch(DeliveryRouter(), make_delivery())
    anyio.run(asgi.dispatch, DeliveryRouter(), make_delivery())
    assert DeliveryRouter().handler_for(EVENT) is None


def test_dispatch_raises_what_the_handler_raises() -> None:
    router = DeliveryRouter()

    @router.on("*")
    def handler(_: Delivery) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        wsgi.dispatch(router, make_delivery())
    del handler


# Invalid handlers


def yielding(_: Delivery) -> Iterator[None]:
    yield


async def yielding_async(_: Delivery) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("handler", [yielding, yielding_async, 5, None])
def test_an_invalid_handler_is_rejected(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match="generator function"):
        DeliveryRouter().on("*")(handler)


def test_a_decorator_without_an_event_is_rejected() -> None:
    on: Any = DeliveryRouter().on
    with pytest.raises(ConfigurationError, match="subject"):
        on(yielding)


@pytest.mark.parametrize("router", [print, yielding, None, {"carrier": print}, DeliveryRouter])
def test_an_object_that_is_not_a_router_is_rejected(router: Any) -> None:
    expected = "router must be a DeliveryRouter on which handlers are registered"
    for app in (asgi.DeliveryApp, wsgi.DeliveryApp):
        with pytest.raises(ConfigurationError, match=expected):
            app(router, secret=SECRET)
    with pytest.raises(ConfigurationError, match=expected):
        wsgi.dispatch(router, make_delivery())
    with pytest.raises(ConfigurationError, match=expected):
        anyio.run(asgi.dispatch, router, make_delivery())


# Invalid secrets and limits


@pytest.mark.parametrize(
    "secret",
    [{"new": SECRET}, [1], [[SECRET]], bytearray(b"abc"), memoryview(b"abc"), [None], 5, [b""]],
)
@pytest.mark.parametrize("app", [asgi.DeliveryApp, wsgi.DeliveryApp])
def test_an_invalid_secret_is_rejected_when_the_app_is_created(app: Any, secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        app(DeliveryRouter(), secret=secret)
    with pytest.raises(ConfigurationError, match="secret"):
        verify_signature(BODY, sign(BODY, "new"), secret)


@pytest.mark.parametrize("limit", [0, -1, True, 1e6, "1000", None, 2**31])
def test_an_invalid_limit_is_rejected(limit: Any) -> None:
    expected = "max_body_bytes must be an integer from 1 to 2,147,483,647"
    for app in (asgi.DeliveryApp, wsgi.DeliveryApp):
        with pytest.raises(ConfigurationError, match=expected):
            app(DeliveryRouter(), secret=SECRET, max_body_bytes=limit)
    with pytest.raises(ConfigurationError, match=expected):
        Delivery.from_http(delivery_headers(), BODY, secret=SECRET, max_body_bytes=limit)


@pytest.mark.parametrize("allow", ["no", 1, None])
def test_allow_unsigned_must_be_a_bool(allow: Any) -> None:
    for app in (asgi.DeliveryApp, wsgi.DeliveryApp):
        with pytest.raises(ConfigurationError, match="allow_unsigned must be True or False"):
            app(DeliveryRouter(), secret=SECRET, allow_unsigned=allow)
    with pytest.raises(ConfigurationError, match="allow_unsigned must be True or False"):
        Delivery.from_http(delivery_headers(secret=None), BODY, secret=SECRET, allow_unsigned=allow)


# Headers and bodies


def test_a_header_value_of_none_is_a_missing_header() -> None:
    headers: dict[str, Any] = {**delivery_headers(), "X-Signature": None}
    delivery = Delivery.from_http(headers, BODY, secret=SECRET, allow_unsigned=True)
    assert not delivery.signature_verified
    with pytest.raises(DeliveryError, match="no X-Emperor-Event"):
        Delivery.from_http({**headers, "X-Emperor-Event": None}, BODY, secret=None)


@pytest.mark.parametrize("value", [0, ["carrier"], object()])
def test_a_header_that_is_not_text_is_rejected(value: object) -> None:
    headers: dict[str, Any] = {**delivery_headers(), "X-Emperor-Event": value}
    with pytest.raises(DeliveryError, match="must be text or bytes"):
        Delivery.from_http(headers, BODY, secret=SECRET)


def test_a_header_named_like_an_environ_key_is_ignored() -> None:
    headers = delivery_headers()
    event = headers.pop("X-Emperor-Event")
    with pytest.raises(DeliveryError, match="no X-Emperor-Event"):
        Delivery.from_http({**headers, "http_x_emperor_event": event}, BODY, secret=SECRET)
    environ = to_environ(delivery_headers())
    assert Delivery.from_http(environ, BODY, secret=SECRET).event == event


@pytest.mark.parametrize("body", ["{}", memoryview(b"{}"), {"a": 1}, None])
def test_a_body_that_is_not_bytes_is_a_type_error(body: Any) -> None:
    with pytest.raises(TypeError, match="raw bytes"):
        Delivery.from_http(delivery_headers(), body, secret=None)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, f'{{"email": {PRIVATE}}}'.encode()),
        ({}, f'"{PRIVATE}\xff"'.encode("latin-1")),
        ({}, f'{{"email": "{PRIVATE}", "n": NaN}}'.encode()),
        ({"X-Emperor-Delivery": PRIVATE}, b"{}"),
    ],
)
def test_no_error_quotes_the_request(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(DeliveryError) as caught:
        Delivery.from_http(delivery_headers(body) | headers, body, secret=SECRET)
    link: BaseException | None = caught.value
    while link is not None:
        assert PRIVATE not in f"{link!r} {vars(link)} {getattr(link, 'doc', '')}"
        assert PRIVATE not in str(getattr(link, "object", b""))
        link = link.__cause__ or link.__context__


# Failing handlers


def test_the_causes_of_a_failure_are_logged_by_type_and_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = DeliveryRouter()

    def deep() -> None:
        raise LookupError(PRIVATE)

    @router.on("*")
    async def handler(_: Delivery) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(deep))

    with serve_wsgi(wsgi.DeliveryApp(router, secret=SECRET)) as url:
        response = httpx.post(url, content=BODY, headers=delivery_headers(), trust_env=False)
    assert response.status_code == 500
    assert "LookupError" in caplog.text
    assert "in deep" in caplog.text
    assert PRIVATE not in caplog.text
    del handler


def test_a_cancelled_task_of_a_handler_is_a_failure_under_wsgi(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = DeliveryRouter()

    @router.on("*")
    async def handler(_: Delivery) -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        task.cancel(PRIVATE)
        await task

    with serve_wsgi(wsgi.DeliveryApp(router, secret=SECRET)) as url:
        response = httpx.post(url, content=BODY, headers=delivery_headers(), trust_env=False)
    assert response.status_code == 500
    assert PRIVATE not in caplog.text
    del handler


def test_another_method_is_logged_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, "webhooks_sdk"),
        serve_asgi(asgi.DeliveryApp(DeliveryRouter(), secret=SECRET)) as url,
    ):
        assert httpx.get(url, trust_env=False).status_code == 405
    levels = {record.levelname for record in caplog.records if record.name == "webhooks_sdk"}
    assert levels == {"DEBUG"}


def test_a_response_to_head_has_no_body() -> None:
    statuses: list[str] = []
    app = wsgi.DeliveryApp(DeliveryRouter(), secret=SECRET)
    environ = to_environ({}) | {"REQUEST_METHOD": "HEAD"}

    def start(status: str, *_: object) -> Any:
        statuses.append(status)

    assert b"".join(app(environ, start)) == b""
    assert statuses == ["405 Method Not Allowed"]
