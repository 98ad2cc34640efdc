"""Writing a journal: intents, outcomes, plans, batches, and what the next run finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from attrs import evolve
from support.journal_helpers import (
    BASE_URL,
    EVENT,
    HOOK,
    LATER,
    MUCH_LATER,
    NOW,
    OTHER,
    PLAN,
    names_in,
    nonzero,
    open_writer,
)

from webhooks_sdk import JournalError
from webhooks_sdk.replay import Journal, OutcomeStatus
from webhooks_sdk.replay._journal.rows import ErrorRecord, RowState
from webhooks_sdk.replay._journal.writer import JournalWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from webhooks_sdk.replay._journal.rows import Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[JournalWriter]:
    with open_writer(path) as journal:
        yield journal


def row_of(journal: JournalWriter, request_id: UUID = EVENT) -> Row:
    row = journal.find(HOOK, request_id)
    assert row is not None
    return row


def test_the_next_run_finds_an_intent_and_its_outcome(path: Path) -> None:
    error = ErrorRecord(kind="NotFoundError", message="no such event", status=404, retry_after=1.5)
    with open_writer(path) as journal:
        assert (journal.run, journal.temporary, journal.path) == (1, False, path)
        assert journal.find(HOOK, EVENT) is None
        assert journal.record_intent(HOOK, EVENT, NOW) == 1
        assert nonzero(journal) == {"in_flight": 1}
        journal.record_outcome(
            HOOK,
            EVENT,
            OutcomeStatus.FAILED,
            LATER,
            response_status=500,
            duration_ms=12,
            delivery_id=OTHER,
            error=error,
        )
    with open_writer(path) as journal:
        assert journal.run == 2
        assert nonzero(journal) == {"failed": 1}
        row = row_of(journal)
        assert (row.hook_id, row.request_id, row.state) == (HOOK, EVENT, RowState.FAILED)
        assert (row.attempts, row.run, row.intent_at, row.outcome_at) == (1, 1, NOW, LATER)
        assert (row.response_status, row.duration_ms, row.delivery_id) == (500, 12, OTHER)
        assert row.error == error


@pytest.mark.parametrize("status", [s for s in OutcomeStatus if s is not OutcomeStatus.SKIPPED])
def test_an_outcome_is_kept_until_the_next_replaces_it(
    journal: JournalWriter, status: OutcomeStatus
) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    journal.record_outcome(
        HOOK, EVENT, status, LATER, error=ErrorRecord(kind="APIError", message="m")
    )
    assert row_of(journal).state == status.value
    assert nonzero(journal) == {status.value: 1}
    assert journal.record_intent(HOOK, EVENT, LATER) == 2
    journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, MUCH_LATER, response_status=204)
    row = row_of(journal)
    assert (row.state, row.error, row.response_status) == (RowState.DELIVERED, None, 204)
    assert nonzero(journal) == {"delivered": 1}


def test_a_target_is_identified_by_subscription_and_event(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    assert journal.record_intent(OTHER, EVENT, NOW) == 1
    journal.record_outcome(OTHER, EVENT, OutcomeStatus.REJECTED, LATER)
    assert row_of(journal).state is RowState.IN_FLIGHT
    assert nonzero(journal) == {"in_flight": 1, "rejected": 1}


def test_times_are_kept_to_the_microsecond_in_utc(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW.astimezone(timezone(timedelta(hours=5, minutes=45))))
    intent_at = row_of(journal).intent_at
    assert intent_at is not None
    assert intent_at == NOW
    assert intent_at.isoformat() == NOW.isoformat()
    with pytest.raises(TypeError):
        journal.record_intent(HOOK, OTHER, NOW.replace(tzinfo=None))
    assert journal.find(HOOK, OTHER) is None


@pytest.mark.parametrize("number", [10**30, -(10**30), 0])
def test_extreme_values_of_a_response_are_kept(journal: JournalWriter, number: int) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    error = ErrorRecord(
        kind="APIError", message="half of \ud83d, and \0 " + "x" * 9_999, status=number
    )
    journal.record_outcome(
        HOOK,
        EVENT,
        OutcomeStatus.FAILED,
        LATER,
        response_status=number,
        duration_ms=number,
        error=error,
    )
    row = row_of(journal)
    kept = max(-(2**63) + 1, min(number, 2**63 - 1))
    assert (row.response_status, row.duration_ms) == (kept, kept)
    assert row.error is not None
    assert row.error.status == kept
    assert row.error.message.startswith("half of \\ud83d, and \0 xxx")
    assert len(row.error.message) < 3_000


def test_skipped_is_not_accepted_as_an_outcome(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    with pytest.raises(ValueError, match="skipped"):
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.SKIPPED, LATER)
    assert row_of(journal).state is RowState.IN_FLIGHT


def test_an_outcome_without_an_intent_is_refused(journal: JournalWriter) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: journal.record_outcome(HOOK, EVENT, OutcomeStatus.FAILED, NOW),
        lambda: journal.cancel_intent(HOOK, EVENT),
        lambda: journal.mark_seen(HOOK, EVENT),
    ]
    for attempt in attempts:
        with pytest.raises(JournalError, match=str(EVENT)):
            attempt()
    assert journal.find(HOOK, EVENT) is None


# Cancelling an intent


def test_cancelling_the_first_intent_leaves_a_planned_target(
    journal: JournalWriter,
) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    journal.cancel_intent(HOOK, EVENT)
    row = row_of(journal)
    assert (row.state, row.attempts, row.intent_at) == (RowState.PLANNED, 0, None)
    assert nonzero(journal) == {"planned": 1}
    assert journal.record_intent(HOOK, EVENT, LATER) == 1


def test_cancelling_restores_the_previous_outcome(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    journal.record_outcome(
        HOOK, EVENT, OutcomeStatus.REJECTED, LATER, response_status=503, duration_ms=9
    )
    before = row_of(journal)
    for _ in range(3):
        assert journal.record_intent(HOOK, EVENT, MUCH_LATER) == 2
        journal.cancel_intent(HOOK, EVENT)
        assert row_of(journal) == before
        assert nonzero(journal) == {"rejected": 1}


def test_cancelling_without_an_intent_changes_nothing(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    journal.record_outcome(HOOK, EVENT, OutcomeStatus.REJECTED, LATER)
    before = row_of(journal)
    journal.cancel_intent(HOOK, EVENT)
    assert row_of(journal) == before
    assert nonzero(journal) == {"rejected": 1}


# Unresolved targets


def test_unresolved_since_is_the_first_request_that_may_have_arrived(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        assert row_of(journal).unresolved_since == NOW
    with open_writer(path) as journal:  # as after a crash
        journal.record_intent(HOOK, EVENT, LATER)
        assert (row_of(journal).intent_at, row_of(journal).unresolved_since) == (LATER, NOW)
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.UNKNOWN, LATER)
        assert row_of(journal).unresolved_since == NOW
        journal.record_intent(HOOK, EVENT, MUCH_LATER)
        journal.cancel_intent(HOOK, EVENT)
        row = row_of(journal)
        assert (row.state, row.intent_at, row.unresolved_since) == (RowState.UNKNOWN, LATER, NOW)
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.REJECTED, MUCH_LATER)
        assert row_of(journal).unresolved_since is None
        journal.record_intent(HOOK, EVENT, MUCH_LATER)
        assert row_of(journal).unresolved_since == MUCH_LATER


def test_unresolved_targets_are_unknown_or_were_left_in_flight_or_accepted(path: Path) -> None:
    left, unknown, accepted, now_in_flight = (UUID(int=n) for n in (40, 30, 20, 10))
    with open_writer(path) as journal:
        for event in (left, unknown, accepted):
            journal.record_intent(HOOK, event, NOW)
        journal.record_outcome(HOOK, unknown, OutcomeStatus.UNKNOWN, LATER)
        journal.record_outcome(HOOK, accepted, OutcomeStatus.ACCEPTED, LATER)
        # Targets in flight or accepted in this run are not unresolved.
        assert [row.request_id for row in journal.unresolved()] == [unknown]
    with open_writer(path) as journal:
        journal.record_intent(HOOK, now_in_flight, NOW)
        found: list[UUID] = []
        for row in journal.unresolved():
            found.append(row.request_id)
            journal.record_outcome(HOOK, row.request_id, OutcomeStatus.DELIVERED, LATER)
        assert found == [left, unknown, accepted]
        assert list(journal.unresolved()) == []


# Unseen targets


def test_unseen_targets_are_those_this_run_has_not_handled(path: Path) -> None:
    events = [UUID(int=n) for n in (9, 3, 7, 1, 5)]
    with open_writer(path) as journal:
        for event in events:
            journal.record_intent(HOOK, event, NOW)
            journal.record_outcome(HOOK, event, OutcomeStatus.REJECTED, LATER)
        assert list(journal.unseen()) == []
    with open_writer(path) as journal:
        journal.mark_seen(HOOK, events[1])
        journal.record_intent(HOOK, events[2], LATER)
        # An outcome from a look-up does not mark the target as seen.
        journal.record_outcome(HOOK, events[3], OutcomeStatus.DELIVERED, LATER)
        # What is done comes first.
        assert [row.request_id for row in journal.unseen()] == [events[3], events[0], events[4]]
        assert row_of(journal, events[1]).run == 2
        assert row_of(journal, events[1]).attempts == 1


def test_unseen_targets_that_failed_come_after_those_that_were_never_sent(path: Path) -> None:
    planned = [(HOOK, UUID(int=n)) for n in range(1, 6)]
    with open_writer(path) as journal:
        journal.write_plan(PLAN, planned)
        for n, status in ((1, OutcomeStatus.REJECTED), (4, OutcomeStatus.DELIVERED)):
            journal.record_intent(HOOK, UUID(int=n), NOW)
            journal.record_outcome(HOOK, UUID(int=n), status, LATER)
    with open_writer(path) as journal:
        assert [row.request_id.int for row in journal.unseen()] == [4, 2, 3, 5, 1]


def test_targets_may_be_written_while_unseen_ones_are_read(journal: JournalWriter) -> None:
    events = [UUID(int=n) for n in range(12, 1_512)]
    journal.write_plan(PLAN, [(HOOK, event) for event in events])
    found: list[UUID] = []
    for row in journal.unseen():
        found.append(row.request_id)
        journal.record_intent(HOOK, row.request_id, NOW)
        later = UUID(int=row.request_id.int + 1)
        if row.request_id.int % 3 == 0 and later in events:
            journal.mark_seen(HOOK, later)  # must not be yielded any more
    assert found == [event for event in events if event.int % 3 != 1]


# Plans


def test_a_plan_is_written_once_with_its_targets(path: Path) -> None:
    with open_writer(path) as journal:
        assert journal.plan is None
        journal.write_plan(PLAN, [(HOOK, EVENT), (HOOK, OTHER), (HOOK, EVENT)])
        assert nonzero(journal) == {"planned": 2}
        with pytest.raises(JournalError, match="another replay"):
            journal.write_plan(PLAN, [])
    with open_writer(path) as journal:
        assert journal.plan == PLAN
        assert nonzero(journal) == {"planned": 2}
        assert [row.request_id for row in journal.unseen()] == [EVENT, OTHER]
        assert journal.record_intent(HOOK, EVENT, NOW) == 1


def test_an_empty_plan_is_kept(path: Path) -> None:
    plan = evolve(PLAN, oldest_listed=None, covers_since=False, total=0)
    with open_writer(path) as journal:
        journal.write_plan(plan, [])
    with open_writer(path) as journal:
        assert journal.plan == plan


def test_a_plan_is_written_completely_or_not_at_all(path: Path) -> None:
    def broken() -> Iterator[tuple[UUID, UUID]]:
        yield from ((HOOK, UUID(int=n)) for n in range(5_000))
        raise RuntimeError("the list failed")

    with open_writer(path) as journal:
        with pytest.raises(RuntimeError, match="list failed"):
            journal.write_plan(PLAN, broken())
        assert (journal.plan, nonzero(journal)) == (None, {})
        assert journal.find(HOOK, UUID(int=0)) is None
        journal.write_plan(PLAN, [(HOOK, EVENT)])
        assert (journal.plan, nonzero(journal)) == (PLAN, {"planned": 1})


def test_a_journal_with_targets_refuses_a_plan(journal: JournalWriter) -> None:
    journal.record_intent(HOOK, EVENT, NOW)
    with pytest.raises(JournalError, match="another replay"):
        journal.write_plan(PLAN, [(HOOK, OTHER)])
    assert journal.plan is None


# Lifetime


def test_a_journal_belongs_to_one_api(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with pytest.raises(JournalError, match=BASE_URL) as caught:
        JournalWriter.open(path, base_url="https://staging.example")
    assert "https://staging.example" in str(caught.value)
    with open_writer(path) as journal:
        assert journal.run == 2  # the refused writer did not start a run
        assert row_of(journal).attempts == 1


def test_after_closing_one_file_remains(path: Path) -> None:
    journal = open_writer(path)
    journal.record_intent(HOOK, EVENT, NOW)
    journal.close()
    journal.close()
    assert names_in(path.parent) == [path.name]
    for attempt in (
        lambda: journal.find(HOOK, EVENT),
        lambda: journal.record_intent(HOOK, EVENT, NOW),
        lambda: journal.record_outcome(HOOK, EVENT, OutcomeStatus.FAILED, NOW),
        lambda: journal.write_plan(PLAN, []),
        lambda: list(journal.unseen()),
    ):
        with pytest.raises(JournalError, match="closed"):
            attempt()


def test_a_temporary_journal_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_writer(None) as journal, open_writer(None) as other:
        assert journal.temporary
        assert journal.path != other.path
        assert journal.path.is_relative_to(tmp_path)
        journal.record_intent(HOOK, EVENT, NOW)
        assert other.find(HOOK, EVENT) is None
    assert names_in(tmp_path) == []


def test_a_temporary_journal_that_cannot_be_created_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(JournalError, match="temporary journal"):
        open_writer(None)


def test_a_durable_journal_can_be_reopened(path: Path) -> None:
    with open_writer(path, durable=True) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with open_writer(path) as journal:
        assert row_of(journal).attempts == 1


def test_all_threads_may_write(path: Path) -> None:
    events = [UUID(int=n) for n in range(1, 801)]
    with open_writer(path) as shared:

        def record(event: UUID) -> int:
            attempts = shared.record_intent(HOOK, event, NOW)
            shared.record_outcome(HOOK, event, OutcomeStatus.DELIVERED, LATER, response_status=200)
            return attempts

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(record, events)) == {1}
        assert nonzero(shared) == {"delivered": len(events)}
    with open_writer(path) as journal:
        assert {row.request_id for row in journal.unseen()} == set(events)


def test_a_batch_is_written_by_flush(path: Path) -> None:
    with open_writer(path) as journal, Journal(path) as reader:
        journal.begin_batch()
        journal.begin_batch()
        assert journal.record_first_intent(HOOK, EVENT, NOW)
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
        assert not journal.record_first_intent(HOOK, EVENT, LATER)
        assert journal.record_intent(HOOK, OTHER, LATER) == 1
        assert len(reader) == 0
        journal.flush()
        assert [(entry.status, entry.in_flight) for entry in reader] == [
            ("delivered", False),
            (None, True),
        ]
        journal.flush()


def test_an_unflushed_batch_is_not_written(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        journal.begin_batch()
        journal.record_intent(HOOK, OTHER, NOW)
    with open_writer(path) as journal:
        assert journal.find(HOOK, OTHER) is None
        assert row_of(journal).state is RowState.IN_FLIGHT
