"""Every number that the sandbox takes has a range, and a clear error outside of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from webhooks_sdk.sandbox import Fault, Sandbox, Subscriber, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BILLION = 1_000_000_000
MILLION = 1_000_000
MAX_BYTES = 2**31 - 1


@frozen
class Setting:
    """A numeric argument: its name, how it is passed, and the limits of its range."""

    name: str
    use: Callable[[Tenant, Any], object]
    minimum: float
    maximum: float
    is_integer: bool = False
    excludes_minimum: bool = False


def set_attribute(name: str) -> Callable[[Tenant, Any], object]:
    return lambda tenant, value: setattr(tenant, name, value)


def wait_for(timeout: Any) -> object:
    with Subscriber() as subscriber:
        return subscriber.wait_for(0, timeout)


SETTINGS = {
    "port": Setting("port", lambda _, value: Sandbox(port=value), 0, 65_535, is_integer=True),
    "token lifetime": Setting(
        "token_lifetime", lambda _, v: Sandbox(token_lifetime=v), 1, BILLION, is_integer=True
    ),
    "initial connect timeout": Setting(
        "connect_timeout", lambda _, v: Sandbox(connect_timeout=v), 0, MILLION, False, True
    ),
    "initial response timeout": Setting(
        "response_timeout", lambda _, v: Sandbox(response_timeout=v), 0, MILLION, False, True
    ),
    "connect timeout": Setting(
        "connect_timeout", set_attribute("connect_timeout"), 0, MILLION, False, True
    ),
    "response timeout": Setting(
        "response_timeout", set_attribute("response_timeout"), 0, MILLION, False, True
    ),
    "page limit": Setting(
        "limit", lambda tenant, v: tenant.attempts_page(limit=v), 1, MILLION, is_integer=True
    ),
    "page before": Setting(
        "before", lambda tenant, v: tenant.attempts_page(before=v), 0, 2**63 - 1, is_integer=True
    ),
    "buckets": Setting(
        "buckets",
        lambda tenant, v: tenant.count_attempts(NOON, timedelta(microseconds=1), v),
        1,
        MILLION,
        is_integer=True,
    ),
    "subscriber status": Setting(
        "status", lambda _, v: Subscriber(status=v), 200, 599, is_integer=True
    ),
    "subscriber delay": Setting("delay", lambda _, v: Subscriber(delay=v), 0, MILLION),
    "fail at": Setting("at", lambda _, v: Subscriber().fail(at=v), 1, MILLION, is_integer=True),
    "hang at": Setting("at", lambda _, v: Subscriber().hang(at=v), 1, MILLION, is_integer=True),
    "recover at": Setting(
        "at", lambda _, v: Subscriber().recover(at=v), 1, MILLION, is_integer=True
    ),
    "wait_for timeout": Setting("timeout", lambda _, v: wait_for(v), 0, MILLION),
    "fault times": Setting(
        "times", lambda _, v: Fault("reset_after", times=v), 1, MILLION, is_integer=True
    ),
    "fault probability": Setting(
        "probability", lambda _, v: Fault("reset_after", probability=v), 0, 1, False, True
    ),
    "latency": Setting("seconds", lambda _, v: Fault("latency", seconds=v), 0, MILLION),
    "slow drip": Setting("seconds", lambda _, v: Fault("slow_drip", seconds=v), 0, MILLION),
    "fault status": Setting(
        "status", lambda _, v: Fault("server_error", status=v), 500, 599, is_integer=True
    ),
    "retry after": Setting(
        "retry_after", lambda _, v: Fault("rate_limited", retry_after=v), 0, MILLION, True
    ),
    "body size": Setting(
        "size", lambda _, v: Fault("huge_body", size=v), 1, MAX_BYTES, is_integer=True
    ),
}


@pytest.fixture(scope="module")
def tenant() -> Iterator[Tenant]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_numbers_out_of_range_and_other_values_are_rejected(
    tenant: Tenant, setting: Setting
) -> None:
    step = 1 if setting.is_integer else 0.001
    invalid: list[object] = [
        True,
        "1",
        math.nan,
        math.inf,
        setting.minimum if setting.excludes_minimum else setting.minimum - step,
        setting.maximum + step,
        10**400,
        10**5000,
    ]
    if setting.is_integer:
        invalid += [setting.minimum + 0.5, float(setting.minimum)]
    for value in invalid:
        with pytest.raises(ValueError, match=f"{setting.name} must be an? .*, got "):
            setting.use(tenant, value)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_the_limits_of_each_range_are_accepted(tenant: Tenant, setting: Setting) -> None:
    setting.use(tenant, setting.maximum)
    setting.use(tenant, 1e-300 if setting.excludes_minimum else setting.minimum)


@pytest.mark.parametrize("count", [True, -1, 1.5, "1", None, MILLION + 1])
def test_a_number_of_deliveries_is_an_integer_in_a_range(count: Any) -> None:
    with pytest.raises(ValueError, match="count must be an integer from 0 to 1,000,000"):
        Subscriber().wait_for(count)


def test_time_spans_that_cannot_be_counted_are_rejected(tenant: Tenant) -> None:
    for width, buckets in ((timedelta.max, 1), (366 * DAY, 10_000), (-DAY, 1), (timedelta(), 1)):
        with pytest.raises(ValueError, match="width must be at least a microsecond"):
            tenant.count_attempts(NOON, width, buckets)
    with pytest.raises(ValueError, match="start must be timezone-aware"):
        tenant.count_attempts(NOON.replace(tzinfo=None), DAY, 1)


@pytest.mark.parametrize("position", [-1, 0, 1, 2**63, 10**400])
def test_there_is_no_attempt_at_other_positions(tenant: Tenant, position: int) -> None:
    with pytest.raises(LookupError, match="no attempt"):
        tenant.attempt(position)
