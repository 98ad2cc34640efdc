"""Reading requests: their headers, and their bodies within a limit."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from webhooks_sdk.sandbox._service.errors import RequestRefusedError, error_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

MAX_BODY = 1024 * 1024
"""Bytes that the body of a request can have; payloads have up to a few hundred kilobytes."""


def read_headers(scope: Scope) -> dict[str, str]:
    """Return the headers of a request, with names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, headers: Mapping[str, str], most: int = MAX_BODY) -> bytes:
    """Return the body of a request.

    Args:
        receive: The request's.
        headers: Its headers, with names in lower case.
        most: How many bytes it can have.

    Raises:
        RequestRefusedError: 413, it is too long.
        ClientDisconnect: The client left before it had sent all of it.
    """
    # Without a length, or with one that is none, h11 has seen to it that it ends as it should.
    _check(int(headers.get("content-length", "0")), most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        _check(size, most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _check(size: int, most: int) -> None:
    if size > most:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        message = f"The body must not be longer than {most} bytes."
        raise RequestRefusedError(status, error_body(status, message))
