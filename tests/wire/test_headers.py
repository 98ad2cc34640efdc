"""Properties of the headers mapping, for any names and values."""

from __future__ import annotations

import pickle
import string
from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import Headers
from webhooks_sdk._wire.headers import headers_from_raw

NAMES = st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
VALUES = st.text(alphabet=st.characters(max_codepoint=255), max_size=20)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(PAIRS)
@settings(deadline=None)
def test_lookup_ignores_case_and_joins_values_in_order(
    pairs: list[tuple[str, str]],
) -> None:
    headers = Headers(pairs)
    for name, _ in pairs:
        expected = ", ".join(value for other, value in pairs if other.lower() == name.lower())
        for spelling in (name, name.lower(), name.upper(), name.swapcase()):
            assert spelling in headers
            assert headers[spelling] == expected
            assert headers.get(spelling) == expected


@given(PAIRS)
@settings(deadline=None)
def test_iteration_length_and_lookup_are_consistent(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    names = list(headers)
    assert names == list(dict.fromkeys(name.lower() for name, _ in pairs))
    assert len(headers) == len(names)
    assert dict(headers) == {name: headers[name] for name in names}


@given(PAIRS)
@settings(deadline=None)
def test_equal_headers_have_equal_hashes(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    same = Headers((name.swapcase(), value) for name, value in pairs)
    reordered = Headers(reversed(list(headers.items())))
    assert headers == same
    assert headers == reordered
    assert hash(headers) == hash(same) == hash(reordered)


@given(PAIRS)
@settings(deadline=None)
def test_copies_and_unpickled_headers_are_equal(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    for twin in (pickle.loads(pickle.dumps(headers)), copy(headers), deepcopy(headers)):  # noqa: S301
        assert isinstance(twin, Headers)
        assert twin == headers
        assert hash(twin) == hash(headers)


@given(PAIRS, NAMES, VALUES)
@settings(deadline=None)
def test_headers_with_different_values_are_not_equal(
    pairs: list[tuple[str, str]], name: str, value: str
) -> None:
    headers = Headers(pairs)
    assert headers != Headers([*pairs, (name, value + "x")])


@given(PAIRS)
@settings(deadline=None)
def test_bytes_are_decoded_as_latin_1(pairs: list[tuple[str, str]]) -> None:
    wire = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    assert Headers(wire) == Headers(pairs)
    assert pickle.loads(pickle.dumps(Headers(wire))) == Headers(pairs)  # noqa: S301


def test_missing_header() -> None:
    headers = Headers([("A", "1")])
    assert "b" not in headers
    assert headers.get("b") is None
    with pytest.raises(KeyError):
        headers["b"]


@pytest.mark.parametrize("other", [None, 1, b"a", ("a",)])
def test_contains_returns_false_for_other_types(other: object) -> None:
    assert other not in Headers([("a", "1")])


def test_headers_are_immutable() -> None:
    headers = Headers([("a", "1")])
    assert isinstance(headers, Mapping)
    with pytest.raises(TypeError):
        headers["a"] = "2"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError):
        del headers["a"]  # type: ignore[attr-defined]  # pyright: ignore[reportIndexIssue]
    assert headers["a"] == "1"


def test_repr() -> None:
    assert repr(Headers([("A", "1"), ("a", "2")])) == "Headers({'a': '1, 2'})"


@given(st.dictionaries(NAMES, VALUES))
@settings(deadline=None)
def test_mapping_equals_its_items(values: dict[str, str]) -> None:
    headers = Headers(values)
    assert headers == Headers(values.items())
    assert Headers(headers) == headers
    for name in values:
        assert name in headers


def test_mappings() -> None:
    assert dict(Headers({"te": "trailers"})) == {"te": "trailers"}
    assert Headers({"Retry-After": "3"})["retry-after"] == "3"
    assert Headers(httpx.Headers([("Via", "a"), ("via", "b")]))["via"] == "a, b"
    assert dict(Headers({})) == dict(Headers([])) == dict(Headers()) == {}


def test_pairs_may_be_lists() -> None:
    asgi: Any = [[b"te", b"trailers"]]
    assert dict(Headers(asgi)) == {"te": "trailers"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("te", "str"),
        (b"te", "bytes"),
        (None, "NoneType"),
        (5, "int"),
        (["te"], "str"),
        (["te: trailers"], "str"),
        ([b"te"], "bytes"),
        ([("a",)], "tuple of str"),
        ([("a", "s3cret", "c")], "tuple of str, str, str"),
        ([()], "tuple of nothing"),
        ([("a", 1)], "tuple of str, int"),
        ([(None, "s3cret")], "tuple of NoneType, str"),
        ({"a": 1}, "tuple of str, int"),
        ({"a": ["s3cret"]}, "tuple of str, list"),
        ({1: "s3cret"}, "tuple of int, str"),
        ([{"a", "b"}], "set"),
    ],
)
def test_other_types_are_refused_when_constructed(value: Any, found: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^Headers must be a mapping .*, got {found}\.$"
    ) as caught:
        Headers(value)
    assert "s3cret" not in str(caught.value)


@given(PAIRS)
@settings(deadline=None)
def test_headers_of_a_response_equal_those_made_from_pairs(pairs: list[tuple[str, str]]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    headers, expected = headers_from_raw(raw), Headers(pairs)
    assert headers == expected
    assert hash(headers) == hash(expected)
    assert list(headers.items()) == list(expected.items())
    assert pickle.loads(pickle.dumps(headers)) == expected  # noqa: S301 - our own data
    raw.append((b"added", b"later"))
    assert headers == expected
