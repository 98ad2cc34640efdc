"""One call, from its first attempt to its value or error, with a fake clock."""

from __future__ import annotations

import json
import pickle
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpcore
import httpx
import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from tenacity import Retrying

from webhooks_sdk import (
    AccessToken,
    ClientCredentials,
    Headers,
    Operation,
    RetryEvent,
    RetryPolicy,
    Safety,
    errors,
    operations,
)
from webhooks_sdk._core.call import Call, Timeouts
from webhooks_sdk._core.clock import Clock
from webhooks_sdk._core.responses import RawResponse
from webhooks_sdk._core.tokens import token_operation
from webhooks_sdk._transport.retrying import retrying_arguments
from webhooks_sdk._wire.bodies import BodyError, BodyTooLargeError

HOOK = UUID("e6db9c1a-d15f-4248-81fa-5b61fc321def")
REQUEST = UUID("29dd8606-4e01-46cb-aca2-dd6022e74865")
SAMPLE = (Path(__file__).parents[1] / "samples" / "redeliver.json").read_bytes()
SUBSCRIPTION = json.dumps(
    {
        "id": str(HOOK),
        "active": True,
        "confirmed": False,
        "events": ["*"],
        "config": {"url": "https://subscriber.example"},
        "owner_id": str(HOOK),
        "tenant_id": str(HOOK),
        "created_at": "2020-09-30T21:18:03.426Z",
        "updated_at": "2020-09-30T21:18:03.426Z",
    }
).encode()
TIMEOUTS: Timeouts = {"connect": 5.0, "read": 75.0, "write": 75.0, "pool": None}
TOKEN = "t0k3n-of-many-letters"


@define
class FakeTime:
    now: float = 1_000.0
    waits: list[float] = field(factory=list[float])

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, wall=lambda: 1_700_000_000.0 + self.now)


def begin(
    operation: Operation[Any],
    time: FakeTime | None = None,
    *,
    policy: RetryPolicy | None = None,
    retry_events: list[RetryEvent] | None = None,
    timeouts: Timeouts = TIMEOUTS,
    deadline: float | None = None,
) -> Call[Any]:
    events = [] if retry_events is None else retry_events
    return Call(
        operation,
        url="https://api.example" + operation.path,
        policy=policy or RetryPolicy(),
        timeouts=timeouts,
        clock=(time or FakeTime()).clock,
        on_retry=events.append,
        headers=[(b"User-Agent", b"test")],
        deadline=deadline,
    )


Outcome = RawResponse | Exception
"""The result of one attempt: a response, or the exception of the transport."""


def raw_response(status: int, body: bytes = b"", **headers: str) -> RawResponse:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return RawResponse(status, Headers(pairs), body)


def attempt(call: Call[Any], outcome: Outcome) -> Any:
    """Run one attempt, as a driver does."""
    call.begin_attempt(TOKEN if call.operation.endpoint == "api" else None)
    if isinstance(outcome, RawResponse):
        return call.finish(outcome)
    timed_out = isinstance(outcome, httpx.TimeoutException)
    network_failure = isinstance(outcome, httpx.TransportError)
    raise call.connection_error(outcome, timed_out=timed_out, network_failure=network_failure)


def run(call: Call[Any], time: FakeTime, *outcomes: Outcome) -> Any:
    """Run a call whose attempts have these outcomes in turn."""
    remaining = iter(outcomes)
    retrying = Retrying(**retrying_arguments(call), sleep=time.wait)
    return retrying(lambda: attempt(call, next(remaining)))


def unsent() -> Exception:
    error = httpx.ConnectError("refused")
    error.__cause__ = httpcore.ConnectError("refused")
    return error


def certificate() -> Exception:
    error = httpx.ConnectError("certificate")
    error.__cause__ = ssl.SSLCertVerificationError(1, "expired")
    return error


def truncated() -> RawResponse:
    return RawResponse(200, Headers(), b"{", httpx.RemoteProtocolError("incomplete"))


def too_large() -> RawResponse:
    return RawResponse(200, Headers(), b"{", BodyTooLargeError("its body is larger than the limit"))


