"""Unit tests of the rules: matching of events, validation of bodies, the request of a delivery."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from webhooks_sdk.sandbox import Subscription
from webhooks_sdk.sandbox._records import Event
from webhooks_sdk.sandbox._service.errors import RequestRefusedError
from webhooks_sdk.sandbox._service.outgoing import build_request, can_receive, parse_address
from webhooks_sdk.sandbox._service.rules import matches, read_changes, read_object, split_header

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
DELIVERY_ID = UUID(int=7)
EVENT = Event(id=UUID(int=3), name="carrier:bridged", body=b'{"a": 1}', enqueued_at=NOW)
SUBSCRIPTION = Subscription(
    id=UUID(int=4),
    active=True,
    events=("carrier",),
    url="http://subscriber.example:8080/in?x=1",
    secret=None,
    header=None,
    owner_id=UUID(int=1),
    tenant_id=UUID(int=2),
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("entries", "event", "expected"),
    [
        (["*"], "carrier:bridged", True),
        (["*"], "carrier", True),
        (["carrier"], "carrier:bridged", True),
        (["carrier"], "carrier", True),
        (["carrier:bridged"], "carrier:bridged", True),
        (["question_set", "carrier:bridged"], "carrier:bridged", True),
        (["carrier:bridged"], "carrier:failed", False),
        (["carrier:bridged"], "carrier", False),
        (["carrier"], "carriers:bridged", False),
        (["carriers"], "carrier:bridged", False),
        (["bridged"], "carrier:bridged", False),
        ([], "carrier:bridged", False),
    ],
)
def test_matching_of_event_entries(entries: list[str], event: str, expected: bool) -> None:
    assert matches(entries, event) is expected


def test_all_fields_are_parsed() -> None:
    assert read_changes(
        {"active": True, "events": ["a", "a:b", "*"], "header": "A: b", "secret": "s", "url": "u"}
    ) == {"active": True, "events": ("a", "a:b", "*"), "header": "A: b", "secret": "s", "url": "u"}


def test_only_given_fields_are_parsed() -> None:
    assert read_changes({}) == {}
    assert read_changes({"active": False}) == {"active": False}


def test_null_and_the_empty_secret_clear_fields() -> None:
    assert read_changes({"secret": None, "header": None}) == {"secret": None, "header": None}
    assert read_changes({"secret": ""}) == {"secret": None}


@pytest.mark.parametrize(
    "data",
    [
        {"confirmed": True},
        {"config": {"url": "http://h/"}},
        {"active": None},
        {"active": 1},
        {"active": "true"},
        {"events": None},
        {"events": "*"},
        {"events": {"a": 1}},
        {"events": [1]},
        {"events": [""]},
        {"events": ["a b"]},
        {"events": ["a:"]},
        {"events": ["a:b:c"]},
        {"events": ["a:*"]},
        {"url": None},
        {"url": 1},
        {"url": ""},
        {"url": " \t"},
        {"url": "\x1f\x85\u3000\ufeff"},
        {"secret": 1},
        {"header": 1},
        {"header": ""},
        {"header": "no colon"},
        {"header": ": no name"},
        {"header": "two words: x"},
        {"header": "A: b\r\nC: d"},
        {"header": "A: b\n"},
        {"header": "A: \u20ac"},
        {"header": "Content-Length: 1"},
        {"header": "host: elsewhere"},
        {"header": "X-Signature: forged"},
    ],
)
def test_invalid_fields_are_unprocessable(data: dict[str, object]) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read_changes(data)
    assert caught.value.status == 422
    assert caught.value.body["error"] == "unprocessable_entity"


def test_the_error_names_unknown_fields() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read_changes({"zeal": 1, "url": "u", "colour": 2})
    assert caught.value.body["message"] == "Unknown fields: colour, zeal."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_a_json_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        read_object(body)
    assert caught.value.status == 400
    assert caught.value.body["error"] == "bad_request"


def test_a_json_object_is_parsed() -> None:
    assert read_object(b' {"a": ["\xc3\xbc"]} ') == {"a": ["ü"]}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("X-Key: secret", ("X-Key", "secret")),
        ("X-Key:secret", ("X-Key", "secret")),
        ("X-Key: \t two words \t ", ("X-Key", "two words")),
        ("Authorization: Basic YTpi=", ("Authorization", "Basic YTpi=")),
        ("X-Empty:", ("X-Empty", "")),
        ("X-Latin: ü", ("X-Latin", "ü")),
        ("X-Key", None),
        ("X-Key : x", None),
    ],
)
def test_split_header(header: str, expected: tuple[str, str] | None) -> None:
    assert split_header(header) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "h",
        "//h/",
        "http://",
        "http:///x",
        "http://h:port/",
        "http://h:70000/",
        "http://[::1/",
        "http://a b/",
        "http://h/\u00fc",
        "http://user:pw@h/",
        "mailto:a@b.example",
    ],
)
def test_urls_that_cannot_be_delivered_to(url: str) -> None:
    assert parse_address(url) is None


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "authority", "target"),
    [
        ("http://h", "h", 80, False, "h", "/"),
        ("https://h/", "h", 443, True, "h", "/"),
        ("HTTP://Host:8080/a/b?c=d&e#f", "host", 8080, False, "Host:8080", "/a/b?c=d&e"),
        ("http://[::1]:8080?q", "::1", 8080, False, "[::1]:8080", "/?q"),
    ],
)
def test_parse_address(  # noqa: PLR0917 - one row of the table
    url: str, host: str, port: int, secure: bool, authority: str, target: str
) -> None:
    address = parse_address(url)
    assert address is not None
    assert (address.host, address.port, address.secure) == (host, port, secure)
    assert (address.authority, address.target) == (authority, target)


def test_an_active_subscription_with_events_and_a_valid_url_can_receive() -> None:
    assert can_receive(SUBSCRIPTION)


@pytest.mark.parametrize("broken", [{"active": False}, {"events": ()}, {"url": "nowhere"}])
def test_other_subscriptions_cannot_receive(broken: dict[str, Any]) -> None:
    subscription = evolve(SUBSCRIPTION, **broken)
    assert not can_receive(subscription)
    assert build_request(subscription, EVENT, DELIVERY_ID) is None


def test_a_delivery_has_the_documented_headers() -> None:
    request = build_request(SUBSCRIPTION, EVENT, DELIVERY_ID)
    assert request is not None
    assert request.body == EVENT.body
    assert dict(request.headers) == {
        "Host": "subscriber.example:8080",
        "User-Agent": "Hookshot",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": "8",
        "X-Emperor-Event": "carrier:bridged",
        "X-Emperor-Delivery": str(DELIVERY_ID),
    }


def test_secret_and_header_of_the_subscription_are_used() -> None:
    subscription = evolve(SUBSCRIPTION, secret="gr\u00fcn", header="X-Key: 1")
    request = build_request(subscription, EVENT, DELIVERY_ID)
    assert request is not None
    expected = hmac.new("gr\u00fcn".encode(), EVENT.body, hashlib.sha256).hexdigest()
    assert dict(request.headers)["X-Signature"] == expected
    assert dict(request.headers)["X-Key"] == "1"


def test_records_hide_secrets() -> None:
    subscription = evolve(SUBSCRIPTION, secret="hush", header="X-Key: hush")
    assert "hush" not in repr(subscription)
    assert "hush" not in repr(build_request(subscription, EVENT, DELIVERY_ID))
