"""When a run in which nothing works is stopped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.breaker import CircuitBreaker

GOOD = ("delivered", "accepted")
BAD = ("rejected", "failed", "unknown")


def broken(limit: int | None, *statuses: str) -> CircuitBreaker:
    breaker = CircuitBreaker(limit)
    for status in statuses:
        breaker.completed(status)
    return breaker


@pytest.mark.parametrize("status", BAD)
def test_what_is_no_success_opens_it(status: str) -> None:
    assert not broken(3, status, status).is_open
    assert broken(3, status, status, status).is_open


@pytest.mark.parametrize("status", GOOD)
def test_a_success_begins_anew(status: str) -> None:
    assert not broken(3, "failed", "failed", status, "failed", "failed").is_open
    assert broken(3, "failed", status, "failed", "failed", "rejected").is_open


def test_what_was_skipped_says_nothing() -> None:
    assert broken(2, "failed", "skipped", "skipped", "failed").is_open
    assert not broken(2, "skipped", "skipped", "skipped").is_open


def test_it_stays_open_and_keeps_its_reason() -> None:
    breaker = broken(2, "failed", "unknown")
    reason = breaker.reason
    breaker.completed("delivered")
    breaker.completed("rejected")
    assert breaker.is_open
    assert breaker.reason == reason


def test_without_a_limit_it_never_opens() -> None:
    breaker = broken(None, *["failed"] * 10_000)
    assert not breaker.is_open
    assert breaker.reason == "the last 10000 outcomes are no success: 10000 failed"


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ((), "the last outcome is a success, or there is none yet"),
        (("failed", "accepted"), "the last outcome is a success, or there is none yet"),
        (("rejected",), "the last outcome is no success: 1 rejected"),
        (
            ("unknown", "failed", "rejected", "rejected"),
            "the last 4 outcomes are no success: 2 rejected, 1 failed, 1 unknown",
        ),
        (
            ("rejected", "delivered", "failed", "skipped", "failed"),
            "the last 2 outcomes are no success: 2 failed",
        ),
    ],
)
def test_it_says_what_it_counted(statuses: tuple[str, ...], reason: str) -> None:
    assert broken(20, *statuses).reason == reason


@given(st.integers(1, 6), st.lists(st.sampled_from([*GOOD, *BAD, "skipped"]), max_size=40))
def test_it_opens_exactly_when_that_many_in_a_row_are_no_success(
    limit: int, statuses: list[str]
) -> None:
    told = "".join("." if s in GOOD else "x" for s in statuses if s != "skipped")
    assert broken(limit, *statuses).is_open is ("x" * limit in told)
