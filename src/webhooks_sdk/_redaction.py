"""Masking of credentials in whatever may be shown: messages, headers and bodies of errors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_SHOWN_BODY = 8_192
_READ_BODY = 65_536

# The service's own answers hold secrets that nobody here has seen before, such as those of `list`.
_SECRET_FIELD = re.compile(
    r"""("(?:access_token|refresh_token|client_secret|secret|header)"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)"""
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret in a text, also where it stands JSON-escaped or URL-encoded."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    # The longest first: a secret may be a part of another.
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return _SECRET_FIELD.sub(rf'\1"{MASK}"', text)


def redact_body(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of a body as text (at most 8,192 characters), masked."""
    known = tuple(secrets)
    text = body[:_READ_BODY].decode("utf-8", "replace")
    if len(body) > _READ_BODY:
        # A secret that was cut in two would not be recognised.
        text = text[: -max((len(form) for secret in known for form in _forms(secret)), default=1)]
    return redact(text, known)[:_SHOWN_BODY]


def _forms(secret: str) -> set[str]:
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    }
