"""The timeline chart: time buckets, and the heights of the bars."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk.sandbox._clock import to_microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webhooks_sdk.sandbox.inspector._filters import Range

MAX_BARS = 60
_MIN_BARS = 40
BAR_SPACING = 10
CHART_HEIGHT = 100
_BAR_WIDTH = 7
_MARGIN = 2
_MIN_BAR_HEIGHT = 3.0
# Height of a bar for one attempt. Without a limit, a single attempt would fill the chart.
_MAX_SCALE = 18.0

_RANGES: Mapping[Range, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_BUCKET_WIDTHS = tuple(
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
class Buckets:
    """Consecutive time buckets of equal width.

    Attributes:
        start: When the first bucket begins, in microseconds since 1970.
        width: The width of each bucket, in microseconds.
        count: How many buckets there are.
    """

    start: int
    width: int
    count: int

    @property
    def end(self) -> int:
        """When the last bucket ends, in microseconds since 1970."""
        return self.start + self.width * self.count


@frozen(kw_only=True)
class BucketCounts:
    """How many attempts began in a bucket, by state.

    Attributes:
        index: The index of the bucket, from 0.
        delivered: How many attempts were delivered.
        failed: How many attempts failed.
        in_flight: How many attempts are in flight.
    """

    index: int
    delivered: int
    failed: int
    in_flight: int

    @property
    def total(self) -> int:
        """How many attempts began in the bucket."""
        return self.delivered + self.failed + self.in_flight


@frozen(kw_only=True)
class Bar:
    """A bar of the chart: successes extend above the baseline, failures below it.

    Lengths are in units of the chart.

    Attributes:
        counts: The attempts that the bar shows.
        since: When its bucket begins, in microseconds since 1970.
        until: When its bucket ends, in microseconds since 1970.
        x: The left edge.
        delivered: The height of the delivered part.
        in_flight: The height of the part in flight, on top of the delivered part.
        failed: The height of the failed part, below the baseline.
    """

    counts: BucketCounts
    since: int
    until: int
    x: float
    delivered: float
    in_flight: float
    failed: float

    @property
    def width(self) -> float:
        """The width of the bar."""
        return _BAR_WIDTH


@frozen(kw_only=True)
class Chart:
    """The layout of the chart.

    Attributes:
        bars: The bars, in order of time.
        baseline: The distance of the baseline from the top.
        width: The width of the chart.
    """

    bars: tuple[Bar, ...]
    baseline: float
    width: int


def choose_buckets(now: int, first_attempt: int | None, wanted: Range) -> Buckets:
    """Return the buckets that the timeline shows; the last one contains the present.

    Args:
        now: The time, in microseconds since 1970.
        first_attempt: When the first attempt began; None if there was none.
        wanted: The range of the timeline: `"all"` reaches back to the first attempt.
    """
    fixed = _RANGES.get(wanted)
    start = now if first_attempt is None else first_attempt
    length = to_microseconds(fixed) if fixed else now - start
    # MAX_BARS - 1, because the last bucket may have just begun.
    width = next(
        (width for width in _BUCKET_WIDTHS if width * (MAX_BARS - 1) >= length), _BUCKET_WIDTHS[-1]
    )
    count = min(MAX_BARS, max(_MIN_BARS, -(-length // width) + 1))
    return Buckets((now // width + 1 - count) * width, width, count)


def lay_out_chart(buckets: Buckets, counts: Sequence[BucketCounts]) -> Chart:
    """Return the layout of the chart.

    All bars share one scale. Heights grow with the square root of the count, so that one failure
    stays visible among a thousand deliveries.

    Args:
        buckets: The buckets of the timeline.
        counts: The counts of the buckets in which attempts began.
    """
    above = max((sqrt(bucket.delivered) + sqrt(bucket.in_flight) for bucket in counts), default=0.0)
    below = max((sqrt(bucket.failed) for bucket in counts), default=0.0)
    # Leave room for parts that are raised to the minimum height.
    available = CHART_HEIGHT - 2 * _MARGIN - 2 * _MIN_BAR_HEIGHT
    scale = min(available / max(above + below, 1.0), _MAX_SCALE)
    bars = tuple(
        Bar(
            counts=bucket,
            since=buckets.start + bucket.index * buckets.width,
            until=buckets.start + (bucket.index + 1) * buckets.width,
            x=bucket.index * BAR_SPACING + (BAR_SPACING - _BAR_WIDTH) / 2,
            delivered=_height(bucket.delivered, scale),
            in_flight=_height(bucket.in_flight, scale),
            failed=_height(bucket.failed, scale),
        )
        for bucket in counts
    )
    deepest = max((bar.failed for bar in bars), default=0.0)
    return Chart(
        bars=bars, baseline=CHART_HEIGHT - _MARGIN - deepest, width=buckets.count * BAR_SPACING
    )


def _height(count: int, scale: float) -> float:
    return round(max(sqrt(count) * scale, _MIN_BAR_HEIGHT), 1) if count else 0.0
