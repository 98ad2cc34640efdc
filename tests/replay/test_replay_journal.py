"""The journal as its writer sees it: intents, outcomes, plans, and what a next run finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from webhooks_sdk import JournalError
from webhooks_sdk.replay import OutcomeStatus, Plan
from webhooks_sdk.replay._journal import JournalWriter, RowState
from webhooks_sdk.replay._rows import ErrorRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE_URL = "https://hookshot.example"
HOOK, EVENT, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(seconds=7)
MUCH_LATER = NOW + timedelta(hours=1)
PLAN = Plan(
    hook_id=HOOK,
    since=NOW - timedelta(days=1),
    until=NOW,
    oldest_listed=NOW - timedelta(days=2),
    covers_since=True,
    pending=3,
    total=2,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def opened(path: Path | None) -> JournalWriter:
    return JournalWriter.open(path, base_url=BASE_URL)


@pytest.fixture
def journal(path: Path) -> Iterator[JournalWriter]:
    with opened(path) as journal:
        yield journal


def nonzero(journal: JournalWriter) -> dict[str, int]:
    return {str(state): number for state, number in journal.counts().items() if number}


def test_an_intent_and_its_outcome_are_found_in_the_next_run(path: Path) -> None:
    error = ErrorRecord(kind="NotFoundError", message="no such event", status=404, retry_after=1.5)
    with opened(path) as journal:
        assert (journal.run, journal.temporary, journal.path) == (1, False, path)
        assert journal.find(HOOK, EVENT) is None
        assert journal.intend(HOOK, EVENT, NOW) == 1
        assert nonzero(journal) == {"in_flight": 1}
        journal.settle(
            HOOK,
            EVENT,
            OutcomeStatus.FAILED,
            LATER,
            response_status=500,
            duration_ms=12,
            delivery_id=OTHER,
            error=error,
        )
    with opened(path) as journal:
        assert journal.run == 2
        assert nonzero(journal) == {"failed": 1}
        row = journal.find(HOOK, EVENT)
        assert row is not None
        assert (row.hook_id, row.request_id, row.state) == (HOOK, EVENT, RowState.FAILED)
        assert (row.attempts, row.run, row.intent_at, row.settled_at) == (1, 1, NOW, LATER)
        assert (row.response_status, row.duration_ms, row.delivery_id) == (500, 12, OTHER)
        assert row.error == error


def test_a_plan_is_written_once_with_its_targets(path: Path) -> None:
    with opened(path) as journal:
        assert journal.plan is None
        journal.write_plan(PLAN, [(HOOK, EVENT), (HOOK, OTHER), (HOOK, EVENT)])
        assert nonzero(journal) == {"planned": 2}
        with pytest.raises(JournalError, match="another replay"):
            journal.write_plan(PLAN, [])
    with opened(path) as journal:
        assert journal.plan == PLAN
        assert [row.request_id for row in journal.untouched()] == [EVENT, OTHER]
