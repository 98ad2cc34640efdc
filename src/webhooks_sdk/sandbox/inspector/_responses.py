"""HTTP responses of the inspector, with its security headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

# Referrer-Policy is not `no-referrer`: with that, browsers send `Origin: null` with forms.
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
        content: The body.
        media_type: The media type of the body; text is encoded as UTF-8.
        status: The HTTP status.
        headers: Headers in addition to `HEADERS`.
    """
    return Response(content, status, {**HEADERS, **(headers or {})}, media_type)


def redirect(location: str) -> Response:
    """Return a 303 response, so that reloading the new page does not submit a form again.

    Args:
        location: The path and query of the new page.
    """
    return Response(None, 303, {**HEADERS, "Location": location})
