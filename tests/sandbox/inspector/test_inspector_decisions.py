"""What the inspector's pages say, decided without a page: payloads, filters, bars, words."""

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
from webhooks_sdk.sandbox.inspector import _chart as chart
from webhooks_sdk.sandbox.inspector import _words as words
from webhooks_sdk.sandbox.inspector._filters import FilterError, Filters, Range, read_filters
from webhooks_sdk.sandbox.inspector._notices import Notice, add_notice, read_notice
from webhooks_sdk.sandbox.inspector._payload import SHOWN_BYTES, show, visible
from webhooks_sdk.sandbox.inspector._samples import SAMPLES
from webhooks_sdk.sandbox.inspector._signature import check_signature

NOW = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)
SECRET = "whsec"
BODY = b'{"id": 1}'


def text(body: bytes) -> str:
    return "".join(piece.text for piece in show(body).pieces)


def test_json_is_laid_out() -> None:
    shown = show(b'{"a":[1,2.50,{"b":null}],"c":{},"d":[],"e":"x:y,{"}')
    assert shown.is_json
    assert "".join(piece.text for piece in shown.pieces) == (
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
    kinds = {piece.text: piece.kind for piece in shown.pieces}
    assert kinds['"a"'] == "key"
    assert kinds['"x:y,{"'] == "string"
    assert kinds["2.50"] == "number"
    assert kinds["null"] == "word"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        st.lists,
    )
)
def test_what_is_laid_out_is_the_same_json(value: object) -> None:
    body = json.dumps({"value": value, "other": [{}, [], {"k": value}]}).encode()
    shown = show(body)
    assert shown.is_json
    assert json.loads(text(body)) == json.loads(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_shown_as_what_can_be_seen(body: bytes) -> None:
    shown = "".join(piece.text for piece in show(body).pieces)
    assert all(one.isprintable() or one in "\n\t" for one in shown)
    shown.encode()


def test_numbers_and_repeated_keys_stay_as_they_came() -> None:
    body = b'{"n": 1.00, "n": 12345678901234567890123, "e": 1E400}'
    assert text(body).count('"n"') == 2
    assert "12345678901234567890123" in text(body)
    assert "1E400" in text(body)


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff\xfe", b"[" * 50_000 + b"]" * 50_000, b"a b"])
def test_what_is_no_json_is_shown_as_it_came(body: bytes) -> None:
    shown = show(body)
    assert not shown.is_json
    assert len(text(body)) >= len(body[:SHOWN_BYTES])


def test_a_long_body_is_cut() -> None:
    shown = show(json.dumps({"x": "y" * SHOWN_BYTES}).encode())
    assert (shown.is_cut, shown.is_json) == (True, False)
    assert shown.size > SHOWN_BYTES
    assert not show(b"").pieces


def test_a_body_that_is_nested_deep_makes_no_wide_page() -> None:
    deep = b"[" * 900 + b"1," * 20_000 + b"1" + b"]" * 900
    shown = show(deep)
    assert shown.is_cut
    assert max(map(len, text(deep).splitlines())) < 100


@pytest.mark.parametrize(
    ("given", "seen"),
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
def test_what_deceives_the_eye_is_written_out(given: str, seen: str) -> None:
    assert visible(given) == seen


def test_filters_survive_their_link() -> None:
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
    assert dict(filters.pairs)["event"] == "a:b&c=d"
    assert read_filters(Filters(event="all").query) == Filters(event="all")
    assert filters.only("tenant") == Filters(tenant=filters.tenant)


def test_no_filters_have_no_query() -> None:
    assert Filters().link() == "/"
    assert read_filters("") == read_filters("unknown=1&state=&hook=") == Filters()
    assert not Filters(tenant=uuid4(), range="day", reveal=True, before=3).narrows
    assert Filters(since=0).narrows
    assert Filters(event="a").narrows


@given(st.text())
def test_no_query_string_does_more_than_be_refused(query: str) -> None:
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
def test_the_timeline_reaches_from_the_first_attempt_to_the_present(
    ago: timedelta | None, wanted: Range, width: timedelta
) -> None:
    now = to_microseconds(NOW)
    first = None if ago is None else now - to_microseconds(ago)
    spans = chart.choose_spans(now, first, wanted)
    assert spans.width == to_microseconds(width)
    assert 40 <= spans.count <= chart.MOST_BARS
    assert spans.end - spans.width <= now < spans.end
    if wanted == "all" and first is not None:
        assert spans.start <= first


def count(number: int, delivered: int = 0, failed: int = 0, under_way: int = 0) -> chart.Count:
    return chart.Count(number=number, delivered=delivered, failed=failed, under_way=under_way)


def test_one_failure_is_seen_beside_a_thousand_deliveries() -> None:
    spans = chart.Spans(0, 10, 60)
    drawing = chart.draw(spans, [count(3, delivered=10_000), count(59, failed=1, delivered=1)])
    tall, small = drawing.bars
    assert (tall.since, tall.until) == (30, 40)
    assert tall.failed == 0
    assert tall.delivered > 10 * small.delivered
    assert small.failed >= 3
    assert small.x + small.width <= drawing.width


@given(
    st.lists(st.tuples(*[st.integers(0, 50_000)] * 3).filter(any), max_size=60).map(
        lambda many: [count(number, *one) for number, one in enumerate(many)]
    )
)
def test_bars_stay_inside_the_drawing(counts: list[chart.Count]) -> None:
    drawing = chart.draw(chart.Spans(0, 1, 60), counts)
    for bar in drawing.bars:
        assert drawing.baseline - bar.delivered - bar.under_way >= 0
        assert drawing.baseline + bar.failed <= chart.HEIGHT
        for height, number in (
            (bar.delivered, bar.count.delivered),
            (bar.failed, bar.count.failed),
            (bar.under_way, bar.count.under_way),
        ):
            assert (height > 0) == (number > 0)


@pytest.mark.parametrize(
    ("length", "said"),
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
def test_lengths_of_time(length: timedelta, said: str) -> None:
    assert words.span(length) == said


def test_times_have_a_date_unless_it_is_todays() -> None:
    assert words.short_time(NOW, NOW) == "12:00:30"
    assert words.short_time(NOW - timedelta(days=1), NOW) == "3 Mar, 12:00:30"
    assert words.short_time(NOW - timedelta(days=365), NOW) == "4 Mar 2025, 12:00:30"


def test_numbers_and_sizes() -> None:
    assert words.duration(None) == "\N{EN DASH}"
    assert words.duration(1_234) == "1,234 ms"
    assert words.duration(61_250) == "61.2 s"
    assert (words.size(1), words.size(1023), words.size(2048)) == (
        "1 byte",
        "1023 bytes",
        "2.0 KiB",
    )
    assert words.several(1, "attempt") == "1 attempt"
    assert words.several(1_000, "attempt") == "1,000 attempts"


def test_a_long_url_keeps_its_beginning_and_its_end() -> None:
    assert words.short_url("https://example.com/hooks") == "example.com/hooks"
    shown = words.short_url("https://example.com/a/very/long/path/that/goes/on/to/the/ledger")
    assert shown.startswith("example.com/")
    assert shown.endswith("/to/the/ledger")
    assert len(shown) == 36


def test_only_the_static_header_is_masked() -> None:
    headers = (("Host", "x"), ("X-Signature", "abc"), ("Authorization", "Bearer t"))
    assert words.shown_headers(headers, revealed=False)[:2] == headers[:2]
    assert words.shown_headers(headers, revealed=False)[2] == ("Authorization", "***")
    assert words.shown_headers(headers, revealed=True) == headers
    assert words.shown_static_header("X-Key: k", revealed=False) == "X-Key: ***"
    assert words.shown_static_header(None, revealed=True) is None


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
def test_signatures_are_checked_anew(
    made: DeliveryAttempt, known: Subscription | None, verdict: str
) -> None:
    check = check_signature(made, known, BODY)
    assert check.verdict == verdict
    assert check.label
    assert check.text


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (Notice(action="published", delivered=1), "Published: 1 delivery made."),
        (
            Notice(action="advanced", delivered=2, failed=3),
            "Clock advanced: 2 deliveries made, 3 failed.",
        ),
        (Notice(action="advanced"), "Clock advanced. No retry came due."),
        (
            Notice(action="redelivered", ended=False),
            "Redelivery under way. The subscriber has not answered yet.",
        ),
    ],
)
def test_notices_survive_their_link(notice: Notice, said: str) -> None:
    for link in ("/", "/?state=failed"):
        assert read_notice(add_notice(link, notice).partition("?")[2]) == notice
    assert notice.text == said


@pytest.mark.parametrize("query", ["", "notice=hacked", "notice=published&failed=x"])
def test_a_notice_says_nothing_of_a_links_own(query: str) -> None:
    assert read_notice(query) is None


def test_samples_are_such_as_the_service_sends() -> None:
    for name, payload in SAMPLES.items():
        owner = json.loads(payload).get("owner")
        if name.partition(":")[0] in {"question_set", "quote_request", "application_form"}:
            assert {"id", "first_name", "last_name", "email", "phone"} <= owner.keys()
