"""Which faults there are, and which requests they strike: no I/O."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.sandbox import Fault
from webhooks_sdk.sandbox._http.faults import KINDS, OPERATIONS, FaultPlan

if TYPE_CHECKING:
    from webhooks_sdk.sandbox._http.faults import FaultKind


def never() -> float:
    raise AssertionError


def test_a_fault_does_what_its_kind_does_unless_it_is_told() -> None:
    assert Fault("rate_limited").retry_after == 1
    assert Fault("rate_limited", retry_after=None).retry_after is None
    assert Fault("server_error").status == 500
    assert Fault("latency").seconds == 1
    assert Fault("latency", seconds=3).seconds == 3
    assert Fault("reset_after").seconds is None
    assert Fault("huge_body").size == 64 * 1024 * 1024
    assert Fault("server_error", processed=True).processed


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("explosion", {}, "kind must be one of latency, "),
        (["latency"], {}, "kind must be one of"),
        ("latency", {"operation": "ping"}, "operation must be one of token, "),
        ("latency", {"times": 0}, "times must be a whole number, 1 to"),
        ("latency", {"times": True}, "times"),
        ("latency", {"times": 1.5}, "times"),
        ("latency", {"probability": 0}, "probability must be a number, above 0 and at most 1"),
        ("latency", {"probability": 1.1}, "probability"),
        ("latency", {"probability": float("nan")}, "probability"),
        ("latency", {"probability": True}, "probability"),
        ("latency", {"seconds": -1}, "seconds must be a number, 0 to 86400, not -1"),
        ("latency", {"seconds": None}, "seconds"),
        ("latency", {"seconds": float("inf")}, "seconds"),
        ("latency", {"status": 500}, "A latency fault has no status"),
        ("latency", {"processed": True}, "A latency fault has no processed"),
        ("server_error", {"status": 404}, "status must be a whole number, 500 to 599"),
        ("server_error", {"processed": "yes"}, "processed must be true or false"),
        ("reset_before", {"seconds": 1}, "A reset_before fault has no seconds"),
        ("rate_limited", {"retry_after": -1}, "retry_after"),
        ("rate_limited", {"retry_after": 0.5}, "retry_after"),
        ("huge_body", {"size": 0}, "size"),
    ],
)
def test_what_no_fault_can_be_is_refused(kind: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault(kind, **settings)


def test_a_fault_can_be_written_as_text() -> None:
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
    ("text", "words"),
    [
        ("", "kind must be one of"),
        ("latency seconds", "'seconds' in fault"),
        ("latency times=1 times=2", "given once"),
        ("latency kind=reset_after", "given once"),
        ("latency seconds=soon", "not 'soon'"),
        ("latency second=1", "A fault has no 'second'; it has: kind, operation"),
        ("latency seconds=" + 20_000 * "[", "seconds"),
        ("latency times=" + 5000 * "1", "times"),
    ],
)
def test_text_that_is_no_fault_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault.parse(text)


def test_json_without_a_kind_is_no_fault() -> None:
    with pytest.raises(ValueError, match="needs a kind"):
        Fault.from_dict({"times": 1})


@given(
    kind=st.sampled_from(KINDS),
    operation=st.sampled_from([None, *OPERATIONS]),
    times=st.none() | st.integers(1, 1000),
    probability=st.floats(0, 1, exclude_min=True),
)
def test_both_forms_say_it_all(
    kind: FaultKind, operation: Any, times: int | None, probability: float
) -> None:
    fault = Fault(kind, operation=operation, times=times, probability=probability)
    data = fault.to_dict()
    assert Fault.from_dict(data) == fault
    words = [f"{name}={str(value).lower()}" for name, value in data.items() if name != "kind"]
    assert Fault.parse(" ".join((kind, *words))) == fault


def test_a_fault_strikes_its_operation_as_often_as_it_says() -> None:
    plan = FaultPlan(never)
    fault = Fault("reset_after", operation="redeliver", times=2)
    plan.inject((fault,))
    assert plan.strike("list") == ()
    assert [one.kind for one in plan.strike("redeliver")] == ["reset_after"]
    assert [one.times for one in plan.faults] == [1]
    assert len(plan.strike("redeliver")) == 1
    assert plan.faults == ()
    assert plan.strike("redeliver") == ()


def test_without_a_number_it_strikes_until_it_is_cleared() -> None:
    plan = FaultPlan(never)
    plan.inject((Fault("unauthorized"),))
    for operation in OPERATIONS:
        assert len(plan.strike(operation)) == 1
    plan.clear()
    assert plan.strike("list") == ()


def test_latencies_add_up_and_the_oldest_other_has_the_request() -> None:
    plan = FaultPlan(never)
    first, second = Fault("reset_after", times=1), Fault("unauthorized", times=1)
    short, long = Fault("latency", seconds=1, times=1), Fault("latency", seconds=2)
    plan.inject((first, short, second, long))
    assert plan.strike("list") == (first, short, long)
    assert plan.faults == (second, long)
    assert plan.strike("list") == (second, long)
    assert plan.strike("list") == (long,)


def test_the_same_seed_strikes_the_same_requests() -> None:
    def struck(seed: int) -> list[int]:
        plan = FaultPlan(random.Random(seed).random)  # noqa: S311 - no secret
        plan.inject((Fault("unauthorized", probability=0.5),))
        return [number for number in range(100) if plan.strike("list")]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < len(struck(1)) < 70


def test_a_probable_fault_is_used_up_only_by_striking() -> None:
    drawn = iter([0.9, 0.1, 0.9])
    plan = FaultPlan(lambda: next(drawn))
    plan.inject((Fault("unauthorized", probability=0.5, times=1),))
    assert [len(plan.strike("list")) for _ in range(3)] == [0, 1, 0]
