"""One call, from its first attempt to its value or error, with a clock that only tests move."""

from __future__ import annotations

import json
import pickle
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpcore
import httpx
import pytest
from attrs import define, field
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
    errors,
    operations,
)
from webhooks_sdk._core.call import Call, Timeouts
from webhooks_sdk._core.clock import Clock
from webhooks_sdk._core.responses import RawResponse
from webhooks_sdk._core.tokens import token_operation
from webhooks_sdk._transport.retrying import retrying_arguments
from webhooks_sdk._wire.bodies import BodyError

if TYPE_CHECKING:
    from collections.abc import Callable

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
    told: list[RetryEvent] | None = None,
    timeouts: Timeouts = TIMEOUTS,
    deadline: float | None = None,
) -> Call[Any]:
    events = [] if told is None else told
    return Call(
        operation,
        url="https://api.example" + operation.path,
        policy=policy or RetryPolicy(),
        timeouts=timeouts,
        clock=(time or FakeTime()).clock,
        announce=events.append,
        headers=[(b"User-Agent", b"test")],
        deadline=deadline,
    )


Outcome = RawResponse | Exception
"""What one attempt comes to: an answer, or what the transport raised."""


def answer(status: int, body: bytes = b"", **headers: str) -> RawResponse:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return RawResponse(status, Headers(pairs), body)


def attempt(call: Call[Any], outcome: Outcome) -> Any:
    """Make one attempt, as a driver does."""
    call.begin_attempt(TOKEN if call.operation.endpoint == "api" else None)
    if isinstance(outcome, RawResponse):
        return call.finish(outcome)
    timed_out = isinstance(outcome, httpx.TimeoutException)
    fault = isinstance(outcome, httpx.TransportError)
    raise call.connection_lost(outcome, timed_out=timed_out, transport_fault=fault)


def run(call: Call[Any], time: FakeTime, *outcomes: Outcome) -> Any:
    """Run a call whose attempts have these outcomes, one after the other."""
    coming = iter(outcomes)
    retrying = Retrying(**retrying_arguments(call), sleep=time.wait)
    return retrying(lambda: attempt(call, next(coming)))


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


def over_the_limit() -> RawResponse:
    return RawResponse(200, Headers(), b"{", BodyError("its body is larger than the limit"))


SAFE: dict[str, tuple[Operation[Any], RawResponse]] = {
    "get": (operations.get(HOOK), answer(200, SUBSCRIPTION)),
    "list": (operations.list(), answer(200, b"[]")),
    "list_events": (operations.list_events(HOOK), answer(200, b"[%b]" % SAMPLE)),
    "update": (operations.update(HOOK, active=False), answer(200, SUBSCRIPTION)),
    "delete": (operations.delete(HOOK), answer(204)),
    "token": (
        token_operation(ClientCredentials("id", "s3cr3t-of-many-letters")),
        answer(200, b'{"access_token": "abc"}'),
    ),
}
ONCE: dict[str, tuple[Operation[Any], RawResponse]] = {
    "create": (operations.create(url="u"), answer(201, SUBSCRIPTION)),
    "redeliver": (operations.redeliver(HOOK, REQUEST), answer(200, SAMPLE)),
}
AGAIN: dict[str, Callable[[], Outcome]] = {
    "not sent": unsent,
    "429": lambda: answer(429),
    "429 with Retry-After": lambda: answer(429, retry_after="3"),
    "503 with Retry-After": lambda: answer(503, retry_after="3"),
}
AMBIGUOUS: dict[str, Callable[[], Outcome]] = {
    "408": lambda: answer(408),
    "500": lambda: answer(500),
    "502": lambda: answer(502),
    "503": lambda: answer(503),
    "503 with garbage": lambda: answer(503, retry_after="soon"),
    "504 with Retry-After": lambda: answer(504, retry_after="3"),
    "read timeout": lambda: httpx.ReadTimeout("slow"),
    "write timeout": lambda: httpx.WriteTimeout("slow"),
    "lost": lambda: httpx.ReadError("reset"),
    "disconnected": lambda: httpx.RemoteProtocolError("disconnected"),
    "foreign ConnectError": lambda: httpx.ConnectError("lost after sending"),
    "foreign ConnectTimeout": lambda: httpx.ConnectTimeout("lost after sending"),
}
REFUSED: dict[str, Callable[[], Outcome]] = {
    "certificate": certificate,
    "400": lambda: answer(400),
    "401": lambda: answer(401),
    "403": lambda: answer(403),
    "404": lambda: answer(404),
    "404 with Retry-After": lambda: answer(404, retry_after="1"),
    "409": lambda: answer(409),
    "422": lambda: answer(422),
    "301": lambda: answer(301, location="https://elsewhere.example"),
    "unexpected 2xx": lambda: answer(202, b"{}"),
}
UNREADABLE: dict[str, Callable[[], Outcome]] = {
    "no JSON": lambda: answer(200, b"<html>"),
    "wrong shape": lambda: answer(200, b'"x"'),
    "truncated": truncated,
    "over the limit": over_the_limit,
}


