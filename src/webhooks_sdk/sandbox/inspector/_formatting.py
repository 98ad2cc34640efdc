"""Text for the pages: attempt states, times, durations, sizes and headers."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._service.schedule import MAX_RETRIES
from webhooks_sdk.sandbox.inspector._payload import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from webhooks_sdk.sandbox._records import DeliveryAttempt

State: TypeAlias = Literal["delivered", "failed", "in_flight"]

# Every other header is the static header of the subscription, which may hold a secret.
_UNMASKED_HEADERS = frozenset(
    name.lower()
    for name in (
        *("Host", "User-Agent", "Connection", "Content-Type", "Content-Length"),
        *(EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER),
    )
)
_DASH = "\N{EN DASH}"
_MAX_URL_LENGTH = 36
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def attempt_state(attempt: DeliveryAttempt) -> State:
    """Return the state of an attempt."""
    if attempt.finished_at is None:
        return "in_flight"
    return "delivered" if attempt.delivered else "failed"


def attempt_kind(attempt: DeliveryAttempt) -> str:
    """Return why an attempt was made, such as `Retry 2 of 25`."""
    if attempt.retry is None:
        return "Redelivery"
    return f"Retry {attempt.retry} of {MAX_RETRIES}" if attempt.retry else "First attempt"


def attempt_outcome(attempt: DeliveryAttempt) -> str:
    """Return the response status of an attempt, or why it has none."""
    if attempt.status is not None:
        return str(attempt.status)
    return "In flight" if attempt.finished_at is None else "No response"


def time_of_day(moment: datetime) -> str:
    """Return a time of day, to the second."""
    return f"{moment:%H:%M:%S}"


def date(moment: datetime) -> str:
    """Return a date, such as `24 Nov 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def short_time(moment: datetime, now: datetime) -> str:
    """Return a time of day, with its date unless that is today."""
    if moment.date() == now.date():
        return time_of_day(moment)
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}, {time_of_day(moment)}"


def interval_from_microseconds(microseconds: int) -> str:
    """Return an interval in microseconds, formatted as by `interval`."""
    return interval(timedelta(microseconds=microseconds))


def interval(length: timedelta) -> str:
    """Return an interval in its two largest units, such as `2 h 14 min`."""
    left = max(0, round(length.total_seconds()))
    for (unit, seconds), (next_unit, next_seconds) in pairwise(_UNITS):
        if left >= seconds:
            count, more = left // seconds, left % seconds // next_seconds
            return f"{count:,} {unit} {more} {next_unit}" if more else f"{count:,} {unit}"
    return f"{left} s"


def duration(milliseconds: int | None) -> str:
    """Return the duration of an attempt, or a dash if there was no response."""
    if milliseconds is None:
        return _DASH
    if milliseconds < 10_000:  # noqa: PLR2004 - 10 s; milliseconds are noise above that
        return f"{milliseconds:,} ms"
    return f"{milliseconds / 1000:,.1f} s"


def short_url(url: str) -> str:
    """Return a URL without its scheme, and without its middle if it is long."""
    text = printable(url.partition("://")[2] or url)
    if len(text) <= _MAX_URL_LENGTH:
        return text
    return f"{text[: _MAX_URL_LENGTH // 2 - 1]}…{text[-_MAX_URL_LENGTH // 2 :]}"


def byte_size(count: int) -> str:
    """Return a number of bytes, such as `12 bytes` or `2.0 KiB`."""
    if count < 1024:  # noqa: PLR2004 - a KiB
        return f"{count} {'byte' if count == 1 else 'bytes'}"
    return f"{count / 1024:,.1f} KiB"


def capitalize_first(text: str) -> str:
    """Return text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 attempt` or `1,000 attempts`."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def display_headers(
    headers: Iterable[tuple[str, str]], *, reveal: bool
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a delivery for display.

    Args:
        headers: The headers that were sent.
        reveal: Whether to show the value of the subscription's static header.
    """
    return tuple(
        (name, printable(value) if reveal or name.lower() in _UNMASKED_HEADERS else MASK)
        for name, value in headers
    )


def static_header_values(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the values of the headers of a delivery that are masked."""
    return tuple(value for name, value in headers if name.lower() not in _UNMASKED_HEADERS)


def display_static_header(header: str | None, *, reveal: bool) -> str | None:
    """Return the static header of a subscription for display; None if it has none."""
    if not header:
        return None
    return printable(header) if reveal else f"{printable(header.partition(':')[0])}: {MASK}"
