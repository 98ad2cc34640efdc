"""The exceptions of calls, deliveries and replays. All derive from `WebhooksError`.

Each message is one line that says what happened and what to do next. Errors contain no access
token, client secret, signing secret or static header of a subscription: messages, headers and
bodies are masked first.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from webhooks_sdk._wire.headers import Headers

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AttemptNotListedError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "DecodeError",
    "DeliveryError",
    "DeliveryTooLargeError",
    "InternalServerError",
    "InvalidArgumentError",
    "JournalError",
    "JournalLockedError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReplayError",
    "ReplayStoppedError",
    "ResponseDecodeError",
    "SignatureVerificationError",
    "UnprocessableEntityError",
    "WebhooksError",
]

# The function pickle uses to create an object without calling `__init__`; not in typeshed.
_new_object: Callable[..., Any] = copyreg.__newobj__  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class WebhooksError(Exception):
    """Base class of the errors that calls, deliveries and replays raise."""


class ConfigurationError(WebhooksError, ValueError):
    """A setting of a client, delivery app or router is missing, invalid or unsafe."""


class InvalidArgumentError(WebhooksError, ValueError):
    """An argument is invalid. Nothing was sent for it."""


class AttemptNotListedError(WebhooksError, LookupError):
    """A delivery attempt is not among the recent attempts that the service lists."""


class ClientClosedError(WebhooksError, RuntimeError):
    """The client is closed. Nothing was sent."""


class DecodeError(WebhooksError, ValueError):
    """Data is not JSON or does not match the model. The message has the paths of invalid fields."""


class DeliveryError(WebhooksError, ValueError):
    """The request is not an acceptable delivery. The message quotes none of the request.

    Attributes:
        status: The HTTP status to respond with: 400, or that of the subclass.
    """

    status: ClassVar[int] = 400


class SignatureVerificationError(DeliveryError):
    """401: the signature of a delivery is missing, malformed, or matches no secret."""

    status = 401


class DeliveryTooLargeError(DeliveryError):
    """413: the body is larger than `max_body_bytes`."""

    status = 413


class ReplayError(WebhooksError):
    """A replay cannot start or continue. Failures of single events are in their outcomes."""


class JournalError(ReplayError):
    """A journal cannot be used.

    It cannot be opened, read or written (a full disk, a missing directory), it is not a journal of
    this version, or it belongs to another environment, subscription or window. Everything
    already written is kept, unless the file itself is damaged.
    """


class JournalLockedError(JournalError):
    """Another replay is writing the journal, in this process or another."""


class ReplayStoppedError(ReplayError):
    """A replay stopped early.

    Too many consecutive events failed, the service deferred every request for an hour, the
    credentials were rejected, or the client was closed. The message says how to resume it.
    `__cause__` is the error of the last request, if any.
    """


class APIError(WebhooksError):
    """A call to the API failed.

    Attributes:
        operation: The name of the operation, such as `"redeliver"`.
        hook_id: The ID of the subscription that the call named, if any.
        request_id: The ID of the event that the call named, if any: the argument of `redeliver`,
            not an ID of the HTTP request (see `correlation_id`).
        status: The HTTP status of the last response, None if there was none.
        headers: The headers of the last response, empty if there was none. Case-insensitive.
        body: The beginning of the body of the last response, None if there was none.
        attempts: The number of attempts made to send the request.
        outcome_unknown: Whether the operation may have taken effect although it failed. Check (for
            a redelivery: with `client.hooks.list_events`) before running it again.
        retry_after: The seconds that the service asked to wait before a retry, None if it did not.
    """

    operation: str
    hook_id: UUID | None
    request_id: UUID | None
    status: int | None
    headers: Headers
    body: str | None
    attempts: int
    outcome_unknown: bool
    retry_after: float | None

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        hook_id: UUID | None = None,
        request_id: UUID | None = None,
        status: int | None = None,
        headers: Headers | None = None,
        body: str | None = None,
        attempts: int = 0,
        outcome_unknown: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.hook_id = hook_id
        self.request_id = request_id
        self.status = status
        self.headers = Headers() if headers is None else headers
        self.body = body
        self.attempts = attempts
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after

    @property
    def correlation_id(self) -> str | None:
        """The service's ID of this HTTP request, for support tickets; None if it sent none.

        The service does not document which header has it, so the usual ones are tried.
        """
        return next(
            (self.headers[name] for name in _CORRELATION_HEADERS if name in self.headers), None
        )

    def __str__(self) -> str:
        message = str(self.args[0])
        if not self.outcome_unknown:
            return message
        return f"{message} {_unknown_outcome_advice(self.operation)}"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...], dict[str, Any]]:
        # BaseException.__reduce__ would call __init__ without its required keyword arguments.
        return _new_object, (type(self), *self.args), dict(self.__dict__)


_CORRELATION_HEADERS = (
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "x-trace-id",
)


def _unknown_outcome_advice(operation: str) -> str:
    """Return what to check after the operation of this name failed with an unknown outcome."""
    match operation:
        case "redeliver":
            return "The event may have been delivered: check `list_events` before sending it again."
        case "create":
            return "The subscription may have been created: check `list` before creating it again."
        case "update":
            return "The request may have taken effect: check `get` before updating again."
        case "delete":
            return "The request may have taken effect: check `list` before deleting again."
        case _:
            return "The request may have taken effect: check before sending it again."


class APIConnectionError(APIError):
    """The connection failed, or was lost before a complete response was received."""


class APITimeoutError(APIConnectionError):
    """A step of an attempt timed out, or the deadline of the call passed."""


class ResponseDecodeError(APIError):
    """A successful response cannot be decoded: truncated, too large or not the expected JSON."""


class APIStatusError(APIError):
    """The service responded with an unexpected status."""


class BadRequestError(APIStatusError):
    """400: the service did not understand the request."""


class AuthenticationError(APIStatusError):
    """401, or no access token could be obtained.

    Attributes:
        error: The `error` code of the token endpoint (RFC 6749, section 5.2), such as
            `"invalid_client"`; None if the error is not from the token endpoint.
        error_description: The `error_description` of the token endpoint, if any.
    """

    error: str | None = None
    error_description: str | None = None


class PermissionDeniedError(APIStatusError):
    """403: the credentials are valid but lack the required permission."""


class NotFoundError(APIStatusError):
    """404: the subscription or event does not exist in this environment."""


class ConflictError(APIStatusError):
    """409: the request conflicts with the state of the subscription."""


class UnprocessableEntityError(APIStatusError):
    """422: the service understood the request but rejected its content."""


class RateLimitError(APIStatusError):
    """429: too many requests. `retry_after` is the requested wait, if any."""


class InternalServerError(APIStatusError):
    """5xx: the service failed."""
