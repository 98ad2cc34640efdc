"""The API as an OpenAPI 3.1 document, which ships with the package and is served to anybody."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

DOCUMENT_PATH = "/openapi.json"


@cache
def read_document() -> bytes:
    """Return the document: JSON in UTF-8."""
    return files("webhooks_sdk.sandbox").joinpath("openapi.json").read_bytes()


async def answer_document(_: Request) -> Response:
    """Answer a request for the document, which needs no access token."""
    return Response(read_document(), media_type="application/json")
