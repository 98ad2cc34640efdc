"""The error class and the advice for each unexpected status."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, cast

from attrs import frozen

from webhooks_sdk import errors
from webhooks_sdk._codec import parse_json
from webhooks_sdk._core.responses import RawResponse
from webhooks_sdk._wire.headers import Headers
from webhooks_sdk._wire.redaction import MASK, one_line, redact, redact_body
from webhooks_sdk.operations import Operation


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
        reason: The status, and the problem that the body reports, if any.
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
    reason = _reason(status, _reported_problem(response, secrets))
    return ErrorDetails(error_class, reason, _advice(operation, response, error_class))


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
    fields = _json_object(response.body)
    reported = {
        name: one_line(redact(value, secrets))
        for name in ("error", "error_description")
        if isinstance(value := fields.get(name), str)
    }
    problem = ": ".join(reported.values()) or _reported_problem(response, secrets)
    missing = response.status == HTTPStatus.NOT_FOUND and not reported
    return ErrorDetails(
        errors.AuthenticationError,
        _reason(response.status, problem),
        "Check token_url."
        if missing
        else "Check client_id, client_secret and style, and that they belong to this environment.",
        reported.get("error"),
        reported.get("error_description"),
    )


def _reason(status: int, problem: str | None) -> str:
    return f"{status}{_phrase(status)}{f' ({problem})' if problem else ''}"


def _json_object(body: bytes) -> dict[str, object]:
    """Return the fields of a body that is a JSON object; none for any other body."""
    try:
        parsed = parse_json(body)
    except errors.DecodeError:
        return {}
    return cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}


def _reported_problem(response: RawResponse, secrets: Sequence[str]) -> str | None:
    """Return what a body says about the error, as one masked line, or None."""
    if response.status < HTTPStatus.BAD_REQUEST:
        return None
    text = _problem_in(_json_object(response.body))
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if text is None and media_type == "text/plain":
        text = response.body.decode("utf-8", "replace")
    if text is None:
        return None
    masked = redact_body(text.encode("utf-8", "surrogatepass"), secrets)
    return one_line(masked).removesuffix(".") or None


def _problem_in(fields: dict[str, object]) -> str | None:
    """Return how a JSON object describes an error: the format of the service is undocumented."""
    summary = _summary_in(fields)
    listed = "; ".join(islice(_texts_in(fields.get("errors")), _MAX_LISTED_PROBLEMS))
    if summary and listed:
        return f"{summary.strip().removesuffix('.')}: {listed}"
    title = fields.get("title")  # RFC 9457: more general than `detail`
    return summary or listed or (title if isinstance(title, str) and title.strip() else None)


def _summary_in(fields: dict[str, object]) -> str | None:
    for name in ("message", "error_description", "detail", "error"):
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, dict):
            nested = cast("dict[str, object]", value).get("message")
            if isinstance(nested, str) and nested.strip():
                return nested
    return None


_MAX_LISTED_PROBLEMS = 5
_MAX_NESTING = 3


def _texts_in(value: object, nesting: int = 0) -> Iterator[str]:
    """Yield the descriptions in an `errors` field, such as a list, or lists by field name."""
    if isinstance(value, str) and value.strip():
        yield value.strip()
    if nesting == _MAX_NESTING:
        return
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts_in(item, nesting + 1)
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        summary = _summary_in(fields)
        if summary is not None:
            yield summary
            return
        for name, item in fields.items():
            if isinstance(item, str | list):
                for text in _texts_in(cast("object", item), nesting + 1):
                    yield f"{name}: {text}"


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _advice(
    operation: Operation[Any], response: RawResponse, error_class: type[errors.APIStatusError]
) -> str:
    setting = "token_url" if operation.endpoint == "token" else "base_url"
    if error_class is errors.NotFoundError:
        return _not_found_advice(operation)
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        return f"Redirects are not followed: check {setting}."
    if response.status < HTTPStatus.MULTIPLE_CHOICES:
        return f"The status is unexpected for this operation: check {setting}."
    if response.status == HTTPStatus.BAD_REQUEST and _expects_https(response.body):
        return f"The server expects TLS: check {setting}, which must begin with https."
    return _ADVICE.get(error_class, "See the error's body for details.")


def _not_found_advice(operation: Operation[Any]) -> str:
    named = (("subscription", operation.hook_id), ("event", operation.request_id))
    ids = [f"{noun} {value}" for noun, value in named if value is not None]
    if not ids:
        return "Check base_url."
    verb = "exist" if len(ids) > 1 else "exists"
    advice = f"Check that {' and '.join(ids)} {verb} in this environment."
    if operation.request_id is None:
        return advice
    return (
        f"{advice} The delivery ID in a receiver's logs is not a request_id: find the"
        " attempt with `client.hooks.find_attempt(hook_id, delivery_id)`, and pass its `id`."
    )


# How nginx, Apache and Go respond to plain HTTP on a port that expects TLS.
_TLS_PORT_RESPONSES = (
    b"plain http request was sent to https port",
    b"speaking plain http to an ssl-enabled server port",
    b"sent an http request to an https server",
)


def _expects_https(body: bytes) -> bool:
    beginning = body[:4096].lower()
    return any(phrase in beginning for phrase in _TLS_PORT_RESPONSES)


_ADVICE: Mapping[type[errors.APIStatusError], str] = {
    errors.AuthenticationError: "Check the access token, and that it belongs to this environment.",
    errors.PermissionDeniedError: "Request the permission that this operation requires.",
    errors.RateLimitError: "Reduce the request rate, and wait retry_after seconds if it is set.",
    errors.InternalServerError: "The service failed. Retry later; the error's body may say more.",
}
