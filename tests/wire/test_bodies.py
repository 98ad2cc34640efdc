"""Bodies are read up to a limit, for every coding and chunking, and if corrupt or truncated."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk._wire.bodies import ACCEPT_ENCODING, BodyError, BodyReader, content_coding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MIB = 1 << 20


def identity(body: bytes) -> bytes:
    return body


def zlib_deflate(body: bytes) -> bytes:
    return zlib.compress(body)


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("identity", identity),
    ("gzip", gzip.compress),
    ("GZip", gzip.compress),
    (" x-gzip ", gzip.compress),
    ("deflate", zlib_deflate),
    ("deflate", raw_deflate),
]
COMPRESSED = [(coding, encode) for coding, encode in CODINGS if encode is not identity]


def chunks(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    offsets = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[start:end] for start, end in pairwise(offsets)]


def read(coding: str, parts: Iterable[bytes], limit: int = MIB) -> bytes:
    reader = BodyReader(coding, limit)
    for part in parts:
        reader.feed(part)
    return reader.finish()


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
@given(body=st.binary(max_size=2_000), cuts=st.lists(st.integers(0, 10_000), max_size=10))
@settings(deadline=None, max_examples=60)
def test_body_does_not_depend_on_chunking(
    coding: str, encode: Callable[[bytes], bytes], body: bytes, cuts: list[int]
) -> None:
    assert read(coding, chunks(encode(body), cuts)) == body


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_body_fed_byte_by_byte(coding: str, encode: Callable[[bytes], bytes]) -> None:
    body = b'{"id": "29dd8606-4e01-46cb-aca2-dd6022e74865"}' * 20
    coded = encode(body)
    assert read(coding, (coded[at : at + 1] for at in range(len(coded)))) == body


@given(
    members=st.lists(st.binary(max_size=50), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 999)),
)
@settings(deadline=None, max_examples=60)
def test_multi_member_gzip(members: list[bytes], cuts: list[int]) -> None:
    coded = b"".join(map(gzip.compress, members))
    assert read("gzip", chunks(coded, cuts)) == b"".join(members)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_no_bytes_give_an_empty_body(coding: str) -> None:
    assert read(coding, []) == b""
    assert read(coding, [b"", b""]) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
@given(parts=st.lists(st.binary(max_size=300), max_size=5))
@settings(deadline=None, max_examples=60)
def test_garbage_raises_only_body_error(coding: str, parts: list[bytes]) -> None:
    try:
        body = read(coding, parts, limit=500)
    except BodyError:
        return
    assert len(body) <= 500


@pytest.mark.parametrize(("coding", "encode"), COMPRESSED)
@given(
    body=st.binary(min_size=20, max_size=300), at=st.integers(0, 10_000), flip=st.integers(1, 255)
)
@settings(deadline=None, max_examples=60)
def test_corrupt_body_raises_only_body_error(
    coding: str, encode: Callable[[bytes], bytes], body: bytes, at: int, flip: int
) -> None:
    coded = bytearray(encode(body))
    coded[at % len(coded)] ^= flip
    try:
        result = read(coding, [bytes(coded)])
    except BodyError:
        return
    assert len(result) <= MIB


@pytest.mark.parametrize(("coding", "encode"), COMPRESSED)
@given(body=st.binary(max_size=300), lost=st.integers(1, 10_000))
@settings(deadline=None, max_examples=60)
def test_truncated_body_raises(
    coding: str, encode: Callable[[bytes], bytes], body: bytes, lost: int
) -> None:
    coded = encode(body)
    kept = coded[: max(1, len(coded) - lost)]
    if kept == coded:
        return
    with pytest.raises(BodyError, match="truncated"):
        read(coding, [kept])


def test_truncated_second_gzip_member_raises() -> None:
    member = gzip.compress(b"abc")
    with pytest.raises(BodyError, match="truncated"):
        read("gzip", [member, member[:-1]])


@pytest.mark.parametrize("encode", [gzip.compress, zlib_deflate])
def test_trailing_garbage_raises(encode: Callable[[bytes], bytes]) -> None:
    coding = "gzip" if encode is gzip.compress else "deflate"
    with pytest.raises(BodyError, match="corrupt"):
        read(coding, [encode(b"abc") + b"\xff\xff\xff\xff"])


@pytest.mark.parametrize(
    "coding",
    [
        "br",
        "zstd",
        "compress",
        "gzip, gzip",
        "gzip,deflate",
        "identity, gzip",
        "gzip;q=1",
        "hidden\r\ntext",
        ",",
        "",
    ],
)
def test_unsupported_codings_are_rejected_and_not_quoted(coding: str) -> None:
    with pytest.raises(BodyError, match="not gzip, deflate or identity") as caught:
        BodyReader(coding, MIB)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "coding"),
    [
        ([], "identity"),
        ([(b"Content-Type", b"gzip")], "identity"),
        ([(b"Content-Encoding", b"")], "identity"),
        ([(b"CONTENT-encoding", b"gzip")], "gzip"),
        ([(b"content-encoding", b"gzip"), (b"Content-Encoding", b"br")], "gzip, br"),
        ([(b"content-encoding", b"\xff")], "\xff"),
    ],
)
def test_content_coding_joins_repeated_headers(
    headers: list[tuple[bytes, bytes]], coding: str
) -> None:
    assert content_coding(headers) == coding


def test_accepted_encodings_are_supported() -> None:
    for coding in ACCEPT_ENCODING.split(","):
        assert BodyReader(coding, MIB).finish() == b""


@given(limit=st.integers(1, 200), size=st.integers(0, 400), cut=st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_uncompressed_body_size_limit(limit: int, size: int, cut: int) -> None:
    reader = BodyReader("identity", limit)
    parts = [b"x" * min(cut, size - start) for start in range(0, size, cut)]
    if size <= limit:
        assert read("identity", parts, limit) == b"x" * size
        return
    with pytest.raises(BodyError, match=f"max_response_bytes \\({limit:,} bytes\\)"):
        deque(map(reader.feed, parts))
    assert len(reader.partial()) <= limit


@pytest.mark.parametrize(("coding", "encode"), COMPRESSED)
@pytest.mark.parametrize("excess", [0, 1])
def test_decompressed_body_size_limit_is_exact(
    coding: str, encode: Callable[[bytes], bytes], excess: int
) -> None:
    limit = 5_000
    body = b"x" * (limit + excess)
    if not excess:
        assert read(coding, [encode(body)], limit) == body
        return
    with pytest.raises(BodyError, match="larger than max_response_bytes"):
        read(coding, [encode(body)], limit)


@pytest.mark.parametrize(("coding", "encode"), COMPRESSED)
def test_decompression_bomb_memory_is_limited(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    bomb, limit = encode(bytes(32 * MIB)), 256 * 1024
    assert len(bomb) < limit
    reader = BodyReader(coding, limit)
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="larger than max_response_bytes"):
            reader.feed(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(reader.partial()) <= limit
    assert peak < 4 * limit


def test_multi_member_decompression_bomb_is_rejected() -> None:
    limit = 100_000
    reader = BodyReader("gzip", limit)
    with pytest.raises(BodyError, match="larger than max_response_bytes"):
        reader.feed(gzip.compress(bytes(90_000)) * 5)
    assert len(reader.partial()) <= limit


def test_partial_returns_the_beginning_of_a_truncated_body() -> None:
    coded = gzip.compress(b"the beginning", mtime=0)
    reader = BodyReader("gzip", MIB)
    reader.feed(coded[:-8])
    with pytest.raises(BodyError, match="truncated"):
        reader.finish()
    assert reader.partial() == b"the beginning"
