"""What a failed attempt means, and whether and when to send again. No clock, no I/O."""

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

from webhooks_sdk._wire.exceptions import follow_chain
from webhooks_sdk.errors import APIError, ConfigurationError
from webhooks_sdk.operations import Safety


class NothingSentError(Exception):
    """Found among the causes of an error, it proves that nothing was sent."""


class FailureKind(enum.Enum):
    """What is known of a failed attempt."""

    NOT_SENT = "proven not sent"
    DEFERRED = "the service asks to come back later"
    AMBIGUOUS = "it may have been processed"
    REJECTED = "it was refused, and would be again"
    AMBIGUOUS_PERMANENT = "it may have been processed, and would fail the same way again"
    UNDECODABLE = "it was answered with a success that cannot be read"


def _seconds(_: object, attribute: "Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ConfigurationError(
            f"{attribute.name} must be a number of seconds of at least 0, not {value!r}."
        )


def _seconds_or_none(_: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
        raise ConfigurationError(
            f"{attribute.name} must be a number of seconds greater than 0, or None, not {value!r}."
        )


def _boolean(_: object, attribute: "Attribute[bool]", value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{attribute.name} must be True or False, not {value!r}.")


def _count(_: object, attribute: "Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{attribute.name} must be an integer of at least 1, not {value!r}."
        )


@frozen(kw_only=True)
class RetryPolicy:
    """How a call is tried again. All times are in seconds.

    What is sent again depends on the operation and on what happened: see "Retries" in the README.

    Attributes:
        max_attempts: How many times a request is sent at the most, the first included. A request
            that is sent again with a fresh token after a 401 is not counted.
        initial_backoff: The longest wait before the second attempt. Each wait is drawn at random
            between 0 and a bound that doubles from attempt to attempt (full jitter).
        max_backoff: What that bound grows to.
        deadline: The time that a call may take, over all attempts and waits, getting a token
            included; None for no limit. In `AsyncClient` it is a hard bound. In `Client` timeouts
            are cut to what is left of it and the clock is checked between chunks of a body; a name
            look-up, one read or write that is under way, and headers that drip in byte by byte
            can still outlast it.
        max_retry_after: A `Retry-After` of the service up to this is waited for; a longer one
            raises at once, and the error's `retry_after` has it.
        resend_unknown: Whether `create` and `redeliver` are sent again when they may have been
            processed already, so that the effect may happen twice.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    max_attempts: int = field(default=3, validator=_count)
    initial_backoff: float = field(default=0.5, validator=_seconds)
    max_backoff: float = field(default=8.0, validator=_seconds)
    deadline: float | None = field(default=120.0, validator=_seconds_or_none)
    max_retry_after: float = field(default=60.0, validator=_seconds)
    resend_unknown: bool = field(default=False, validator=_boolean)

    @classmethod
    def none(cls) -> "RetryPolicy":
        """Return the policy that sends once, within the default deadline."""
        return cls(max_attempts=1)


@frozen(kw_only=True)
class RetryEvent:
    """What `on_retry` is told before a call waits and is tried again.

    Attributes:
        operation: The name of the operation, `"token"` for a request for an access token.
        hook_id: The subscription that the call names, if any.
        request_id: The event that the call names, if any.
        attempt: The number of the attempt that failed, counted from 1.
        wait: Seconds until the next one.
        elapsed: Seconds since the call began.
        error: Why it failed.
    """

    operation: str
    hook_id: UUID | None
    request_id: UUID | None
    attempt: int
    wait: float
    elapsed: float
    error: APIError


def may_retry(safety: Safety, failure_kind: FailureKind, *, resend_unknown: bool) -> bool:
    """Decide whether an operation may be sent again after an attempt with this failure_kind."""
    match failure_kind:
        case FailureKind.NOT_SENT | FailureKind.DEFERRED:
            return True
        case FailureKind.AMBIGUOUS:
            return safety is not Safety.NON_IDEMPOTENT or resend_unknown
        case FailureKind.REJECTED | FailureKind.AMBIGUOUS_PERMANENT | FailureKind.UNDECODABLE:
            return False


def leaves_outcome_unknown(safety: Safety, failure_kind: FailureKind) -> bool:
    """Decide whether an attempt with this failure_kind may have had an effect that nobody was told of."""
    if failure_kind in (FailureKind.AMBIGUOUS, FailureKind.AMBIGUOUS_PERMANENT):
        return safety is not Safety.SAFE
    return failure_kind is FailureKind.UNDECODABLE and safety is Safety.NON_IDEMPOTENT


def classify_status(status: int, *, retry_after: float | None) -> FailureKind:
    """Decide what a status that is no success means for the request that it answers."""
    if status == 429 or (status == 503 and retry_after is not None):  # noqa: PLR2004
        return FailureKind.DEFERRED
    if status == 408 or status >= 500:  # noqa: PLR2004
        return FailureKind.AMBIGUOUS
    return FailureKind.REJECTED


def classify_exception(error: BaseException, *, transport_fault: bool) -> FailureKind:
    """Decide what an exception, raised while a request was sent and answered, means for it.

    The type that a transport raises is no evidence: some report a connection that was lost after
    sending as a failure to connect. So the chain of causes is searched for proof that nothing was
    sent, and without proof the request may have been processed.

    Args:
        error: What was raised.
        transport_fault: Whether it is a failure of the network, and so may pass by itself.
    """
    causes = tuple(follow_chain(error, _cause))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return FailureKind.REJECTED
    if any(map(_proves_unsent, causes)):
        return FailureKind.NOT_SENT
    return FailureKind.AMBIGUOUS if transport_fault else FailureKind.AMBIGUOUS_PERMANENT


def _cause(error: BaseException) -> BaseException | None:
    # Not __context__: it can be the refusal of a first address, before the second took the request.
    # But httpcore hides the cause of its own errors there, by raising them `from None`.
    return error.__cause__ or (error.__context__ if _proves_unsent(error) else None)


# What httpcore, and its continuation, raise only before a request is written. By name, since this
# floor does not know that HTTP libraries exist.
_HTTPCORE = frozenset({"httpcore", "httpcore2"})
_BEFORE_SENDING = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
)


def _proves_unsent(error: BaseException) -> bool:
    # A refusal and a failed look-up can only happen before there is a connection.
    if isinstance(error, NothingSentError | ConnectionRefusedError | socket.gaierror):
        return True
    kind = type(error)
    return kind.__module__ in _HTTPCORE and kind.__name__ in _BEFORE_SENDING


_DELAY = re.compile(r"[0-9]+").fullmatch


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3).

    Args:
        value: Seconds as digits, or an HTTP-date; None if there is no such header.
        now: The time, in seconds since 1970.

    Returns:
        Seconds to wait, 0 for a date that has passed, None for no header or one that is garbage.
    """
    if value is None:
        return None
    text = value.strip()
    if _DELAY(text):
        # More digits than a float can hold still mean "much too long".
        return float(text) if len(text) < 300 else inf  # noqa: PLR2004
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