@pytest.mark.parametrize("name", [*SAFE, *ONCE])
@pytest.mark.parametrize("row", AGAIN)
def test_what_was_not_processed_is_sent_again(name: str, row: str) -> None:
    operation, success = (SAFE | ONCE)[name]
    time = FakeTime()
    call = begin(operation, time)
    run(call, time, AGAIN[row](), success)
    assert call.attempts == 2
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, *(AGAIN[row]() for _ in range(3)))
    assert caught.value.attempts == 3
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("row", AMBIGUOUS)
def test_what_may_have_been_processed_is_sent_again_where_that_is_safe(name: str, row: str) -> None:
    operation, success = SAFE[name]
    time = FakeTime()
    call = begin(operation, time)
    run(call, time, AMBIGUOUS[row](), success)
    assert call.attempts == 2
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, *(AMBIGUOUS[row]() for _ in range(3)))
    assert caught.value.attempts == 3
    assert caught.value.outcome_unknown is (name in {"update", "delete"})


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("row", AMBIGUOUS)
def test_what_may_have_been_processed_is_not_sent_twice_unasked(name: str, row: str) -> None:
    operation, success = ONCE[name]
    time = FakeTime()
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time), time, AMBIGUOUS[row](), success)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, True)
    assert time.waits == []
    call = begin(operation, time, policy=RetryPolicy(resend_unknown=True))
    run(call, time, AMBIGUOUS[row](), success)
    assert call.attempts == 2


@pytest.mark.parametrize("name", [*SAFE, *ONCE])
@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused_is_raised_at_once(name: str, row: str) -> None:
    operation, success = (SAFE | ONCE)[name]
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True)
    with pytest.raises(errors.APIError) as caught:
        run(begin(operation, time, policy=policy), time, REFUSED[row](), success)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (1, False)


@pytest.mark.parametrize("name", [*(SAFE.keys() - {"delete"}), *ONCE])
@pytest.mark.parametrize("row", UNREADABLE)
def test_a_success_that_cannot_be_read_is_raised_at_once(name: str, row: str) -> None:
    operation, success = (SAFE | ONCE)[name]
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True)
    with pytest.raises(errors.ResponseDecodeError) as caught:
        run(begin(operation, time, policy=policy), time, UNREADABLE[row](), success)
    error = caught.value
    assert (error.attempts, error.outcome_unknown) == (1, name in ONCE)
    assert error.status == 200
    assert error.__cause__ is not None


@pytest.mark.parametrize("name", [*SAFE, *ONCE])
def test_without_retries_nothing_is_sent_again(name: str) -> None:
    operation, success = (SAFE | ONCE)[name]
    time = FakeTime()
    with pytest.raises(errors.APIConnectionError) as caught:
        run(begin(operation, time, policy=RetryPolicy.none()), time, unsent(), success)
    assert caught.value.attempts == 1


def test_an_unknown_outcome_stays_unknown_until_a_success() -> None:
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True, max_attempts=4)
    operation = operations.redeliver(HOOK, REQUEST)
    with pytest.raises(errors.NotFoundError) as caught:
        run(begin(operation, time, policy=policy), time, answer(500), unsent(), answer(404))
    assert (caught.value.outcome_unknown, caught.value.attempts) == (True, 3)
    event = run(begin(operation, time, policy=policy), time, answer(500), answer(200, SAMPLE))
    assert event.id == REQUEST


