"""What has happened to a tenant, in pages and in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from attrs import frozen

from webhooks_sdk.sandbox._clock import microseconds, moment
from webhooks_sdk.sandbox._records import AttemptCount, AttemptsPage
from webhooks_sdk.sandbox._storage.mapping import ATTEMPT, read_attempt

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from webhooks_sdk.sandbox._records import Account
    from webhooks_sdk.sandbox._storage.database import Database

AttemptOutcome: TypeAlias = Literal["delivered", "failed", "under_way"]

_DELIVERED = "ifnull(a.status BETWEEN 200 AND 299, 0)"
_OUTCOMES = {
    None: "1",
    "delivered": _DELIVERED,
    "failed": f"a.finished_at IS NOT NULL AND NOT {_DELIVERED}",
    "under_way": "a.finished_at IS NULL",
}


@frozen(kw_only=True)
class AttemptFilter:
    """Which attempts are asked for; None is no condition.

    Attributes:
        before: Those that began before the one with this position.
        hook_id: Those of this subscription.
        event_id: Those of this event.
        outcome: Those that ended, or have not ended, like this.
    """

    before: int | None = None
    hook_id: UUID | None = None
    event_id: UUID | None = None
    outcome: AttemptOutcome | None = None


class History:
    """The attempts of one tenant, for those who show them.

    Args:
        database: Where they are.
        account: Whose they are.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._tenant = account.number

    def page(self, which: AttemptFilter, limit: int) -> AttemptsPage:
        """Return the latest attempts of those asked for, newest first.

        Args:
            which: Which are asked for.
            limit: How many at most.

        Raises:
            ValueError: `limit` is less than 1, or there is no such outcome.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, not {limit}.")
        if which.outcome not in _OUTCOMES:
            known = ", ".join(repr(name) for name in _OUTCOMES if name)
            raise ValueError(f"outcome must be one of {known}, not {which.outcome!r}.")
        given: dict[str, object | None] = {
            "a.number < ?": which.before,
            "a.hook_id = ?": which.hook_id and str(which.hook_id),
            "e.id = ?": which.event_id and str(which.event_id),
        }
        conditions = {text: value for text, value in given.items() if value is not None}
        where = " AND ".join(("a.tenant = ?", _OUTCOMES[which.outcome], *conditions))
        # One more than asked for says whether there is another page.
        rows = self._database.rows(
            f"SELECT {ATTEMPT} WHERE {where} ORDER BY a.number DESC LIMIT ?",
            (self._tenant, *conditions.values(), limit + 1),
        )
        attempts = tuple(read_attempt(row) for row in rows[:limit])
        is_last = len(rows) <= limit
        return AttemptsPage(
            attempts=attempts, next_before=None if is_last else attempts[-1].position
        )

    def count(self, start: datetime, width: timedelta, buckets: int) -> tuple[AttemptCount, ...]:
        """Return how many attempts began in each of some spans of time.

        Args:
            start: When the first span begins; aware.
            width: How long each is.
            buckets: How many there are.

        Raises:
            ValueError: `width` or `buckets` is not positive.
        """
        span, first = microseconds(width), microseconds(start)
        if span < 1 or buckets < 1:
            raise ValueError("width and buckets must be positive.")
        rows = self._database.rows(
            f"SELECT (a.started_at - :first) / :span, sum({_DELIVERED}),"  # noqa: S608 - a constant
            " sum(a.finished_at IS NULL), count(*) FROM attempts a WHERE a.tenant = :tenant"
            " AND a.started_at >= :first AND a.started_at < :first + :span * :buckets GROUP BY 1",
            {"first": first, "span": span, "tenant": self._tenant, "buckets": buckets},
        )
        counts = {number: (good, open_, total) for number, good, open_, total in rows}
        found = [counts.get(number, (0, 0, 0)) for number in range(buckets)]
        return tuple(
            AttemptCount(
                start=moment(first + number * span),
                delivered=delivered,
                failed=total - delivered - under_way,
                under_way=under_way,
            )
            for number, (delivered, under_way, total) in enumerate(found)
        )
