"""The behaviour schedule, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.sandbox._subscriber.behaviour import Behaviour, BehaviourSchedule

STEPS = st.lists(
    st.one_of(
        st.none(),  # a request arrives
        st.tuples(st.integers(200, 599).map(Behaviour), st.integers(1, 6)),
    ),
    max_size=30,
)


@given(STEPS)
def test_latest_setting_that_has_started_applies(
    steps: list[tuple[Behaviour, int] | None],
) -> None:
    schedule, settings, received = BehaviourSchedule(), [(1, Behaviour(200))], 0
    schedule.set(Behaviour(200), at=1)
    for step in steps:
        if step is None:
            received += 1
            expected = [behaviour for first, behaviour in settings if first <= received][-1]
            assert schedule.next_request() == expected
        else:
            behaviour, at = step
            schedule.set(behaviour, at=at)
            settings.append((received + at, behaviour))
        for at in range(1, 8):
            expected = [behaviour for first, behaviour in settings if first <= received + at][-1]
            assert schedule.get(at=at) == expected


def test_counting_starts_at_one() -> None:
    schedule = BehaviourSchedule()
    with pytest.raises(ValueError, match="at must be an integer from 1"):
        schedule.set(Behaviour(200), at=0)


def test_past_and_replaced_settings_are_dropped() -> None:
    schedule = BehaviourSchedule()
    for _ in range(1000):
        schedule.set(Behaviour(200), at=1)
        schedule.set(Behaviour(500), at=2)
        schedule.next_request()
    assert len(schedule.changes) <= 2
