"""Serve the OpenAPI 3.1 document of the API."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from webhooks_sdk.sandbox._service.errors import method_not_allowed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

DOCUMENT_PATH = "/openapi.json"


@cache
def read_document() -> bytes:
    """Return the document as JSON, encoded in UTF-8."""
    return files("webhooks_sdk.sandbox").joinpath("openapi.json").read_bytes()


class OpenAPIMiddleware:
    """An ASGI middleware that serves the document.

    Requests for the document need no access token and are not recorded.

    Args:
        app: Handles all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the document, or pass the request on."""
        if scope["path"] == DOCUMENT_PATH:
            await _respond(scope["method"])(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _respond(method: str) -> Response:
    if method in {"GET", "HEAD"}:
        return Response(read_document(), media_type="application/json")
    error = method_not_allowed(("GET", "HEAD"))
    return JSONResponse(error.body, error.status, error.headers)
