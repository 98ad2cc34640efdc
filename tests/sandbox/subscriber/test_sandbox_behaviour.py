"""Which behaviour a request meets: the rule without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks_sdk.sandbox._subscriber.behaviour import Behaviour, Script

STEPS = st.lists(
    st.one_of(
        st.none(),  # a request comes
        st.tuples(st.integers(200, 599).map(Behaviour), st.integers(1, 6)),
    ),
    max_size=30,
)


@given(STEPS)
def test_a_request_meets_what_was_told_last_of_all_that_has_begun(
    steps: list[tuple[Behaviour, int] | None],
) -> None:
    script, told, met = Script(), [(1, Behaviour(200))], 0
    script.tell(Behaviour(200), at=1)
    for step in steps:
        if step is None:
            met += 1
            assert script.meet() == [what for first, what in told if first <= met][-1]
        else:
            behaviour, at = step
            script.tell(behaviour, at=at)
            told.append((met + at, behaviour))
        for at in range(1, 8):
            expected = [what for first, what in told if first <= met + at][-1]
            assert script.behaviour(at=at) == expected


def test_counting_begins_with_one() -> None:
    script = Script()
    with pytest.raises(ValueError, match="at must be at least 1"):
        script.tell(Behaviour(200), at=0)


def test_a_long_story_is_not_kept() -> None:
    script = Script()
    for _ in range(1000):
        script.tell(Behaviour(200), at=1)
        script.tell(Behaviour(500), at=2)
        script.meet()
    # What is over, was replaced, or both.
    assert len(script.steps) <= 2
