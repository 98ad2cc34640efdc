"""Every error that the SDK raises, in one tree under `WebhooksError`.

Each message is one line that says what happened and what to do next. Messages, headers and bodies
are masked before they get here: no access token, client secret, signing secret or static header of
a subscription is kept.
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

# What pickle itself uses for objects that are made by `__new__` alone; typeshed does not have it.
_new_object: Callable[..., Any] = copyreg.__newobj__  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class WebhooksError(Exception):
    """Base of every error that the SDK raises."""


class ConfigurationError(WebhooksError, ValueError):
    """The client, or who receives, was given settings that are missing, contradictory or unsafe."""


class InvalidArgumentError(WebhooksError, ValueError):
    """An operation was given an argument that the API cannot take; nothing was sent."""


class ClientClosedError(WebhooksError, RuntimeError):
    """The client was used after it had been closed; nothing was sent."""


class DecodeError(WebhooksError, ValueError):
    """Data has not the shape of the model; the message names the path of each wrong field."""


class DeliveryError(WebhooksError, ValueError):
    """A request is no delivery to be taken. The message says why, with no part of the request.

    Attributes:
        status: The HTTP status to answer it with: 400, or that of the subclass.
    """

    status: ClassVar[int] = 400


class SignatureVerificationError(DeliveryError):
    """401: the signature of a delivery is missing or malformed, or no secret made it."""

    status = 401


class DeliveryTooLargeError(DeliveryError):
    """413: the body is larger than `max_body_bytes`."""

    status = 413


class ReplayError(WebhooksError):
    """A replay as a whole cannot begin or go on. What one event met with is in its outcome."""


class JournalError(ReplayError):
    """A journal cannot be used.

    It cannot be opened, read or written (a full disk, a missing directory), is no journal of this
    version, or belongs to another environment, subscription or window. What was written to it
    before is kept.
    """


class JournalLockedError(JournalError):
    """Another replay is writing the journal, in this process or another."""


class ReplayStoppedError(ReplayError):
    """A replay stopped by itself: nothing worked, or the credentials were refused.

    The message says how to resume it. `__cause__` is the error of the last request, if it had one.
    """


class APIError(WebhooksError):
    """A call failed after it was begun. What is known of it is in the attributes.

    Attributes:
        operation: The name of the operation, such as `"redeliver"`.
        hook_id: The subscription that the call named, if any.
        request_id: The event that the call named, if any: the argument of `redeliver`, not an
            identifier of the HTTP request (that is `correlation_id`).
        status: The HTTP status of the last answer, None if there was none.
        headers: The headers of the last answer, empty if there was none. Case-insensitive.
        body: The beginning of the last answer's body, None if there was none.
        attempts: How many times the request that failed was sent or tried.
        outcome_unknown: True if the operation may have taken effect although it failed. Look it up
            (for a redelivery: `client.hooks.list_events`) before doing it again.
        retry_after: Seconds that the service asked to wait before trying again, None if it did not.
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
        """What the service calls this HTTP request, for a support ticket; None if it did not say.

        Which header carries it is undocumented, so the usual ones are read.
        """
        return next((self.headers[name] for name in _CORRELATION if name in self.headers), None)

    def __str__(self) -> str:
        message = str(self.args[0])
        if not self.outcome_unknown:
            return message
        return f"{message} The outcome is unknown: look before resending."

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...], dict[str, Any]]:
        # Not through __init__, whose required keyword arguments BaseException does not pass on.
        return _new_object, (type(self), *self.args), dict(self.__dict__)


_CORRELATION = ("x-request-id", "request-id", "x-correlation-id", "x-amzn-requestid", "x-trace-id")


class APIConnectionError(APIError):
    """No whole answer came: the connection failed, or was lost."""


class APITimeoutError(APIConnectionError):
    """No answer came in time: one attempt's timeout, or the deadline of the call."""


class ResponseDecodeError(APIError):
    """A success whose answer cannot be read: broken off, too large, no JSON, or another shape."""


class APIStatusError(APIError):
    """The service answered with a status that is no success of this operation."""


class BadRequestError(APIStatusError):
    """400: the service did not understand the request."""


class AuthenticationError(APIStatusError):
    """401, or no access token could be had.

    Attributes:
        error: The `error` code of the token endpoint (RFC 6749, section 5.2), such as
            `"invalid_client"`; None if the failure was none of the token endpoint's.
        error_description: Its `error_description`, if it gave one.
    """

    error: str | None = None
    error_description: str | None = None


class PermissionDeniedError(APIStatusError):
    """403: the credentials are valid, and lack the permission."""


class NotFoundError(APIStatusError):
    """404: the subscription or the event is not known in this environment."""


class ConflictError(APIStatusError):
    """409: the request conflicts with the state of the subscription."""


class UnprocessableEntityError(APIStatusError):
    """422: the service understood the request and refuses what it says."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` has the wait that was asked for, if one was."""


class InternalServerError(APIStatusError):
    """5xx: the service failed."""
