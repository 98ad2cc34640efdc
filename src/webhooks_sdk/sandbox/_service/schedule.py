"""When a failed delivery is tried again: 25 retries over three weeks, with exponential backoff."""

from __future__ import annotations

from datetime import timedelta

RETRIES = 25
TOTAL = timedelta(weeks=3)
FIRST_WAIT = timedelta(seconds=15)
# The solution of FIRST_WAIT * (GROWTH**RETRIES - 1) / (GROWTH - 1) == TOTAL.
GROWTH = 1.56044007


def retry_delay(retry: int) -> timedelta:
    """Return how long after the failure before it a retry is due.

    The delays are whole seconds, the first 15 s, each about 1.56 times the one before, and all of
    them together three weeks.

    Args:
        retry: Which one: 1 to 25.

    Raises:
        ValueError: There is no such retry.
    """
    if not 1 <= retry <= RETRIES:
        raise ValueError(f"retry must be 1 to {RETRIES}, not {retry}.")
    return _until(retry) - _until(retry - 1)


def next_retry(made: int, *, delivered: bool) -> timedelta | None:
    """Return how long after an automatic attempt the next one is due; None if there is none.

    Args:
        made: Which automatic attempt has ended: 0 for the first one, else the retry's number.
        delivered: Whether the subscriber answered 2xx.
    """
    return None if delivered or made >= RETRIES else retry_delay(made + 1)


def _until(retry: int) -> timedelta:
    """Return how long after the first failure a retry is due, if all before it fail at once."""
    factor = (GROWTH**retry - 1) / (GROWTH - 1)
    return timedelta(seconds=round(FIRST_WAIT.total_seconds() * factor))
