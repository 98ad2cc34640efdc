"""Bodies as text that is safe to look at, and JSON laid out for reading."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["key", "string", "number", "word", "mark"]

SHOWN_BYTES = 65_536
_SHOWN_CHARACTERS = 262_144
_FOUR_DIGITS = 0xFFFF
_INDENT = "  "
# A body can be nested deeper than any page is wide.
_DEEPEST_INDENT = 24

_tokens = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*+")(?=\s*+:)|(?P<string>"(?:[^"\\]|\\.)*+")"""
    r"""|(?P<number>-?\d[\d.eE+-]*+)|(?P<word>true|false|null)|(?P<mark>[][{},:])"""
).finditer


@frozen
class Piece:
    """A piece of text, and what it is in JSON."""

    kind: Kind
    text: str


@frozen(kw_only=True)
class Shown:
    """A body, to be shown.

    Attributes:
        pieces: Its text, in pieces that follow each other.
        is_json: Whether it is JSON, laid out for reading; it is as it came otherwise.
        is_cut: Whether this is its beginning alone.
        size: How many bytes it has in all.
    """

    pieces: tuple[Piece, ...]
    is_json: bool
    is_cut: bool
    size: int


def show(body: bytes) -> Shown:
    """Return a body as it is to be shown.

    JSON gets line breaks and nothing else: numbers, repeated keys and escapes stay as they came.
    What could deceive the eye (control characters, changes of direction, bytes that are no text)
    is written as an escape.
    """
    text = body[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    is_cut = len(body) > SHOWN_BYTES
    if is_cut or not _is_json(text):
        pieces: tuple[Piece, ...] = (Piece("mark", visible(text)),) if text else ()
        return Shown(pieces=pieces, is_json=False, is_cut=is_cut, size=len(body))
    laid_out, fits = _bounded(_merged(_lay_out(text)))
    return Shown(pieces=laid_out, is_json=True, is_cut=not fits, size=len(body))


def visible(text: str) -> str:
    """Return a text in which every character can be seen, line breaks and tabs aside."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in "\n\t" or one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _FOUR_DIGITS else f"\\U{number:08x}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _lay_out(text: str) -> Iterator[Piece]:
    depth = 0
    before = ""
    for match in _tokens(text):
        kind, part = match.lastgroup, match[0]
        if part in "]}":
            depth -= 1
            # Nothing stands between the brackets of what is empty.
            yield Piece("mark", part if before in {"[", "{"} else _line(depth) + part)
        else:
            if before in {"[", "{"}:
                yield Piece("mark", _line(depth))
            if part in "[{":
                depth += 1
            yield _piece(kind, part, depth)
        before = part


def _piece(kind: str | None, part: str, depth: int) -> Piece:
    match kind:
        case "key" | "string" | "number" | "word":
            return Piece(kind, visible(part))
        case _ if part == ":":
            return Piece("mark", ": ")
        case _:
            return Piece("mark", part + _line(depth) if part == "," else part)


def _line(depth: int) -> str:
    return "\n" + _INDENT * min(depth, _DEEPEST_INDENT)


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Put marks that follow each other into one piece: a page has an element for each."""
    marks = ""
    for piece in pieces:
        if piece.kind == "mark":
            marks += piece.text
            continue
        if marks:
            yield Piece("mark", marks)
            marks = ""
        yield piece
    if marks:
        yield Piece("mark", marks)


def _bounded(pieces: Iterator[Piece]) -> tuple[tuple[Piece, ...], bool]:
    kept: list[Piece] = []
    left = _SHOWN_CHARACTERS
    for piece in pieces:
        if len(piece.text) > left:
            kept.append(Piece(piece.kind, piece.text[:left]))
            return tuple(kept), False
        left -= len(piece.text)
        kept.append(piece)
    return tuple(kept), True
