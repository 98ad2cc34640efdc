"""The timeline: into which spans of time attempts are counted, and how tall their bars are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._clock import microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webhooks_sdk.sandbox.inspector._filters import Range

BARS = 60
STEP = 10
_BAR = 7
_ABOVE = 60
_BELOW = 36
_LEAST = 3.0
BASELINE = _ABOVE + 2
HEIGHT = BASELINE + _BELOW + 2

_RANGES: Mapping[Range, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_WIDTHS = tuple(
    microseconds(timedelta(**{unit: count}))
    for unit, counts in (
        ("seconds", (1, 2, 5, 10, 15, 30)),
        ("minutes", (1, 2, 5, 10, 15, 30)),
        ("hours", (1, 2, 3, 4, 6, 12)),
        ("days", (1, 2, 7, 14, 28, 91, 182, 364)),
    )
    for count in counts
)


@frozen
class Spans:
    """Spans of time that follow each other, in microseconds since 1970.

    Attributes:
        start: Where the first begins.
        width: How long each is.
        count: How many there are.
    """

    start: int
    width: int
    count: int = BARS

    @property
    def end(self) -> int:
        """Where the last ends."""
        return self.start + self.width * self.count


@frozen(kw_only=True)
class Count:
    """How many attempts began in a span, by how they stand.

    Attributes:
        number: Which span: 0 is the first.
        delivered: How many were delivered.
        failed: How many failed.
        under_way: How many have not ended.
    """

    number: int
    delivered: int
    failed: int
    under_way: int

    @property
    def total(self) -> int:
        """How many there are in all."""
        return self.delivered + self.failed + self.under_way


@frozen(kw_only=True)
class Bar:
    """A bar of the timeline: deliveries stand on the baseline, failures hang from it.

    Attributes:
        count: What it shows.
        since: Where its span begins, in microseconds since 1970.
        until: Where its span ends.
        x: Where it begins, in units of the drawing.
        delivered: The height of what was delivered.
        under_way: The height of what is under way, on top of that.
        failed: How far down what failed reaches.
    """

    count: Count
    since: int
    until: int
    x: float
    delivered: float
    under_way: float
    failed: float

    @property
    def width(self) -> float:
        """How wide it is."""
        return _BAR


def choose_spans(now: int, first: int | None, wanted: Range) -> Spans:
    """Return the spans that the timeline shows; the last one holds the present.

    Args:
        now: The time, in microseconds since 1970.
        first: When the first attempt began; None if there was none.
        wanted: What the timeline is to span: `"all"` reaches back to the first attempt.
    """
    fixed = _RANGES.get(wanted)
    length = microseconds(fixed) if fixed else now - (now if first is None else first)
    # The span of the present has only begun.
    width = next((one for one in _WIDTHS if one * (BARS - 1) >= length), _WIDTHS[-1])
    return Spans((now // width + 1 - BARS) * width, width)


def draw(spans: Spans, counts: Sequence[Count]) -> tuple[Bar, ...]:
    """Return the bars of the spans in which anything happened.

    All have the same scale; what is there at all can be seen.
    """
    above = max((one.delivered + one.under_way for one in counts), default=0)
    below = max((one.failed for one in counts), default=0)
    scale = min(_ABOVE / max(above, 1), _BELOW / max(below, 1))
    return tuple(
        Bar(
            count=one,
            since=spans.start + one.number * spans.width,
            until=spans.start + (one.number + 1) * spans.width,
            x=one.number * STEP + (STEP - _BAR) / 2,
            delivered=_height(one.delivered, scale),
            under_way=_height(one.under_way, scale),
            failed=_height(one.failed, scale),
        )
        for one in counts
        if one.total
    )


def _height(count: int, scale: float) -> float:
    return round(max(count * scale, _LEAST), 1) if count else 0.0
