"""Header lists as a mapping: its laws, whatever the names and values are."""

from __future__ import annotations

import pickle
import string
from collections.abc import Mapping
from copy import copy, deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import Headers

NAMES = st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
VALUES = st.text(alphabet=st.characters(max_codepoint=255), max_size=20)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(PAIRS)
@settings(deadline=None)
def test_a_header_is_found_in_any_case_with_all_its_values_in_order(
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
def test_iteration_length_and_lookup_agree(pairs: list[tuple[str, str]]) -> None:
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
def test_copies_and_pickles_are_equal(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    for twin in (pickle.loads(pickle.dumps(headers)), copy(headers), deepcopy(headers)):  # noqa: S301
        assert isinstance(twin, Headers)
        assert twin == headers
        assert hash(twin) == hash(headers)


@given(PAIRS, NAMES, VALUES)
@settings(deadline=None)
def test_headers_that_differ_in_one_are_not_equal(
    pairs: list[tuple[str, str]], name: str, value: str
) -> None:
    headers = Headers(pairs)
    assert headers != Headers([*pairs, (name, value + "x")])


@given(PAIRS)
@settings(deadline=None)
def test_bytes_of_the_wire_are_read_as_latin_1(pairs: list[tuple[str, str]]) -> None:
    wire = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    assert Headers(wire) == Headers(pairs)
    assert pickle.loads(pickle.dumps(Headers(wire))) == Headers(pairs)  # noqa: S301


def test_an_unknown_name_is_missing() -> None:
    headers = Headers([("A", "1")])
    assert "b" not in headers
    assert headers.get("b") is None
    with pytest.raises(KeyError):
        headers["b"]


@pytest.mark.parametrize("other", [None, 1, b"a", ("a",)])
def test_what_is_no_name_is_not_among_them(other: object) -> None:
    assert other not in Headers([("a", "1")])


def test_headers_cannot_be_changed() -> None:
    headers = Headers([("a", "1")])
    assert isinstance(headers, Mapping)
    with pytest.raises(TypeError):
        headers["a"] = "2"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError):
        del headers["a"]  # type: ignore[attr-defined]  # pyright: ignore[reportIndexIssue]
    assert headers["a"] == "1"


def test_the_representation_shows_names_and_values() -> None:
    assert repr(Headers([("A", "1"), ("a", "2")])) == "Headers({'a': '1, 2'})"
