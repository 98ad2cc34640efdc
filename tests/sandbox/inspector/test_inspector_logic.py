"""The inspector's pure logic: payloads, filters, the chart, formatting, signatures, notices."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk._receiving.signing import SIGNATURE_HEADER, sign
from webhooks_sdk.sandbox._clock import to_microseconds
from webhooks_sdk.sandbox._records import DeliveryAttempt, Subscription
from webhooks_sdk.sandbox._samples import SAMPLES
from webhooks_sdk.sandbox.inspector import _formatting as formatting
from webhooks_sdk.sandbox.inspector._chart import (
    CHART_HEIGHT,
    MAX_BARS,
    BucketCounts,
    Buckets,
    choose_buckets,
    lay_out_chart,
)
from webhooks_sdk.sandbox.inspector._filters import FilterError, Filters, Range, read_filters
from webhooks_sdk.sandbox.inspector._notices import Notice, add_notice, read_notice
from webhooks_sdk.sandbox.inspector._payload import (
    MAX_SHOWN_BYTES,
    build_body_view,
    printable,
)
from webhooks_sdk.sandbox.inspector._signature import check_signature

NOW = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)
SECRET = "whsec"
BODY = b'{"id": 1}'


def text(body: bytes) -> str:
    return "".join(fragment.text for fragment in build_body_view(body).fragments)


def test_json_is_pretty_printed() -> None:
    view = build_body_view(b'{"a":[1,2.50,{"b":null}],"c":{},"d":[],"e":"x:y,{"}')
    assert view.is_json
    assert "".join(fragment.text for fragment in view.fragments) == (
        "{\n"
        '  "a": [\n'
        "    1,\n"
        "    2.50,\n"
        "    {\n"
        '      "b": null\n'
        "    }\n"
        "  ],\n"
        '  "c": {},\n'
        '  "d": [],\n'
        '  "e": "x:y,{"\n'
        "}"
    )
    kinds = {fragment.text: fragment.kind for fragment in view.fragments}
    assert kinds['"a"'] == "key"
    assert kinds['"x:y,{"'] == "string"
    assert kinds["2.50"] == "number"
    assert kinds["null"] == "literal"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        st.lists,
    )
)
def test_pretty_printing_preserves_the_json_value(value: object) -> None:
    body = json.dumps({"value": value, "other": [{}, [], {"k": value}]}).encode()
    view = build_body_view(body)
    assert view.is_json
    assert json.loads(text(body)) == json.loads(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_shown_as_printable_text(body: bytes) -> None:
    shown = "".join(fragment.text for fragment in build_body_view(body).fragments)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    shown.encode()


def test_numbers_and_repeated_keys_are_kept_as_sent() -> None:
    body = b'{"n": 1.00, "n": 12345678901234567890123, "e": 1E400}'
    assert text(body).count('"n"') == 2
    assert "12345678901234567890123" in text(body)
    assert "1E400" in text(body)


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff\xfe", b"[" * 50_000 + b"]" * 50_000, b"a b"])
def test_invalid_json_is_shown_unformatted(body: bytes) -> None:
    view = build_body_view(body)
    assert not view.is_json
    assert len(text(body)) >= len(body[:MAX_SHOWN_BYTES])


def test_a_long_body_is_truncated() -> None:
    view = build_body_view(json.dumps({"x": "y" * MAX_SHOWN_BYTES}).encode())
    assert (view.is_truncated, view.is_json) == (True, False)
    assert view.size > MAX_SHOWN_BYTES
    assert not build_body_view(b"").fragments


def test_a_deeply_nested_body_has_no_long_lines() -> None:
    deep = b"[" * 900 + b"1," * 20_000 + b"1" + b"]" * 900
    view = build_body_view(deep)
    assert view.is_truncated
    assert max(map(len, text(deep).splitlines())) < 100


@pytest.mark.parametrize(
    ("given", "escaped"),
    [
        ("plain", "plain"),
        ("grüße 漢字 🙂", "grüße 漢字 🙂"),
        ("a\u202eb", r"a\u202eb"),
        ("\x1b[31m", r"\u001b[31m"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_invisible_and_misleading_characters_are_escaped(given: str, escaped: str) -> None:
    assert printable(given) == escaped


def test_filters_round_trip_through_a_link() -> None:
    filters = Filters(
        tenant=uuid4(),
        state="failed",
        hook=uuid4(),
        event="a:b&c=d",
        since=0,
        until=5,
        before=7,
        range="day",
        reveal=True,
    )
    assert read_filters(filters.query) == filters
    assert read_filters(filters.link("/x").partition("?")[2]) == evolve(filters, before=None)
    assert dict(filters.parameters)["event"] == "a:b&c=d"
    assert read_filters(Filters(event="all").query) == Filters(event="all")
    assert filters.select("tenant") == Filters(tenant=filters.tenant)


def test_empty_filters_have_an_empty_query() -> None:
    assert Filters().link() == "/"
    assert read_filters("") == read_filters("unknown=1&state=&hook=") == Filters()
    assert not Filters(tenant=uuid4(), range="day", reveal=True, before=3).has_conditions
    assert Filters(since=0).has_conditions
    assert Filters(event="a").has_conditions


@given(st.text())
def test_any_query_string_is_read_or_refused(query: str) -> None:
    try:
        filters = read_filters(query)
    except FilterError:
        return
    assert read_filters(filters.query) == filters


@pytest.mark.parametrize(
    ("ago", "wanted", "width"),
    [
        (None, "all", timedelta(seconds=1)),
        (timedelta(seconds=3), "all", timedelta(seconds=1)),
        (timedelta(seconds=59), "all", timedelta(seconds=1)),
        (timedelta(minutes=59), "all", timedelta(minutes=1)),
        (timedelta(weeks=3), "all", timedelta(hours=12)),
        (timedelta(weeks=3), "hour", timedelta(minutes=2)),
        (timedelta(weeks=3), "day", timedelta(minutes=30)),
        (timedelta(seconds=1), "week", timedelta(hours=3)),
        (timedelta(days=9_000), "all", timedelta(days=182)),
    ],
)
def test_the_timeline_spans_the_first_attempt_to_the_present(
    ago: timedelta | None, wanted: Range, width: timedelta
) -> None:
    now = to_microseconds(NOW)
    first = None if ago is None else now - to_microseconds(ago)
    buckets = choose_buckets(now, first, wanted)
    assert buckets.width == to_microseconds(width)
    assert 40 <= buckets.count <= MAX_BARS
    assert buckets.end - buckets.width <= now < buckets.end
    if wanted == "all" and first is not None:
        assert buckets.start <= first


def bucket_counts(
    index: int, delivered: int = 0, failed: int = 0, in_flight: int = 0
) -> BucketCounts:
    return BucketCounts(index=index, delivered=delivered, failed=failed, in_flight=in_flight)


def test_one_failure_stays_visible_next_to_ten_thousand_deliveries() -> None:
    chart = lay_out_chart(
        Buckets(0, 10, 60),
        [bucket_counts(3, delivered=10_000), bucket_counts(59, failed=1, delivered=1)],
    )
    tall, small = chart.bars
    assert (tall.since, tall.until) == (30, 40)
    assert tall.failed == 0
    assert tall.delivered > 10 * small.delivered
    assert small.failed >= 3
    assert small.x + small.width <= chart.width


@given(
    st.lists(st.tuples(*[st.integers(0, 50_000)] * 3).filter(any), max_size=60).map(
        lambda many: [bucket_counts(index, *counts) for index, counts in enumerate(many)]
    )
)
def test_bars_stay_inside_the_chart(counts: list[BucketCounts]) -> None:
    chart = lay_out_chart(Buckets(0, 1, 60), counts)
    for bar in chart.bars:
        assert chart.baseline - bar.delivered - bar.in_flight >= 0
        assert chart.baseline + bar.failed <= CHART_HEIGHT
        for height, count in (
            (bar.delivered, bar.counts.delivered),
            (bar.failed, bar.counts.failed),
            (bar.in_flight, bar.counts.in_flight),
        ):
            assert (height > 0) == (count > 0)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=15), "15 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=2, seconds=3), "2 min 3 s"),
        (timedelta(hours=2, minutes=14, seconds=59), "2 h 14 min"),
        (timedelta(days=1, minutes=59), "1 d"),
        (timedelta(weeks=3, hours=5), "21 d 5 h"),
        (timedelta(milliseconds=59_600), "1 min"),
    ],
)
def test_intervals(length: timedelta, expected: str) -> None:
    assert formatting.interval(length) == expected


def test_short_times_omit_todays_date() -> None:
    assert formatting.short_time(NOW, NOW) == "12:00:30"
    assert formatting.short_time(NOW - timedelta(days=1), NOW) == "3 Mar, 12:00:30"
    assert formatting.short_time(NOW - timedelta(days=365), NOW) == "4 Mar 2025, 12:00:30"


def test_durations_sizes_and_counts() -> None:
    assert formatting.duration(None) == "\N{EN DASH}"
    assert formatting.duration(1_234) == "1,234 ms"
    assert formatting.duration(61_250) == "61.2 s"
    assert (formatting.byte_size(1), formatting.byte_size(1023), formatting.byte_size(2048)) == (
        "1 byte",
        "1023 bytes",
        "2.0 KiB",
    )
    assert formatting.pluralize(1, "attempt") == "1 attempt"
    assert formatting.pluralize(1_000, "attempt") == "1,000 attempts"


def test_a_long_url_keeps_its_beginning_and_end() -> None:
    assert formatting.short_url("https://example.com/hooks") == "example.com/hooks"
    shown = formatting.short_url("https://example.com/a/very/long/path/that/goes/on/to/the/ledger")
    assert shown.startswith("example.com/")
    assert shown.endswith("/to/the/ledger")
    assert len(shown) == 36


def test_only_the_static_header_is_masked() -> None:
    headers = (("Host", "x"), ("X-Signature", "abc"), ("Authorization", "Bearer t"))
    assert formatting.display_headers(headers, reveal=False)[:2] == headers[:2]
    assert formatting.display_headers(headers, reveal=False)[2] == ("Authorization", "***")
    assert formatting.display_headers(headers, reveal=True) == headers
    assert formatting.display_static_header("X-Key: k", reveal=False) == "X-Key: ***"
    assert formatting.display_static_header(None, reveal=True) is None


def attempt(signature: str | None = None, *, sent: bool = True) -> DeliveryAttempt:
    signed = ((SIGNATURE_HEADER, signature),) if signature else ()
    return DeliveryAttempt(
        position=1,
        event_id=UUID(int=1),
        delivery_id=UUID(int=2),
        hook_id=UUID(int=3),
        event="carrier",
        number=1,
        retry=0,
        enqueued_at=NOW,
        started_at=NOW,
        url="http://127.0.0.1:9/",
        request_headers=(("Host", "127.0.0.1"), *signed) if sent else (),
    )


def subscription(secret: str | None) -> Subscription:
    return Subscription(
        id=UUID(int=3),
        active=True,
        events=("*",),
        url="http://127.0.0.1:9/",
        secret=secret,
        header=None,
        owner_id=UUID(int=4),
        tenant_id=UUID(int=5),
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("made", "known", "verdict"),
    [
        (attempt(sign(BODY, SECRET)), subscription(SECRET), "valid"),
        (attempt(sign(BODY, "other")), subscription(SECRET), "wrong"),
        (attempt(sign(BODY + b" ", SECRET)), subscription(SECRET), "wrong"),
        (attempt("no signature at all"), subscription(SECRET), "wrong"),
        (attempt(sign(BODY, SECRET)), subscription(None), "wrong"),
        (attempt(), subscription(SECRET), "missing"),
        (attempt(), subscription(None), "unsigned"),
        (attempt(), None, "unsigned"),
        (attempt(sign(BODY, SECRET)), None, "unknown"),
        (attempt(sent=False), subscription(SECRET), "not_sent"),
    ],
)
def test_check_signature(made: DeliveryAttempt, known: Subscription | None, verdict: str) -> None:
    check = check_signature(made, known, BODY)
    assert check.verdict == verdict
    assert check.label
    assert check.text


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (Notice(action="published", delivered=1), "Published: 1 delivered."),
        (
            Notice(action="advanced", delivered=2, failed=3),
            "Clock advanced: 2 delivered, 3 failed.",
        ),
        (Notice(action="advanced"), "Clock advanced. No retry was due."),
        (
            Notice(action="redelivered", finished=False),
            "Redelivery in flight. The subscriber has not responded yet.",
        ),
    ],
)
def test_notices_round_trip_through_a_link(notice: Notice, text: str) -> None:
    for link in ("/", "/?state=failed"):
        assert read_notice(add_notice(link, notice).partition("?")[2]) == notice
    assert notice.text == text


@pytest.mark.parametrize("query", ["", "notice=hacked", "notice=published&failed=x"])
def test_an_invalid_notice_is_ignored(query: str) -> None:
    assert read_notice(query) is None


def test_samples_have_the_documented_owner() -> None:
    for name, payload in SAMPLES.items():
        owner = json.loads(payload).get("owner")
        if name.partition(":")[0] in {"question_set", "quote_request", "application_form"}:
            assert {"id", "first_name", "last_name", "email", "phone"} <= owner.keys()
