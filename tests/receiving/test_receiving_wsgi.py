"""The WSGI application as PEP 3333 has it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from support.receiving_helpers import BODY, SECRET, delivery_headers, environ_of

from webhooks_sdk import Delivery, DeliveryRouter
from webhooks_sdk.wsgi import DeliveryApp

if TYPE_CHECKING:
    from collections.abc import Callable


class Input(io.BytesIO):
    """A body that counts what is read of it, and gives no more than a few bytes at once."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        # Without a size it might block for ever.
        assert size is not None
        assert size >= 0
        part = super().read(min(size, 100))
        self.taken += len(part)
        return part


class BrokenInput(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionResetError(f"after less than {size}")


def call(app: DeliveryApp, body: io.BytesIO, **environ: object) -> tuple[str, bytes]:
    answered: list[str] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        assert exc_info is None
        assert all(isinstance(text, str) for pair in headers for text in pair)
        answered.append(status)
        return answered.__contains__

    request = environ_of(delivery_headers()) | {"REQUEST_METHOD": "POST", "wsgi.input": body}
    answer = b"".join(app(request | environ, start_response))
    (status,) = answered
    return status, answer


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
    body = Input(BODY + b"the next request")
    assert call(app, body, CONTENT_LENGTH=str(len(BODY))) == ("204 No Content", b"")
    assert body.taken == len(BODY)
    assert len(deliveries) == 1


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
def test_without_a_content_length_nothing_is_read(app: DeliveryApp, length: dict[str, str]) -> None:
    body = Input(BODY)
    status, answer = call(app, body, **length)
    assert status == "400 Bad Request"
    assert answer == b"The request has no Content-Length, which this server needs.\n"
    assert body.taken == 0


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
def test_a_body_that_the_server_ends_needs_no_length(
    app: DeliveryApp, deliveries: list[Delivery], length: dict[str, str]
) -> None:
    status, _ = call(app, Input(BODY), **length, **{"wsgi.input_terminated": True})
    assert status == "204 No Content"
    assert len(deliveries) == 1


def test_such_a_body_is_read_up_to_the_limit_alone(app: DeliveryApp) -> None:
    body = Input(b" " * 5000)
    status, _ = call(app, body, **{"wsgi.input_terminated": True})
    assert status.startswith("413 ")
    assert body.taken == 1001


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "1" * 19, "٣", " 1"])
def test_a_length_that_is_no_number_is_refused(app: DeliveryApp, length: str) -> None:
    body = Input(BODY)
    status, _ = call(app, body, CONTENT_LENGTH=length)
    assert status == "400 Bad Request"
    assert body.taken == 0


def test_a_length_over_the_limit_is_refused_unread(app: DeliveryApp) -> None:
    body = Input(BODY)
    status, _ = call(app, body, CONTENT_LENGTH="1001")
    assert status.startswith("413 ")
    assert body.taken == 0


def test_a_client_that_leaves_is_no_failure(app: DeliveryApp, deliveries: list[Delivery]) -> None:
    for body in (Input(BODY[:-1]), BrokenInput()):
        status, answer = call(app, body, CONTENT_LENGTH=str(len(BODY)))
        assert status == "400 Bad Request"
        assert answer.startswith(b"The ")
    assert deliveries == []
