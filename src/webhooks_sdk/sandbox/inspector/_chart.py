"""The timeline: into which spans of time attempts are counted, and how tall their bars are."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._clock import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webhooks_sdk.sandbox.inspector._filters import Range

MOST_BARS = 60
_FEWEST_BARS = 40
STEP = 10
HEIGHT = 100
_BAR = 7
_MARGIN = 2
_LEAST = 3.0
_TALLEST_ONE = 18.0  # a single attempt is no event of the year

_RANGES: Mapping[Range, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_WIDTHS = tuple(
    to_microseconds(timedelta(**{unit: count}))
    for unit, counts in (
        ("seconds", (1, 2, 5, 10, 15, 30)),
        ("minutes", (1, 2, 3, 5, 10, 15, 20, 30, 45)),
        ("hours", (1, 1.5, 2, 3, 4, 6, 8, 12)),
        ("days", (1, 2, 3, 7, 14, 28, 91, 182, 364)),
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
    count: int

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


@frozen(kw_only=True)
class Drawing:
    """The bars, and where they stand.

    Attributes:
        bars: The bars, in order of time.
        baseline: How far down the baseline is, in units of the drawing.
        width: How wide the drawing is.
    """

    bars: tuple[Bar, ...]
    baseline: float
    width: int


def choose_spans(now: int, first: int | None, wanted: Range) -> Spans:
    """Return the spans that the timeline shows; the last one holds the present.

    Args:
        now: The time, in microseconds since 1970.
        first: When the first attempt began; None if there was none.
        wanted: What the timeline is to span: `"all"` reaches back to the first attempt.
    """
    fixed = _RANGES.get(wanted)
    length = to_microseconds(fixed) if fixed else now - (now if first is None else first)
    # The span of the present has only begun.
    width = next((one for one in _WIDTHS if one * (MOST_BARS - 1) >= length), _WIDTHS[-1])
    count = min(MOST_BARS, max(_FEWEST_BARS, -(-length // width) + 1))
    return Spans((now // width + 1 - count) * width, width, count)


def draw(spans: Spans, counts: Sequence[Count]) -> Drawing:
    """Return the drawing of what happened.

    All bars have the same scale. Heights grow with the square root, so that one failure is seen
    beside a thousand deliveries.

    Args:
        spans: What the timeline spans.
        counts: The spans in which anything happened.
    """
    above = max((sqrt(one.delivered) + sqrt(one.under_way) for one in counts), default=0.0)
    below = max((sqrt(one.failed) for one in counts), default=0.0)
    # What is lifted to the least height needs room, too.
    room = HEIGHT - 2 * _MARGIN - 2 * _LEAST
    scale = min(room / max(above + below, 1.0), _TALLEST_ONE)
    bars = tuple(
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
    )
    deepest = max((bar.failed for bar in bars), default=0.0)
    return Drawing(bars=bars, baseline=HEIGHT - _MARGIN - deepest, width=spans.count * STEP)


def _height(count: int, scale: float) -> float:
    return round(max(sqrt(count) * scale, _LEAST), 1) if count else 0.0