REPEATABLE: dict[str, tuple[Operation[Any], RawResponse]] = {
    "get": (operations.get(HOOK), raw_response(200, SUBSCRIPTION)),
    "list": (operations.list(), raw_response(200, b"[]")),
    "list_events": (operations.list_events(HOOK), raw_response(200, b"[%b]" % SAMPLE)),
    "update": (operations.update(HOOK, active=False), raw_response(200, SUBSCRIPTION)),
    "delete": (operations.delete(HOOK), raw_response(204)),
    "token": (
        token_operation(ClientCredentials("id", "s3cr3t-of-many-letters")),
        raw_response(200, b'{"access_token": "abc"}'),
    ),
}
NON_IDEMPOTENT: dict[str, tuple[Operation[Any], RawResponse]] = {
    "create": (operations.create(url="https://a.example"), raw_response(201, SUBSCRIPTION)),
    "redeliver": (operations.redeliver(HOOK, REQUEST), raw_response(200, SAMPLE)),
}
NOT_PROCESSED: dict[str, Callable[[], Outcome]] = {
    "not sent": unsent,
    "429": lambda: raw_response(429),
    "429 with Retry-After": lambda: raw_response(429, retry_after="3"),
    "503 with Retry-After": lambda: raw_response(503, retry_after="3"),
}
AMBIGUOUS: dict[str, Callable[[], Outcome]] = {
    "408": lambda: raw_response(408),
    "500": lambda: raw_response(500),
    "502": lambda: raw_response(502),
    "503": lambda: raw_response(503),
    "503 with garbage": lambda: raw_response(503, retry_after="soon"),
    "504 with Retry-After": lambda: raw_response(504, retry_after="3"),
    "read timeout": lambda: httpx.ReadTimeout("slow"),
    "write timeout": lambda: httpx.WriteTimeout("slow"),
    "lost": lambda: httpx.ReadError("reset"),
    "disconnected": lambda: httpx.RemoteProtocolError("disconnected"),
    "foreign ConnectError": lambda: httpx.ConnectError("lost after sending"),
    "foreign ConnectTimeout": lambda: httpx.ConnectTimeout("lost after sending"),
}
REJECTED: dict[str, Callable[[], Outcome]] = {
    "certificate": certificate,
    "400": lambda: raw_response(400),
    "401": lambda: raw_response(401),
    "403": lambda: raw_response(403),
    "404": lambda: raw_response(404),
    "404 with Retry-After": lambda: raw_response(404, retry_after="1"),
    "409": lambda: raw_response(409),
    "422": lambda: raw_response(422),
    "301": lambda: raw_response(301, location="https://elsewhere.example"),
    "unexpected 2xx": lambda: raw_response(202, b"{}"),
}
UNDECODABLE: dict[str, Callable[[], Outcome]] = {
    "no JSON": lambda: raw_response(200, b"<html>"),
    "wrong shape": lambda: raw_response(200, b'"x"'),
    "truncated": truncated,
    "over the limit": too_large,
}


@pytest.mark.parametrize("name", [*REPEATABLE, *NON_IDEMPOTENT])
@pytest.mark.parametrize("row", NOT_PROCESSED)
def test_unprocessed_requests_are_retried(name: str, row: str) -> None:
    operation, success = (REPEATABLE | NON_IDEMPOTENT)[name]
    time = FakeTime()
    call = begin(operation, time)
    run(call, time, NOT_PROCESSED[row](), success)
    assert call.attempts == 2
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, *(NOT_PROCESSED[row]() for _ in range(3)))
    assert caught.value.attempts == 3
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("name", REPEATABLE)
@pytest.mark.parametrize("row", AMBIGUOUS)
def test_ambiguous_failures_of_idempotent_operations_are_retried(name: str, row: str) -> None:
    operation, success = REPEATABLE[name]
    time = FakeTime()
    call = begin(operation, time)
    run(call, time, AMBIGUOUS[row](), success)
    assert call.attempts == 2
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, *(AMBIGUOUS[row]() for _ in range(3)))
    assert caught.value.attempts == 3
    assert caught.value.outcome_unknown is (name in {"update", "delete"})


@pytest.mark.parametrize("name", NON_IDEMPOTENT)
@pytest.mark.parametrize("row", AMBIGUOUS)
def test_ambiguous_failures_of_non_idempotent_operations_are_retried_only_on_request(
    name: str, row: str
) -> None:
    operation, success = NON_IDEMPOTENT[name]
    time = FakeTime()
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, AMBIGUOUS[row](), success)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, True)
    assert time.waits == []
    call = begin(operation, time, policy=RetryPolicy(resend_unknown=True))
    run(call, time, AMBIGUOUS[row](), success)
    assert call.attempts == 2


@pytest.mark.parametrize("name", [*REPEATABLE, *NON_IDEMPOTENT])
@pytest.mark.parametrize("row", REJECTED)
def test_rejected_requests_are_not_retried(name: str, row: str) -> None:
    operation, success = (REPEATABLE | NON_IDEMPOTENT)[name]
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True)
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time, policy=policy), time, REJECTED[row](), success)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, False)


@pytest.mark.parametrize("name", [*(REPEATABLE.keys() - {"delete"}), *NON_IDEMPOTENT])
@pytest.mark.parametrize("row", UNDECODABLE)
def test_undecodable_responses_are_not_retried(name: str, row: str) -> None:
    operation, success = (REPEATABLE | NON_IDEMPOTENT)[name]
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True)
    with pytest.raises(errors.ResponseDecodeError) as caught:
        run(begin(operation, time, policy=policy), time, UNDECODABLE[row](), success)
    error = caught.value
    reads_only = operation.safety is Safety.SAFE
    assert (error.attempts, error.outcome_unknown) == (1, not reads_only)
    assert error.status == 200
    assert error.__cause__ is not None


