"""The retry schedule and a tenant's time, called directly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from webhooks_sdk.sandbox._clock import EPOCH, from_microseconds, to_microseconds
from webhooks_sdk.sandbox._service.schedule import MAX_RETRIES, next_retry_delay, retry_delay
from webhooks_sdk.sandbox._service.timeline import Timeline

SECOND = 1_000_000
DELAYS = [retry_delay(number) for number in range(1, MAX_RETRIES + 1)]


class Clock:
    """A clock that stands still until it is set."""

    time = 0

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time + 77  # since some other moment


def test_there_are_25_retries_over_three_weeks() -> None:
    assert len(DELAYS) == 25
    assert sum(DELAYS, timedelta()) == timedelta(weeks=3)


def test_each_retry_waits_longer_than_the_one_before_by_the_same_factor() -> None:
    assert DELAYS[0] == timedelta(seconds=15)
    # Whole seconds: the first delays are rounded most.
    assert all(1.5 < later / earlier < 1.65 for earlier, later in pairwise(DELAYS))
    assert all(
        later / earlier == pytest.approx(1.56044, abs=1e-3)
        for earlier, later in pairwise(DELAYS[15:])
    )


@pytest.mark.parametrize("number", [-1, 0, 26])
def test_there_are_no_others(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 25"):
        retry_delay(number)


@pytest.mark.parametrize(
    ("made", "delivered", "expected"),
    [
        (0, False, DELAYS[0]),
        (24, False, DELAYS[24]),
        (25, False, None),
        (0, True, None),
        (7, True, None),
    ],
)
def test_what_follows_an_automatic_attempt(
    made: int, *, delivered: bool, expected: timedelta | None
) -> None:
    assert next_retry_delay(made, delivered=delivered) == expected


def test_steps_move_clock_and_schedule_alike() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    timeline.step_to(timeline.schedule_time_after(timedelta(seconds=5)))
    assert (timeline.now(), timeline.schedule_time) == (5 * SECOND, 5 * SECOND)
    timeline.step_to(3 * SECOND)  # never back
    assert timeline.schedule_time == 5 * SECOND
    timeline.reset()
    assert (timeline.now(), timeline.schedule_time) == (0, 0)


def test_real_time_moves_the_clock_alone() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    clock.time += SECOND
    assert (timeline.now(), timeline.schedule_time) == (SECOND, 0)


def test_where_real_time_flows_it_moves_both_and_stands_still_in_between() -> None:
    clock = Clock()
    timeline = Timeline(clock, stepped=10, elapsed=100)
    assert timeline.schedule_time == 110
    timeline.start()
    clock.time += SECOND
    timeline.start()  # it flows already
    assert (timeline.schedule_time, timeline.is_running) == (SECOND + 110, True)
    timeline.stop()
    clock.time += SECOND
    assert (timeline.elapsed, timeline.stepped, timeline.is_running) == (SECOND + 100, 10, False)
    timeline.start()
    clock.time += SECOND
    timeline.reset()
    assert timeline.schedule_time == 0
    clock.time += 1
    assert timeline.schedule_time == 1


@pytest.mark.parametrize(
    "step",
    [timedelta(microseconds=-1), timedelta(weeks=-1), timedelta(days=4_000_000), timedelta.max],
)
def test_steps_that_lead_nowhere_are_refused(step: timedelta) -> None:
    with pytest.raises(ValueError, match=r"negative|9998"):
        Timeline(Clock()).schedule_time_after(step)


def test_times_are_exact_microseconds() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    assert from_microseconds(to_microseconds(time)) == time
    assert to_microseconds(EPOCH) == 0
    assert to_microseconds(timedelta(days=1, microseconds=1)) == 86_400 * SECOND + 1
