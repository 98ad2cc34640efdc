"""Which events count as undelivered: decided from a list of attempts alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.replays import HOOK, NOON, attempt, event_id

from webhooks_sdk.errors import InvalidArgumentError
from webhooks_sdk.replay import Recovery
from webhooks_sdk.replay._undelivered import redelivered_since

if TYPE_CHECKING:
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
def test_an_event_that_no_attempt_delivered_counts(status: int | None) -> None:
    assert ids(find(attempt("a", status))) == [event_id("a")]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_answer_of_2xx_is_a_delivery(status: int) -> None:
    assert ids(find(attempt("a", 500), attempt("a", status, at=60), attempt("a", 500, at=90))) == []


def test_attempts_are_taken_together_whatever_their_order() -> None:
    listed = [attempt("a", 200, at=70), attempt("b", 500, at=5), attempt("a", 500, at=1)]
    assert ids(find(*listed)) == ids(find(*reversed(listed))) == [event_id("b")]


def test_the_earliest_enqueued_at_of_all_attempts_decides_about_the_window() -> None:
    # The retry lies in the window, the event that it is of does not.
    early = attempt("a", 500, at=-10)
    retry = attempt("a", 500, at=10)
    assert ids(find(early, retry)) == []
    assert ids(find(early, retry, since=-10)) == [event_id("a")]


def test_a_success_outside_of_the_window_counts_too() -> None:
    assert ids(find(attempt("a", 500, at=10), attempt("a", 200, at=5000))) == []


@pytest.mark.parametrize(
    ("at", "inside"), [(-0.001, False), (0, True), (3599.999, True), (3600, False)]
)
def test_the_window_begins_with_since_and_ends_before_until(at: float, inside: bool) -> None:
    assert bool(len(find(attempt("a", 500, at=at)))) is inside


def test_without_until_the_window_ends_now() -> None:
    before = attempt("a", 500, at=7199)
    after = attempt("b", 500, at=7201)
    assert ids(find(before, after, until=None)) == [event_id("a")]


def test_the_events_come_in_the_order_in_which_they_happened_with_their_latest_attempt() -> None:
    first, again, second = attempt("a", 500, at=1), attempt("a", 502, at=9), attempt("b", 500, at=5)
    assert list(find(again, second, first)) == [again, second]


def test_an_attempt_without_a_status_that_is_young_leaves_its_event_alone() -> None:
    young = attempt("a", None, at=7200 - 119)
    old = attempt("b", None, at=7200 - 120)
    found = find(young, old, until=None)
    assert ids(found) == [event_id("b")]
    assert found.coverage.pending == 1


def test_a_young_attempt_leaves_its_event_alone_although_an_older_one_failed() -> None:
    found = find(attempt("a", 500, at=10), attempt("a", None, at=7190))
    assert (ids(found), found.coverage.pending) == ([], 1)


def test_what_is_delivered_or_outside_of_the_window_is_not_called_pending() -> None:
    found = find(attempt("a", None, at=7199), attempt("b", 200, at=1), attempt("b", None, at=7199))
    assert found.coverage.pending == 0


def test_the_last_change_of_a_record_counts_for_its_age() -> None:
    # Where a service keeps one record for each event, it is changed by a new attempt.
    record = attempt("a", None, at=10, updated_at=NOON + timedelta(seconds=7190))
    assert find(record).coverage.pending == 1


def test_the_grace_can_be_set() -> None:
    assert len(find(attempt("a", None, at=7200 - 30), until=None, pending_grace=20)) == 1


def test_the_list_covers_the_window_if_a_record_is_no_younger_than_its_beginning() -> None:
    assert find(attempt("a", at=0)).coverage.covers_since
    short = find(attempt("a", at=0.001)).coverage
    assert not short.covers_since
    assert short.oldest_listed == NOON + timedelta(milliseconds=1)


def test_how_far_the_list_reached_is_told_by_when_records_were_made() -> None:
    # A retry of an old event is listed although other events of that time are not any more.
    retry = attempt("a", 500, at=100, enqueued_at=NOON - timedelta(days=3))
    assert not find(retry).coverage.covers_since


def test_an_empty_list_covers_nothing() -> None:
    found = find()
    assert (len(found), found.coverage.oldest_listed, found.coverage.covers_since) == (
        0,
        None,
        False,
    )


@given(st.permutations([attempt(n % 7, [200, 500, None][n % 3], at=n) for n in range(21)]))
def test_the_order_of_the_list_changes_nothing(listed: list[WebhookEvent]) -> None:
    assert find(*listed) == find(*sorted(listed, key=lambda one: one.created_at))


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01", 5])  # noqa: DTZ001 - that is the point
def test_a_datetime_that_is_naive_or_none_is_refused(name: str, value: Any) -> None:
    window: dict[str, Any] = {"since": NOON, "until": LATER} | {name: value}
    with pytest.raises(InvalidArgumentError, match=f"{name} must be an aware datetime"):
        Recovery(hook_id=HOOK, **window)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="must be before until"):
        Recovery(hook_id=HOOK, since=NOON, until=NOON)


@pytest.mark.parametrize("grace", [-1, float("inf"), float("nan"), "120", True, None])
def test_a_grace_that_is_no_time_is_refused(grace: Any) -> None:
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
def test_a_redelivery_answered_2xx_after_the_intent_is_a_delivery(
    fields: dict[str, Any], found: bool
) -> None:
    one = attempt("a", at=10, **fields)
    assert redelivered_since(one, NOON) is found


def test_a_redelivery_before_the_intent_is_another() -> None:
    one = attempt("a", at=10, redelivery=True)
    assert not redelivered_since(one, NOON + timedelta(seconds=11))
    assert not redelivered_since(one, NOON + timedelta(seconds=10, milliseconds=1))
    # What the service cuts off may have been after the intent.
    assert redelivered_since(one, NOON + timedelta(seconds=10, microseconds=999))