@pytest.mark.parametrize("name", [*REPEATABLE, *NON_IDEMPOTENT])
def test_policy_without_retries(name: str) -> None:
    operation, success = (REPEATABLE | NON_IDEMPOTENT)[name]
    time = FakeTime()
    with pytest.raises(errors.APIConnectionError) as caught:
        run(begin(operation, time, policy=RetryPolicy.none()), time, unsent(), success)
    assert caught.value.attempts == 1


def test_outcome_stays_unknown_until_a_success() -> None:
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True, max_attempts=4)
    operation = operations.redeliver(HOOK, REQUEST)
    with pytest.raises(errors.NotFoundError) as caught:
        run(
            begin(operation, time, policy=policy),
            time,
            raw_response(500),
            unsent(),
            raw_response(404),
        )
    assert (caught.value.outcome_unknown, caught.value.attempts) == (True, 3)
    event = run(
        begin(operation, time, policy=policy), time, raw_response(500), raw_response(200, SAMPLE)
    )
    assert event.id == REQUEST


@given(st.lists(st.sampled_from([*NOT_PROCESSED, *AMBIGUOUS]), min_size=1, max_size=6))
@settings(deadline=None)
def test_outcome_is_unknown_if_any_attempt_was_ambiguous(rows: list[str]) -> None:
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True, max_attempts=len(rows), deadline=None)
    with pytest.raises(errors.APIError) as caught:
        run(
            begin(operations.redeliver(HOOK, REQUEST), time, policy=policy),
            time,
            *((NOT_PROCESSED | AMBIGUOUS)[row]() for row in rows),
        )
    assert caught.value.outcome_unknown is any(row in AMBIGUOUS for row in rows)
    assert caught.value.attempts == len(rows)


def test_delete_404_after_an_ambiguous_attempt_is_a_success() -> None:
    time = FakeTime()
    call = begin(operations.delete(HOOK), time)
    assert run(call, time, httpx.ReadTimeout("slow"), raw_response(404, x="1")) is None
    response = call.response()
    assert (response.value, response.status, response.attempts) == (None, 404, 2)


@pytest.mark.parametrize("before", NOT_PROCESSED.values(), ids=NOT_PROCESSED)
def test_delete_404_without_an_ambiguous_attempt_is_an_error(before: Callable[[], Outcome]) -> None:
    time = FakeTime()
    with pytest.raises(errors.NotFoundError):
        run(begin(operations.delete(HOOK), time), time, before(), raw_response(404))


def test_update_404_after_an_ambiguous_attempt_is_an_error() -> None:
    time = FakeTime()
    with pytest.raises(errors.NotFoundError) as caught:
        run(
            begin(operations.update(HOOK, active=False), time),
            time,
            raw_response(500),
            raw_response(404),
        )
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("retry_after", "waited"), [("0", 0.5), ("3", 3.0), ("60", 60.0), ("soon", 0.5)]
)
def test_retry_after_is_respected(retry_after: str, waited: float) -> None:
    time = FakeTime()
    run(
        begin(operations.list(), time),
        time,
        raw_response(429, retry_after=retry_after),
        raw_response(200, b"[]"),
    )
    (wait,) = time.waits
    assert wait <= waited
    assert waited <= 0.5 or wait == waited


@pytest.mark.parametrize(("status", "asked"), [(429, "61"), (503, "3600"), (429, "9" * 400)])
def test_too_long_retry_after_raises_immediately(status: int, asked: str) -> None:
    time = FakeTime()
    with pytest.raises(errors.APIStatusError) as caught:
        run(begin(operations.list(), time), time, raw_response(status, retry_after=asked))
    assert caught.value.retry_after == float(asked)
    assert caught.value.attempts == 1
    assert time.now == 1_000.0


@settings(deadline=None)
@given(st.floats(0, 2), st.floats(0, 10))
def test_backoff_is_between_zero_and_a_doubling_bound(initial: float, most: float) -> None:
    time = FakeTime()
    policy = RetryPolicy(initial_backoff=initial, max_backoff=most, max_attempts=8, deadline=None)
    with pytest.raises(errors.APIConnectionError):
        run(begin(operations.list(), time, policy=policy), time, *(unsent() for _ in range(8)))
    bounds = [min(most, initial * 2**number) for number in range(7)]
    assert len(time.waits) == 7
    assert all(0 <= wait <= bound for wait, bound in zip(time.waits, bounds, strict=True))


def test_backoff_is_random() -> None:
    time = FakeTime()
    policy = RetryPolicy(max_attempts=50, deadline=None)
    with pytest.raises(errors.APIConnectionError):
        run(begin(operations.list(), time, policy=policy), time, *(unsent() for _ in range(50)))
    assert len(set(time.waits)) > 40
    assert max(time.waits) > 4


