"""Which failures may be sent again, and which results indicate an overload."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import event

from webhooks_sdk import WebhookEvent, errors
from webhooks_sdk.replay._throttling.signals import (
    Signal,
    backoff,
    classify_signal,
    is_deferred,
    is_resendable,
)

HEALTHY, NEUTRAL, OVERLOAD = Signal.HEALTHY, Signal.NEUTRAL, Signal.OVERLOAD


def failure(
    status: int | None,
    *,
    unknown: bool = False,
    retry_after: float | None = None,
    kind: type[errors.APIError] = errors.APIError,
) -> errors.APIError:
    return kind(
        "redeliver: it failed.",
        operation="redeliver",
        status=status,
        outcome_unknown=unknown,
        retry_after=retry_after,
    )


UNSENT = failure(None, kind=errors.APIConnectionError)
LOST = failure(None, unknown=True, kind=errors.APIConnectionError)
TIMED_OUT = failure(None, unknown=True, kind=errors.APITimeoutError)
UNREADABLE = failure(200, unknown=True, kind=errors.ResponseDecodeError)
NO_TOKEN = failure(None, kind=errors.AuthenticationError)
TOKEN_REJECTED = failure(401, kind=errors.AuthenticationError)
CREDENTIALS_REJECTED = failure(400, kind=errors.AuthenticationError)
FORBIDDEN = failure(403, kind=errors.PermissionDeniedError)
LIMITED = failure(429, retry_after=3, kind=errors.RateLimitError)
LIMITED_WITHOUT_TIME = failure(429, kind=errors.RateLimitError)
LIMITED_AFTER_LOST = failure(429, unknown=True, kind=errors.RateLimitError)
LATER = failure(503, retry_after=0, kind=errors.InternalServerError)
TOKEN_SERVER_DOWN = failure(503, kind=errors.InternalServerError)
TOKEN_SERVER_SLOW = failure(408, kind=errors.APIStatusError)
BROKEN = failure(500, unknown=True, kind=errors.InternalServerError)
NOT_FOUND = failure(404, kind=errors.NotFoundError)
UNPROCESSABLE = failure(422, kind=errors.UnprocessableEntityError)

ERRORS = [
    # error, resendable, deferred, signal
    (UNSENT, True, False, OVERLOAD),
    (LOST, False, False, OVERLOAD),
    (TIMED_OUT, False, False, OVERLOAD),
    (UNREADABLE, False, False, OVERLOAD),
    (NO_TOKEN, False, False, NEUTRAL),
    (TOKEN_REJECTED, False, False, NEUTRAL),
    (CREDENTIALS_REJECTED, False, False, NEUTRAL),
    (FORBIDDEN, False, False, NEUTRAL),
    (LIMITED, True, True, NEUTRAL),
    (LIMITED_WITHOUT_TIME, True, True, NEUTRAL),
    (LIMITED_AFTER_LOST, False, False, NEUTRAL),
    (LATER, True, True, OVERLOAD),
    (TOKEN_SERVER_DOWN, True, False, OVERLOAD),
    (TOKEN_SERVER_SLOW, True, False, OVERLOAD),
    (BROKEN, False, False, OVERLOAD),
    (NOT_FOUND, False, False, NEUTRAL),
    (UNPROCESSABLE, False, False, NEUTRAL),
]
NAMES = [
    f"{type(error).__name__}-{error.status}-{error.retry_after}-{error.outcome_unknown}"
    for error, *_ in ERRORS
]


@pytest.mark.parametrize(("error", "resend", "defer", "signal"), ERRORS, ids=NAMES)
def test_errors_are_classified(
    error: errors.APIError, resend: bool, defer: bool, signal: Signal
) -> None:
    assert is_resendable(error) is resend
    assert is_deferred(error) is defer
    assert classify_signal(error, 0.1) is signal


@pytest.mark.parametrize(
    ("status", "elapsed", "signal"),
    [
        (200, 0.1, HEALTHY),
        (204, 70.0, HEALTHY),
        (301, 0.1, HEALTHY),
        (404, 0.1, HEALTHY),
        (408, 0.1, HEALTHY),
        (428, 0.1, HEALTHY),
        (429, 0.1, OVERLOAD),
        (430, 0.1, HEALTHY),
        (499, 0.1, HEALTHY),
        (500, 0.1, OVERLOAD),
        (503, 0.1, OVERLOAD),
        (599, 0.1, OVERLOAD),
        (None, 0.0, HEALTHY),
        (None, 4.9, HEALTHY),
        (None, 5.0, OVERLOAD),
        (None, 60.0, OVERLOAD),
    ],
)
def test_subscriber_responses_are_classified(
    status: int | None, elapsed: float, signal: Signal
) -> None:
    attempt = WebhookEvent.from_dict(event(response_status=status))
    assert classify_signal(attempt, elapsed) is signal


@given(
    st.one_of(st.none(), st.integers(100, 599)),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, inf)),
)
def test_an_ambiguous_failure_is_never_sent_again(
    status: int | None, unknown: bool, retry_after: float | None
) -> None:
    error = failure(status, unknown=unknown, retry_after=retry_after)
    assert not (unknown and (is_resendable(error) or is_deferred(error)))
    assert is_resendable(error) or not is_deferred(error)


def test_the_backoff_doubles_up_to_eight_seconds() -> None:
    assert [backoff(resend, 1.0) for resend in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert [backoff(resend, 0.0) for resend in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 4, 4]


@given(st.integers(1, 10**9), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_backoff_is_between_half_and_all_of_its_bound(
    resend: int, jitters: list[float]
) -> None:
    bound = backoff(resend, 1.0)
    for low, high in pairwise(sorted(jitters)):
        assert bound / 2 <= backoff(resend, low) <= backoff(resend, high) <= bound <= 8
