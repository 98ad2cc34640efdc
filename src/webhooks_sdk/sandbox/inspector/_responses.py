"""Responses of the inspector, with the headers that keep its pages to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

# A referrer goes nowhere else, but with none at all browsers would send `Origin: null` with forms.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def respond(
    content: bytes | str,
    media_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response.

    Args:
        content: Its body.
        media_type: What that is; text is UTF-8.
        status: The HTTP status.
        headers: Headers beside those of every response.
    """
    return Response(content, status, {**HEADERS, **(headers or {})}, media_type)


def redirect(to: str) -> Response:
    """Return a response after which the browser gets another page, so that it can be reloaded.

    Args:
        to: The path and query of that page.
    """
    return Response(None, 303, {**HEADERS, "Location": to})
