"""Limits of work and text size, pickling, multipart forms and type hints."""

from __future__ import annotations

import json
import pickle
import time
from datetime import datetime
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.samples import event, subscription

from webhooks_sdk import (
    APIResponse,
    ClientCredentials,
    DecodeError,
    Headers,
    WebhookEvent,
    WebhookSubscription,
    errors,
)
from webhooks_sdk._codec import format_timestamp, structure
from webhooks_sdk._core.tokens import token_operation
from webhooks_sdk._wire.redaction import MASK, one_line, redact, redact_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

MILLION = 1_000_000


# Decode errors


def size(error: BaseException) -> int:
    """Count an exception and its members, recursively."""
    if not isinstance(error, BaseExceptionGroup):
        return 1
    group = cast("BaseExceptionGroup[BaseException]", error)
    return 1 + sum(size(member) for member in group.exceptions)


@pytest.mark.parametrize("item", [7, None, {}, []], ids=repr)
def test_only_the_first_invalid_items_are_reported(item: object) -> None:
    with pytest.raises(DecodeError, match=r"\$\[0\].*, and more$") as caught:
        structure([item] * MILLION, list[WebhookEvent])
    assert str(caught.value).count(" @ ") == 5
    assert len(str(caught.value)) < 1000
    assert caught.value.__cause__ is not None
    # An item that is an empty object has ten problems of its own.
    assert size(caught.value.__cause__) < 100


@pytest.mark.parametrize("name", [7, None, [], {}], ids=repr)
def test_only_the_first_invalid_event_names_are_reported(name: object) -> None:
    with pytest.raises(
        DecodeError, match=r"expected a string.*\$\.events\[0\].*, and more$"
    ) as caught:
        WebhookSubscription.from_dict(subscription(events=[name] * MILLION))
    assert str(caught.value).count(" @ ") == 5
    assert caught.value.__cause__ is not None
    assert size(caught.value.__cause__) < 20


def test_invalid_item_late_in_a_list_is_named() -> None:
    items = [event()] * 3 + [event(redelivery="no")] + [event()] * 3
    with pytest.raises(DecodeError, match=r"\$\[3\]\.redelivery$"):
        structure(items, list[WebhookEvent])


# Masking


LONG = [
    "\\" * 60,
    "\\" * 60 + "x",
    "\\/" * 40,
    '\\"' * 40,
    "%5C" * 40,
    "&amp;" * 40,
    "+ " * 40,
    "\u00e9\\" * 40,
    "s3cret" * 20_000,
]


@pytest.mark.parametrize("secret", LONG, ids=[repr(secret[:8]) for secret in LONG])
def test_long_and_backslash_secrets_are_masked(secret: str) -> None:
    near_miss = "\\" * 400 + "y"
    text = redact(f"{near_miss} <{secret}> {json.dumps(secret)} {near_miss}", [secret])
    assert f"<{MASK}>" in text
    assert f'"{MASK}"' in text
    assert redact_body((near_miss * 100).encode(), [secret + "z"]).startswith("\\")


@pytest.mark.parametrize(
    "body",
    [
        '"' + "secret_" * 9_000,
        '"' + "token-" * 10_000,
        '\\"' + "secret_" * 9_000,
        '\\"secret\\":\\"' + "\\" * 60_000 + '"',
        '"secret":"' + "\\" * 60_001 + '"',
        '"secret"' + " " * 60_000 + "x",
        '"secret"' * 8_000,
    ],
    ids=lambda body: repr(body[:16]),
)
def test_pathological_bodies_are_masked_quickly(body: str) -> None:
    # Each of these took seconds with a backtracking pattern.
    assert 0 < len(redact_body(body.encode(), ["a secret"])) <= 8_192


@given(st.text(max_size=1000))
@example("a\r\nb\x1b[0m\x00\u2028c\u202e")
@example("x" * 1000)
@settings(deadline=None)
def test_one_line_returns_a_short_printable_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 201
    assert line.isprintable()


# Reprs, timestamps and pickles


def test_response_repr_hides_headers() -> None:
    response = APIResponse(
        value=7,
        status=200,
        headers=Headers([("Set-Cookie", "s3cret"), ("X-Name", "a-value")]),
        attempts=1,
        elapsed=0.5,
    )
    assert repr(response) == "APIResponse(value=7, status=200, attempts=1, elapsed=0.5)"
    assert response.headers["x-name"] == "a-value"


@pytest.fixture
def non_utc_timezone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the local time zone to UTC+5."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST-5")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("non_utc_timezone")
def test_naive_datetime_is_formatted_as_utc() -> None:
    naive = datetime(2020, 9, 30, 21, 18, 3, 353_000)  # noqa: DTZ001 - what is tested
    assert naive.astimezone().utcoffset() is not None
    assert format_timestamp(naive) == "2020-09-30T21:18:03.353Z"
    found = evolve(WebhookEvent.from_dict(event()), enqueued_at=naive)
    assert found.to_dict()["enqueued_at"] == "2020-09-30T21:18:03.353Z"
    assert WebhookEvent.from_dict(found.to_dict()) == WebhookEvent.from_dict(event())


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_error_attributes_survive_every_pickle_protocol(protocol: int) -> None:
    error = errors.NotFoundError(
        "get: 404.",
        operation="get",
        hook_id=UUID(int=1),
        status=404,
        headers=Headers([(b"X-Request-Id", b"r-1"), ("Via", "a"), ("via", "b")]),
        body="no",
        attempts=2,
        outcome_unknown=True,
        retry_after=1.5,
    )
    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    assert type(twin) is errors.NotFoundError
    assert (str(twin), vars(twin)) == (str(error), vars(error))
    assert dict(twin.headers) == {"x-request-id": "r-1", "via": "a, b"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_supports_every_pickle_protocol(name: str, protocol: int) -> None:
    kind: type[errors.WebhooksError] = getattr(errors, name)
    known: dict[str, Any] = {"operation": "list"} if issubclass(kind, errors.APIError) else {}
    error = kind("what to do", **known)
    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    assert type(twin) is kind
    assert (str(twin), vars(twin)) == (str(error), vars(error))


def boundary_of(credentials: ClientCredentials) -> tuple[str, bytes]:
    operation = token_operation(credentials)
    assert operation.content is not None
    return operation.content_type.partition("boundary=")[2], operation.content


BOUNDARY = boundary_of(ClientCredentials("a", "b", style="multipart"))[0]
BOUNDARY_PARTS = st.lists(
    st.sampled_from([BOUNDARY, "-", "--", "\r\n", "x", BOUNDARY + "-"]), min_size=1, max_size=6
).map("".join)


@given(BOUNDARY_PARTS, BOUNDARY_PARTS)
@example(BOUNDARY, f"\r\n--{BOUNDARY}--\r\n")
@settings(deadline=None)
def test_multipart_boundary_is_not_in_any_value(client_id: str, secret: str) -> None:
    boundary, content = boundary_of(ClientCredentials(client_id, secret, style="multipart"))
    assert boundary not in client_id
    assert boundary not in secret
    assert 0 < len(boundary) <= 70
    head = f'Content-Type: multipart/form-data; boundary="{boundary}"\r\n\r\n'.encode()
    parts = cast("list[Message]", message_from_bytes(head + content).get_payload())
    assert len(parts) == content.count(b"--" + boundary.encode()) - 1 == 3


def test_token_operation_is_deterministic() -> None:
    credentials = ClientCredentials("an-id", "a-secret", style="multipart")
    assert token_operation(credentials) == token_operation(credentials)
