"""Responses of the service, and the errors that unexpected statuses map to."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast

from attrs import field, frozen

from webhooks_sdk import errors
from webhooks_sdk._codec import parse_json
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk._wire.redaction import MASK, one_line, redact
from webhooks_sdk.operations import Operation

T = TypeVar("T")


@frozen(eq=False)
class RawResponse:
    """A response as received: its status, headers and body, which may be incomplete.

    Attributes:
        status: The HTTP status.
        headers: The headers, unmasked.
        body: The decompressed body, or its beginning if `body_error` is set.
        body_error: The exception that interrupted the body, None if the body is complete.
        timed_out: Whether `body_error` is a timeout.
    """

    status: int
    headers: Headers
    body: bytes
    body_error: Exception | None = None
    timed_out: bool = False


@frozen(eq=False)
class APIResponse(Generic[T]):
    """The value and response metadata of a successful call, as returned by `client.send`.

    Attributes:
        value: The decoded response.
        status: The HTTP status.
        headers: The headers of the response. Case-insensitive.
        attempts: The number of attempts made to send the request.
        elapsed: The duration of the call in seconds, including waits and token requests.
    """

    value: T
    status: int
    headers: Headers = field(repr=False)
    attempts: int
    elapsed: float


def masked_headers(response: RawResponse, secrets: Sequence[str]) -> Headers:
    """Return the headers of a response with credentials masked."""
    return Headers(
        (name, MASK if name in _SECRET_HEADERS else redact(value, secrets))
        for name, value in response.headers.items()
    )


_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


@frozen
class ErrorDetails:
    """The error class and message parts for an unexpected status.

    Attributes:
        error_class: The class of the error to raise.
        reason: The status and, from a token endpoint, its error code.
        advice: What to do next.
        oauth_error: The `error` of a token endpoint, if any.
        oauth_error_description: The `error_description` of a token endpoint, if any.
    """

    error_class: type[errors.APIStatusError]
    reason: str
    advice: str
    oauth_error: str | None = None
    oauth_error_description: str | None = None


def error_details(
    operation: Operation[Any], response: RawResponse, secrets: Sequence[str]
) -> ErrorDetails:
    """Return the error class and message parts for a response with an unexpected status."""
    status = response.status
    error_class = _ERROR_CLASSES.get(status, errors.APIStatusError)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error_class = errors.InternalServerError
    if operation.endpoint == "token" and status in _CLIENT_ERRORS and status not in _TRANSIENT:
        return _token_error_details(response, secrets)
    advice = _advice(operation, status, error_class)
    return ErrorDetails(error_class, f"{status}{_phrase(status)}", advice)


_CLIENT_ERRORS = range(400, 500)
_TRANSIENT = frozenset({408, 429})

_ERROR_CLASSES: Mapping[int, type[errors.APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}


def _token_error_details(response: RawResponse, secrets: Sequence[str]) -> ErrorDetails:
    """Parse the error response of a token endpoint (RFC 6749, section 5.2) leniently."""
    fields: dict[str, object] = {}
    try:
        parsed = parse_json(response.body)
    except errors.DecodeError:
        parsed = None
    if isinstance(parsed, dict):
        fields = cast("dict[str, object]", parsed)
    reported = {
        name: one_line(redact(value, secrets))
        for name in ("error", "error_description")
        if isinstance(value := fields.get(name), str)
    }
    detail = f" ({': '.join(reported.values())})" if reported else ""
    return ErrorDetails(
        errors.AuthenticationError,
        f"{response.status}{_phrase(response.status)}{detail}",
        "Check client_id, client_secret and style, and that they belong to this environment.",
        reported.get("error"),
        reported.get("error_description"),
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _advice(
    operation: Operation[Any], status: int, error_class: type[errors.APIStatusError]
) -> str:
    if error_class is errors.NotFoundError:
        named = (("subscription", operation.hook_id), ("event", operation.request_id))
        ids = [f"{noun} {value}" for noun, value in named if value is not None]
        if not ids:
            return "Check base_url."
        verb = "exist" if len(ids) > 1 else "exists"
        return f"Check that {' and '.join(ids)} {verb} in this environment."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "Redirects are not followed: check base_url."
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return "The status is unexpected for this operation: check base_url."
    return _ADVICE.get(error_class, "See the error's body for details.")


_ADVICE: Mapping[type[errors.APIStatusError], str] = {
    errors.AuthenticationError: "Check the access token, and that it belongs to this environment.",
    errors.PermissionDeniedError: "Request the permission that this operation requires.",
    errors.RateLimitError: "Reduce the request rate, and wait retry_after seconds if it is set.",
    errors.InternalServerError: "The service failed; see the error's body.",
}
