"""Unit tests of the retry schedule and of a tenant's timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from webhooks_sdk.sandbox._clock import EPOCH, from_microseconds, to_microseconds
from webhooks_sdk.sandbox._service.schedule import MAX_RETRIES, next_retry_delay, retry_delay
from webhooks_sdk.sandbox._service.timeline import Timeline

SECOND = 1_000_000
DELAYS = [retry_delay(number) for number in range(1, MAX_RETRIES + 1)]


class ManualClock:
    """A clock that moves only when `time` is set."""

    time = 0

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time + 77  # a different origin


def test_there_are_25_retries_over_three_weeks() -> None:
    assert len(DELAYS) == 25
    assert sum(DELAYS, timedelta()) == timedelta(weeks=3)


def test_retry_delays_grow_by_a_constant_factor() -> None:
    assert DELAYS[0] == timedelta(seconds=15)
    # Delays are whole seconds, so rounding affects the first ones most.
    assert all(1.5 < later / earlier < 1.65 for earlier, later in pairwise(DELAYS))
    assert all(
        later / earlier == pytest.approx(1.56044, abs=1e-3)
        for earlier, later in pairwise(DELAYS[15:])
    )


@pytest.mark.parametrize("number", [-1, 0, 26])
def test_retry_numbers_out_of_range_are_rejected(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 25"):
        retry_delay(number)


@pytest.mark.parametrize(
    ("retry", "delivered", "expected"),
    [
        (0, False, DELAYS[0]),
        (24, False, DELAYS[24]),
        (25, False, None),
        (0, True, None),
        (7, True, None),
    ],
)
def test_next_retry_delay(retry: int, *, delivered: bool, expected: timedelta | None) -> None:
    assert next_retry_delay(retry, delivered=delivered) == expected


def test_steps_move_clock_and_schedule() -> None:
    clock = ManualClock()
    timeline = Timeline(clock)
    timeline.step_to(timeline.schedule_time_after(timedelta(seconds=5)))
    assert (timeline.now(), timeline.schedule_time) == (5 * SECOND, 5 * SECOND)
    timeline.step_to(3 * SECOND)  # in the past: ignored
    assert timeline.schedule_time == 5 * SECOND
    timeline.reset()
    assert (timeline.now(), timeline.schedule_time) == (0, 0)


def test_real_time_moves_only_the_clock_by_default() -> None:
    clock = ManualClock()
    timeline = Timeline(clock)
    clock.time += SECOND
    assert (timeline.now(), timeline.schedule_time) == (SECOND, 0)


def test_real_time_moves_the_schedule_between_start_and_stop() -> None:
    clock = ManualClock()
    timeline = Timeline(clock, stepped=10, elapsed=100)
    assert timeline.schedule_time == 110
    timeline.start()
    clock.time += SECOND
    timeline.start()  # idempotent
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
def test_invalid_steps_are_rejected(step: timedelta) -> None:
    with pytest.raises(ValueError, match=r"negative|9998"):
        Timeline(ManualClock()).schedule_time_after(step)


def test_conversion_to_microseconds_is_exact() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    assert from_microseconds(to_microseconds(time)) == time
    assert to_microseconds(EPOCH) == 0
    assert to_microseconds(timedelta(days=1, microseconds=1)) == 86_400 * SECOND + 1
