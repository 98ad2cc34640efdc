"""Classify failed attempts and decide whether to retry them. No clock, no I/O."""

import enum
import re
import socket
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import inf
from typing import Any
from uuid import UUID

from attrs import Attribute, field, frozen

from webhooks_sdk._core.validation import check_bool, check_count, check_seconds
from webhooks_sdk._wire.exceptions import follow_chain
from webhooks_sdk.errors import APIError
from webhooks_sdk.operations import Safety


class FailureKind(enum.Enum):
    """How an attempt failed, which determines whether it may be retried."""

    NOT_SENT = "proven not sent"
    DEFERRED = "the service asked to retry later"
    AMBIGUOUS = "may have been processed"
    AMBIGUOUS_PERMANENT = "may have been processed, and a retry would fail again"
    REJECTED = "rejected, and a retry would fail again"
    UNDECODABLE = "succeeded, but the response cannot be decoded"


class ConnectionFailure(enum.Enum):
    """What is known about a request whose connection failed or was lost.

    The kind, which determines whether the outcome is unknown, and what the message says about it
    belong to one member, so that they cannot contradict each other.
    """

    NO_FREE_CONNECTION = (
        FailureKind.NOT_SENT,
        "no connection became available. Increase max_connections.",
    )
    NO_FREE_CONNECTION_IN_HTTP_CLIENT = (
        FailureKind.NOT_SENT,
        "no connection became available. Increase the limits of your http_client or transport.",
    )
    NO_THREAD = (
        FailureKind.NOT_SENT,
        (
            "the host name could not be looked up, because no thread could be started."
            " Check the limit on threads, and make no calls while the interpreter exits."
        ),
    )
    NOT_CONNECTED = (FailureKind.NOT_SENT, "check {setting}, the network and the proxy.")
    NOT_TLS = (
        FailureKind.NOT_SENT,
        "the response to the TLS handshake was not TLS. Check {setting} ({url}): is it http?",
    )
    UNTRUSTED_CERTIFICATE = (
        FailureKind.REJECTED,
        "the server's certificate could not be verified. Check {setting} and SSL_CERT_FILE.",
    )
    NO_RESPONSE = (FailureKind.AMBIGUOUS, "No complete response was received.")
    UNEXPECTED_EXCEPTION = (FailureKind.AMBIGUOUS_PERMANENT, "The request may have been sent.")

    def __init__(self, kind: FailureKind, explanation: str) -> None:
        self.kind = kind
        self._explanation = explanation

    @property
    def nothing_sent(self) -> bool:
        """Whether it is proven that the request was not sent."""
        return self.kind in (FailureKind.NOT_SENT, FailureKind.REJECTED)

    def explain(self, *, setting: str, url: str, unsent: str) -> str:
        """Return what the failure means and what to do, in complete sentences.

        Args:
            setting: The name of the setting with the URL, such as `"base_url"`.
            url: That URL.
            unsent: What to say if nothing was sent, such as `"Nothing was sent"`.
        """
        explanation = self._explanation.format(setting=setting, url=url)
        return f"{unsent}: {explanation}" if self.nothing_sent else explanation


class NothingSentError(Exception):
    """As the cause of another error, proves that nothing was sent when that one was raised.

    Attributes:
        failure: What is known about the request.
    """

    def __init__(self, message: str, failure: ConnectionFailure) -> None:
        super().__init__(message)
        self.failure = failure


def _validate_seconds(_: object, attribute: "Attribute[float]", value: object) -> None:
    check_seconds(attribute.name, value, allow_zero=True)


def _validate_deadline(_: object, attribute: "Attribute[Any]", value: object) -> None:
    check_seconds(attribute.name, value, allow_none=True)


def _validate_count(_: object, attribute: "Attribute[int]", value: object) -> None:
    check_count(attribute.name, value)


def _validate_bool(_: object, attribute: "Attribute[bool]", value: object) -> None:
    check_bool(attribute.name, value)


_DEFAULT_DEADLINE = 120.0