@given(st.lists(st.sampled_from([*AGAIN, *AMBIGUOUS]), min_size=1, max_size=6))
@settings(deadline=None)
def test_the_outcome_is_unknown_if_any_attempt_was_ambiguous(rows: list[str]) -> None:
    time = FakeTime()
    policy = RetryPolicy(resend_unknown=True, max_attempts=len(rows), deadline=None)
    with pytest.raises(errors.APIError) as caught:
        run(
            begin(operations.redeliver(HOOK, REQUEST), time, policy=policy),
            time,
            *((AGAIN | AMBIGUOUS)[row]() for row in rows),
        )
    assert caught.value.outcome_unknown is any(row in AMBIGUOUS for row in rows)
    assert caught.value.attempts == len(rows)


def test_a_delete_that_finds_nothing_after_an_ambiguous_attempt_has_succeeded() -> None:
    time = FakeTime()
    call = begin(operations.delete(HOOK), time)
    assert run(call, time, httpx.ReadTimeout("slow"), answer(404, x="1")) is None
    response = call.response()
    assert (response.value, response.status, response.attempts) == (None, 404, 2)


@pytest.mark.parametrize("before", AGAIN.values(), ids=AGAIN)
def test_a_delete_that_finds_nothing_otherwise_has_not(before: Callable[[], Outcome]) -> None:
    time = FakeTime()
    with pytest.raises(errors.NotFoundError):
        run(begin(operations.delete(HOOK), time), time, before(), answer(404))


def test_an_update_that_finds_nothing_after_an_ambiguous_attempt_has_failed() -> None:
    time = FakeTime()
    with pytest.raises(errors.NotFoundError) as caught:
        run(begin(operations.update(HOOK, active=False), time), time, answer(500), answer(404))
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("retry_after", "waited"), [("0", 0.5), ("3", 3.0), ("60", 60.0), ("soon", 0.5)]
)
def test_retry_after_is_waited_for(retry_after: str, waited: float) -> None:
    time = FakeTime()
    run(
        begin(operations.list(), time),
        time,
        answer(429, retry_after=retry_after),
        answer(200, b"[]"),
    )
    (wait,) = time.waits
    assert wait <= waited
    assert waited <= 0.5 or wait == waited


@pytest.mark.parametrize(("status", "asked"), [(429, "61"), (503, "3600"), (429, "9" * 400)])
def test_a_retry_after_that_is_too_long_is_raised_at_once_with_its_value(
    status: int, asked: str
) -> None:
    time = FakeTime()
    with pytest.raises(errors.APIStatusError) as caught:
        run(begin(operations.list(), time), time, answer(status, retry_after=asked))
    assert caught.value.retry_after == float(asked)
    assert caught.value.attempts == 1
    assert time.now == 1_000.0


@settings(deadline=None)
@given(st.floats(0, 2), st.floats(0, 10))
def test_a_wait_is_between_nothing_and_a_bound_that_doubles(initial: float, most: float) -> None:
    time = FakeTime()
    policy = RetryPolicy(initial_backoff=initial, max_backoff=most, max_attempts=8, deadline=None)
    with pytest.raises(errors.APIConnectionError):
        run(begin(operations.list(), time, policy=policy), time, *(unsent() for _ in range(8)))
    bounds = [min(most, initial * 2**number) for number in range(7)]
    assert len(time.waits) == 7
    assert all(0 <= wait <= bound for wait, bound in zip(time.waits, bounds, strict=True))


def test_waits_differ_so_that_clients_do_not_come_back_together() -> None:
    time = FakeTime()
    policy = RetryPolicy(max_attempts=50, deadline=None)
    with pytest.raises(errors.APIConnectionError):
        run(begin(operations.list(), time, policy=policy), time, *(unsent() for _ in range(50)))
    assert len(set(time.waits)) > 40
    assert max(time.waits) > 4


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    time = FakeTime()
    with pytest.raises(errors.RateLimitError) as caught:
        run(
            begin(operations.list(), time, policy=RetryPolicy(deadline=10)),
            time,
            answer(429, retry_after="10"),
        )
    assert (caught.value.attempts, caught.value.retry_after, time.waits) == (1, 10.0, [])


