"""Strict parsing of timestamps, IDs and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import (
    AccessToken,
    DecodeError,
    InvalidArgumentError,
    WebhooksError,
    WebhookSubscription,
    operations,
)
from webhooks_sdk._codec import format_timestamp, parse_id, parse_json, parse_timestamp, structure

if TYPE_CHECKING:
    from webhooks_sdk import Operation

ID = UUID("29dd8606-4e01-46cb-aca2-dd6022e74865")

ZONES = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    timezone
)
# One day inside the range of datetime, so that every offset is representable.
EARLIEST, LATEST = datetime(1, 1, 2), datetime(9999, 12, 30, 23, 59, 59, 999_999)  # noqa: DTZ001
MOMENTS = st.datetimes(min_value=EARLIEST, max_value=LATEST, timezones=ZONES)


@given(MOMENTS)
@settings(deadline=None)
def test_timestamps_round_trip_to_the_microsecond(moment: datetime) -> None:
    back = parse_timestamp(format_timestamp(moment))
    assert back == moment
    assert back.tzinfo is UTC


@st.composite
def rfc3339(draw: st.DrawFn) -> tuple[str, datetime]:
    """Draw a timestamp and its instant, computed independently of the parser."""
    local = draw(st.datetimes(EARLIEST, LATEST).map(lambda moment: moment.replace(microsecond=0)))
    digits = draw(st.text("0123456789", max_size=12))
    fraction = timedelta(microseconds=int(digits[:6].ljust(6, "0"))) if digits else timedelta(0)
    kind = draw(st.sampled_from(["Z", "z", "", "offset"]))
    offset = timedelta(0)
    zone = kind
    if kind == "offset":
        sign = draw(st.sampled_from("+-"))
        hours, minutes = draw(st.integers(0, 23)), draw(st.integers(0, 59))
        offset = timedelta(hours=hours, minutes=minutes) * (1 if sign == "+" else -1)
        zone = f"{sign}{hours:02}:{minutes:02}"
    separator = draw(st.sampled_from("Tt"))
    text = f"{local:%m-%d}{separator}{local:%H:%M:%S}{f'.{digits}' if digits else ''}{zone}"
    return f"{local.year:04}-{text}", local.replace(tzinfo=UTC) + fraction - offset


@given(rfc3339())
@settings(deadline=None, max_examples=300)
def test_parse_any_rfc3339_timestamp(case: tuple[str, datetime]) -> None:
    text, instant = case
    moment = parse_timestamp(text)
    assert moment == instant
    assert moment.utcoffset() == timedelta(0)


RANDOM = st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}.*")


@given(RANDOM)
@settings(deadline=None, max_examples=300)
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        moment = parse_timestamp(text)
    except ValueError:
        return
    assert moment.tzinfo is UTC
    assert parse_timestamp(format_timestamp(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-09-30T21:18:03.353Z", datetime(2020, 9, 30, 21, 18, 3, 353_000, tzinfo=UTC)),
        ("2020-09-30t21:18:03z", datetime(2020, 9, 30, 21, 18, 3, tzinfo=UTC)),
        ("2020-09-30T21:18:03", datetime(2020, 9, 30, 21, 18, 3, tzinfo=UTC)),
        ("2020-09-30T21:18:03-00:00", datetime(2020, 9, 30, 21, 18, 3, tzinfo=UTC)),
        ("2020-02-29T23:30:00-01:00", datetime(2020, 3, 1, 0, 30, tzinfo=UTC)),
        ("2020-01-01T00:00:00.9999999Z", datetime(2020, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)),
        ("2020-01-01T00:00:00.1Z", datetime(2020, 1, 1, 0, 0, 0, 100_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2017-01-01T08:59:60+09:00", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60", datetime(2017, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_parse_timestamp(text: str, expected: datetime) -> None:
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-09-30",
        "2020-09-30 21:18:03Z",
        "2020-09-30T21:18Z",
        "2020-09-30T21Z",
        "20200930T211803Z",
        "2020-W40-3T21:18:03Z",
        "2020-274T21:18:03Z",
        "2020-09-30T21:18:03,353Z",
        "2020-09-30T21:18:03.Z",
        "2020-09-30T21:18:03+0100",
        "2020-09-30T21:18:03+01",
        "2020-09-30T21:18:03+01:00:00",
        "2020-09-30T21:18:03+24:00",
        "2020-09-30T21:18:03+01:60",
        "2020-09-30T24:00:00Z",
        "2020-09-30T21:60:00Z",
        "2020-09-30T21:18:61Z",
        "2020-09-30T21:18:60Z",
        "2020-09-30T23:59:60+01:00",
        "2020-02-30T00:00:00Z",
        "2019-02-29T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:60Z",
        "10000-01-01T00:00:00Z",
        " 2020-09-30T21:18:03Z",
        "2020-09-30T21:18:03Z\n",
        "2020-09-30T21:18:03ZZ",
        "٢٠٢٠-09-30T21:18:03Z",
        "1601500683",
    ],
)
def test_invalid_timestamps_raise(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2020, 9, 30, 21, 18, 3, 353_000, tzinfo=UTC), "2020-09-30T21:18:03.353Z"),
        (datetime(2020, 9, 30, tzinfo=UTC), "2020-09-30T00:00:00.000Z"),
        (datetime(2020, 9, 30, 0, 0, 0, 1, tzinfo=UTC), "2020-09-30T00:00:00.000001Z"),
        (
            datetime(2020, 9, 30, 0, 30, tzinfo=timezone(timedelta(hours=1))),
            "2020-09-29T23:30:00.000Z",
        ),
        (datetime(1, 2, 3, tzinfo=UTC), "0001-02-03T00:00:00.000Z"),
    ],
)
def test_format_timestamp(moment: datetime, text: str) -> None:
    assert format_timestamp(moment) == text


@given(st.uuids())
@settings(deadline=None)
def test_parse_id_accepts_uuids_in_every_format(value: UUID) -> None:
    spellings = (value, str(value), str(value).upper(), value.hex, value.hex.upper())
    assert {parse_id(spelling, "hook_id") for spelling in spellings} == {value}


@given(st.text() | st.uuids().map(lambda value: f"{value}x") | st.from_regex(r"[0-9a-f-]{32,36}"))
@settings(deadline=None, max_examples=300)
def test_parse_id_raises_only_invalid_argument_error(text: str) -> None:
    try:
        value = parse_id(text, "hook_id")
    except InvalidArgumentError as error:
        message = str(error)
    else:
        assert value.hex == text.replace("-", "").lower()
        return
    assert message.startswith("hook_id must be a UUID")
    assert len(message.splitlines()) == 1
    assert len(message) < 200


NO_IDS: list[Any] = [
    "",
    "29dd8606",
    f"{{{ID}}}",
    f"urn:uuid:{ID}",
    f" {ID}",
    f"{ID}\n",
    f"{ID}/../..",
    "29dd-86064e0146cbaca2dd6022e74865-",
    "29dd8606-4e01-46cb-aca2-dd6022e7486g",
    "٢9dd8606-4e01-46cb-aca2-dd6022e74865",
    "x" * 10_000,
    None,
    5,
    ID.bytes,
    ID.int,
    [str(ID)],
]


@pytest.mark.parametrize("value", NO_IDS, ids=lambda value: repr(value)[:30])
def test_parse_id_rejects_other_values(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^request_id must be a UUID") as caught:
        parse_id(value, "request_id")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, WebhooksError)
    assert len(str(caught.value)) < 200


JSON_TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda value: json.dumps(value).encode())
OPERATIONS: list[Operation[Any]] = [
    operations.list(),
    operations.get(ID),
    operations.list_events(ID),
    operations.redeliver(ID, ID),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@given(body=st.binary() | JSON_TEXTS)
@settings(deadline=None, max_examples=50)
def test_decode_raises_only_decode_error(operation: Operation[Any], body: bytes) -> None:
    try:
        value = operation.decode(body)
    except DecodeError as error:
        message = str(error)
    else:
        assert value == []
        return
    assert len(message.splitlines()) == 1


EVENT_NAMES = [
    "id",
    "tenant_id",
    "delivery_id",
    "event",
    "enqueued_at",
    "redelivery",
    "hook_id",
    "created_at",
    "updated_at",
    "response_status",
    "response_duration_ms",
]
EVENT_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.uuids().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.text(max_size=3),
    st.just(["x"]),
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(EVENT_NAMES, EVENT_VALUES))))
@settings(deadline=None)
def test_decoding_almost_valid_events_raises_only_decode_error(data: list[Any]) -> None:
    try:
        events = operations.list_events(ID).decode(json.dumps(data).encode())
    except DecodeError as error:
        message = str(error)
    else:
        assert len(events) == len(data)
        return
    assert " @ $[" in message


@given(st.dictionaries(st.sampled_from(["access_token", "expires_in", "info"]), EVENT_VALUES))
@settings(deadline=None)
def test_decoding_almost_valid_tokens_raises_only_decode_error(data: dict[str, Any]) -> None:
    try:
        token = AccessToken.from_dict(data)
    except DecodeError as error:
        message = str(error)
    else:
        assert token.access_token == data["access_token"]
        return
    assert " @ $" in message


def test_error_names_the_path_in_a_list() -> None:
    event = {
        "id": str(ID),
        "tenant_id": str(ID),
        "delivery_id": str(ID),
        "event": "carrier",
        "enqueued_at": "2020-09-30T21:18:03.353Z",
        "redelivery": False,
        "hook_id": str(ID),
        "created_at": "2020-09-30T21:18:03.353Z",
        "updated_at": "2020-09-30T21:18:03.353Z",
    }
    data = [event, event, event, {**event, "enqueued_at": "today"}]
    with pytest.raises(DecodeError) as caught:
        operations.list_events(ID).decode(json.dumps(data).encode())
    assert str(caught.value) == "expected an RFC 3339 timestamp @ $[3].enqueued_at"
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b"{}", "an object"),
        (b"null", "null"),
        (b'"x"', "a string"),
        (b"1", "an integer"),
        (b"1e3", "a number with a fraction or exponent"),
        (b"false", "a boolean"),
    ],
)
def test_list_requires_an_array(body: bytes, got: str) -> None:
    with pytest.raises(DecodeError) as caught:
        operations.list().decode(body)
    assert str(caught.value).startswith(f"expected an array, got {got}")


def test_non_json_types_are_rejected() -> None:
    with pytest.raises(DecodeError, match="a value that is not JSON"):
        structure((), list[WebhookSubscription])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"<html></html>",
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"\xff\xfe\xfd",
        b'"\xff"',
        b"[1] 2",
        b"'a'",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1" * 10_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_invalid_json_raises_a_one_line_error(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^expected JSON") as caught:
        parse_json(body)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body", [b'{"secret": "hidden', b'{"secret": hidden}', b"hidden", b'"hidden\xff"', b"[hidden"]
)
def test_invalid_json_is_not_quoted(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_json(body)
    assert "hidden" not in str(caught.value)


def test_byte_order_mark_is_ignored() -> None:
    assert parse_json(b"\xef\xbb\xbf[]") == []


def test_decode_ignores_the_body_without_a_response_type() -> None:
    decoded: object = operations.delete(ID).decode(b"<not json>")
    assert decoded is None
