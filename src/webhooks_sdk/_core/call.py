"""One call from its first attempt to its value or error: every decision on the way, and no I/O.

A driver sends, waits and reports what happened; a `Call` says what it means and what comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from http import HTTPStatus
from traceback import format_exception_only
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from webhooks_sdk import errors
from webhooks_sdk._core.responses import (
    APIResponse,
    RawResponse,
    describe_error,
    masked_headers,
)
from webhooks_sdk._core.retries import (
    FailureKind,
    RetryEvent,
    RetryPolicy,
    classify_exception,
    classify_status,
    leaves_outcome_unknown,
    may_retry,
    parse_retry_after,
)
from webhooks_sdk._wire.bodies import BodyError
from webhooks_sdk._wire.exceptions import exceptions_in_traceback
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk._wire.redaction import one_line, redact, redact_body

if TYPE_CHECKING:
    from webhooks_sdk._core.clock import Clock
    from webhooks_sdk.operations import Operation

T = TypeVar("T")
E = TypeVar("E", bound=errors.APIError)

Timeouts = Mapping[str, float | None]
"""Seconds for each step of one attempt: `connect`, `read`, `write`, `pool`; None for no limit."""

# What comes before sending ends a little before the deadline does (by this share of it, but by no
# more than these seconds), and so is told from waiting for an answer: the one is proven unsent.
_BEFORE_SENDING = frozenset({"pool", "connect"})
_MARGIN_SHARE = 0.05
_MAX_MARGIN = 0.05


class Call(Generic[T]):
    """The state of one call.

    Args:
        operation: What is to be done.
        url: Where it is to be sent.
        policy: How it is tried again.
        timeouts: Seconds for each step of one attempt.
        clock: Where the time comes from.
        announce: Told before each wait.
        headers: The headers that every request to that place has.
        deadline: When the call that this one is a part of has to end, in monotonic seconds.
    """

    def __init__(
        self,
        operation: Operation[T],
        *,
        url: str,
        policy: RetryPolicy,
        timeouts: Timeouts,
        clock: Clock,
        announce: Callable[[RetryEvent], None],
        headers: Sequence[tuple[bytes, bytes]],
        deadline: float | None = None,
    ) -> None:
        self.operation = operation
        self.url = url
        self.attempts = 0
        self.policy = policy
        self._timeouts = timeouts
        self._clock = clock
        self._announce = announce
        self._common_headers = headers
        self._began = clock.monotonic()
        own = None if policy.deadline is None else self._began + policy.deadline
        self._deadline = min((d for d in (own, deadline) if d is not None), default=None)
        total = 0.0 if self._deadline is None else self._deadline - self._began
        self._margin = min(_MAX_MARGIN, _MARGIN_SHARE * total)
        self._tokens: list[str] = []
        self._renewed_token = False
        self._in_flight = False
        self._started_response: tuple[int, Sequence[tuple[bytes, bytes]]] | None = None
        self._failure_kind = FailureKind.NOT_SENT
        self._unknown = False
        self._outcome: tuple[RawResponse, T] | None = None

    def remaining(self) -> float | None:
        """Seconds until the deadline, never less than 0; None if there is none."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - self._clock.monotonic())

    @property
    def deadline(self) -> float | None:
        """When the call has to end, in monotonic seconds; None if it may last for ever."""
        return self._deadline

    def begin_attempt(self, token: str | None) -> tuple[list[tuple[bytes, bytes]], Timeouts]:
        """Note that the request is about to be sent with this token.

        Returns:
            The headers of the request, and the timeouts of its steps: no longer than the call has
            left.

        Raises:
            APIError: The deadline has passed.
        """
        left = self.remaining()
        if left is not None and left <= self._margin:
            raise self.timed_out()
        if token is not None:
            self._tokens.append(token)
        self.attempts += 1
        self._in_flight = True
        self._started_response = None
        return self._headers(token), {step: self._cut(step, left) for step in self._timeouts}

    def _headers(self, token: str | None) -> list[tuple[bytes, bytes]]:
        operation = self.operation
        headers = list(self._common_headers)
        if token is not None:
            headers.append((b"Authorization", b"Bearer " + token.encode()))
        if operation.content is not None:
            headers.append((b"Content-Type", operation.content_type.encode()))
        if operation.content is not None or operation.method in _WITH_BODY:
            headers.append((b"Content-Length", b"%d" % len(operation.content or b"")))
        headers.extend((name.encode(), value.encode()) for name, value in operation.headers)
        return headers

    def timeout_for(self, step: str) -> float | None:
        """Return the timeout of a step that begins now: no longer than the call has left."""
        return self._cut(step, self.remaining())

    def _cut(self, step: str, left: float | None) -> float | None:
        limit = self._timeouts[step]
        if left is None:
            return limit
        if step in _BEFORE_SENDING:
            left = max(0.0, left - self._margin)
        return left if limit is None else min(limit, left)

    def response_started(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Note the beginning of an answer, before its body is read."""
        self._started_response = status, headers

    def check_deadline(self) -> None:
        """Check the deadline while an answer is read.

        Raises:
            APIError: It has passed.
        """
        if self.remaining() == 0:
            raise self.timed_out()

    def needs_new_token(self, answer: RawResponse) -> bool:
        """Decide whether the request is to be sent again with a fresh token, which happens once."""
        if answer.status != HTTPStatus.UNAUTHORIZED or self._renewed_token:
            return False
        self._in_flight = False
        self._renewed_token = True
        return True

    def finish(self, answer: RawResponse) -> T:
        """Decide what an answer means.

        Returns:
            The decoded value of a success.

        Raises:
            APIStatusError: The status is none of a success.
            ResponseDecodeError: The answer is a success and cannot be read.
        """
        self._in_flight = False
        operation = self.operation
        if answer.status not in operation.success:
            if self._deleted_before(answer):
                return self._succeed(answer, cast("T", None))
            raise self._status_error(answer)
        if answer.broken is not None and operation.response_type is not NoneType:
            raise self._broken(answer, answer.broken) from self.clean_cause(answer.broken)
        try:
            value = operation.decode(answer.body)
        except errors.DecodeError as error:
            raise self._unreadable(answer, str(error)) from error
        return self._succeed(answer, value)

    def _broken(self, answer: RawResponse, cause: Exception) -> errors.APIError:
        if answer.timed_out:
            return self.connection_lost(cause, timed_out=True, transport_fault=True)
        if isinstance(cause, BodyError):
            return self._unreadable(answer, str(cause))
        return self._unreadable(answer, f"its body is broken off ({type(cause).__name__})")

    def _deleted_before(self, answer: RawResponse) -> bool:
        # What an earlier attempt of this call may have deleted is gone, and that was the wish.
        return (
            answer.status == HTTPStatus.NOT_FOUND
            and self.operation.method == "DELETE"
            and self._unknown
        )

    def _succeed(self, answer: RawResponse, value: T) -> T:
        self._outcome = answer, value
        return value

    def response(self) -> APIResponse[T]:
        """Return the value of the finished call with what else is known of it."""
        assert self._outcome is not None
        answer, value = self._outcome
        return APIResponse(
            value=value,
            status=answer.status,
            headers=answer.headers,
            attempts=self.attempts,
            elapsed=self._clock.monotonic() - self._began,
        )

    def connection_lost(
        self, cause: Exception, *, timed_out: bool, transport_fault: bool, provable: bool = True
    ) -> errors.APIConnectionError:
        """Say what it means that no answer came.

        Args:
            cause: What was raised instead.
            timed_out: Whether it says that time ran out.
            transport_fault: Whether it is a failure of the network.
            provable: Whether it is of this request, and so can prove that this one was not sent.
        """
        failure_kind = FailureKind.AMBIGUOUS if transport_fault else FailureKind.AMBIGUOUS_PERMANENT
        if provable:
            failure_kind = classify_exception(cause, transport_fault=transport_fault)
        what = "timed out" if timed_out else "the connection failed"
        what = what if transport_fault else "an event hook or the transport raised"
        text = one_line(redact(str(cause), self._secrets()))
        reason = f"{what}: {type(cause).__name__}{f' ({text})' if text else ''}."
        kind = errors.APITimeoutError if timed_out else errors.APIConnectionError
        advice = _ADVICE_FOR_FAILURE[failure_kind]
        if type(cause).__name__ == "PoolTimeout":
            advice = "Nothing was sent: no connection became free, so raise max_connections."
        return self._fail(kind, failure_kind, f"{reason} {advice}")

    def timed_out(self) -> errors.APIError:
        """Say that the deadline has passed, in the middle of an attempt or between two.

        An answer that had begun, and is no success, is what is told: its status says more.
        """
        if (
            self._in_flight
            and self._started_response
            and self._started_response[0] not in self.operation.success
        ):
            status, headers = self._started_response
            return self._status_error(RawResponse(status, Headers(headers), b""))
        failure_kind = FailureKind.AMBIGUOUS if self._in_flight else FailureKind.REJECTED
        total = self._clock.monotonic() - self._began
        return self._fail(
            errors.APITimeoutError,
            failure_kind,
            f"the deadline passed after {total:.1f} s. Raise RetryPolicy.deadline to wait longer.",
        )

    def token_unavailable(self, failure: errors.APIError) -> errors.APIError:
        """Say that the call ended because no access token could be had."""
        self._failure_kind = FailureKind.REJECTED
        error = copy(failure)
        error.args = (f"{self.operation.name}: no access token: {failure.args[0]}",)
        error.operation = self.operation.name
        error.hook_id = self.operation.hook_id
        error.request_id = self.operation.request_id
        error.outcome_unknown = self._unknown
        return error

    def client_closed(self) -> errors.APIConnectionError:
        """Say that the client was closed before this call could send (again)."""
        return self._fail(
            errors.APIConnectionError,
            FailureKind.REJECTED,
            "the client was closed during the call.",
        )

    def provider_failed(self, cause: Exception) -> errors.AuthenticationError:
        """Say that the caller's function for access tokens raised, or returned none."""
        said = str(cause) if isinstance(cause, errors.ConfigurationError) else ""
        return self._fail(
            errors.AuthenticationError,
            FailureKind.REJECTED,
            f"no access token: {said or f'the auth callable raised {type(cause).__name__}.'}",
        )

    @property
    def deadline_passed(self) -> bool:
        """Whether the deadline has passed, so that a failure says nothing about the service."""
        return self.remaining() == 0

    def can_retry(self, error: BaseException) -> bool:
        """Decide whether the operation may be sent again after this error of its last attempt."""
        return isinstance(error, errors.APIError) and may_retry(
            self.operation.safety, self._failure_kind, resend_unknown=self.policy.resend_unknown
        )

    def should_retry(self, error: errors.APIError, attempts: int, wait: float) -> bool:
        """Decide whether there is still to be another attempt.

        Args:
            error: Why the last one failed.
            attempts: How many there were, not counting those that only renewed a token.
            wait: Seconds to wait before the next one.
        """
        if attempts >= self.policy.max_attempts:
            return False
        if (error.retry_after or 0.0) > self.policy.max_retry_after:
            return False
        left = self.remaining()
        return left is None or wait < left - self._margin

    def announce_retry(self, error: errors.APIError, wait: float) -> None:
        """Tell whoever wants to know that the call waits and is tried again."""
        self._announce(
            RetryEvent(
                operation=self.operation.name,
                hook_id=self.operation.hook_id,
                request_id=self.operation.request_id,
                attempt=self.attempts,
                wait=wait,
                elapsed=self._clock.monotonic() - self._began,
                error=error,
            )
        )

    def _status_error(self, answer: RawResponse) -> errors.APIStatusError:
        headers = masked_headers(answer, self._secrets())
        retry_after = parse_retry_after(answer.headers.get("retry-after"), self._clock.wall())
        refusal = describe_error(self.operation, answer, self._secrets())
        error = self._fail(
            refusal.kind,
            classify_status(answer.status, retry_after=retry_after),
            f"{refusal.reason}. {refusal.advice}",
            status=answer.status,
            headers=headers,
            body=redact_body(answer.body, self._secrets()),
            retry_after=retry_after,
        )
        if isinstance(error, errors.AuthenticationError):
            error.error = refusal.code
            error.error_description = refusal.description
        return error

    def _unreadable(self, answer: RawResponse, problem: str) -> errors.ResponseDecodeError:
        problem = redact(problem, self._secrets())
        return self._fail(
            errors.ResponseDecodeError,
            FailureKind.UNDECODABLE,
            f"{answer.status} answered, but {problem}. Check base_url, or update the SDK.",
            status=answer.status,
            headers=masked_headers(answer, self._secrets()),
            # A token endpoint's success is a credential in whatever shape it came.
            body=None
            if self.operation.endpoint == "token"
            else redact_body(answer.body, self._secrets()),
        )

    def _fail(self, kind: type[E], failure_kind: FailureKind, text: str, **known: Any) -> E:  # noqa: ANN401
        """Note the failure_kind of the attempt and make its error."""
        self._in_flight = False
        self._failure_kind = failure_kind
        self._unknown = self._unknown or leaves_outcome_unknown(self.operation.safety, failure_kind)
        return kind(
            f"{self.operation.name}: {text}",
            operation=self.operation.name,
            hook_id=self.operation.hook_id,
            request_id=self.operation.request_id,
            attempts=self.attempts,
            outcome_unknown=self._unknown,
            **known,
        )

    def clean_cause(self, cause: Exception) -> Exception:
        """Return what an error may name as its cause: it, unless its text shows a credential."""
        secrets = self._secrets()
        shown = "".join(
            line for link in exceptions_in_traceback(cause) for line in format_exception_only(link)
        )
        if redact(shown, secrets) == shown:
            return cause
        return Exception(f"{type(cause).__name__}: {redact(str(cause), secrets)}")

    def _secrets(self) -> tuple[str, ...]:
        return (*self.operation.secrets, *self._tokens)


# A request of these methods says how long its body is even if it has none (RFC 9110, section 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_ADVICE_FOR_FAILURE: Mapping[FailureKind, str] = {
    FailureKind.NOT_SENT: "Nothing was sent: check base_url, network and proxy.",
    FailureKind.REJECTED: "Nothing was sent: the server's certificate was not accepted.",
    FailureKind.AMBIGUOUS: "No whole answer came.",
    FailureKind.AMBIGUOUS_PERMANENT: "It may have been sent.",
}
