"""The logic of one call, from its first attempt to its value or error. No I/O.

A driver sends requests and waits, and reports the results to a `Call`, which decides what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from http import HTTPStatus
from traceback import format_exception_only
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from webhooks_sdk import errors
from webhooks_sdk._core.responses import APIResponse, RawResponse
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
from webhooks_sdk._core.status_errors import error_details, masked_headers
from webhooks_sdk._wire.bodies import BodyError, BodyTooLargeError
from webhooks_sdk._wire.exceptions import exceptions_in_traceback
from webhooks_sdk._wire.headers import headers_from_raw
from webhooks_sdk._wire.redaction import one_line, redact, redact_body

if TYPE_CHECKING:
    from webhooks_sdk._core.clock import Clock
    from webhooks_sdk.operations import Operation

T = TypeVar("T")
E = TypeVar("E", bound=errors.APIError)

Timeouts = Mapping[str, float | None]
"""Seconds for each step of an attempt: `connect`, `read`, `write`, `pool`; None for no limit."""

# The steps before sending must end a little earlier than the deadline. Otherwise a request that was
# never sent could not be distinguished from one that was sent and timed out. The margin is a share
# of the call's total time, limited to a number of seconds.
_STEPS_BEFORE_SENDING = frozenset({"pool", "connect"})
_SEND_MARGIN_SHARE = 0.05
_MAX_SEND_MARGIN = 0.05


class Call(Generic[T]):
    """The state of one call.

    Args:
        operation: The operation to run.
        url: The URL of the request.
        policy: How failed attempts are retried.
        timeouts: Seconds for each step of an attempt.
        clock: The clock to use.
        on_retry: Called before the wait for each retry.
        headers: Headers sent with every request to this endpoint.
        deadline: The deadline of an enclosing call in monotonic seconds, if any.
    """

    def __init__(
        self,
        operation: Operation[T],
        *,
        url: str,
        policy: RetryPolicy,
        timeouts: Timeouts,
        clock: Clock,
        on_retry: Callable[[RetryEvent], None],
        headers: Sequence[tuple[bytes, bytes]],
        deadline: float | None = None,
    ) -> None:
        self.operation = operation
        self.url = url
        self.attempts = 0
        self.policy = policy
        self._timeouts = timeouts
        self._clock = clock
        self._on_retry = on_retry
        self._common_headers = headers
        self._started_at = clock.monotonic()
        own_deadline = None if policy.deadline is None else self._started_at + policy.deadline
        self._deadline = min((d for d in (own_deadline, deadline) if d is not None), default=None)
        total = 0.0 if self._deadline is None else self._deadline - self._started_at
        self._send_margin = min(_MAX_SEND_MARGIN, _SEND_MARGIN_SHARE * total)
        self._sent_tokens: list[str] = []
        self._token_renewed = False
        self._in_flight = False
        self._any_attempt_sent = False
        self._response_head: tuple[int, Sequence[tuple[bytes, bytes]]] | None = None
        self._failure_kind = FailureKind.NOT_SENT
        self._outcome_unknown = False
        self._result: tuple[RawResponse, T] | None = None

    def remaining(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None if there is no deadline."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - self._clock.monotonic())

    @property
    def deadline(self) -> float | None:
        """The deadline of the call in monotonic seconds, None if there is none."""
        return self._deadline

    def begin_attempt(self, token: str | None) -> tuple[list[tuple[bytes, bytes]], Timeouts]:
        """Record that the request is about to be sent with this token.

        Returns:
            The headers of the request, and the timeouts of its steps, limited to the time left.

        Raises:
            APIError: The deadline has passed.
        """
        left = self.remaining()
        if left is not None and left <= self._send_margin:
            raise self.deadline_error()
        if token is not None:
            self._sent_tokens.append(token)
        self.attempts += 1
        self._in_flight = True
        self._response_head = None
        timeouts = {step: self._limit_timeout(step, left) for step in self._timeouts}
        return self._request_headers(token), timeouts

    def _request_headers(self, token: str | None) -> list[tuple[bytes, bytes]]:
        operation = self.operation
        headers = list(self._common_headers)
        if token is not None:
            headers.append((b"Authorization", b"Bearer " + token.encode()))
        if operation.content is not None:
            headers.append((b"Content-Type", operation.content_type.encode()))
        if operation.content is not None or operation.method in _METHODS_WITH_BODY:
            headers.append((b"Content-Length", b"%d" % len(operation.content or b"")))
        headers.extend((name.encode(), value.encode()) for name, value in operation.headers)
        return headers

    def timeout_for(self, step: str) -> float | None:
        """Return the timeout of a step that starts now, limited to the time left."""
        return self._limit_timeout(step, self.remaining())

    def _limit_timeout(self, step: str, left: float | None) -> float | None:
        limit = self._timeouts[step]
        if left is None:
            return limit
        if step in _STEPS_BEFORE_SENDING:
            left = max(0.0, left - self._send_margin)
        return left if limit is None else min(limit, left)

    def response_started(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Record the status and headers of a response, before its body is read."""
        self._response_head = status, headers

    def check_deadline(self) -> None:
        """Raise if the deadline has passed while a response is read.

        Raises:
            APIError: The deadline has passed.
        """
        if self.remaining() == 0:
            raise self.deadline_error()

    def needs_new_token(self, response: RawResponse) -> bool:
        """Return whether to resend the request with a new token: True on the first 401 only."""
        if response.status != HTTPStatus.UNAUTHORIZED or self._token_renewed:
            return False
        self._in_flight = False
        self._any_attempt_sent = True
        self._token_renewed = True
        return True

    def finish(self, response: RawResponse) -> T:
        """Finish the attempt with a response.

        Returns:
            The decoded value of a successful response.

        Raises:
            APIStatusError: The status is not a success.
            APITimeoutError: Reading the body timed out.
            ResponseDecodeError: The successful response cannot be decoded.
        """
        self._in_flight = False
        self._any_attempt_sent = True
        operation = self.operation
        if response.status not in operation.success:
            if self._already_deleted(response):
                return self._record_success(response, cast("T", None))
            raise self._status_error(response)
        if response.body_error is not None and operation.response_type is not NoneType:
            cause = self.redact_cause(response.body_error)
            raise self._incomplete_body_error(response, response.body_error) from cause
        try:
            value = operation.decode(response.body)
        except errors.DecodeError as error:
            raise self._decode_error(response, str(error)) from error
        return self._record_success(response, value)

    def _incomplete_body_error(self, response: RawResponse, cause: Exception) -> errors.APIError:
        if response.timed_out:
            # A response has begun, so nothing can prove that the request was not sent.
            return self.connection_error(
                cause, timed_out=True, network_failure=True, can_prove_unsent=False
            )
        if isinstance(cause, BodyTooLargeError):
            advice = "Increase max_response_bytes if the response is expected to be this large."
            return self._decode_error(response, str(cause), advice)
        if isinstance(cause, BodyError):
            return self._decode_error(response, str(cause))
        return self._decode_error(
            response,
            f"its body is truncated ({type(cause).__name__})",
            "Check the network and the proxy.",
        )

    def _already_deleted(self, response: RawResponse) -> bool:
        # After an ambiguous attempt, 404 means that the subscription is gone, as requested.
        return (
            response.status == HTTPStatus.NOT_FOUND
            and self.operation.method == "DELETE"
            and self._outcome_unknown
        )

    def _record_success(self, response: RawResponse, value: T) -> T:
        self._result = response, value
        return value

    def response(self) -> APIResponse[T]:
        """Return the value and response metadata of the finished call."""
        assert self._result is not None
        response, value = self._result
        return APIResponse(
            value=value,
            status=response.status,
            headers=response.headers,
            attempts=self.attempts,
            elapsed=self._clock.monotonic() - self._started_at,
        )

    def connection_error(
        self,
        cause: Exception,
        *,
        timed_out: bool,
        network_failure: bool,
        can_prove_unsent: bool = True,
    ) -> errors.APIConnectionError:
        """Build the error for a failed or lost connection.

        Args:
            cause: The exception.
            timed_out: Whether it is a timeout.
            network_failure: Whether it is a network failure.
            can_prove_unsent: Whether the transport raised it for this request, so that its causes
                can prove that the request was not sent.
        """
        failure = classify_exception(
            cause, network_failure=network_failure, can_prove_unsent=can_prove_unsent
        )
        happened = "an event hook or the transport raised"
        if network_failure:
            happened = "timed out" if timed_out else "the connection failed"
        text = one_line(redact(str(cause), self._secrets()))
        reason = f"{happened}: {type(cause).__name__}{f' ({text})' if text else ''}."
        explanation = failure.explain(
            setting=self._url_setting,
            url=self.url.removesuffix(self.operation.path),
            unsent=self._unsent_phrase(),
        )
        self._any_attempt_sent = self._any_attempt_sent or not failure.nothing_sent
        error_class = errors.APITimeoutError if timed_out else errors.APIConnectionError
        return self._record_failure(error_class, failure.kind, f"{reason} {explanation}")

    def _unsent_phrase(self) -> str:
        """Return how to say that the current attempt was not sent, given the earlier ones."""
        if self._any_attempt_sent:
            return "The last attempt sent nothing"
        # The message becomes part of another call's, which may have sent something.
        to = " to the token endpoint" if self.operation.endpoint == "token" else ""
        return f"Nothing was sent{to}"

    @property
    def _url_setting(self) -> str:
        """The name of the setting with the URL of this call's endpoint."""
        return "token_url" if self.operation.endpoint == "token" else "base_url"

    def deadline_error(self) -> errors.APIError:
        """Build the error for a deadline that passed during or between attempts.

        If a response with an unexpected status has started, return the error of that status, which
        is more informative.
        """
        if (
            self._in_flight
            and self._response_head
            and self._response_head[0] not in self.operation.success
        ):
            status, headers = self._response_head
            return self._status_error(RawResponse(status, headers_from_raw(headers), b""))
        self._any_attempt_sent = self._any_attempt_sent or self._in_flight
        failure_kind = FailureKind.AMBIGUOUS if self._in_flight else FailureKind.REJECTED
        total = self._clock.monotonic() - self._started_at
        return self._record_failure(
            errors.APITimeoutError,
            failure_kind,
            f"the deadline passed after {total:.1f} s."
            " Increase RetryPolicy.deadline to wait longer.",
        )

    def token_error(self, failure: errors.APIError) -> errors.APIError:
        """Build the error for a failed token request."""
        self._failure_kind = FailureKind.REJECTED
        error = copy(failure)
        error.args = (f"{self.operation.name}: no access token: {failure.args[0]}",)
        error.operation = self.operation.name
        error.hook_id = self.operation.hook_id
        error.request_id = self.operation.request_id
        error.outcome_unknown = self._outcome_unknown
        return error

    def client_closed_error(self) -> errors.APIConnectionError:
        """Build the error for a client that was closed before an attempt could be sent."""
        return self._record_failure(
            errors.APIConnectionError,
            FailureKind.REJECTED,
            "the client was closed before the request could be sent. Create a new client.",
        )

    def token_provider_error(self, cause: Exception) -> errors.AuthenticationError:
        """Build the error for a token provider that raised or returned an invalid token."""
        problem = str(cause) if isinstance(cause, errors.ConfigurationError) else ""
        return self._record_failure(
            errors.AuthenticationError,
            FailureKind.REJECTED,
            f"no access token: {problem or f'the auth callable raised {type(cause).__name__}.'}",
        )

    @property
    def deadline_passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining() == 0

    def can_retry(self, error: BaseException) -> bool:
        """Return whether this error of the last attempt allows a retry."""
        return isinstance(error, errors.APIError) and may_retry(
            self.operation.safety, self._failure_kind, resend_unknown=self.policy.resend_unknown
        )

    def should_retry(self, error: errors.APIError, attempts: int, wait: float) -> bool:
        """Return whether the policy and the deadline leave room for another attempt.

        Args:
            error: The error of the last attempt.
            attempts: The number of attempts, not counting those repeated with a new token.
            wait: The seconds to wait before the next attempt.
        """
        if attempts >= self.policy.max_attempts:
            return False
        if (error.retry_after or 0.0) > self.policy.max_retry_after:
            return False
        left = self.remaining()
        return left is None or wait < left - self._send_margin

    def notify_retry(self, error: errors.APIError, wait: float) -> None:
        """Call `on_retry` before the wait for a retry."""
        self._on_retry(
            RetryEvent(
                operation=self.operation.name,
                hook_id=self.operation.hook_id,
                request_id=self.operation.request_id,
                attempt=self.attempts,
                wait=wait,
                elapsed=self._clock.monotonic() - self._started_at,
                error=error,
            )
        )

    def _status_error(self, response: RawResponse) -> errors.APIStatusError:
        headers = masked_headers(response, self._secrets())
        retry_after = parse_retry_after(response.headers.get("retry-after"), self._clock.wall())
        details = error_details(self.operation, response, self._secrets())
        error = self._record_failure(
            details.error_class,
            classify_status(response.status, retry_after=retry_after),
            f"{details.reason}. {details.advice}",
            status=response.status,
            headers=headers,
            body=redact_body(response.body, self._secrets()),
            retry_after=retry_after,
        )
        if isinstance(error, errors.AuthenticationError):
            error.error = details.oauth_error
            error.error_description = details.oauth_error_description
        return error

    def _decode_error(
        self, response: RawResponse, problem: str, advice: str | None = None
    ) -> errors.ResponseDecodeError:
        problem = redact(problem, self._secrets())
        advice = advice or f"Check {self._url_setting}, or update the SDK."
        return self._record_failure(
            errors.ResponseDecodeError,
            FailureKind.UNDECODABLE,
            f"the {response.status} response cannot be decoded: {problem}. {advice}",
            status=response.status,
            headers=masked_headers(response, self._secrets()),
            # The successful response of a token endpoint contains a credential.
            body=None
            if self.operation.endpoint == "token"
            else redact_body(response.body, self._secrets()),
        )

    def _record_failure(
        self,
        error_class: type[E],
        failure_kind: FailureKind,
        message: str,
        **attributes: Any,  # noqa: ANN401
    ) -> E:
        """Record the failure of the attempt and build its error."""
        self._in_flight = False
        self._failure_kind = failure_kind
        self._outcome_unknown = self._outcome_unknown or leaves_outcome_unknown(
            self.operation.safety, failure_kind
        )
        return error_class(
            f"{self.operation.name}: {message}",
            operation=self.operation.name,
            hook_id=self.operation.hook_id,
            request_id=self.operation.request_id,
            attempts=self.attempts,
            outcome_unknown=self._outcome_unknown,
            **attributes,
        )

    def redact_cause(self, cause: Exception) -> Exception:
        """Return an exception, or a redacted substitute if its traceback shows a credential."""
        secrets = self._secrets()
        shown = "".join(
            line for link in exceptions_in_traceback(cause) for line in format_exception_only(link)
        )
        if redact(shown, secrets) == shown:
            return cause
        return Exception(f"{type(cause).__name__}: {redact(str(cause), secrets)}")

    def _secrets(self) -> tuple[str, ...]:
        return (*self.operation.secrets, *self._sent_tokens)


# These methods send Content-Length even without a body (RFC 9110, section 8.6).
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