def test_no_retry_if_the_wait_exceeds_the_deadline() -> None:
    time = FakeTime()
    with pytest.raises(errors.RateLimitError) as caught:
        run(
            begin(operations.list(), time, policy=RetryPolicy(deadline=10)),
            time,
            raw_response(429, retry_after="10"),
        )
    assert (caught.value.attempts, caught.value.retry_after, time.waits) == (1, 10.0, [])


def test_on_retry_is_called_before_each_wait() -> None:
    time, retry_events = FakeTime(), list[RetryEvent]()
    call = begin(operations.redeliver(HOOK, REQUEST), time, retry_events=retry_events)
    run(call, time, raw_response(429, retry_after="3"), unsent(), raw_response(200, SAMPLE))
    first, second = retry_events
    assert (first.operation, first.hook_id, first.request_id) == ("redeliver", HOOK, REQUEST)
    assert (first.attempt, first.wait, first.elapsed) == (1, 3.0, 0.0)
    assert isinstance(first.error, errors.RateLimitError)
    assert (second.attempt, second.wait, second.elapsed) == (2, time.waits[1], 3.0)
    assert isinstance(second.error, errors.APIConnectionError)
    assert pickle.loads(pickle.dumps(first)).wait == 3.0  # noqa: S301


def test_timeouts_are_limited_to_the_time_left() -> None:
    time = FakeTime()
    call = begin(operations.list(), time, policy=RetryPolicy(deadline=80))
    _, timeouts = call.begin_attempt(TOKEN)
    assert {name: timeouts[name] for name in ("connect", "read", "write")} == {
        "connect": 5.0,
        "read": 75.0,
        "write": 75.0,
    }
    pool = timeouts["pool"]
    assert pool is not None
    assert 70 < pool < 80
    time.wait(77)
    _, timeouts = call.begin_attempt(TOKEN)
    assert (timeouts["read"], timeouts["write"]) == (3.0, 3.0)
    assert call.remaining() == 3.0


@pytest.mark.parametrize("step", ["pool", "connect"])
def test_steps_before_sending_end_before_the_deadline(step: str) -> None:
    # Otherwise an unsent attempt could not be distinguished from one that was sent.
    time = FakeTime()
    call = begin(operations.list(), time, policy=RetryPolicy(deadline=3))
    timeout = call.begin_attempt(TOKEN)[1][step]
    assert timeout is not None
    assert 2.5 < timeout < 3


def test_timeout_of_a_later_step_is_shorter() -> None:
    time = FakeTime()
    call = begin(operations.list(), time, policy=RetryPolicy(deadline=10))
    call.begin_attempt(TOKEN)
    assert call.timeout_for("read") == 10
    time.wait(8)
    assert call.timeout_for("read") == 2


def test_timeouts_are_unchanged_without_a_deadline() -> None:
    call = begin(operations.list(), policy=RetryPolicy(deadline=None))
    assert call.begin_attempt(TOKEN)[1] == TIMEOUTS
    assert (call.remaining(), call.deadline, call.deadline_passed) == (None, None, False)
    call.check_deadline()


@pytest.mark.parametrize(
    ("own", "given_deadline", "left"), [(10, 1_005.0, 5), (10, 2_000.0, 10), (None, 1_005.0, 5)]
)
def test_deadline_of_an_enclosing_call_applies(
    own: float | None, given_deadline: float, left: float
) -> None:
    policy = RetryPolicy(deadline=own)
    call = begin(operations.list(), policy=policy, deadline=given_deadline)
    assert call.remaining() == left


def test_no_attempt_starts_after_the_deadline() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time, policy=RetryPolicy(deadline=10))
    time.wait(11)
    assert call.deadline_passed
    with pytest.raises(errors.APITimeoutError, match=r"deadline passed after 11\.0 s") as caught:
        call.begin_attempt(TOKEN)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (0, False)
    assert not call.can_retry(caught.value)


@pytest.mark.parametrize("name", [*REPEATABLE, *NON_IDEMPOTENT])
def test_deadline_while_reading_a_response_is_ambiguous(name: str) -> None:
    time = FakeTime()
    call = begin((REPEATABLE | NON_IDEMPOTENT)[name][0], time, policy=RetryPolicy(deadline=10))
    call.begin_attempt(None)
    call.check_deadline()
    time.wait(10)
    with pytest.raises(errors.APITimeoutError) as caught:
        call.check_deadline()
    assert caught.value.outcome_unknown is (name in {"update", "delete", *NON_IDEMPOTENT})


def test_deadline_between_attempts_is_not_ambiguous() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time)
    with pytest.raises(errors.RateLimitError):
        attempt(call, raw_response(429))
    assert not call.deadline_error().outcome_unknown