def test_who_asked_is_told_before_each_wait() -> None:
    time, told = FakeTime(), list[RetryEvent]()
    call = begin(operations.redeliver(HOOK, REQUEST), time, told=told)
    run(call, time, answer(429, retry_after="3"), unsent(), answer(200, SAMPLE))
    first, second = told
    assert (first.operation, first.hook_id, first.request_id) == ("redeliver", HOOK, REQUEST)
    assert (first.attempt, first.wait, first.elapsed) == (1, 3.0, 0.0)
    assert isinstance(first.error, errors.RateLimitError)
    assert (second.attempt, second.wait, second.elapsed) == (2, time.waits[1], 3.0)
    assert isinstance(second.error, errors.APIConnectionError)
    assert pickle.loads(pickle.dumps(first)).wait == 3.0  # noqa: S301


def test_an_attempt_has_what_is_left_of_the_deadline() -> None:
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
def test_what_comes_before_sending_ends_before_the_deadline_does(step: str) -> None:
    # Else an attempt that was never sent could not be told from one that was.
    time = FakeTime()
    call = begin(operations.list(), time, policy=RetryPolicy(deadline=3))
    timeout = call.begin_attempt(TOKEN)[1][step]
    assert timeout is not None
    assert 2.5 < timeout < 3


def test_a_step_that_begins_later_has_less_time() -> None:
    time = FakeTime()
    call = begin(operations.list(), time, policy=RetryPolicy(deadline=10))
    call.begin_attempt(TOKEN)
    assert call.timeout_for("read") == 10
    time.wait(8)
    assert call.timeout_for("read") == 2


def test_without_a_deadline_timeouts_stay_as_they_are() -> None:
    call = begin(operations.list(), policy=RetryPolicy(deadline=None))
    assert call.begin_attempt(TOKEN)[1] == TIMEOUTS
    assert (call.remaining(), call.deadline, call.deadline_passed) == (None, None, False)
    call.check_deadline()


@pytest.mark.parametrize(
    ("own", "given_deadline", "left"), [(10, 1_005.0, 5), (10, 2_000.0, 10), (None, 1_005.0, 5)]
)
def test_a_part_of_a_call_ends_with_it(
    own: float | None, given_deadline: float, left: float
) -> None:
    policy = RetryPolicy(deadline=own)
    call = begin(operations.list(), policy=policy, deadline=given_deadline)
    assert call.remaining() == left


def test_no_attempt_begins_after_the_deadline() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time, policy=RetryPolicy(deadline=10))
    time.wait(11)
    assert call.deadline_passed
    with pytest.raises(errors.APITimeoutError, match=r"deadline passed after 11\.0 s") as caught:
        call.begin_attempt(TOKEN)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (0, False)
    assert not call.can_retry(caught.value)


@pytest.mark.parametrize("name", [*SAFE, *ONCE])
def test_a_deadline_that_passes_while_an_answer_is_read_is_ambiguous(name: str) -> None:
    time = FakeTime()
    call = begin((SAFE | ONCE)[name][0], time, policy=RetryPolicy(deadline=10))
    call.begin_attempt(None)
    call.check_deadline()
    time.wait(10)
    with pytest.raises(errors.APITimeoutError) as caught:
        call.check_deadline()
    assert caught.value.outcome_unknown is (name in {"update", "delete", *ONCE})


def test_a_deadline_that_passes_between_attempts_adds_no_doubt() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time)
    with pytest.raises(errors.RateLimitError):
        attempt(call, answer(429))
    assert not call.timed_out().outcome_unknown


def test_an_answer_that_stops_in_the_middle_for_lack_of_time_is_a_timeout() -> None:
    late = RawResponse(200, Headers(), b"{", httpx.ReadTimeout("slow"), timed_out=True)
    time = FakeTime()
    assert run(begin(operations.list(), time), time, late, answer(200, b"[]")) == []
    with pytest.raises(errors.APITimeoutError) as caught:
        run(begin(operations.redeliver(HOOK, REQUEST), time), time, late)
    assert caught.value.outcome_unknown


def test_a_401_is_answered_with_one_new_token_which_is_no_retry() -> None:
    call = begin(operations.redeliver(HOOK, REQUEST), policy=RetryPolicy.none())
    call.begin_attempt("old-token")
    assert call.needs_new_token(answer(401))
    assert not call.timed_out().outcome_unknown
    call.begin_attempt("new-token")
    assert not call.needs_new_token(answer(401))
    with pytest.raises(errors.AuthenticationError) as caught:
        call.finish(answer(401, b"old-token new-token"))
    assert caught.value.attempts == 2
    assert caught.value.body == "*** ***"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 407, 500])
