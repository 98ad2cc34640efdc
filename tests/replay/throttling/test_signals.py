"""What the end of one redelivery says: send it again, wait, send fewer at once."""

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
    deferred,
    resendable,
)

FINE, NEUTRAL, OVERLOAD = Signal.FINE, Signal.NEUTRAL, Signal.OVERLOAD


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
REFUSED_TOKEN = failure(401, kind=errors.AuthenticationError)
REFUSED_CREDENTIALS = failure(400, kind=errors.AuthenticationError)
FORBIDDEN = failure(403, kind=errors.PermissionDeniedError)
LIMITED = failure(429, retry_after=3, kind=errors.RateLimitError)
LIMITED_AT_SOME_TIME = failure(429, kind=errors.RateLimitError)
LIMITED_AFTER_ANOTHER = failure(429, unknown=True, kind=errors.RateLimitError)
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
    (REFUSED_TOKEN, False, False, NEUTRAL),
    (REFUSED_CREDENTIALS, False, False, NEUTRAL),
    (FORBIDDEN, False, False, NEUTRAL),
    (LIMITED, True, True, NEUTRAL),
    (LIMITED_AT_SOME_TIME, True, True, NEUTRAL),
    (LIMITED_AFTER_ANOTHER, False, False, NEUTRAL),
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


@pytest.mark.parametrize(("error", "again", "later", "signal"), ERRORS, ids=NAMES)
def test_what_an_error_says(
    error: errors.APIError, again: bool, later: bool, signal: Signal
) -> None:
    assert resendable(error) is again
    assert deferred(error) is later
    assert classify_signal(error, 0.1) is signal


@pytest.mark.parametrize(
    ("status", "elapsed", "signal"),
    [
        (200, 0.1, FINE),
        (204, 70.0, FINE),
        (301, 0.1, FINE),
        (404, 0.1, FINE),
        (408, 0.1, FINE),
        (428, 0.1, FINE),
        (429, 0.1, OVERLOAD),
        (430, 0.1, FINE),
        (499, 0.1, FINE),
        (500, 0.1, OVERLOAD),
        (503, 0.1, OVERLOAD),
        (599, 0.1, OVERLOAD),
        (None, 0.0, FINE),
        (None, 4.9, FINE),
        (None, 5.0, OVERLOAD),
        (None, 60.0, OVERLOAD),
    ],
)
def test_what_the_answer_of_a_subscriber_says(
    status: int | None, elapsed: float, signal: Signal
) -> None:
    answer = WebhookEvent.from_dict(event(response_status=status))
    assert classify_signal(answer, elapsed) is signal


@given(
    st.one_of(st.none(), st.integers(100, 599)),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, inf)),
)
def test_what_may_have_been_carried_out_is_never_sent_again_unasked(
    status: int | None, unknown: bool, retry_after: float | None
) -> None:
    error = failure(status, unknown=unknown, retry_after=retry_after)
    assert not (unknown and (resendable(error) or deferred(error)))
    assert resendable(error) or not deferred(error)


def test_the_backoff_doubles_up_to_eight_seconds() -> None:
    assert [backoff(resend, 1.0) for resend in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert [backoff(resend, 0.0) for resend in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 4, 4]


@given(st.integers(1, 10**9), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_backoff_is_between_half_and_the_whole_of_its_bound(
    resend: int, fractions: list[float]
) -> None:
    bound = backoff(resend, 1.0)
    for low, high in pairwise(sorted(fractions)):
        assert bound / 2 <= backoff(resend, low) <= backoff(resend, high) <= bound <= 8
