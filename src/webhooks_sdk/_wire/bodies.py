"""Read and decompress response bodies up to a size limit."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Only codings that can be decompressed incrementally, within the limit.
ACCEPT_ENCODING = "gzip, deflate"


class BodyError(Exception):
    """A body cannot be read. The message says why and quotes none of the body."""


class BodyTooLargeError(BodyError):
    """A body is larger than the limit of its reader."""


class BodyReader:
    """Collects the chunks of one body, decompresses them and enforces a size limit.

    Args:
        coding: The value of Content-Encoding, "identity" if the header is missing.
        limit: The maximum size in bytes, both as received and decompressed.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._inflater = _create_inflater(coding)

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk, still compressed.

        Raises:
            BodyTooLargeError: The body is larger than the limit.
            BodyError: Its compressed data is corrupt.
        """
        self._received += len(chunk)
        if self._received > self._limit:
            raise self._too_large()
        if self._inflater is None:
            self._parts.append(chunk)
        else:
            self._inflate(chunk)

    def finish(self) -> bytes:
        """Return the complete body.

        Raises:
            BodyError: The compressed body is truncated.
        """
        if self._inflater is not None and self._received and not self._inflater.ended:
            raise BodyError("its compressed body is truncated")
        return b"".join(self._parts)

    def partial(self) -> bytes:
        """Return the part of the body read so far, for error messages."""
        return b"".join(self._parts)

    def _inflate(self, chunk: bytes) -> None:
        assert self._inflater is not None
        # One byte over the limit detects a decompression bomb without unpacking it.
        part = self._inflater.inflate(chunk, self._limit - self._size + 1)
        self._size += len(part)
        if self._size > self._limit:
            raise self._too_large()
        self._parts.append(part)

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"its body is larger than max_response_bytes ({self._limit:,} bytes)"
        )


def content_coding(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the content coding of a body; several codings are joined with commas."""
    codings = [value for name, value in headers if name.lower() == b"content-encoding"]
    return b", ".join(codings).decode("latin-1") or "identity"


def _create_inflater(coding: str) -> _Inflater | None:
    match coding.strip().lower():
        case "identity":
            return None
        case "gzip" | "x-gzip":
            return _Inflater(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Inflater(zlib.MAX_WBITS)
        case _:
            # The header is not quoted: it is untrusted text. Stacked codings are not supported,
            # because each one multiplies what a decompression bomb can do.
            raise BodyError("its Content-Encoding is not gzip, deflate or identity")


class _Inflater:
    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._stream = zlib.decompressobj(window_bits)
        # Some servers send "deflate" without the zlib wrapper of RFC 9110, section 8.4.1.2. The
        # first two bytes show which, so nothing is decompressed before they are received.
        self._wrapper_unknown = window_bits == zlib.MAX_WBITS
        self._buffer = b""

    @property
    def ended(self) -> bool:
        return self._stream.eof

    def inflate(self, chunk: bytes, max_length: int) -> bytes:
        if self._wrapper_unknown:
            chunk = self._buffer + chunk
            if len(chunk) < _WRAPPER_SIZE:
                self._buffer = chunk
                return b""
            self._detect_wrapper(chunk)
        parts: list[bytes] = []
        while chunk and max_length > 0:
            if self._stream.eof:
                # A gzip body may have several members (RFC 1952, section 2.2).
                self._stream = zlib.decompressobj(self._window_bits)
            part = self._decompress(chunk, max_length)
            parts.append(part)
            max_length -= len(part)
            chunk = self._stream.unused_data if self._stream.eof else b""
        return b"".join(parts)

    def _detect_wrapper(self, data: bytes) -> None:
        self._wrapper_unknown, self._buffer = False, b""
        try:
            zlib.decompressobj(self._window_bits).decompress(data[:_WRAPPER_SIZE])
        except zlib.error:
            self._window_bits = -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(self._window_bits)

    def _decompress(self, chunk: bytes, max_length: int) -> bytes:
        try:
            return self._stream.decompress(chunk, max_length)
        except zlib.error:
            raise BodyError("its compressed body is corrupt") from None


_WRAPPER_SIZE = 2
