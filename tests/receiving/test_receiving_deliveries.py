"""`Delivery.from_http`: verifying and parsing a request, without a server."""

from __future__ import annotations

import copy
import http.client
import io
import pickle
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest
import starlette.datastructures
import werkzeug.datastructures
from attrs.exceptions import FrozenInstanceError
from support.receiving_helpers import (
    BODY,
    DELIVERY_ID,
    EVENT,
    PRIVATE,
    SECRET,
    delivery_headers,
    to_byte_pairs,
    to_environ,
)

from webhooks_sdk import (
    ConfigurationError,
    Delivery,
    DeliveryError,
    DeliveryTooLargeError,
    Headers,
    SignatureVerificationError,
    sign,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk._receiving.delivery import HeadersLike


def to_http_message(headers: dict[str, str]) -> http.client.HTTPMessage:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return http.client.parse_headers(io.BytesIO(f"{lines}\r\n".encode()))


CONVERSIONS: dict[str, Callable[[dict[str, str]], HeadersLike]] = {
    "dict": dict,
    "lower case": lambda headers: {name.lower(): value for name, value in headers.items()},
    "upper case": lambda headers: {name.upper(): value for name, value in headers.items()},
    "bytes": lambda headers: dict(to_byte_pairs(headers)),
    "httpx": httpx.Headers,
    "webhooks_sdk": lambda headers: Headers(headers.items()),
    "Starlette": starlette.datastructures.Headers,
    "Werkzeug": werkzeug.datastructures.Headers,
    "Flask": lambda headers: werkzeug.datastructures.EnvironHeaders(to_environ(headers)),
    "http.server": to_http_message,
    "WSGI environ": lambda headers: {"wsgi.input": io.BytesIO(), **to_environ(headers)},
    "ASGI pairs": to_byte_pairs,
    "pairs": lambda headers: list(headers.items()),
    "an iterator": lambda headers: iter(headers.items()),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_headers_may_have_any_supported_type(
    convert: Callable[[dict[str, str]], HeadersLike],
) -> None:
    headers = {"Host": "localhost", "Accept": "a, b"} | delivery_headers()
    delivery = Delivery.from_http(convert(headers), BODY, secret=SECRET)
    assert delivery == Delivery(
        delivery_id=UUID(DELIVERY_ID),
        event=EVENT,
        payload={"id": 4711, "owner": {"email": PRIVATE}},
        signature_verified=True,
    )


def repeated(name: str, convert: Callable[[list[tuple[str, str]]], HeadersLike]) -> HeadersLike:
    headers = delivery_headers()
    return convert([*headers.items(), (name.lower(), headers[name])])


REPEATING_CONVERSIONS: list[Callable[[list[tuple[str, str]]], HeadersLike]] = [
    lambda pairs: pairs,
    httpx.Headers,
    Headers,
    werkzeug.datastructures.Headers,
    lambda pairs: starlette.datastructures.Headers(
        raw=[(name.lower().encode(), value.encode()) for name, value in pairs]
    ),
    lambda pairs: [(name.encode(), value.encode()) for name, value in pairs],
    # WSGI servers join repeated headers.
    lambda pairs: to_environ({name: f"{value},{value}" for name, value in pairs}),
]


@pytest.mark.parametrize("name", delivery_headers())
@pytest.mark.parametrize("convert", REPEATING_CONVERSIONS)
def test_a_repeated_header_is_rejected(
    name: str, convert: Callable[[list[tuple[str, str]]], HeadersLike]
) -> None:
    with pytest.raises(DeliveryError, match=r"The X-[\w-]+ header is repeated") as caught:
        Delivery.from_http(repeated(name, convert), BODY, secret=SECRET)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("event", "subject", "action"),
    [
        ("application_form:quoted", "application_form", "quoted"),
        ("carrier", "carrier", None),
        ("new.subject-2:a:b", "new.subject-2", "a:b"),
        ("carrier:", "carrier", None),
    ],
)
def test_an_event_has_a_subject_and_an_optional_action(
    event: str, subject: str, action: str | None
) -> None:
    delivery = Delivery.from_http(delivery_headers(event=event), BODY, secret=SECRET)
    assert (delivery.event, delivery.subject, delivery.action) == (event, subject, action)


@pytest.mark.parametrize("event", ["", " ", "a b", "a:\x00", "é", "a\r\nb"])
def test_an_invalid_event_name_is_rejected(event: str) -> None:
    with pytest.raises(DeliveryError, match="not a valid event name"):
        Delivery.from_http(delivery_headers(event=event), BODY, secret=SECRET)


@pytest.mark.parametrize("name", ["X-Emperor-Event", "X-Emperor-Delivery"])
def test_the_error_names_a_missing_header(name: str) -> None:
    headers = delivery_headers()
    del headers[name]
    with pytest.raises(DeliveryError, match=f"no {name} header"):
        Delivery.from_http(headers, BODY, secret=SECRET)


@pytest.mark.parametrize(
    "value", ["", "17", f"{DELIVERY_ID}0", f"{{{DELIVERY_ID}}}", f"urn:uuid:{DELIVERY_ID}", PRIVATE]
)
def test_a_delivery_id_that_is_not_a_uuid_is_rejected(value: str) -> None:
    headers = delivery_headers() | {"X-Emperor-Delivery": value}
    with pytest.raises(DeliveryError, match=r"^The X-Emperor-Delivery header is not a UUID\.$"):
        Delivery.from_http(headers, BODY, secret=SECRET)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"zoe@example.com",
        b'{"email": zoe@example.com}',
        b'{"a": NaN}',
        b'\xff{"a": 1}',
        b'{"a": "zoe@example.com',
        b"[" * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_a_body_that_is_not_json_is_rejected_and_not_quoted(body: bytes) -> None:
    with pytest.raises(DeliveryError, match="The body cannot be decoded: expected JSON") as caught:
        Delivery.from_http(delivery_headers(body), body, secret=SECRET)
    assert caught.value.status == 400
    assert "zoe" not in str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"zoe@example.com"', b"true"])
def test_a_body_that_is_not_an_object_is_rejected(body: bytes) -> None:
    with pytest.raises(DeliveryError, match=r"^The body is not a JSON object\.$"):
        Delivery.from_http(delivery_headers(body), body, secret=SECRET)


def test_a_body_over_the_limit_is_rejected() -> None:
    body = b'{"a":"' + b"x" * (5 * 1024 * 1024 - 8) + b'"}'
    Delivery.from_http(delivery_headers(body), body, secret=SECRET)
    with pytest.raises(DeliveryTooLargeError, match="5,242,880 bytes") as caught:
        Delivery.from_http(delivery_headers(body + b" "), body + b" ", secret=SECRET)
    assert caught.value.status == 413
    Delivery.from_http(delivery_headers(), BODY, secret=SECRET, max_body_bytes=len(BODY))
    with pytest.raises(DeliveryTooLargeError):
        Delivery.from_http(delivery_headers(), BODY, secret=SECRET, max_body_bytes=len(BODY) - 1)


def test_the_signature_is_checked_before_anything_is_parsed() -> None:
    with pytest.raises(SignatureVerificationError):
        Delivery.from_http({"X-Signature": "0" * 64}, b"not JSON", secret=SECRET)
    with pytest.raises(SignatureVerificationError):
        Delivery.from_http({}, b"not JSON", secret=SECRET)


def test_an_unsigned_delivery_is_accepted_only_if_allowed() -> None:
    unsigned = delivery_headers(secret=None)
    with pytest.raises(SignatureVerificationError, match="no X-Signature header"):
        Delivery.from_http(unsigned, BODY, secret=SECRET)
    delivery = Delivery.from_http(unsigned, BODY, secret=SECRET, allow_unsigned=True)
    assert not delivery.signature_verified
    assert not Delivery.from_http(unsigned, BODY, secret=None).signature_verified


def test_a_wrong_signature_is_rejected_even_if_unsigned_deliveries_are_allowed() -> None:
    signed = delivery_headers()
    delivery = Delivery.from_http(signed, BODY, secret=SECRET, allow_unsigned=True)
    assert delivery.signature_verified
    for wrong in (sign(BODY, "another"), ""):
        headers = signed | {"X-Signature": wrong}
        with pytest.raises(SignatureVerificationError):
            Delivery.from_http(headers, BODY, secret=SECRET, allow_unsigned=True)


@pytest.mark.parametrize("allow_unsigned", [False, True])
@pytest.mark.parametrize("signature", ["", "0" * 64, sign(BODY, SECRET)])
def test_a_signed_delivery_is_rejected_without_a_secret(
    signature: str, *, allow_unsigned: bool
) -> None:
    headers = delivery_headers() | {"X-Signature": signature}
    with pytest.raises(SignatureVerificationError, match="secret=None"):
        Delivery.from_http(headers, BODY, secret=None, allow_unsigned=allow_unsigned)


def test_secret_is_a_required_argument() -> None:
    with pytest.raises(TypeError, match="secret"):
        Delivery.from_http(delivery_headers(), BODY)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - the test


@pytest.mark.parametrize("allow_unsigned", [False, True])
def test_an_empty_secret_is_rejected(*, allow_unsigned: bool) -> None:
    for headers in (delivery_headers(), delivery_headers(secret=None)):
        with pytest.raises(ConfigurationError):
            Delivery.from_http(headers, BODY, secret="", allow_unsigned=allow_unsigned)


def test_a_delivery_is_immutable_and_its_repr_omits_the_payload() -> None:
    delivery = Delivery.from_http(delivery_headers(), BODY, secret=SECRET)
    assert repr(delivery) == (
        f"Delivery(delivery_id=UUID('{DELIVERY_ID}'), event='{EVENT}', signature_verified=True)"
    )
    assert not hasattr(delivery, "__dict__")
    with pytest.raises(FrozenInstanceError):
        delivery.event = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - frozen
    assert hash(delivery) == hash(copy.copy(delivery))
    assert pickle.loads(pickle.dumps(delivery)) == delivery  # noqa: S301 - our own


def test_an_environ_value_of_none_is_a_missing_header() -> None:
    environ: dict[str, Any] = to_environ(delivery_headers()) | {"HTTP_X_EMPEROR_DELIVERY": None}
    with pytest.raises(DeliveryError, match="no X-Emperor-Delivery"):
        Delivery.from_http(environ, BODY, secret=SECRET)
