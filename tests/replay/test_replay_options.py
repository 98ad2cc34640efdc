"""Validation of the replay options."""

from __future__ import annotations

import re
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from webhooks_sdk import Client, InvalidArgumentError
from webhooks_sdk.replay import ReplayOptions

INVALID_COUNTS = [0, -1, 1.0, 1.5, True, "3", [3], nan, inf, 1e10, 1_000_001, 10**30]
INVALID_RATES = [0, -1, inf, nan, 1e-7, 1e7, 10**30, True, "5", [5]]
INVALID_BOOLEANS = ["yes", 1, None]


def assert_invalid(option: str, value: object, requirement: str) -> None:
    """Check that an option is rejected with a message that names it, its range and the value."""
    message = f"{option} must be {requirement}, got {value!r}."
    with pytest.raises(InvalidArgumentError, match=f"^{re.escape(message)}$"):
        ReplayOptions(**{option: value})  # type: ignore[arg-type]  # invalid on purpose


@pytest.mark.parametrize("value", [*INVALID_COUNTS, None], ids=repr)
@pytest.mark.parametrize("option", ["concurrency", "max_attempts"])
def test_counts_must_be_positive_integers(option: str, value: Any) -> None:
    assert_invalid(option, value, "an integer from 1 to 1,000,000")


@pytest.mark.parametrize("value", INVALID_COUNTS, ids=repr)
def test_max_consecutive_failures_must_be_a_positive_integer_or_none(value: Any) -> None:
    assert_invalid("max_consecutive_failures", value, "an integer from 1 to 1,000,000, or None")


@pytest.mark.parametrize("value", INVALID_RATES, ids=lambda value: f"{value!r:.20}")
def test_rate_must_be_a_number_in_range_or_none(value: Any) -> None:
    assert_invalid(
        "rate",
        value,
        "a number of requests per second from 0.000001 to 1,000,000, or None",
    )


@pytest.mark.parametrize("value", INVALID_BOOLEANS, ids=repr)
@pytest.mark.parametrize("option", ["resend_unknown", "durable"])
def test_booleans_must_be_true_or_false(option: str, value: Any) -> None:
    assert_invalid(option, value, "True or False")


class AsyncCallback:
    async def __call__(self, progress: object) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    "callback",
    ["print", AsyncCallback().__call__, AsyncCallback(), partial(AsyncCallback().__call__)],
)
def test_on_progress_must_be_a_synchronous_function(callback: Any) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^on_progress must be a synchronous function or None, got "
    ):
        ReplayOptions(on_progress=callback)


@pytest.mark.parametrize("option", ["concurrency", "rate", "max_attempts"])
def test_an_integer_too_long_to_print_is_refused(option: str) -> None:
    arguments: dict[str, Any] = {option: 10**5_000}
    with pytest.raises(InvalidArgumentError, match=r"got a value of type int\.$"):
        ReplayOptions(**arguments)


@pytest.mark.parametrize("rate", [1e-6, 0.5, 1, 50, 1_000_000, 1e6, None])
def test_valid_rates(rate: float | None) -> None:
    assert ReplayOptions(rate=rate).rate == rate


@pytest.mark.parametrize("count", [1, 16, 1_000_000])
@pytest.mark.parametrize("option", ["concurrency", "max_attempts"])
def test_valid_counts(option: str, count: int) -> None:
    arguments: dict[str, Any] = {option: count}
    assert getattr(ReplayOptions(**arguments), option) == count


@pytest.mark.parametrize("limit", [1, 20, 1_000_000, None])
def test_valid_limits_of_consecutive_failures(limit: int | None) -> None:
    assert ReplayOptions(max_consecutive_failures=limit).max_consecutive_failures == limit


@pytest.mark.parametrize(("option", "value"), [("concurrency", 0), ("rate", 1e7)])
def test_the_client_validates_options_on_the_call(option: str, value: Any) -> None:
    with (
        Client("token", base_url="http://localhost:9") as client,
        pytest.raises(InvalidArgumentError, match=f"^{option} must be"),
    ):
        client.hooks.redeliver_many((), **{option: value})
