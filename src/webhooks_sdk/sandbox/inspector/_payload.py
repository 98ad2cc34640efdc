"""Bodies as text that is safe to display, with JSON pretty-printed and highlighted."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

FragmentKind: TypeAlias = Literal["key", "string", "number", "literal", "plain"]

MAX_SHOWN_BYTES = 65_536
_MAX_SHOWN_CHARACTERS = 262_144
_MAX_FOUR_DIGIT_ESCAPE = 0xFFFF
_INDENT = "  "
# Keeps deeply nested bodies from making very long lines.
_MAX_INDENT_DEPTH = 24

_json_tokens = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*+")(?=\s*+:)|(?P<string>"(?:[^"\\]|\\.)*+")"""
    r"""|(?P<number>-?\d[\d.eE+-]*+)|(?P<literal>true|false|null)|(?P<plain>[][{},:])"""
).finditer


@frozen
class Fragment:
    """A piece of text, with its kind for highlighting."""

    kind: FragmentKind
    text: str


@frozen(kw_only=True)
class BodyView:
    """A request body, ready to display.

    Attributes:
        fragments: The text, in consecutive fragments.
        is_json: Whether the body is JSON, which is pretty-printed; other bodies are not.
        is_truncated: Whether only the beginning of the body is included.
        size: The size of the whole body, in bytes.
    """

    fragments: tuple[Fragment, ...]
    is_json: bool
    is_truncated: bool
    size: int


def build_body_view(body: bytes) -> BodyView:
    """Return a request body, ready to display.

    JSON changes only in whitespace: numbers, repeated keys and escapes are kept as sent.
    Characters that are invisible or misleading (control characters, changes of text direction,
    bytes that are not UTF-8) are escaped.
    """
    text = body[:MAX_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    is_truncated = len(body) > MAX_SHOWN_BYTES
    if is_truncated or not _is_json(text):
        plain: tuple[Fragment, ...] = (Fragment("plain", printable(text)),) if text else ()
        return BodyView(fragments=plain, is_json=False, is_truncated=is_truncated, size=len(body))
    fragments, fits = _truncate(_merge_plain(_format_json(text)))
    return BodyView(fragments=fragments, is_json=True, is_truncated=not fits, size=len(body))


def printable(text: str) -> str:
    """Return text with non-printable characters escaped, except line breaks and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in "\n\t" or character.isprintable() else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _MAX_FOUR_DIGIT_ESCAPE else f"\\U{number:08x}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _format_json(text: str) -> Iterator[Fragment]:
    depth = 0
    previous = ""
    for match in _json_tokens(text):
        kind, part = match.lastgroup, match[0]
        if part in "]}":
            depth -= 1
            # Empty arrays and objects stay on one line.
            yield Fragment("plain", part if previous in {"[", "{"} else _newline(depth) + part)
        else:
            if previous in {"[", "{"}:
                yield Fragment("plain", _newline(depth))
            if part in "[{":
                depth += 1
            yield _fragment(kind, part, depth)
        previous = part


def _fragment(kind: str | None, part: str, depth: int) -> Fragment:
    match kind:
        case "key" | "string" | "number" | "literal":
            return Fragment(kind, printable(part))
        case _ if part == ":":
            return Fragment("plain", ": ")
        case _:
            return Fragment("plain", part + _newline(depth) if part == "," else part)


def _newline(depth: int) -> str:
    return "\n" + _INDENT * min(depth, _MAX_INDENT_DEPTH)


def _merge_plain(fragments: Iterator[Fragment]) -> Iterator[Fragment]:
    """Merge consecutive plain fragments, so that the page has fewer nodes."""
    plain = ""
    for fragment in fragments:
        if fragment.kind == "plain":
            plain += fragment.text
            continue
        if plain:
            yield Fragment("plain", plain)
            plain = ""
        yield fragment
    if plain:
        yield Fragment("plain", plain)


def _truncate(fragments: Iterator[Fragment]) -> tuple[tuple[Fragment, ...], bool]:
    """Return the fragments up to the size limit, and whether all of them fit."""
    kept: list[Fragment] = []
    left = _MAX_SHOWN_CHARACTERS
    for fragment in fragments:
        if len(fragment.text) > left:
            kept.append(Fragment(fragment.kind, fragment.text[:left]))
            return tuple(kept), False
        left -= len(fragment.text)
        kept.append(fragment)
    return tuple(kept), True
