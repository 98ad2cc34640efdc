"""Masking of credentials in whatever may be shown: messages, headers and bodies of errors."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_SHOWN_BODY = 8_192
_READ_BODY = 65_536
_SHOWN_LINE = 200
# Shorter ones are in every text, keep nothing safe, and would make it unreadable.
_SHORTEST = 4

# The service's own answers hold secrets that nobody here has seen before, such as those of `list`.
# Nothing in these patterns backtracks, so that no answer can make them slow.
_FIELDS = (
    re.compile(r"""("([^"\\]{1,64}+)"\s{0,9}+:\s{0,9}+)"(?:[^"\\]|\\.)*+(?:"|\\?$)?"""),
    # The same in JSON that stands in a string of JSON.
    re.compile(
        r"""(\\"([^"\\]{1,64}+)\\"\s{0,9}+:\s{0,9}+)\\"(?:[^"\\]|\\\\(?:\\.|.))*+(?:\\"|\\*+$)?"""
    ),
)
_names_a_secret = re.compile(
    r"(?:secret|token|password|header|authorization)(?:s|key)?(?:[_-]|$)", re.IGNORECASE
).search


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret of 4 characters or more, also where JSON, a URL or HTML has escaped it."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    for pattern in _FIELDS:
        text = pattern.sub(_mask_field, text)
    return text


def _mask_field(field: re.Match[str]) -> str:
    return f'{field[1]}"{MASK}"' if _names_a_secret(field[2]) else field[0]


def redact_body(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of a body as text (at most 8,192 characters), masked.

    Where the body ends in the beginning of a secret, as one that is broken off may, that is masked
    too.
    """
    known = tuple(secrets)
    text = body[:_READ_BODY].decode("utf-8", "replace")
    if len(body) > _READ_BODY:
        # A secret that was cut in two would not be recognised in every form.
        text = text[: -max(map(len, _forms(known)), default=1)]
    text = redact(text, known)
    for secret in known:
        for size in range(len(secret) - 1, _SHORTEST - 1, -1):
            if text.endswith(secret[:size]):
                text = text[:-size] + MASK
                break
    return text[:_SHOWN_BODY]


def one_line(text: str) -> str:
    """Return the beginning of somebody else's text (at most 200 characters) as one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _SHOWN_LINE]).split())
    return line if len(line) <= _SHOWN_LINE else f"{line[:_SHOWN_LINE]}…"


def _forms(secrets: Iterable[str]) -> list[str]:
    """Return the secrets as they are and as they may have been written, the longest first."""
    forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _written(secret)}
    # A secret may be a part of another.
    return sorted(forms, key=len, reverse=True)


def _written(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # PHP escapes the solidus; Rails and Go, .NET, and Gson what HTML has a meaning for.
    in_json |= {form.replace("/", "\\/") for form in in_json}
    in_json |= {form.translate(table) for form in in_json for table in _HTML_SAFE}
    in_json |= {
        _UNICODE_ESCAPE.sub(lambda match: "\\u" + match[0][2:].upper(), form) for form in in_json
    }
    in_url = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    in_url |= {_PERCENT.sub(lambda match: match[0].lower(), form) for form in in_url}
    others = {html.escape(secret), raw.decode("latin-1"), b64encode(raw).decode()}
    return {secret} | in_json | in_url | others


_HTML_SAFE = tuple(
    {ord(character): f"\\u{ord(character):04x}" for character in characters}
    # Not every encoder thinks of the line separators, which only JavaScript minds.
    for characters in ("<>&", "<>&\u2028\u2029", "<>&'+\u2028\u2029", "<>&'=\u2028\u2029")
)
_UNICODE_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
