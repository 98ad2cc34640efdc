"""The retry schedule: 25 retries over three weeks, with exponential backoff."""

from __future__ import annotations

from datetime import timedelta

MAX_RETRIES = 25
TOTAL_DELAY = timedelta(weeks=3)
FIRST_DELAY = timedelta(seconds=15)
# The solution of FIRST_DELAY * (GROWTH**MAX_RETRIES - 1) / (GROWTH - 1) == TOTAL_DELAY.
GROWTH = 1.56044007


def retry_delay(retry: int) -> timedelta:
    """Return the delay between a failed attempt and a retry.

    The delays are whole seconds. The first is 15 s, each is about 1.56 times the previous one, and
    they add up to three weeks.

    Args:
        retry: The number of the retry, 1 to 25.

    Raises:
        ValueError: `retry` is out of range.
    """
    if not 1 <= retry <= MAX_RETRIES:
        raise ValueError(f"retry must be an integer from 1 to {MAX_RETRIES}, got {retry}.")
    return _delay_since_first_failure(retry) - _delay_since_first_failure(retry - 1)


def next_retry_delay(retry: int, *, delivered: bool) -> timedelta | None:
    """Return the delay until the next retry of an event; None if there is none.

    Args:
        retry: The number of the attempt that has ended: 0 for the first attempt, 1 to 25 for a
            retry.
        delivered: Whether the subscriber returned a 2xx status.
    """
    return None if delivered or retry >= MAX_RETRIES else retry_delay(retry + 1)


def _delay_since_first_failure(retry: int) -> timedelta:
    """Return the delay between the first failure and a retry, if attempts take no time."""
    factor = (GROWTH**retry - 1) / (GROWTH - 1)
    return timedelta(seconds=round(FIRST_DELAY.total_seconds() * factor))
