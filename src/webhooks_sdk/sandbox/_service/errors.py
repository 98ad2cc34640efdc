"""Error responses of the service."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Spelled out: some names in HTTPStatus differ between Python versions.
_CODES: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.MISDIRECTED_REQUEST: "misdirected_request",
    HTTPStatus.UNPROCESSABLE_ENTITY: "unprocessable_entity",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_server_error",
    HTTPStatus.BAD_GATEWAY: "bad_gateway",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "gateway_timeout",
}


def error_body(status: int, message: str) -> dict[str, str]:
    """Return the JSON body of an error response."""
    return {"error": _CODES.get(status, "server_error"), "message": message}


class RequestRefusedError(Exception):
    """The service responds to a request with an error.

    Attributes:
        status: The HTTP status of the response.
        body: Its JSON body.
        headers: Additional headers of the response, or None.
    """

    def __init__(
        self, status: HTTPStatus, body: dict[str, str], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, body, headers)
        self.status = status
        self.body = body
        self.headers = headers


def _error(status: HTTPStatus, message: str) -> RequestRefusedError:
    return RequestRefusedError(status, error_body(status, message))


def bad_request(message: str) -> RequestRefusedError:
    """Build a 400 error: the request is malformed."""
    return _error(HTTPStatus.BAD_REQUEST, message)


def unauthorized(message: str) -> RequestRefusedError:
    """Build a 401 error: the request has no valid access token."""
    status = HTTPStatus.UNAUTHORIZED
    return RequestRefusedError(status, error_body(status, message), {"WWW-Authenticate": "Bearer"})


def not_found(message: str) -> RequestRefusedError:
    """Build a 404 error: the requested resource does not exist."""
    return _error(HTTPStatus.NOT_FOUND, message)


def method_not_allowed(allowed: Iterable[str]) -> RequestRefusedError:
    """Build a 405 error: the path exists, but not with this method."""
    status = HTTPStatus.METHOD_NOT_ALLOWED
    body = error_body(status, "Method not allowed.")
    return RequestRefusedError(status, body, {"Allow": ", ".join(allowed)})


def unprocessable(message: str) -> RequestRefusedError:
    """Build a 422 error: the request is well-formed but invalid."""
    return _error(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def oauth_error(
    status: HTTPStatus, error: str, description: str, headers: dict[str, str] | None = None
) -> RequestRefusedError:
    """Build an error of the token endpoint (RFC 6749, section 5.2)."""
    return RequestRefusedError(status, {"error": error, "error_description": description}, headers)