@frozen(kw_only=True)
class RetryPolicy:
    """How failed calls are retried. All times are in seconds, at most 1,000,000 (11 days).

    Whether a call is retried depends on the operation and the failure: see "Retries" in the README.

    Attributes:
        max_attempts: The maximum number of attempts, including the first, from 1 to 1,000,000.
            Resending a request with a new token after a 401 does not count.
        initial_backoff: The longest wait before the second attempt. Each wait is random between 0
            and a bound that doubles with every attempt (full jitter).
        max_backoff: The maximum of that bound.
        deadline: The total time for a call, including all attempts, waits and token requests,
            greater than 0; None for no limit. In `AsyncClient` it is a hard limit. `Client` limits
            the timeouts to the time left and checks the clock between chunks of a body; a DNS
            lookup, a read or write in progress and headers received byte by byte can exceed it.
        max_retry_after: The longest `Retry-After` to wait for. A longer one raises the error
            immediately, with the wait in its `retry_after`.
        resend_unknown: Whether to resend `create` and `redeliver` when they may already have been
            processed, which may have the effect twice.

    Raises:
        ConfigurationError: A value is out of range or has the wrong type.
    """

    max_attempts: int = field(default=3, validator=_validate_count)
    initial_backoff: float = field(default=0.5, validator=_validate_seconds)
    max_backoff: float = field(default=8.0, validator=_validate_seconds)
    deadline: float | None = field(default=_DEFAULT_DEADLINE, validator=_validate_deadline)
    max_retry_after: float = field(default=60.0, validator=_validate_seconds)
    resend_unknown: bool = field(default=False, validator=_validate_bool)

    @classmethod
    def none(cls, *, deadline: float | None = _DEFAULT_DEADLINE) -> "RetryPolicy":
        """Return a policy without retries.

        Args:
            deadline: The total time for a call in seconds; None for no limit.

        Raises:
            ConfigurationError: `deadline` is out of range.
        """
        return cls(max_attempts=1, deadline=deadline)


@frozen(kw_only=True)
class RetryEvent:
    """The argument of `on_retry`, which is called before the wait for a retry.

    Attributes:
        operation: The name of the operation, `"token"` for a token request.
        hook_id: The ID of the subscription that the call named, if any.
        request_id: The ID of the event that the call named, if any.
        attempt: The number of the failed attempt, starting at 1.
        wait: The seconds until the next attempt.
        elapsed: The seconds since the start of the call.
        error: The error of the failed attempt.
    """

    operation: str
    hook_id: UUID | None
    request_id: UUID | None
    attempt: int
    wait: float
    elapsed: float
    error: APIError


def describe_retry(event: RetryEvent) -> str:
    """Return the log message of a retry.

    It contains no text of the exception, which quotes the response: that may have personal data.
    """
    error = event.error
    if error.status is not None:
        failure = f"status {error.status}"
    elif error.__cause__ is not None:
        failure = f"{type(error).__name__}, caused by {type(error.__cause__).__name__}"
    else:
        failure = type(error).__name__
    named = (("subscription", event.hook_id), ("event", event.request_id))
    ids = ", ".join(f"{noun} {value}" for noun, value in named if value is not None)
    return (
        f"retrying {event.operation}{f' ({ids})' if ids else ''} in {event.wait:.2f} s after"
        f" attempt {event.attempt} failed: {failure}"
    )


def may_retry(safety: Safety, failure_kind: FailureKind, *, resend_unknown: bool) -> bool:
    """Return whether an operation may be resent after a failure of this kind."""
    match failure_kind:
        case FailureKind.NOT_SENT | FailureKind.DEFERRED:
            return True
        case FailureKind.AMBIGUOUS:
            return safety is not Safety.NON_IDEMPOTENT or resend_unknown
        case FailureKind.REJECTED | FailureKind.AMBIGUOUS_PERMANENT | FailureKind.UNDECODABLE:
            return False


def leaves_outcome_unknown(safety: Safety, failure_kind: FailureKind) -> bool:
    """Return whether the operation may have taken effect despite a failure of this kind."""
    return safety is not Safety.SAFE and failure_kind in (
        FailureKind.AMBIGUOUS,
        FailureKind.AMBIGUOUS_PERMANENT,
        FailureKind.UNDECODABLE,
    )


