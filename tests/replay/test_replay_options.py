"""Which options a replay takes."""

from __future__ import annotations

import re
from math import inf, nan
from typing import Any

import pytest

from webhooks_sdk import Client, InvalidArgumentError
from webhooks_sdk.replay import ReplayOptions

NO_COUNTS = [0, -1, 1.0, 1.5, True, "3", [3], nan]
NO_RATES = [0, -1, inf, nan, 1e-7, 1e7, 10**400, True, "5", [5]]
NO_BOOLEANS = ["yes", 1, None]


def refused(option: str, value: object, requirement: str) -> None:
    """Check that an option is refused, with a message that names it, the range and the value."""
    message = f"{option} must be {requirement}, not {value!r}."
    with pytest.raises(InvalidArgumentError, match=f"^{re.escape(message)}$"):
        ReplayOptions(**{option: value})  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("value", [*NO_COUNTS, None], ids=repr)
@pytest.mark.parametrize("option", ["concurrency", "max_attempts"])
def test_a_count_is_an_integer_of_at_least_1(option: str, value: Any) -> None:
    refused(option, value, "an integer of at least 1")


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_the_limit_of_the_breaker_can_be_none_too(value: Any) -> None:
    refused("max_consecutive_failures", value, "an integer of at least 1, or None for no limit")


@pytest.mark.parametrize("value", NO_RATES, ids=lambda value: f"{value!r:.20}")
def test_a_rate_is_a_number_in_its_range(value: Any) -> None:
    refused(
        "rate",
        value,
        "a number of requests a second from 0.000001 to 1000000, or None for no limit",
    )


@pytest.mark.parametrize("value", NO_BOOLEANS, ids=repr)
@pytest.mark.parametrize("option", ["resend_unknown", "durable"])
def test_a_switch_is_on_or_off(option: str, value: Any) -> None:
    refused(option, value, "True or False")


def test_a_callback_can_be_called() -> None:
    refused("on_progress", "print", "a function")


@pytest.mark.parametrize("rate", [1e-6, 0.5, 1, 50, 1_000_000, 1e6, None])
def test_a_rate_in_its_range_is_taken(rate: float | None) -> None:
    assert ReplayOptions(rate=rate).rate == rate


@pytest.mark.parametrize("limit", [1, 20, None])
def test_so_is_a_limit_of_the_breaker(limit: int | None) -> None:
    assert ReplayOptions(max_consecutive_failures=limit).max_consecutive_failures == limit


@pytest.mark.parametrize(("option", "value"), [("concurrency", 0), ("rate", 1e7)])
def test_a_client_refuses_them_at_once(option: str, value: Any) -> None:
    with (
        Client("token", base_url="http://localhost:9") as client,
        pytest.raises(InvalidArgumentError, match=f"^{option} must be"),
    ):
        client.hooks.redeliver_many((), **{option: value})
