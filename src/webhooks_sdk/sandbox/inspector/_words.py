"""Times, spans, sizes and outcomes, in the words of the pages."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from webhooks_sdk._receiving.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER
from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._service.schedule import MAX_RETRIES
from webhooks_sdk.sandbox.inspector._payload import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from webhooks_sdk.sandbox._records import DeliveryAttempt

State: TypeAlias = Literal["delivered", "failed", "under_way"]

_OWN_HEADERS = frozenset(
    name.lower()
    for name in (
        *("Host", "User-Agent", "Connection", "Content-Type", "Content-Length"),
        *(EVENT_HEADER, DELIVERY_HEADER, SIGNATURE_HEADER),
    )
)
_NOTHING = "\N{EN DASH}"
_LONGEST_URL = 36
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def state(attempt: DeliveryAttempt) -> State:
    """Return how an attempt stands."""
    if attempt.finished_at is None:
        return "under_way"
    return "delivered" if attempt.delivered else "failed"


def kind(attempt: DeliveryAttempt) -> str:
    """Return why an attempt was made."""
    if attempt.retry is None:
        return "Redelivery"
    return f"Retry {attempt.retry} of {MAX_RETRIES}" if attempt.retry else "First attempt"


def outcome(attempt: DeliveryAttempt) -> str:
    """Return how an attempt ended, in few words."""
    if attempt.status is not None:
        return str(attempt.status)
    return "Under way" if attempt.finished_at is None else "No answer"


def clock_time(moment: datetime) -> str:
    """Return a time of the day, to the second."""
    return f"{moment:%H:%M:%S}"


def day(moment: datetime) -> str:
    """Return a date, such as `24 Nov 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def short_time(moment: datetime, now: datetime) -> str:
    """Return a time, with its date unless that is today's."""
    if moment.date() == now.date():
        return clock_time(moment)
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}, {clock_time(moment)}"


def span_of(microseconds: int) -> str:
    """Return a length of time, given in microseconds, as `span` does."""
    return span(timedelta(microseconds=microseconds))


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units, such as `2 h 14 min`."""
    left = max(0, round(length.total_seconds()))
    for (unit, seconds), (next_unit, next_seconds) in pairwise(_UNITS):
        if left >= seconds:
            count, more = left // seconds, left % seconds // next_seconds
            return f"{count:,} {unit} {more} {next_unit}" if more else f"{count:,} {unit}"
    return f"{left} s"


def duration(milliseconds: int | None) -> str:
    """Return how long an answer took; a dash if there was none."""
    if milliseconds is None:
        return _NOTHING
    if milliseconds < 10_000:  # noqa: PLR2004 - from here on, milliseconds say nothing
        return f"{milliseconds:,} ms"
    return f"{milliseconds / 1000:,.1f} s"


def short_url(url: str) -> str:
    """Return a URL without its scheme and, if it is long, without its middle."""
    text = visible(url.partition("://")[2] or url)
    if len(text) <= _LONGEST_URL:
        return text
    return f"{text[: _LONGEST_URL // 2 - 1]}…{text[-_LONGEST_URL // 2 :]}"


def size(count: int) -> str:
    """Return a number of bytes."""
    if count < 1024:  # noqa: PLR2004 - a KiB
        return f"{count} {'byte' if count == 1 else 'bytes'}"
    return f"{count / 1024:,.1f} KiB"


def sentence(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def several(count: int, noun: str) -> str:
    """Return a number of things, with the noun in singular or plural."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def shown_headers(
    headers: Iterable[tuple[str, str]], *, revealed: bool
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a delivery as they can be shown.

    Args:
        headers: The headers that were sent.
        revealed: Whether the static header of the subscription is shown with its value.
    """
    return tuple(
        (name, visible(value) if revealed or name.lower() in _OWN_HEADERS else MASK)
        for name, value in headers
    )


def shown_static_header(header: str | None, *, revealed: bool) -> str | None:
    """Return the static header of a subscription as it can be shown; None if it has none."""
    if not header:
        return None
    return visible(header) if revealed else f"{visible(header.partition(':')[0])}: {MASK}"