def test_no_other_status_asks_for_a_new_token(status: int) -> None:
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    assert not call.needs_new_token(answer(status))


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
def test_each_status_has_its_error(status: int, kind: type[errors.APIStatusError]) -> None:
    call = begin(operations.redeliver(HOOK, REQUEST))
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(call, answer(status, b"said", x_request_id="r-1", retry_after="7"))
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
        (operations.redeliver(HOOK, REQUEST), f"hook {HOOK} and request {REQUEST}"),
        (operations.get(HOOK), f"hook {HOOK}"),
        (operations.list(), "base_url"),
    ],
)
def test_a_404_says_what_to_check(operation: Operation[Any], named: str) -> None:
    with pytest.raises(errors.NotFoundError, match=named):
        attempt(begin(operation), answer(404))


@pytest.mark.parametrize(
    ("status", "advice"), [(301, "Redirects are not followed"), (202, "no such success")]
)
def test_what_is_neither_success_nor_error_is_explained(status: int, advice: str) -> None:
    with pytest.raises(errors.APIStatusError, match=advice):
        attempt(begin(operations.list()), answer(status))


SECRET = "s3cr3t-of-many-letters"
HEADER = "X-Key: k3y-of-many-letters"


@pytest.mark.parametrize("status", [200, 201, 400, 422, 500])
def test_what_a_server_echoes_is_masked(status: int) -> None:
    echo = f"{TOKEN} {SECRET} {HEADER}"
    call = begin(operations.create(url="u", secret=SECRET, header=HEADER))
    body = json.dumps({"error": echo, "note": echo}).encode()
    with pytest.raises(errors.APIError) as caught:
        attempt(call, answer(status, body, x_echo=echo, set_cookie="id=c00kie"))
    shown = f"{caught.value} {caught.value!r} {caught.value.body} {caught.value.headers!r}"
    for secret in (TOKEN, SECRET, HEADER, "c00kie"):
        assert secret not in shown
    assert "***" in shown


def test_what_a_transport_says_is_masked_and_one_line() -> None:
    call = begin(operations.list())
    with pytest.raises(errors.APIConnectionError) as caught:
        attempt(call, httpx.ReadError(f"bad header:\r\n Bearer {TOKEN}\n"))
    assert TOKEN not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "ReadError (bad header: Bearer ***)" in str(caught.value)


def test_a_cause_that_shows_a_credential_is_replaced() -> None:
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    harmless = httpx.ReadError("reset")
    assert call.clean_cause(harmless) is harmless
    telling = httpx.ReadError("reset")
    telling.__cause__ = ValueError(f"sent {TOKEN}")
    cleaned = call.clean_cause(telling)
    assert cleaned is not telling
    assert (cleaned.__cause__, cleaned.__context__) == (None, None)
    assert "ReadError" in str(cleaned)
    hidden = ValueError("outer")
    hidden.__context__ = ValueError(TOKEN)
    assert TOKEN not in repr(call.clean_cause(hidden))
    assert call.clean_cause(hidden) is not hidden


class Impatient(Exception):  # noqa: N818
    """An exception that cannot be looked at for ever."""

    looks = 0

    def __str__(self) -> str:
        self.looks += 1
        if self.looks > 1_000:
            raise AssertionError("the chain of causes is followed in a circle")
        return "hook"


def test_a_chain_of_causes_that_bites_its_tail_is_followed_once() -> None:
    error = Impatient()
    error.__cause__ = error
    call = begin(operations.list())
    call.begin_attempt(TOKEN)
    assert call.clean_cause(error) is error


def test_what_an_event_hook_raises_is_no_fault_of_the_network() -> None:
    with pytest.raises(errors.APIConnectionError, match="event hook") as caught:
        attempt(begin(operations.redeliver(HOOK, REQUEST)), KeyError("x"))
    assert caught.value.outcome_unknown
    assert not isinstance(caught.value, errors.APITimeoutError)


def test_a_request_has_the_token_and_what_its_body_needs() -> None:
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


