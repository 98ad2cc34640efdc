"""Read the headers and the bodies of requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from webhooks_sdk.sandbox._service.errors import RequestRefusedError, error_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

MAX_BODY_BYTES = 1024 * 1024
"""Maximum size of a request body in bytes. Payloads have at most a few hundred kilobytes."""


def read_headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a request, with lower-case names."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(
    receive: Receive, headers: Mapping[str, str], max_bytes: int = MAX_BODY_BYTES
) -> bytes:
    """Return the body of a request.

    Args:
        receive: The ASGI `receive` callable.
        headers: The request headers, with lower-case names.
        max_bytes: Maximum size of the body.

    Raises:
        RequestRefusedError: 413, the body is too large.
        ClientDisconnect: The client disconnected before it sent the whole body.
    """
    # h11 has validated the header. A body without one is checked as it arrives.
    _check_size(int(headers.get("content-length", "0")), max_bytes)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        _check_size(size, max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        message = f"The body must not be larger than {max_bytes} bytes."
        raise RequestRefusedError(status, error_body(status, message))
