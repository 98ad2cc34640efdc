"""What an answer of the service means: which error a status is, and what to tell the caller."""

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
    """What came back: a status, headers, and as much of the body as could be read.

    Attributes:
        status: The HTTP status.
        headers: The headers as they came.
        body: The decoded body; its beginning where `broken` is set.
        broken: Why there is no more of the body, None if it is whole.
        timed_out: Whether that was because time ran out.
    """

    status: int
    headers: Headers
    body: bytes
    broken: Exception | None = None
    timed_out: bool = False


@frozen(eq=False)
class APIResponse(Generic[T]):
    """The value of a call and what else is known of it: what `client.send` returns.

    Attributes:
        value: The decoded answer.
        status: The HTTP status.
        headers: The headers of the answer. Case-insensitive.
        attempts: How many times the request was sent or tried.
        elapsed: Seconds from the beginning of the call to its value, waits and tokens included.
    """

    value: T
    status: int
    headers: Headers = field(repr=False)
    attempts: int
    elapsed: float


def masked_headers(answer: RawResponse, secrets: Sequence[str]) -> Headers:
    """Return the headers of an answer without any credential."""
    return Headers(
        (name, MASK if name in _SECRET_HEADERS else redact(value, secrets))
        for name, value in answer.headers.items()
    )


_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


@frozen
class ErrorDescription:
    """What to say of an answer that is no success.

    Attributes:
        kind: The error that it is.
        reason: What the service said, in a few words.
        advice: What to do next.
        code: The `error` of a token endpoint, None if there is none.
        description: Its `error_description`, None if there is none.
    """

    kind: type[errors.APIStatusError]
    reason: str
    advice: str
    code: str | None = None
    description: str | None = None


def describe_error(
    operation: Operation[Any], answer: RawResponse, secrets: Sequence[str]
) -> ErrorDescription:
    """Say what a status that is no success of the operation means."""
    status = answer.status
    kind = _ERROR_OF_STATUS.get(status, errors.APIStatusError)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = errors.InternalServerError
    if operation.endpoint == "token" and status in _CLIENT_ERRORS and status not in _PASSING:
        return _describe_token_error(answer, secrets)
    return ErrorDescription(kind, f"{status}{_phrase(status)}", _advice(operation, status, kind))


_CLIENT_ERRORS = range(400, 500)
_PASSING = frozenset({408, 429})

_ERROR_OF_STATUS: Mapping[int, type[errors.APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}


def _describe_token_error(answer: RawResponse, secrets: Sequence[str]) -> ErrorDescription:
    """Read the error answer of a token endpoint (RFC 6749, section 5.2), as far as it is one."""
    fields: dict[str, object] = {}
    try:
        parsed = parse_json(answer.body)
    except errors.DecodeError:
        parsed = None
    if isinstance(parsed, dict):
        fields = cast("dict[str, object]", parsed)
    said = {
        name: one_line(redact(value, secrets))
        for name in ("error", "error_description")
        if isinstance(value := fields.get(name), str)
    }
    detail = f" ({': '.join(said.values())})" if said else ""
    return ErrorDescription(
        errors.AuthenticationError,
        f"{answer.status}{_phrase(answer.status)}{detail}",
        "Check client_id, client_secret and style, and that they are of this environment.",
        said.get("error"),
        said.get("error_description"),
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _advice(operation: Operation[Any], status: int, kind: type[errors.APIStatusError]) -> str:
    if kind is errors.NotFoundError:
        named = (("hook", operation.hook_id), ("request", operation.request_id))
        ids = [f"{noun} {value}" for noun, value in named if value is not None]
        what = " and ".join(ids)
        verb = "exist" if len(ids) > 1 else "exists"
        return f"Check that {what} {verb} in this environment." if ids else "Check base_url."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "Redirects are not followed: check base_url."
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return "This operation has no such success: check base_url."
    return _ADVICE.get(kind, "See the error's body for what the service says.")


_ADVICE: Mapping[type[errors.APIStatusError], str] = {
    errors.AuthenticationError: "Check the access token, and that it is of this environment.",
    errors.PermissionDeniedError: "Ask for the permission that this operation needs.",
    errors.RateLimitError: "Send more slowly, and wait for retry_after seconds if it is set.",
    errors.InternalServerError: "The service failed; see the error's body.",
}
