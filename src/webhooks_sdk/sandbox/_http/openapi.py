"""The API as an OpenAPI 3.1 document, which ships with the package and is served to anybody."""

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
    """Return the document: JSON in UTF-8."""
    return files("webhooks_sdk.sandbox").joinpath("openapi.json").read_bytes()


class DocumentServer:
    """An ASGI application that serves the document, and leaves all else to another application.

    The document needs no access token, and who asks for it is not recorded.

    Args:
        app: The other application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the document, or pass the request on."""
        if scope["path"] == DOCUMENT_PATH:
            await _answer(scope["method"])(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _answer(method: str) -> Response:
    if method in {"GET", "HEAD"}:
        return Response(read_document(), media_type="application/json")
    refusal = method_not_allowed(("GET", "HEAD"))
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
