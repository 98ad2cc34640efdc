"""The delivery attempts of a tenant, in pages and as counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from attrs import frozen

from webhooks_sdk._core.validation import check_count
from webhooks_sdk.sandbox._clock import LATEST_TIME, from_microseconds, to_microseconds
from webhooks_sdk.sandbox._records import AttemptCount, AttemptPage
from webhooks_sdk.sandbox._storage.database import MAX_INTEGER
from webhooks_sdk.sandbox._storage.mapping import SELECT_ATTEMPT, read_attempt

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from webhooks_sdk.sandbox._records import Account, DeliveryAttempt
    from webhooks_sdk.sandbox._storage.database import Database

AttemptState: TypeAlias = Literal["delivered", "failed", "in_flight"]

_DELIVERED = "ifnull(a.status BETWEEN 200 AND 299, 0)"
_STATES = {
    None: "1",
    "delivered": _DELIVERED,
    "failed": f"a.finished_at IS NOT NULL AND NOT {_DELIVERED}",
    "in_flight": "a.finished_at IS NULL",
}


@frozen(kw_only=True)
class AttemptFilter:
    """Conditions that attempts must meet. None matches all attempts.

    Attributes:
        before: Only attempts that started before the one with this position.
        hook_id: Only attempts of this subscription.
        event_id: Only attempts of this event.
        state: Only attempts in this state.
    """

    before: int | None = None
    hook_id: UUID | None = None
    event_id: UUID | None = None
    state: AttemptState | None = None


class AttemptQueries:
    """Queries over the attempts of one tenant.

    Args:
        database: The database.
        account: The account of the tenant.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def page(self, filters: AttemptFilter, limit: int) -> AttemptPage:
        """Return the latest attempts that match, newest first.

        Args:
            filters: The conditions.
            limit: The maximum number of attempts.

        Raises:
            ValueError: `limit` or `before` is out of range, or the state is unknown.
        """
        check_count("limit", limit, error_class=ValueError)
        if filters.before is not None:
            check_count(
                "before", filters.before, minimum=0, maximum=MAX_INTEGER, error_class=ValueError
            )
        if filters.state not in _STATES:
            known = ", ".join(repr(name) for name in _STATES if name)
            raise ValueError(f"state must be one of {known}, got {filters.state!r}.")
        candidates: dict[str, object | None] = {
            "a.number < ?": filters.before,
            "a.hook_id = ?": filters.hook_id and str(filters.hook_id),
            "e.id = ?": filters.event_id and str(filters.event_id),
        }
        conditions = {text: value for text, value in candidates.items() if value is not None}
        where = " AND ".join(("a.tenant = ?", _STATES[filters.state], *conditions))
        # One more than the limit shows whether there is another page.
        rows = self._database.rows(
            f"SELECT {SELECT_ATTEMPT} WHERE {where} ORDER BY a.number DESC LIMIT ?",
            (self._tenant, *conditions.values(), limit + 1),
        )
        attempts = tuple(read_attempt(row) for row in rows[:limit])
        is_last = len(rows) <= limit
        return AttemptPage(
            attempts=attempts, next_before=None if is_last else attempts[-1].position
        )

    def attempt(self, position: int) -> DeliveryAttempt | None:
        """Return the attempt with a position; None if there is none."""
        if not 0 < position <= MAX_INTEGER:
            return None
        row = self._database.row(
            f"SELECT {SELECT_ATTEMPT} WHERE a.tenant = ? AND a.number = ?", (self._tenant, position)
        )
        return None if row is None else read_attempt(row)

    def count(self, start: datetime, width: timedelta, buckets: int) -> tuple[AttemptCount, ...]:
        """Return the number of attempts that started in each of several time spans.

        Args:
            start: The start of the first span; aware.
            width: The length of each span.
            buckets: The number of spans.

        Raises:
            ValueError: `start` is naive, or `width` or `buckets` is out of range.
        """
        if start.tzinfo is None:
            raise ValueError(f"start must be timezone-aware, got {start!r}.")
        check_count("buckets", buckets, error_class=ValueError)
        span, first = to_microseconds(width), to_microseconds(start)
        if span < 1 or first + span * buckets > LATEST_TIME:
            raise ValueError(
                "width must be at least a microsecond, and the last bucket must end before the year"
                f" 9999, got {width!r}."
            )
        rows = self._database.rows(
            f"SELECT (a.started_at - :first) / :span, sum({_DELIVERED}),"  # noqa: S608 - a constant
            " sum(a.finished_at IS NULL), count(*) FROM attempts a WHERE a.tenant = :tenant"
            " AND a.started_at >= :first AND a.started_at < :first + :span * :buckets GROUP BY 1",
            {"first": first, "span": span, "tenant": self._tenant, "buckets": buckets},
        )
        by_bucket = {bucket: tuple(counts) for bucket, *counts in rows}
        found = [by_bucket.get(bucket, (0, 0, 0)) for bucket in range(buckets)]
        return tuple(
            AttemptCount(
                start=from_microseconds(first + bucket * span),
                delivered=delivered,
                failed=total - delivered - in_flight,
                in_flight=in_flight,
            )
            for bucket, (delivered, in_flight, total) in enumerate(found)
        )
