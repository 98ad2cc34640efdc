"""The shared checks of numbers: ranges, types, and errors that name the argument."""

from __future__ import annotations

import socket
import threading
import zlib
from decimal import Decimal
from functools import partial
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import ConfigurationError, InvalidArgumentError, RetryPolicy
from webhooks_sdk._core.validation import (
    MAX_BYTES,
    MAX_COUNT,
    MAX_SECONDS,
    check_bool,
    check_count,
    check_number,
    check_seconds,
)
from webhooks_sdk._wire.redaction import short_repr

HUGE = 10**5_000  # more digits than `repr` converts
NOT_NUMBERS: list[Any] = [None, True, False, "1", b"1", Decimal(1), 1j, [], nan, inf, -inf]

check_rate = partial(check_number, minimum=1e-6, maximum=1e6, unit="requests per second")


@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, 0, 0.0, -1, MAX_SECONDS + 0.1, 1e10, HUGE, -HUGE], ids=short_repr
)
def test_invalid_seconds(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_seconds("deadline", value)
    expected = "deadline must be a number of seconds greater than 0 and at most 1,000,000, got "
    assert str(caught.value).startswith(expected)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("value", [1e-9, 1, 0.5, MAX_SECONDS], ids=short_repr)
def test_valid_seconds(value: float) -> None:
    check_seconds("deadline", value)


def test_zero_and_none_are_valid_where_allowed() -> None:
    check_seconds("wait", 0, allow_zero=True)
    check_seconds("wait", None, allow_none=True)
    with pytest.raises(
        ConfigurationError, match=r"seconds from 0 to 1,000,000, or None, got -1\.$"
    ):
        check_seconds("wait", -1, allow_zero=True, allow_none=True)
    with pytest.raises(ConfigurationError, match=r"^wait must be .*, got 0\.$"):
        check_seconds("wait", 0, allow_none=True)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 0, -1, 1.0, MAX_COUNT + 1, HUGE], ids=short_repr)
def test_invalid_counts(value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_count("concurrency", value, error_class=InvalidArgumentError)
    assert str(caught.value).startswith("concurrency must be an integer from 1 to 1,000,000, got ")
    assert len(str(caught.value)) < 160


def test_valid_counts() -> None:
    for value in (1, MAX_COUNT):
        check_count("concurrency", value)
    check_count("size", MAX_BYTES, maximum=MAX_BYTES)
    check_count("size", 0, minimum=0)
    check_count("limit", None, allow_none=True)
    with pytest.raises(ConfigurationError, match="integer from 1 to 2,147,483,647, got 0"):
        check_count("size", 0, maximum=MAX_BYTES)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 0, 1e-7, 1_000_001, HUGE], ids=short_repr)
def test_invalid_numbers(value: Any) -> None:
    with pytest.raises(
        ValueError,
        match=r"^rate must be a number of requests per second from 0\.000001 to 1,000,000, got ",
    ):
        check_rate("rate", value, error_class=ValueError)


def test_valid_numbers() -> None:
    for value in (1e-6, 1, 1e6):
        check_rate("rate", value)
    check_rate("rate", None, allow_none=True)


@pytest.mark.parametrize("value", [None, 0, 1, "yes"], ids=short_repr)
def test_invalid_booleans(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^durable must be True or False, got "):
        check_bool("durable", value)
    check_bool("durable", value=True)


@given(st.floats() | st.integers())
@settings(deadline=None)
def test_what_is_valid_is_in_the_documented_range(value: float) -> None:
    try:
        check_seconds("deadline", value)
    except ConfigurationError:
        assert not 0 < value <= 1_000_000
    else:
        assert 0 < value <= 1_000_000


def test_largest_values_are_within_the_limits_of_what_uses_them() -> None:
    lock = threading.Lock()
    assert lock.acquire(timeout=MAX_SECONDS)
    with socket.socket() as connection:
        connection.settimeout(MAX_SECONDS)
    # On some platforms, poll takes milliseconds as a 32-bit integer.
    assert MAX_SECONDS * 1000 < 2**31
    assert zlib.decompressobj().decompress(zlib.compress(b"x"), MAX_BYTES) == b"x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("deadline", "initial_backoff") for value in (1e10, HUGE)),
        ("max_backoff", 1_000_001),
        ("max_retry_after", 1e7),
        ("max_attempts", 1_000_001),
        ("max_attempts", HUGE),
    ],
    ids=short_repr,
)
def test_policy_settings_over_the_maximum_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} must be .*1,000,000"):
        RetryPolicy(**{name: value})
