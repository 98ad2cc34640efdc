"""JSON responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._service.errors import error_body

if TYPE_CHECKING:
    from starlette.types import Send

_NO_HEADERS: Mapping[str, str] = {}


@frozen
class Response:
    """A JSON response.

    Attributes:
        status: The HTTP status.
        content: The content of the body, encoded as JSON; None for no body.
        headers: Headers in addition to `Content-Type` and `Content-Length`.
    """

    status: int
    content: object = None
    headers: Mapping[str, str] = _NO_HEADERS

    @property
    def body(self) -> bytes:
        """The encoded body, empty if there is no content."""
        if self.content is None:
            return b""
        return json.dumps(
            self.content, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()

    async def send(self, send: Send) -> None:
        """Send the response through an ASGI `send` callable."""
        body = self.body
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self.headers.items()
        ]
        if self.content is not None:
            headers.append((b"content-type", b"application/json"))
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def error_response(status: int, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """Return an error response."""
    return Response(status, error_body(status, message), headers)
