"""Finding undelivered events in a list of delivery attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.replays import HOOK, NOON, ReplayHarness, attempt, event_id

from webhooks_sdk import APIResponse, Headers
from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay import Recovery
from webhooks_sdk.replay._undelivered import find_in_list, was_redelivered_since

if TYPE_CHECKING:
    from pathlib import Path

    from support.replays import Service

    from webhooks_sdk import WebhookEvent
    from webhooks_sdk.replay import UndeliveredEvents

LATER = NOON + timedelta(hours=2)


def find(
    *listed: WebhookEvent, since: float = 0, until: float | None = 3600, **options: Any
) -> UndeliveredEvents:
    recovery = Recovery(
        hook_id=HOOK,
        since=NOON + timedelta(seconds=since),
        until=None if until is None else NOON + timedelta(seconds=until),
        **options,
    )
    return recovery.find_in(listed, now=LATER)


def ids(found: UndeliveredEvents) -> list[object]:
    return [event.id for event in found]


@pytest.mark.parametrize("status", [None, 199, 300, 302, 404, 429, 500, 503])
def test_an_event_without_a_delivered_attempt_is_undelivered(status: int | None) -> None:
    assert ids(find(attempt("a", status))) == [event_id("a")]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_response_is_a_delivery(status: int) -> None:
    assert ids(find(attempt("a", 500), attempt("a", status, at=60), attempt("a", 500, at=90))) == []


def test_attempts_are_grouped_by_event_in_any_order() -> None:
    listed = [attempt("a", 200, at=70), attempt("b", 500, at=5), attempt("a", 500, at=1)]
    assert ids(find(*listed)) == ids(find(*reversed(listed))) == [event_id("b")]


def test_the_earliest_enqueued_at_must_be_in_the_window() -> None:
    # The retry is in the window, but its event is not.
    early = attempt("a", 500, at=-10)
    retry = attempt("a", 500, at=10)
    assert ids(find(early, retry)) == []
    assert ids(find(early, retry, since=-10)) == [event_id("a")]


def test_a_delivery_after_the_window_counts() -> None:
    assert ids(find(attempt("a", 500, at=10), attempt("a", 200, at=5000))) == []


@pytest.mark.parametrize(
    ("at", "inside"), [(-0.001, False), (0, True), (3599.999, True), (3600, False)]
)
def test_since_is_inclusive_and_until_is_exclusive(at: float, inside: bool) -> None:
    assert bool(len(find(attempt("a", 500, at=at)))) is inside


def test_without_until_the_window_has_every_event_that_is_listed() -> None:
    # The service's clock may be ahead of the local one.
    before = attempt("a", 500, at=7199)
    after = attempt("b", 500, at=7201)
    assert ids(find(before, after, until=None)) == [event_id("a"), event_id("b")]


def find_in_response(
    date: str | None, *, since: float = 0, at: float = 7200, took: float = 2
) -> UndeliveredEvents:
    """Find an event with an attempt in progress since 14:00, in a list requested at 14:00.

    Args:
        date: The Date header of the response.
        since: The start of the window, in seconds after noon.
        at: When the attempt was made, in seconds after noon.
        took: Seconds from the request to the response, by the local clock.
    """
    response = APIResponse(
        value=[attempt("a", None, at=at)],
        status=200,
        headers=Headers([] if date is None else [(b"Date", date.encode())]),
        attempts=1,
        elapsed=2.0,
    )
    recovery = Recovery(hook_id=HOOK, since=NOON + timedelta(seconds=since))
    return find_in_list(recovery, response, began=LATER, ended=LATER + timedelta(seconds=took))


@pytest.mark.parametrize(
    "date",
    [
        None,
        "Fri, 01 Jan 1960 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "Sun, 99 Mar 2026 14:30:00 GMT",
        "tomorrow",
        "",
    ],
)
def test_ages_are_measured_with_the_local_clock_without_a_valid_date(date: str | None) -> None:
    assert find_in_response(date, at=7081).coverage.pending == 1
    assert find_in_response(date, at=7080).coverage.pending == 0


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 01 Mar 2026 13:55:02 GMT",
        "Sun, 01 Mar 2026 14:55:02 +0100",
        "1 Mar 2026 13:55:02",
    ],
)
def test_ages_are_measured_with_the_clock_of_the_service_if_it_is_behind(date: str) -> None:
    # The local clock is five minutes ahead: an attempt ten seconds before is in flight.
    assert find_in_response(date, at=6900 - 10).coverage.pending == 1
    assert find_in_response(date, at=6900 - 119).coverage.pending == 1
    assert find_in_response(date, at=6900 - 120).coverage.pending == 0


def test_a_local_clock_that_is_set_back_during_the_request_makes_no_attempt_older() -> None:
    found = find_in_response("Sun, 01 Mar 2026 14:00:00 GMT", at=7081, took=-3600)
    assert found.coverage.pending == 1


@pytest.mark.parametrize(
    "date",
    ["Sun, 01 Mar 2026 14:02:02 GMT", "Sun, 01 Mar 2026 15:02:02 +0100", "1 Mar 2026 14:02:02"],
)
def test_ages_are_measured_with_the_clock_of_the_service_if_it_is_ahead(date: str) -> None:
    # The attempt is two minutes old. The two seconds that the request took do not count.
    found = find_in_response(date)
    assert (ids(found), found.coverage.pending) == ([event_id("a")], 0)


@pytest.mark.parametrize(
    ("date", "since"),
    [(None, 7202), ("Sun, 01 Mar 2026 15:00:00 GMT", 10_801)],
    ids=["local clock", "service's clock"],
)
def test_a_window_that_starts_in_the_future_is_refused(date: str | None, since: float) -> None:
    assert len(find_in_response(date, since=since)) == 0
    with pytest.raises(InvalidArgumentError, match=r"^since must not be in the future \(it is now"):
        find_in_response(date, since=since + 1)


def test_until_may_be_in_the_future() -> None:
    assert ids(find(attempt("a", 500), until=10**6)) == [event_id("a")]


def test_events_are_sorted_by_time_and_represented_by_their_latest_attempt() -> None:
    first, again, second = attempt("a", 500, at=1), attempt("a", 502, at=9), attempt("b", 500, at=5)
    assert list(find(again, second, first)) == [again, second]


def test_events_that_were_redelivered_in_vain_come_last() -> None:
    listed = [
        attempt("a", 500, at=1),
        attempt("a", 500, at=90, redelivery=True),
        # The service's own retry does not count.
        attempt("b", 500, at=2),
        attempt("b", 500, at=80, redelivery=True),
        attempt("b", 500, at=99),
        attempt("c", 500, at=3),
        attempt("c", 500, at=95),
        attempt("d", 500, at=4),
    ]
    assert ids(find(*listed)) == [event_id(name) for name in "cdba"]


def test_an_event_with_a_recent_attempt_without_a_status_is_pending() -> None:
    young = attempt("a", None, at=7200 - 119)
    old = attempt("b", None, at=7200 - 120)
    found = find(young, old, until=None)
    assert ids(found) == [event_id("b")]
    assert found.coverage.pending == 1


def test_an_event_is_pending_even_if_an_older_attempt_failed() -> None:
    found = find(attempt("a", 500, at=10), attempt("a", None, at=7190))
    assert (ids(found), found.coverage.pending) == ([], 1)


def test_events_that_are_delivered_or_outside_the_window_are_not_pending() -> None:
    found = find(attempt("a", None, at=7199), attempt("b", 200, at=1), attempt("b", None, at=7199))
    assert found.coverage.pending == 0


def test_the_age_of_an_attempt_is_measured_from_its_last_change() -> None:
    # If the service keeps one record per event, a new attempt updates it.
    record = attempt("a", None, at=10, updated_at=NOON + timedelta(seconds=7190))
    assert find(record).coverage.pending == 1


def test_pending_grace_can_be_configured() -> None:
    assert len(find(attempt("a", None, at=7200 - 30), until=None, pending_grace=20)) == 1


def test_the_list_covers_the_window_if_a_record_is_as_old_as_since() -> None:
    assert find(attempt("a", at=0)).coverage.covers_since
    short = find(attempt("a", at=0.001)).coverage
    assert not short.covers_since
    assert short.oldest_listed == NOON + timedelta(milliseconds=1)


def test_coverage_is_based_on_when_records_were_created() -> None:
    # A retry of an old event is listed, while other events of that time no longer are.
    retry = attempt("a", 500, at=100, enqueued_at=NOON - timedelta(days=3))
    assert not find(retry).coverage.covers_since


def test_an_empty_list_does_not_cover_the_window() -> None:
    found = find()
    assert (len(found), found.coverage.oldest_listed, found.coverage.covers_since) == (
        0,
        None,
        False,
    )


@given(st.permutations([attempt(n % 7, [200, 500, None][n % 3], at=n) for n in range(21)]))
def test_the_order_of_the_list_does_not_matter(listed: list[WebhookEvent]) -> None:
    assert find(*listed) == find(*sorted(listed, key=lambda one: one.created_at))


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01", 5])  # noqa: DTZ001 - naive on purpose
def test_since_and_until_must_be_aware_datetimes(name: str, value: Any) -> None:
    window: dict[str, Any] = {"since": NOON, "until": LATER} | {name: value}
    with pytest.raises(InvalidArgumentError, match=f"{name} must be an aware datetime"):
        Recovery(hook_id=HOOK, **window)


def test_since_must_be_before_until() -> None:
    with pytest.raises(InvalidArgumentError, match="since must be before until"):
        Recovery(hook_id=HOOK, since=NOON, until=NOON)


FAR_EAST, FAR_WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("since", datetime.min.replace(tzinfo=FAR_EAST)),
        ("until", datetime.max.replace(tzinfo=FAR_WEST)),
    ],
)
def test_datetimes_outside_of_the_calendar_in_utc_are_refused(name: str, value: datetime) -> None:
    window: dict[str, Any] = {"since": NOON, "until": LATER} | {name: value}
    with pytest.raises(InvalidArgumentError, match=f"{name} must be in the years 1 to 9999 in UTC"):
        Recovery(hook_id=HOOK, **window)


def test_the_widest_window_is_recorded_and_resumed(service: Service, tmp_path: Path) -> None:
    service.listed = [attempt("a", 500)]
    everything = Recovery(
        hook_id=HOOK,
        since=datetime.min.replace(tzinfo=UTC),
        until=datetime.max.replace(tzinfo=UTC),
        pending_grace=1_000_000,
    )
    for expected in ("delivered", "skipped"):
        _, report = ReplayHarness("sync").collect(
            service, (), recovery=everything, journal=tmp_path / "journal"
        )
        assert report.counts[expected] == 1


@pytest.mark.parametrize(
    "grace", [-1, float("inf"), float("nan"), 1e10, 10**30, 1_000_001, "120", True, None]
)
def test_pending_grace_must_be_a_number_of_seconds(grace: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pending_grace must be a number of seconds"):
        Recovery(hook_id=HOOK, since=NOON, pending_grace=grace)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"redelivery": True}, True),
        ({"redelivery": False}, False),
        ({"redelivery": True, "response_status": 500}, False),
        ({"redelivery": True, "response_status": None}, False),
    ],
)
def test_only_a_delivered_redelivery_after_the_intent_counts(
    fields: dict[str, Any], found: bool
) -> None:
    one = attempt("a", at=10, **fields)
    assert was_redelivered_since(one, NOON) is found


def test_a_redelivery_before_the_intent_does_not_count() -> None:
    one = attempt("a", at=10, redelivery=True)
    assert not was_redelivered_since(one, NOON + timedelta(seconds=11))
    assert not was_redelivered_since(one, NOON + timedelta(seconds=10, milliseconds=1))
    # The truncated part of the timestamp may have been after the intent.
    assert was_redelivered_since(one, NOON + timedelta(seconds=10, microseconds=999))
