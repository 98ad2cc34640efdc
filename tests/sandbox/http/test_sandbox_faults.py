"""Faults and the requests that they affect, without I/O."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.sandbox import Fault
from webhooks_sdk.sandbox._http.faults import KINDS, OPERATIONS, ActiveFaults

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._http.faults import FaultKind


def never_drawn() -> float:
    raise AssertionError


def test_settings_default_to_those_of_the_kind() -> None:
    assert Fault("rate_limited").retry_after == 1
    assert Fault("rate_limited", retry_after=None).retry_after is None
    assert Fault("server_error").status == 500
    assert Fault("latency").seconds == 1
    assert Fault("latency", seconds=3).seconds == 3
    assert Fault("reset_after").seconds is None
    assert Fault("huge_body").size == 64 * 1024 * 1024
    assert Fault("server_error", processed=True).processed


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("explosion", {}, "kind must be one of latency, "),
        (["latency"], {}, "kind must be one of"),
        ("latency", {"operation": "ping"}, "operation must be one of token, "),
        ("latency", {"times": 0}, "times must be an integer from 1 to"),
        ("latency", {"times": True}, "times"),
        ("latency", {"times": 1.5}, "times"),
        (
            "latency",
            {"probability": 0},
            "probability must be a number greater than 0 and at most 1",
        ),
        ("latency", {"probability": 1.1}, "probability"),
        ("latency", {"probability": float("nan")}, "probability"),
        ("latency", {"probability": True}, "probability"),
        (
            "latency",
            {"seconds": -1},
            "seconds must be a number of seconds from 0 to 1,000,000, got -1",
        ),
        ("latency", {"seconds": None}, "seconds"),
        ("latency", {"seconds": float("inf")}, "seconds"),
        ("latency", {"status": 500}, "Faults of kind 'latency' have no setting 'status'"),
        ("latency", {"processed": True}, "Faults of kind 'latency' have no setting 'processed'"),
        ("server_error", {"status": 404}, "status must be an integer from 500 to 599"),
        ("server_error", {"processed": "yes"}, "processed must be true or false"),
        ("reset_before", {"seconds": 1}, "Faults of kind 'reset_before' have no setting 'seconds'"),
        ("rate_limited", {"retry_after": -1}, "retry_after"),
        ("rate_limited", {"retry_after": 0.5}, "retry_after"),
        ("huge_body", {"size": 0}, "size"),
    ],
)
def test_invalid_fault_is_rejected(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(kind, **settings)


def test_fault_can_be_parsed_from_text() -> None:
    assert Fault.parse("rate_limited operation=redeliver times=3 retry_after=2") == Fault(
        "rate_limited", operation="redeliver", times=3, retry_after=2
    )
    assert Fault.parse(" rate_limited,retry_after=none ") == Fault("rate_limited", retry_after=None)
    assert Fault.parse("latency seconds=0.25 probability=0.5") == Fault(
        "latency", seconds=0.25, probability=0.5
    )
    assert Fault.parse("server_error status=503 processed=true") == Fault(
        "server_error", status=503, processed=True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kind must be one of"),
        ("latency seconds", "'seconds' in the fault"),
        ("latency times=1 times=2", "or is repeated"),
        ("latency kind=reset_after", "or is repeated"),
        ("latency seconds=soon", "got 'soon'"),
        (
            "latency second=1",
            "Unknown settings of a fault: 'second'. Valid settings are: kind, operation",
        ),
        ("latency seconds=" + 20_000 * "[", "seconds"),
        ("latency times=" + 5000 * "1", "times"),
    ],
)
def test_invalid_text_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


def test_json_without_a_kind_is_rejected() -> None:
    with pytest.raises(ValueError, match="must have a kind"):
        Fault.from_dict({"times": 1})


@given(
    kind=st.sampled_from(KINDS),
    operation=st.sampled_from([None, *OPERATIONS]),
    times=st.none() | st.integers(1, 1000),
    probability=st.floats(0, 1, exclude_min=True),
)
def test_text_and_json_forms_round_trip(
    kind: FaultKind, operation: Any, times: int | None, probability: float
) -> None:
    fault = Fault(kind, operation=operation, times=times, probability=probability)
    data = fault.to_dict()
    assert Fault.from_dict(data) == fault
    words = [f"{name}={str(value).lower()}" for name, value in data.items() if name != "kind"]
    assert Fault.parse(" ".join((kind, *words))) == fault


def test_fault_affects_its_operation_the_given_number_of_times() -> None:
    active = ActiveFaults(never_drawn)
    fault = Fault("reset_after", operation="redeliver", times=2)
    active.inject((fault,))
    assert active.take("list") == ()
    assert [taken.kind for taken in active.take("redeliver")] == ["reset_after"]
    assert [remaining.times for remaining in active.faults] == [1]
    assert len(active.take("redeliver")) == 1
    assert active.faults == ()
    assert active.take("redeliver") == ()


def test_fault_without_times_applies_until_it_is_cleared() -> None:
    active = ActiveFaults(never_drawn)
    active.inject((Fault("unauthorized"),))
    for operation in OPERATIONS:
        assert len(active.take(operation)) == 1
    active.clear()
    assert active.take("list") == ()


def test_latencies_add_up_and_only_the_oldest_other_fault_applies() -> None:
    active = ActiveFaults(never_drawn)
    first, second = Fault("reset_after", times=1), Fault("unauthorized", times=1)
    short, long = Fault("latency", seconds=1, times=1), Fault("latency", seconds=2)
    active.inject((first, short, second, long))
    assert active.take("list") == (first, short, long)
    assert active.faults == (second, long)
    assert active.take("list") == (second, long)
    assert active.take("list") == (long,)


def test_same_seed_affects_the_same_requests() -> None:
    def affected(seed: int) -> list[int]:
        active = ActiveFaults(random.Random(seed).random)  # noqa: S311 - not a secret
        active.inject((Fault("unauthorized", probability=0.5),))
        return [number for number in range(100) if active.take("list")]

    assert affected(1) == affected(1) != affected(2)
    assert 30 < len(affected(1)) < 70


def test_times_counts_only_affected_requests() -> None:
    drawn = iter([0.9, 0.1, 0.9])
    active = ActiveFaults(lambda: next(drawn))
    active.inject((Fault("unauthorized", probability=0.5, times=1),))
    assert [len(active.take("list")) for _ in range(3)] == [0, 1, 0]