def classify_status(status: int, *, retry_after: float | None) -> FailureKind:
    """Classify a failure by its HTTP status."""
    if status == 429 or (status == 503 and retry_after is not None):  # noqa: PLR2004
        return FailureKind.DEFERRED
    if status == 408 or status >= 500:  # noqa: PLR2004
        return FailureKind.AMBIGUOUS
    return FailureKind.REJECTED


def classify_exception(
    error: BaseException, *, network_failure: bool, can_prove_unsent: bool = True
) -> ConnectionFailure:
    """Classify a failure by the exception raised while sending the request or reading the response.

    The type of the exception alone is not evidence: some transports report a connection lost after
    sending as a failure to connect. The chain of causes is searched for proof that nothing was
    sent; without proof, the request may have been processed.

    Args:
        error: The exception.
        network_failure: Whether it is a network failure, and so possibly transient.
        can_prove_unsent: Whether the transport raised it for this request, so that its causes can
            prove that the request was not sent.
    """
    if can_prove_unsent:
        causes = tuple(follow_chain(error, _cause_of))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return ConnectionFailure.UNTRUSTED_CERTIFICATE
        proofs = [proof for proof in map(_proof_of, causes) if proof is not None]
        if proofs:
            return ConnectionFailure.NOT_TLS if any(map(_is_not_tls, causes)) else proofs[0]
    if network_failure:
        return ConnectionFailure.NO_RESPONSE
    return ConnectionFailure.UNEXPECTED_EXCEPTION


def _cause_of(error: BaseException) -> BaseException | None:
    # __context__ is not proof in general: it can be the refused connection to a host's first
    # address, while the request was sent to the second. But httpcore raises its own errors
    # `from None`, which leaves their cause only there.
    return error.__cause__ or (error.__context__ if _proof_of(error) is not None else None)


# Errors that httpcore and its successor raise only before writing a request. Compared by name,
# since this layer does not import HTTP libraries.
_HTTPCORE_MODULES = frozenset({"httpcore", "httpcore2"})
_HTTPCORE_PROOFS = {
    "ConnectError": ConnectionFailure.NOT_CONNECTED,
    "ConnectTimeout": ConnectionFailure.NOT_CONNECTED,
    "PoolTimeout": ConnectionFailure.NO_FREE_CONNECTION_IN_HTTP_CLIENT,
    "ProxyError": ConnectionFailure.NOT_CONNECTED,
    "UnsupportedProtocol": ConnectionFailure.NOT_CONNECTED,
}


def _proof_of(error: BaseException) -> ConnectionFailure | None:
    """Return the failure that this exception proves, if it proves that nothing was sent."""
    if isinstance(error, NothingSentError):
        return error.failure
    # A refused connection and a failed DNS lookup occur before anything can be sent.
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        return ConnectionFailure.NOT_CONNECTED
    error_type = type(error)
    if error_type.__module__ in _HTTPCORE_MODULES:
        return _HTTPCORE_PROOFS.get(error_type.__name__)
    return None


# The reason of OpenSSL 3.2 and later is "record layer failure". It is compared with the text, since
# older versions of Python do not know its code and leave the attribute `reason` empty.
_NOT_TLS_REASONS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")


def _is_not_tls(error: BaseException) -> bool:
    text = str(error).upper().replace(" ", "_")
    return isinstance(error, ssl.SSLError) and any(reason in text for reason in _NOT_TLS_REASONS)


_match_delay_seconds = re.compile(r"[0-9]+").fullmatch


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Parse a Retry-After header (RFC 9110, section 10.2.3).

    Args:
        value: The seconds as digits, or an HTTP-date; None if the header is missing.
        now: The current time, in seconds since 1970.

    Returns:
        The seconds to wait, 0 for a date in the past, None for a missing or invalid header.
    """
    if value is None:
        return None
    text = value.strip()
    if _match_delay_seconds(text):
        # A float cannot hold more digits; infinity exceeds any max_retry_after just as well.
        return float(text) if len(text) < 300 else inf  # noqa: PLR2004
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
