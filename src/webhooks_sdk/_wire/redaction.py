"""Mask credentials in the messages, headers and bodies of errors, and keep messages short."""

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

_MAX_BODY_CHARS = 8_192
_MAX_BODY_BYTES = 65_536
_MAX_LINE_CHARS = 200
_MAX_REPR_CHARS = 60
# Shorter secrets protect nothing, and masking them would make any text unreadable.
_MIN_SECRET_LENGTH = 4

# Responses can contain secrets that the client does not know, such as those returned by `list`.
# The quantifiers are possessive, so no response can cause catastrophic backtracking.
_JSON_STRING_FIELDS = (
    re.compile(r"""("([^"\\]{1,64}+)"\s{0,9}+:\s{0,9}+)"(?:[^"\\]|\\.)*+(?:"|\\?$)?"""),
    # The same inside a JSON document that is itself a JSON string.
    re.compile(
        r"""(\\"([^"\\]{1,64}+)\\"\s{0,9}+:\s{0,9}+)\\"(?:[^"\\]|\\\\(?:\\.|.))*+(?:\\"|\\*+$)?"""
    ),
)
_is_secret_name = re.compile(
    r"(?:secret|token|password|header|authorization)(?:s|key)?(?:[_-]|$)", re.IGNORECASE
).search


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret of 4 or more characters, including its JSON, URL and HTML escaped forms."""
    for form in _all_forms(secrets):
        text = text.replace(form, MASK)
    for pattern in _JSON_STRING_FIELDS:
        text = pattern.sub(_mask_field, text)
    return text


def _mask_field(field: re.Match[str]) -> str:
    return f'{field[1]}"{MASK}"' if _is_secret_name(field[2]) else field[0]


def redact_body(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of a body as masked text of at most 8,192 characters.

    A prefix of a secret at the end of the body, as in a truncated one, is masked as well.
    """
    known = tuple(secrets)
    text = body[:_MAX_BODY_BYTES].decode("utf-8", "replace")
    if len(body) > _MAX_BODY_BYTES:
        # Drop as much as the longest secret: one cut in two is not recognised in every form.
        text = text[: -max(map(len, _all_forms(known)), default=1)]
    text = redact(text, known)
    for secret in known:
        for size in range(len(secret) - 1, _MIN_SECRET_LENGTH - 1, -1):
            if text.endswith(secret[:size]):
                text = text[:-size] + MASK
                break
    return text[:_MAX_BODY_CHARS]


def one_line(text: str) -> str:
    """Return untrusted text as one printable line, truncated to 200 characters."""
    start = text[: 2 * _MAX_LINE_CHARS]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]}…"


def short_repr(value: object) -> str:
    """Return the repr of an invalid value as one line, truncated to 60 characters.

    Returns the name of its type if it has no repr, such as an integer of more than 4,300 digits.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - `__repr__` can raise any exception
        return f"a value of type {type(value).__name__}"
    line = " ".join(text[: _MAX_REPR_CHARS + 1].split())
    return line if len(text) <= _MAX_REPR_CHARS else f"{line[:_MAX_REPR_CHARS]}…"


def _all_forms(secrets: Iterable[str]) -> list[str]:
    """Return all plain and escaped forms of the secrets, longest first."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _MIN_SECRET_LENGTH
        for form in _forms_of(secret)
    }
    # Longest first, since one secret may contain another.
    return sorted(forms, key=len, reverse=True)


def _forms_of(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    json_forms = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # PHP escapes the solidus; Rails, Go, .NET and Gson escape characters special in HTML.
    json_forms |= {form.replace("/", "\\/") for form in json_forms}
    json_forms |= {form.translate(table) for form in json_forms for table in _HTML_SAFE}
    json_forms |= {
        _UNICODE_ESCAPE.sub(lambda match: "\\u" + match[0][2:].upper(), form) for form in json_forms
    }
    url_forms = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    url_forms |= {_PERCENT.sub(lambda match: match[0].lower(), form) for form in url_forms}
    others = {html.escape(secret), raw.decode("latin-1"), b64encode(raw).decode()}
    return {secret} | json_forms | url_forms | others


_HTML_SAFE = tuple(
    {ord(character): f"\\u{ord(character):04x}" for character in characters}
    # Some encoders leave the line separators, which matter only to JavaScript, unescaped.
    for characters in ("<>&", "<>&\u2028\u2029", "<>&'+\u2028\u2029", "<>&'=\u2028\u2029")
)
_UNICODE_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
