"""Bodies are read within a limit, however they are coded, cut up, or broken."""

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
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


def read(coding: str, parts: Iterable[bytes], limit: int = MIB) -> bytes:
    reader = BodyReader(coding, limit)
    for part in parts:
        reader.feed(part)
    return reader.finish()


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
@given(body=st.binary(max_size=2_000), cuts=st.lists(st.integers(0, 10_000), max_size=10))
@settings(deadline=None, max_examples=60)
def test_any_chunking_gives_the_same_body(
    coding: str, encode: Callable[[bytes], bytes], body: bytes, cuts: list[int]
) -> None:
    assert read(coding, chunks(encode(body), cuts)) == body


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_a_body_can_come_byte_by_byte(coding: str, encode: Callable[[bytes], bytes]) -> None:
    body = b'{"id": "29dd8606-4e01-46cb-aca2-dd6022e74865"}' * 20
    coded = encode(body)
    assert read(coding, (coded[at : at + 1] for at in range(len(coded)))) == body


@given(
    members=st.lists(st.binary(max_size=50), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 999)),
)
@settings(deadline=None, max_examples=60)
def test_gzip_with_several_members_is_one_body(members: list[bytes], cuts: list[int]) -> None:
    coded = b"".join(map(gzip.compress, members))
    assert read("gzip", chunks(coded, cuts)) == b"".join(members)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
def test_no_bytes_are_an_empty_body(coding: str) -> None:
    assert read(coding, []) == b""
    assert read(coding, [b"", b""]) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
@given(parts=st.lists(st.binary(max_size=300), max_size=5))
@settings(deadline=None, max_examples=60)
def test_any_garbage_is_a_body_or_a_body_error(coding: str, parts: list[bytes]) -> None:
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
def test_a_damaged_body_is_a_body_or_a_body_error(
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
def test_a_truncated_body_is_a_body_error(
    coding: str, encode: Callable[[bytes], bytes], body: bytes, lost: int
) -> None:
    coded = encode(body)
    kept = coded[: max(1, len(coded) - lost)]
    if kept == coded:
        return
    with pytest.raises(BodyError, match="broken"):
        read(coding, [kept])


def test_a_truncated_second_member_is_a_body_error() -> None:
    member = gzip.compress(b"abc")
    with pytest.raises(BodyError, match="broken off"):
        read("gzip", [member, member[:-1]])


@pytest.mark.parametrize("encode", [gzip.compress, zlib_deflate])
def test_what_follows_the_body_is_a_body_error(encode: Callable[[bytes], bytes]) -> None:
    coding = "gzip" if encode is gzip.compress else "deflate"
    with pytest.raises(BodyError, match="broken"):
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
def test_unknown_and_stacked_codings_are_refused_and_not_quoted(coding: str) -> None:
    with pytest.raises(BodyError, match="none of gzip, deflate and identity") as caught:
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
def test_the_coding_is_read_from_all_its_headers(
    headers: list[tuple[bytes, bytes]], coding: str
) -> None:
    assert content_coding(headers) == coding


def test_what_is_offered_can_be_read() -> None:
    for coding in ACCEPT_ENCODING.split(","):
        assert BodyReader(coding, MIB).finish() == b""


@given(limit=st.integers(1, 200), size=st.integers(0, 400), cut=st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_a_body_up_to_the_limit_is_read_and_no_larger_one(limit: int, size: int, cut: int) -> None:
    reader = BodyReader("identity", limit)
    parts = [b"x" * min(cut, size - start) for start in range(0, size, cut)]
    if size <= limit:
        assert read("identity", parts, limit) == b"x" * size
        return
    with pytest.raises(BodyError, match=f"max_response_bytes \\({limit:,} bytes\\)"):
        deque(map(reader.feed, parts))
    assert len(reader.beginning()) <= limit


@pytest.mark.parametrize(("coding", "encode"), COMPRESSED)
@pytest.mark.parametrize("excess", [0, 1])
def test_the_limit_holds_for_what_is_unpacked_to_the_byte(
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
def test_a_bomb_costs_no_more_than_the_limit(coding: str, encode: Callable[[bytes], bytes]) -> None:
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
    assert len(reader.beginning()) <= limit
    assert peak < 4 * limit


def test_a_bomb_of_many_members_is_stopped() -> None:
    limit = 100_000
    reader = BodyReader("gzip", limit)
    with pytest.raises(BodyError, match="larger than max_response_bytes"):
        reader.feed(gzip.compress(bytes(90_000)) * 5)
    assert len(reader.beginning()) <= limit


def test_the_beginning_of_a_broken_body_is_kept() -> None:
    coded = gzip.compress(b"the beginning", mtime=0)
    reader = BodyReader("gzip", MIB)
    reader.feed(coded[:-8])
    with pytest.raises(BodyError, match="broken off"):
        reader.finish()
    assert reader.beginning() == b"the beginning"
