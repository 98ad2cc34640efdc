"""The circuit breaker opens after consecutive unsuccessful outcomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.replay._throttling.breaker import CircuitBreaker

SUCCESS = "delivered"
IGNORED = ("skipped", "accepted")
FAILURES = ("rejected", "failed", "unknown")


def breaker_after(threshold: int | None, *statuses: str) -> CircuitBreaker:
    breaker = CircuitBreaker(threshold)
    for status in statuses:
        breaker.record(status)
    return breaker


@pytest.mark.parametrize("status", FAILURES)
def test_consecutive_failures_open_it(status: str) -> None:
    assert not breaker_after(3, status, status).is_open
    assert breaker_after(3, status, status, status).is_open


def test_a_success_resets_the_count() -> None:
    assert not breaker_after(3, "failed", "failed", SUCCESS, "failed", "failed").is_open
    assert breaker_after(3, "failed", SUCCESS, "failed", "failed", "rejected").is_open


@pytest.mark.parametrize("status", IGNORED)
def test_outcomes_that_say_nothing_about_the_subscriber_are_ignored(status: str) -> None:
    assert breaker_after(2, "failed", status, status, "failed").is_open
    assert not breaker_after(2, status, status, status).is_open


def test_it_stays_open_and_keeps_its_reason() -> None:
    breaker = breaker_after(2, "failed", "unknown")
    reason = breaker.reason
    breaker.record("delivered")
    breaker.record("rejected")
    assert breaker.is_open
    assert breaker.reason == reason


def test_without_a_threshold_it_never_opens() -> None:
    breaker = breaker_after(None, *["failed"] * 10_000)
    assert not breaker.is_open
    assert breaker.reason == "the last 10000 outcomes were unsuccessful: 10000 failed"


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ((), "no consecutive unsuccessful outcomes"),
        (("failed", "delivered"), "no consecutive unsuccessful outcomes"),
        (("rejected",), "the last outcome was unsuccessful: 1 rejected"),
        (
            ("unknown", "failed", "rejected", "rejected"),
            "the last 4 outcomes were unsuccessful: 2 rejected, 1 failed, 1 unknown",
        ),
        (
            ("rejected", "delivered", "failed", "skipped", "failed"),
            "the last 2 outcomes were unsuccessful: 2 failed",
        ),
    ],
)
def test_the_reason_lists_the_counts(statuses: tuple[str, ...], reason: str) -> None:
    assert breaker_after(20, *statuses).reason == reason


@given(st.integers(1, 6), st.lists(st.sampled_from([SUCCESS, *FAILURES, *IGNORED]), max_size=40))
def test_it_opens_exactly_when_the_threshold_is_reached(
    threshold: int, statuses: list[str]
) -> None:
    history = "".join("." if s == SUCCESS else "x" for s in statuses if s not in IGNORED)
    assert breaker_after(threshold, *statuses).is_open is ("x" * threshold in history)