def test_timeout_in_the_middle_of_a_body_is_a_timeout_error() -> None:
    late = RawResponse(200, Headers(), b"{", httpx.ReadTimeout("slow"), timed_out=True)
    time = FakeTime()
    assert run(begin(operations.list(), time), time, late, raw_response(200, b"[]")) == []
    with pytest.raises(errors.APITimeoutError) as caught:
        run(begin(operations.redeliver(HOOK, REQUEST), time), time, late)
    assert caught.value.outcome_unknown


def test_401_requests_one_new_token_without_counting_as_a_retry() -> None:
    call = begin(operations.redeliver(HOOK, REQUEST), policy=RetryPolicy.none())
    call.begin_attempt("old-token")
    assert call.needs_new_token(raw_response(401))
    assert not call.deadline_error().outcome_unknown
    call.begin_attempt("new-token")
    assert not call.needs_new_token(raw_response(401))
    with pytest.raises(errors.AuthenticationError) as caught:
        call.finish(raw_response(401, b"old-token new-token"))
    assert caught.value.attempts == 2
    assert caught.value.body == "*** ***"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 407, 500])
def test_other_statuses_do_not_request_a_new_token(status: int) -> None:
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    assert not call.needs_new_token(raw_response(status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (202, errors.APIStatusError),
        (302, errors.APIStatusError),
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (408, errors.APIStatusError),
        (409, errors.ConflictError),
        (418, errors.APIStatusError),
        (422, errors.UnprocessableEntityError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (503, errors.InternalServerError),
        (599, errors.InternalServerError),
    ],
)
def test_status_errors(status: int, kind: type[errors.APIStatusError]) -> None:
    call = begin(operations.redeliver(HOOK, REQUEST))
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(call, raw_response(status, b"said", x_request_id="r-1", retry_after="7"))
    error = caught.value
    assert type(error) is kind
    assert (error.operation, error.hook_id, error.request_id) == ("redeliver", HOOK, REQUEST)
    assert (error.status, error.body, error.retry_after) == (status, "said", 7.0)
    assert error.correlation_id == "r-1"
    assert str(error).startswith(f"redeliver: {status}")
    assert len(str(error).splitlines()) == 1
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(twin), str(twin), vars(twin)) == (kind, str(error), vars(error))


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (operations.redeliver(HOOK, REQUEST), f"subscription {HOOK} and event {REQUEST}"),
        (operations.get(HOOK), f"subscription {HOOK}"),
        (operations.list(), "base_url"),
    ],
)
def test_404_advice(operation: Operation[Any], named: str) -> None:
    with pytest.raises(errors.NotFoundError, match=named):
        attempt(begin(operation), raw_response(404))


@pytest.mark.parametrize(("name", "setting"), [("list", "base_url"), ("token", "token_url")])
@pytest.mark.parametrize(
    ("outcome", "advice"),
    [
        (unsent, "Check {setting}, the network"),
        (certificate, "Check {setting} and SSL_CERT_FILE"),
        (lambda: raw_response(200, b"<html>"), "Check {setting}, or update the SDK"),
        (lambda: RawResponse(200, Headers(), b"", BodyError("bad")), "Check {setting}, or update"),
        (truncated, "Check the network and the proxy"),
        (too_large, "Increase max_response_bytes"),
        (lambda: raw_response(302), "Redirects are not followed: check {setting}"),
        (lambda: raw_response(404), "Check {setting}"),
    ],
)
def test_advice_names_the_setting_to_change(
    name: str, setting: str, outcome: Callable[[], Outcome], advice: str
) -> None:
    with pytest.raises(errors.APIError) as caught:
        attempt(begin(REPEATABLE[name][0]), outcome())
    assert advice.format(setting=setting).lower() in str(caught.value).lower()


def test_404_of_a_redelivery_says_how_to_find_an_event_by_its_delivery_id() -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        attempt(begin(operations.redeliver(HOOK, REQUEST)), raw_response(404))
    assert "delivery ID" in str(caught.value)
    assert "`client.hooks.find_attempt(hook_id, delivery_id)`" in str(caught.value)
    with pytest.raises(errors.NotFoundError) as caught:
        attempt(begin(operations.get(HOOK)), raw_response(404))
    assert "delivery" not in str(caught.value)


