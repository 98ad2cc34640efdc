"""Reading an answer's body within a limit, whatever the service sends."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What is offered in Accept-Encoding is what can be undone here, step by step and within the limit.
ACCEPT_ENCODING = "gzip, deflate"


class BodyError(Exception):
    """The body cannot be read; the text says why, without a part of it."""


class BodyReader:
    """Collects the chunks of one body, undoes its coding, and stops at a limit.

    Args:
        coding: The value of Content-Encoding, "identity" if there is none.
        limit: How many bytes the body may have, decoded and as sent.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._inflater = _inflater(coding)

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk, as it came over the wire.

        Raises:
            BodyError: The body is larger than the limit, or its coding is broken.
        """
        self._received += len(chunk)
        if self._received > self._limit:
            raise self._too_large()
        if self._inflater is None:
            self._parts.append(chunk)
        else:
            self._inflate(chunk)

    def finish(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyError: Its coding ends too early.
        """
        if self._inflater is not None and self._received and not self._inflater.ended:
            raise BodyError("its compressed body is broken off")
        return b"".join(self._parts)

    def beginning(self) -> bytes:
        """Return what could be read so far, for an error message."""
        return b"".join(self._parts)

    def _inflate(self, chunk: bytes) -> None:
        assert self._inflater is not None
        # One byte more than is allowed, so that a bomb is noticed and not unpacked.
        part = self._inflater.inflate(chunk, self._limit - self._size + 1)
        self._size += len(part)
        if self._size > self._limit:
            raise self._too_large()
        self._parts.append(part)

    def _too_large(self) -> BodyError:
        return BodyError(f"its body is larger than max_response_bytes ({self._limit:,} bytes)")


def content_coding(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return how a body with these headers is encoded, several codings joined with commas."""
    codings = [value for name, value in headers if name.lower() == b"content-encoding"]
    return b", ".join(codings).decode("latin-1") or "identity"


def _inflater(coding: str) -> _Inflater | None:
    match coding.strip().lower():
        case "identity":
            return None
        case "gzip" | "x-gzip":
            return _Inflater(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Inflater(zlib.MAX_WBITS)
        case _:
            # Not quoted: it is the server's own text. Stacked codings multiply what a bomb can do.
            raise BodyError("its Content-Encoding is none of gzip, deflate and identity")


class _Inflater:
    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        # Some servers send "deflate" without the zlib wrapper of RFC 9110, section 8.4.1.2. That is
        # seen at the first two bytes, so nothing is unpacked before they are here.
        self._undecided = window_bits == zlib.MAX_WBITS
        self._held = b""

    @property
    def ended(self) -> bool:
        return self._stream.eof

    def inflate(self, chunk: bytes, at_most: int) -> bytes:
        if self._undecided:
            chunk = self._held + chunk
            if len(chunk) < _WRAPPER_SIZE:
                self._held = chunk
                return b""
            self._decide(chunk)
        parts: list[bytes] = []
        while chunk and at_most > 0:
            if self._stream.eof:
                # A gzip body may have several members (RFC 1952, section 2.2).
                self._stream = zlib.decompressobj(self._window_bits)
            part = self._decompress(chunk, at_most)
            parts.append(part)
            at_most -= len(part)
            chunk = self._stream.unused_data if self._stream.eof else b""
        return b"".join(parts)

    def _decide(self, beginning: bytes) -> None:
        self._undecided, self._held = False, b""
        try:
            zlib.decompressobj(self._window_bits).decompress(beginning[:_WRAPPER_SIZE])
        except zlib.error:
            self._window_bits = -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(self._window_bits)

    def _decompress(self, chunk: bytes, at_most: int) -> bytes:
        try:
            return self._stream.decompress(chunk, at_most)
        except zlib.error:
            raise BodyError("its compressed body is broken") from None


_WRAPPER_SIZE = 2
