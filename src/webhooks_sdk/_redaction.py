"""Masking of credentials in whatever may be shown: messages, headers and bodies of errors."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

_SHOWN_BODY = 8_192
_READ_BODY = 65_536
# A character outside the basic plane is 12 in the longest form, two escapes of JSON.
_LONGEST_FORM = 12
_LEAST_TAIL = 4

# The service's own answers hold secrets that nobody here has seen before, such as those of `list`.
_SECRET_FIELD = re.compile(
    r"""("(?:access_token|refresh_token|client_secret|secret|header)"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)"""
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret in a text, also where JSON, a URL or HTML has escaped it."""
    # The longest first: a secret may be a part of another.
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = re.sub("".join(map(_any_form, secret)), MASK, text)
    return _SECRET_FIELD.sub(rf'\1"{MASK}"', text)


def redact_body(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of a body as text (at most 8,192 characters), masked.

    Where the body ends in the beginning of a secret, as one that is broken off may, that is masked
    too.
    """
    known = tuple(secrets)
    text = body[:_READ_BODY].decode("utf-8", "replace")
    if len(body) > _READ_BODY:
        # A secret that was cut in two would not be recognised in every form.
        text = text[: -_LONGEST_FORM * max(map(len, known), default=1)]
    text = redact(text, known)
    for secret in known:
        for size in range(len(secret) - 1, _LEAST_TAIL - 1, -1):
            if text.endswith(secret[:size]):
                text = text[:-size] + MASK
                break
    return text[:_SHOWN_BODY]


def _any_form(character: str) -> str:
    """Return a pattern for a character as it is and as it may have been escaped."""
    encoded = character.encode("utf-8", "surrogatepass")
    units = character.encode("utf-16-be", "surrogatepass").hex()
    json_escape = "".join(rf"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    forms = [
        re.escape(character),
        re.escape("\\" + character),
        re.escape(json.dumps(character)[1:-1]),
        re.escape(html.escape(character)),
        re.escape(encoded.decode("latin-1")),
        f"(?i:{json_escape})",
        "(?i:" + "".join(f"%{byte:02x}" for byte in encoded) + ")",
    ]
    if character == " ":
        forms.append(re.escape("+"))
    return f"(?:{'|'.join(dict.fromkeys(forms))})"