REPORTED_PROBLEMS: list[tuple[object, str]] = [
    ({"error": "unprocessable_entity", "message": "url is taken."}, "url is taken"),
    ({"error": "invalid", "error_description": "url is taken"}, "url is taken"),
    ({"title": "Bad", "detail": "url is\r\n taken"}, "url is taken"),
    ({"error": "url is taken", "message": " "}, "url is taken"),
    ({"error": {"code": 7, "message": "url is taken"}}, "url is taken"),
    ({"errors": ["url is taken"]}, "url is taken"),
    ({"errors": ["url is taken.", " ", 7, "key is weak."]}, "url is taken.; key is weak"),
    ({"errors": {"url": ["is taken"], "key": "is weak"}}, "url: is taken; key: is weak"),
    ({"errors": [{"field": "url", "message": "url is taken"}]}, "url is taken"),
    ({"errors": [{"field": "url", "detail": "url is taken"}]}, "url is taken"),
    ({"errors": "url is taken"}, "url is taken"),
    ({"errors": list("abcdefgh")}, "a; b; c; d; e"),
    ({"message": "Invalid.", "errors": {"url": ["is taken"]}}, "Invalid: url: is taken"),
    ({"type": "about:blank", "title": "url is taken", "status": 422}, "url is taken"),
    ({"title": "Invalid", "errors": {"url": ["is taken"]}}, "url: is taken"),
    ({"errors": {"key": [f"{TOKEN} is weak"]}}, "key: *** is weak"),
    ({"message": "x" * 300}, "x" * 200 + "\N{HORIZONTAL ELLIPSIS}"),
    ({"message": f"{TOKEN} may not"}, "*** may not"),
    ({"message": "\ud800"}, "\N{REPLACEMENT CHARACTER}" * 3),
]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 422, 429, 500, 503])
@pytest.mark.parametrize(("body", "quoted"), REPORTED_PROBLEMS)
def test_problem_reported_by_the_body_is_quoted(status: int, body: object, quoted: str) -> None:
    call = begin(operations.list())
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(call, raw_response(status, json.dumps(body).encode()))
    assert f" ({quoted}). " in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("status", [403, 422, 502])
def test_plain_text_is_quoted(status: int) -> None:
    response = raw_response(
        status, b"No healthy\nupstream.\n", content_type="text/plain; charset=x"
    )
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(begin(operations.list()), response)
    assert " (No healthy upstream). " in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, b"<html>taken"),
        (422, b"taken"),
        (422, b'["taken"]'),
        (422, b'{"message": 5, "detail": ["taken"], "error": {"message": null}}'),
        (422, b'{"message": "taken'),
        (422, b'{"errors": [[[[["taken"]]]]], "title": ["taken"]}'),
        (422, b'{"errors": ' + b"[" * 500 + b"]" * 500 + b"}"),
        (202, b'{"message": "taken"}'),
        (302, b'{"message": "taken"}'),
    ],
)
def test_other_bodies_are_not_quoted(status: int, body: bytes) -> None:
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(begin(operations.list()), raw_response(status, body, content_type="text/html"))
    assert "taken" not in str(caught.value)
    assert caught.value.body == body.decode()


@pytest.mark.parametrize(
    "body",
    [
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        b"Client sent an HTTP request to an HTTPS server.\n",
    ],
)
def test_response_of_a_tls_port_to_plain_http(body: bytes) -> None:
    with pytest.raises(
        errors.BadRequestError, match=r"check base_url, which must begin with https"
    ):
        attempt(begin(operations.list()), raw_response(400, body))


SENT: dict[str, Callable[[], Outcome]] = {
    "500": lambda: raw_response(500),
    "429": lambda: raw_response(429),
    "lost": lambda: httpx.ReadError("reset"),
}


@pytest.mark.parametrize("name", ["list", "update", "redeliver"])
@pytest.mark.parametrize("row", SENT)
@pytest.mark.parametrize("last", [unsent, certificate])
def test_nothing_sent_is_said_of_the_last_attempt_only_if_an_earlier_one_was_sent(
    name: str, row: str, last: Callable[[], Outcome]
) -> None:
    operation = (REPEATABLE | NON_IDEMPOTENT)[name][0]
    call = begin(operation)
    for outcome in (unsent(), unsent()):
        with pytest.raises(errors.APIConnectionError, match="Nothing was sent"):
            attempt(call, outcome)
    with pytest.raises(errors.APIError):
        attempt(call, SENT[row]())
    with pytest.raises(errors.APIConnectionError, match="The last attempt sent nothing") as caught:
        attempt(call, last())
    assert "Nothing was sent" not in str(caught.value)


def test_nothing_sent_to_the_token_endpoint_is_not_said_of_the_call() -> None:
    call = begin(operations.redeliver(HOOK, REQUEST), policy=RetryPolicy(resend_unknown=True))
    with pytest.raises(errors.APIConnectionError):
        attempt(call, httpx.ReadError("reset"))
    with pytest.raises(errors.APIConnectionError) as failure:
        attempt(begin(REPEATABLE["token"][0]), unsent())
    error = call.token_error(failure.value)
    assert error.outcome_unknown
    assert "Nothing was sent to the token endpoint: check token_url" in str(error)


@pytest.mark.parametrize(
    "error", [httpx.PoolTimeout("busy"), httpx.ConnectError("x"), httpx.ConnectTimeout("x")]
)
def test_exception_without_proof_does_not_claim_that_nothing_was_sent(error: Exception) -> None:
    with pytest.raises(errors.APIConnectionError) as caught:
        attempt(begin(operations.redeliver(HOOK, REQUEST)), error)
    assert caught.value.outcome_unknown
    assert "sent nothing" not in str(caught.value)
    assert "Nothing was sent" not in str(caught.value)
    assert "may have been delivered" in str(caught.value)