def test_a_token_request_has_no_token_and_its_own_headers() -> None:
    basic = token_operation(ClientCredentials("id", "secret", style="basic"))
    headers = dict(begin(basic).begin_attempt(None)[0])
    assert headers[b"Authorization"].startswith(b"Basic ")
    assert AccessToken(access_token="abc") == attempt(
        begin(basic), answer(200, b'{"access_token": "abc"}')
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_token_request_has_the_fields_of_oauth(status: int) -> None:
    call = begin(token_operation(ClientCredentials("id", SECRET)))
    body = {"error": "invalid_client", "error_description": f"no\r\n {SECRET}", "error_uri": "u"}
    with pytest.raises(errors.AuthenticationError) as caught:
        attempt(call, answer(status, json.dumps(body).encode()))
    error = caught.value
    assert (error.error, error.error_description, error.status) == (
        "invalid_client",
        "no ***",
        status,
    )
    assert "(invalid_client: no ***)" in str(error)
    assert SECRET not in f"{error} {error.body}"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error": 5}', b"\xff"])
def test_a_refused_token_request_without_them_is_an_authentication_error_too(body: bytes) -> None:
    call = begin(token_operation(ClientCredentials("id", SECRET)))
    with pytest.raises(errors.AuthenticationError, match="Check client_id") as caught:
        attempt(call, answer(400, body))
    assert (caught.value.error, caught.value.error_description) == (None, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, errors.APIStatusError), (429, errors.RateLimitError), (500, errors.InternalServerError)],
)
def test_a_token_request_that_may_pass_later_is_none(
    status: int, kind: type[errors.APIStatusError]
) -> None:
    with pytest.raises(errors.APIStatusError) as caught:
        attempt(begin(token_operation(ClientCredentials("id", SECRET))), answer(status))
    assert type(caught.value) is kind


@pytest.mark.parametrize("row", AMBIGUOUS)
def test_trouble_with_the_token_leaves_no_doubt_of_the_call(row: str) -> None:
    part = begin(token_operation(ClientCredentials("id", SECRET)))
    with pytest.raises(errors.APIError) as failed:
        attempt(part, AMBIGUOUS[row]())
    call = begin(operations.redeliver(HOOK, REQUEST))
    error = call.token_unavailable(failed.value)
    assert type(error) is type(failed.value)
    assert error is not failed.value
    assert (error.operation, error.hook_id, error.request_id) == ("redeliver", HOOK, REQUEST)
    assert not error.outcome_unknown
    assert not call.can_retry(error)
    assert str(error).startswith("redeliver: no access token: token: ")
    assert failed.value.operation == "token"


def test_trouble_with_the_token_keeps_the_doubt_of_an_earlier_attempt() -> None:
    call = begin(operations.redeliver(HOOK, REQUEST))
    with pytest.raises(errors.InternalServerError):
        attempt(call, answer(500))
    failed = errors.AuthenticationError("token: 401.", operation="token")
    assert call.token_unavailable(failed).outcome_unknown
    assert call.provider_failed(KeyError("x")).outcome_unknown


def test_an_auth_callable_that_raises_is_an_authentication_error_that_quotes_nothing() -> None:
    call = begin(operations.list())
    error = call.provider_failed(ValueError(SECRET))
    assert "ValueError" in str(error)
    assert SECRET not in str(error)
    assert not call.can_retry(error)
    assert (error.attempts, error.status) == (0, None)


@pytest.mark.parametrize(
    "error", [KeyError("x"), errors.ConfigurationError("x"), KeyboardInterrupt()]
)
def test_only_a_failed_call_is_sent_again(error: BaseException) -> None:
    assert not begin(operations.list()).can_retry(error)


def test_a_finished_call_tells_what_else_is_known() -> None:
    time = FakeTime()
    call = begin(operations.redeliver(HOOK, REQUEST), time)
    value = run(call, time, answer(429, retry_after="2"), answer(200, SAMPLE, x_a="b"))
    time.wait(1.5)
    response = call.response()
    assert response.value is value
    assert (response.status, response.attempts, response.elapsed) == (200, 2, 3.5)
    assert response.headers["X-A"] == "b"


def test_the_body_of_an_error_is_bounded() -> None:
    with pytest.raises(errors.InternalServerError) as caught:
        attempt(begin(operations.list()), answer(500, b"x" * 100_000))
    assert caught.value.body == "x" * 8_192
