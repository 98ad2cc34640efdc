"""The WSGI application at the level of PEP 3333."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from support.receiving_helpers import BODY, SECRET, delivery_headers, to_environ

from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.wsgi import DeliveryApp

if TYPE_CHECKING:
    from collections.abc import Callable


class CountingInput(io.BytesIO):
    """A body that counts the bytes read, and returns at most 100 at once."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        # Without a size, read might block indefinitely.
        assert size is not None
        assert size >= 0
        chunk = super().read(min(size, 100))
        self.bytes_read += len(chunk)
        return chunk


class BrokenInput(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionResetError(f"after less than {size}")


def call(app: DeliveryApp, body: io.BytesIO, **environ: object) -> tuple[str, bytes]:
    statuses: list[str] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        assert exc_info is None
        assert all(isinstance(text, str) for pair in headers for text in pair)
        statuses.append(status)
        return statuses.__contains__

    request = to_environ(delivery_headers()) | {"REQUEST_METHOD": "POST", "wsgi.input": body}
    response_body = b"".join(app(request | environ, start_response))
    (status,) = statuses
    return status, response_body


@pytest.fixture
def deliveries() -> list[Delivery]:
    return []


@pytest.fixture
def app(deliveries: list[Delivery]) -> DeliveryApp:
    router = DeliveryRouter()
    router.on("*")(deliveries.append)
    return DeliveryApp(router, secret=SECRET, max_body_bytes=1000)


def test_no_more_than_the_content_length_is_read(
    app: DeliveryApp, deliveries: list[Delivery]
) -> None:
    body = CountingInput(BODY + b"the next request")
    assert call(app, body, CONTENT_LENGTH=str(len(BODY))) == ("204 No Content", b"")
    assert body.bytes_read == len(BODY)
    assert len(deliveries) == 1


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
def test_nothing_is_read_without_a_content_length(app: DeliveryApp, length: dict[str, str]) -> None:
    body = CountingInput(BODY)
    status, response_body = call(app, body, **length)
    assert status == "400 Bad Request"
    assert response_body == b"The request has no Content-Length, which this server requires.\n"
    assert body.bytes_read == 0


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
def test_a_body_terminated_by_the_server_needs_no_content_length(
    app: DeliveryApp, deliveries: list[Delivery], length: dict[str, str]
) -> None:
    status, _ = call(app, CountingInput(BODY), **length, **{"wsgi.input_terminated": True})
    assert status == "204 No Content"
    assert len(deliveries) == 1


def test_a_body_terminated_by_the_server_is_read_only_up_to_the_limit(app: DeliveryApp) -> None:
    body = CountingInput(b" " * 5000)
    status, _ = call(app, body, **{"wsgi.input_terminated": True})
    assert status.startswith("413 ")
    assert body.bytes_read == 1001


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "1" * 19, "٣", " 1"])
def test_a_content_length_that_is_not_a_number_is_rejected(app: DeliveryApp, length: str) -> None:
    body = CountingInput(BODY)
    status, _ = call(app, body, CONTENT_LENGTH=length)
    assert status == "400 Bad Request"
    assert body.bytes_read == 0


def test_a_content_length_over_the_limit_is_rejected_before_the_body_is_read(
    app: DeliveryApp,
) -> None:
    body = CountingInput(BODY)
    status, _ = call(app, body, CONTENT_LENGTH="1001")
    assert status.startswith("413 ")
    assert body.bytes_read == 0


def test_a_client_that_disconnects_gets_a_400(app: DeliveryApp, deliveries: list[Delivery]) -> None:
    for body in (CountingInput(BODY[:-1]), BrokenInput()):
        status, response_body = call(app, body, CONTENT_LENGTH=str(len(BODY)))
        assert status == "400 Bad Request"
        assert response_body.startswith(b"The ")
    assert deliveries == []