def token_refused() -> errors.APIError:
    with pytest.raises(errors.APIError) as caught:
        attempt(begin(REPEATABLE["token"][0]), unsent())
    return caught.value


def deadline_in_flight(call: Call[Any]) -> errors.APIError:
    call.begin_attempt(TOKEN)
    return call.deadline_error()


@frozen
class Ending:
    """A way in which a call ends other than by the outcome of an attempt."""

    end: Callable[[Call[Any]], errors.APIError]


ENDINGS = {
    "deadline": Ending(lambda call: call.deadline_error()),
    "deadline in flight": Ending(deadline_in_flight),
    "closed": Ending(lambda call: call.client_closed_error()),
    "no token": Ending(lambda call: call.token_error(token_refused())),
    "auth callable": Ending(lambda call: call.token_provider_error(KeyError("x"))),
}


@given(
    st.sampled_from(["list", "update", "redeliver", "create"]),
    st.lists(
        st.sampled_from(
            [*NOT_PROCESSED.values(), *AMBIGUOUS.values(), *REJECTED.values(), *ENDINGS.values()]
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(deadline=None)
def test_message_and_flag_never_contradict_each_other(
    name: str, outcomes: list[Callable[[], Outcome] | Ending]
) -> None:
    call = begin((REPEATABLE | NON_IDEMPOTENT)[name][0])
    for outcome in outcomes:
        if isinstance(outcome, Ending):
            error = outcome.end(call)
        else:
            with pytest.raises(errors.APIError) as caught:
                attempt(call, outcome())
            error = caught.value
        nothing_sent = re.search(r"Nothing was sent(?! to the token endpoint)", str(error))
        assert not (nothing_sent and error.outcome_unknown)
        assert ("may have" in str(error)) is error.outcome_unknown


@pytest.mark.parametrize(
    ("status", "advice"), [(301, "Redirects are not followed"), (202, "status is unexpected")]
)
def test_advice_for_unexpected_success_and_redirects(status: int, advice: str) -> None:
    with pytest.raises(errors.APIStatusError, match=advice):
        attempt(begin(operations.list()), raw_response(status))


SECRET = "s3cr3t-of-many-letters"
HEADER = "X-Key: k3y-of-many-letters"


@pytest.mark.parametrize("status", [200, 201, 400, 422, 500])
def test_echoed_secrets_are_masked(status: int) -> None:
    echo = f"{TOKEN} {SECRET} {HEADER}"
    call = begin(operations.create(url="https://a.example", secret=SECRET, header=HEADER))
    body = json.dumps({"error": echo, "note": echo}).encode()
    with pytest.raises(errors.APIError) as caught:
        attempt(call, raw_response(status, body, x_echo=echo, set_cookie="id=c00kie"))
    shown = f"{caught.value} {caught.value!r} {caught.value.body} {caught.value.headers!r}"
    for secret in (TOKEN, SECRET, HEADER, "c00kie"):
        assert secret not in shown
    assert "***" in shown


def test_transport_error_text_is_masked_and_one_line() -> None:
    call = begin(operations.list())
    with pytest.raises(errors.APIConnectionError) as caught:
        attempt(call, httpx.ReadError(f"bad header:\r\n Bearer {TOKEN}\n"))
    assert TOKEN not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "ReadError (bad header: Bearer ***)" in str(caught.value)


def test_cause_with_a_credential_is_replaced() -> None:
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    harmless = httpx.ReadError("reset")
    assert call.redact_cause(harmless) is harmless
    revealing = httpx.ReadError("reset")
    revealing.__cause__ = ValueError(f"sent {TOKEN}")
    cleaned = call.redact_cause(revealing)
    assert cleaned is not revealing
    assert (cleaned.__cause__, cleaned.__context__) == (None, None)
    assert "ReadError" in str(cleaned)
    hidden = ValueError("outer")
    hidden.__context__ = ValueError(TOKEN)
    assert TOKEN not in repr(call.redact_cause(hidden))
    assert call.redact_cause(hidden) is not hidden


class LimitedError(Exception):
    """An exception that fails the test if it is formatted too often."""

    formatted = 0

    def __str__(self) -> str:
        self.formatted += 1
        if self.formatted > 1_000:
            raise AssertionError("the circular cause chain is followed forever")
        return "hook"


def test_circular_cause_chain() -> None:
    error = LimitedError()
    error.__cause__ = error
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    assert call.redact_cause(error) is error


def test_event_hook_exception_is_not_a_network_failure() -> None:
    with pytest.raises(errors.APIConnectionError, match="event hook") as caught:
        attempt(begin(operations.redeliver(HOOK, REQUEST)), KeyError("x"))
    assert caught.value.outcome_unknown
    assert not isinstance(caught.value, errors.APITimeoutError)


def test_request_headers() -> None:
    call = begin(operations.update(HOOK, active=False))
    headers = dict(call.begin_attempt(TOKEN)[0])
    assert headers == {
        b"User-Agent": b"test",
        b"Authorization": b"Bearer " + TOKEN.encode(),
        b"Content-Type": b"application/json",
        b"Content-Length": b"16",
    }
    empty = dict(begin(operations.redeliver(HOOK, REQUEST)).begin_attempt(TOKEN)[0])
    assert empty[b"Content-Length"] == b"0"
    assert b"Content-Type" not in empty
    assert b"Content-Length" not in dict(begin(operations.list()).begin_attempt(TOKEN)[0])


def test_token_request_headers() -> None:
    basic = token_operation(ClientCredentials("id", "secret", style="basic"))
    headers = dict(begin(basic).begin_attempt(None)[0])
    assert headers[b"Authorization"].startswith(b"Basic ")
    assert AccessToken(access_token="abc") == attempt(
        begin(basic), raw_response(200, b'{"access_token": "abc"}')
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_rejected_token_request_has_oauth_fields(status: int) -> None:
    call = begin(token_operation(ClientCredentials("id", SECRET)))
    body = {"error": "invalid_client", "error_description": f"no\r\n {SECRET}", "error_uri": "u"}
    with pytest.raises(errors.AuthenticationError) as caught:
        attempt(call, raw_response(status, json.dumps(body).encode()))
    error = caught.value
    assert (error.error, error.error_description, error.status) == (
        "invalid_client",
        "no ***",
        status,
    )
    assert "(invalid_client: no ***)" in str(error)
    assert SECRET not in f"{error} {error.body}"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error": 5}', b"\xff"])
def test_rejected_token_request_without_oauth_fields(body: bytes) -> None:
    call = begin(token_operation(ClientCredentials("id", SECRET)))
    with pytest.raises(errors.AuthenticationError, match="Check client_id") as caught:
        attempt(call, raw_response(400, body))
    assert (caught.value.error, caught.value.error_description) == (None, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, errors.APIStatusError), (429, errors.RateLimitError), (500, errors.InternalServerError)],
)
def test_transient_token_errors_are_not_authentication_errors(
    status: int, kind: type[errors.APIStatusError]
) -> None:
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(begin(token_operation(ClientCredentials("id", SECRET))), raw_response(status))
    assert type(caught.value) is kind


@pytest.mark.parametrize("row", AMBIGUOUS)
def test_token_error_does_not_make_the_outcome_unknown(row: str) -> None:
    token_call = begin(token_operation(ClientCredentials("id", SECRET)))
    with pytest.raises(errors.APIError) as failed:
        attempt(token_call, AMBIGUOUS[row]())
    call = begin(operations.redeliver(HOOK, REQUEST))
    error = call.token_error(failed.value)
    assert type(error) is type(failed.value)
    assert error is not failed.value
    assert (error.operation, error.hook_id, error.request_id) == ("redeliver", HOOK, REQUEST)
    assert not error.outcome_unknown
    assert not call.can_retry(error)
    assert str(error).startswith("redeliver: no access token: token: ")
    assert failed.value.operation == "token"


def test_token_error_keeps_the_outcome_of_an_earlier_attempt_unknown() -> None:
    call = begin(operations.redeliver(HOOK, REQUEST))
    with pytest.raises(errors.InternalServerError):
        attempt(call, raw_response(500))
    failed = errors.AuthenticationError("token: 401.", operation="token")
    assert call.token_error(failed).outcome_unknown
    assert call.token_provider_error(KeyError("x")).outcome_unknown


def test_auth_callable_exception_is_not_quoted() -> None:
    call = begin(operations.list())
    error = call.token_provider_error(ValueError(SECRET))
    assert "ValueError" in str(error)
    assert SECRET not in str(error)
    assert not call.can_retry(error)
    assert (error.attempts, error.status) == (0, None)


@pytest.mark.parametrize(
    "error", [KeyError("x"), errors.ConfigurationError("x"), KeyboardInterrupt()]
)
def test_only_api_errors_are_retried(error: BaseException) -> None:
    assert not begin(operations.list()).can_retry(error)


def test_response_metadata() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time)
    value = run(call, time, raw_response(429, retry_after="2"), raw_response(200, SAMPLE, x_a="b"))
    time.wait(1.5)
    response = call.response()
    assert response.value is value
    assert (response.status, response.attempts, response.elapsed) == (200, 2, 3.5)
    assert response.headers["X-A"] == "b"


def test_error_body_is_limited() -> None:
    with pytest.raises(errors.InternalServerError) as caught:
        attempt(begin(operations.list()), raw_response(500, b"x" * 100_000))
    assert caught.value.body == "x" * 8_192
