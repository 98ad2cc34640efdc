"""Reading a journal: entries, filters, and reads during and after another process writes it."""

from __future__ import annotations

import sys
import tracemalloc
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from attrs.exceptions import FrozenInstanceError
from support.journal_helpers import (
    BASE_URL,
    EVENT,
    HOOK,
    LATER,
    MUCH_LATER,
    NOW,
    OTHER,
    PLAN,
    WRITER,
    names_in,
    open_writer,
    python_process,
    read_until,
    unprivileged,
    unwritable_directory,
)

from webhooks_sdk import InvalidArgumentError, JournalError
from webhooks_sdk.replay import Journal, JournalEntry, OutcomeStatus
from webhooks_sdk.replay._journal.rows import ErrorRecord

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def test_an_entry_describes_an_event(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        journal.record_outcome(
            HOOK,
            EVENT,
            OutcomeStatus.REJECTED,
            LATER,
            response_status=503,
            duration_ms=7,
            delivery_id=OTHER,
            error=ErrorRecord(kind="APIError", message="what happened"),
        )
    with Journal(path) as reader:
        assert reader.base_url == BASE_URL
        assert reader.plan is None
        assert reader.path == path
        assert len(reader) == 1
        (entry,) = reader
    assert entry == JournalEntry(
        hook_id=HOOK,
        request_id=EVENT,
        status=OutcomeStatus.REJECTED,
        in_flight=False,
        attempts=1,
        response_status=503,
        response_duration_ms=7,
        delivery_id=OTHER,
        error="APIError: what happened",
        intent_at=NOW,
        outcome_at=LATER,
    )
    with pytest.raises(FrozenInstanceError):
        entry.attempts = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - it is frozen


def fill(path: Path) -> dict[OutcomeStatus, UUID]:
    """Write an event of each status, one in flight after a rejection, and one that was planned."""
    statuses = [status for status in OutcomeStatus if status is not OutcomeStatus.SKIPPED]
    event_of: dict[OutcomeStatus, UUID] = {
        status: UUID(int=n) for n, status in enumerate(statuses, start=10)
    }
    with open_writer(path) as journal:
        journal.write_plan(PLAN, [(HOOK, EVENT)])
        for status, event in event_of.items():
            journal.record_intent(HOOK, event, NOW)
            journal.record_outcome(HOOK, event, status, LATER)
        journal.record_intent(HOOK, OTHER, NOW)
        journal.record_outcome(HOOK, OTHER, OutcomeStatus.REJECTED, LATER, response_status=500)
        journal.record_intent(HOOK, OTHER, MUCH_LATER)
    return event_of


def test_entries_are_ordered_and_can_be_filtered_by_status(path: Path) -> None:
    event_of = fill(path)
    with Journal(path) as reader:
        assert [entry.request_id for entry in reader] == [EVENT, *event_of.values(), OTHER]
        assert [entry.request_id for entry in reader.entries()] == [e.request_id for e in reader]
        for status, event in event_of.items():
            assert [(e.request_id, e.status) for e in reader.entries(status)] == [(event, status)]
            assert [e.request_id for e in reader.entries(status.value)] == [event]
        both = reader.entries("unknown", OutcomeStatus.DELIVERED)
        assert [e.status for e in both] == [OutcomeStatus.DELIVERED, OutcomeStatus.UNKNOWN]
        assert list(reader.entries(OutcomeStatus.SKIPPED)) == []
        with pytest.raises(InvalidArgumentError, match=r"'lost'.*delivered, rejected"):
            reader.entries("lost")


def test_planned_events_and_events_in_flight_have_no_status(path: Path) -> None:
    fill(path)
    with Journal(path) as reader:
        entries = {entry.request_id: entry for entry in reader}
        assert reader.plan == PLAN
        assert reader.counts == {
            "planned": 1,
            "in_flight": 1,
            "delivered": 1,
            "rejected": 1,
            "accepted": 1,
            "failed": 1,
            "unknown": 1,
        }
    planned, in_flight = entries[EVENT], entries[OTHER]
    assert (planned.status, planned.in_flight, planned.attempts) == (None, False, 0)
    assert planned.intent_at is planned.outcome_at is None
    assert (in_flight.status, in_flight.in_flight, in_flight.attempts) == (None, True, 2)
    # The outcome of the previous attempt is kept.
    assert (in_flight.response_status, in_flight.outcome_at) == (500, LATER)
    assert in_flight.intent_at == MUCH_LATER


def test_a_reader_sees_later_writes(path: Path) -> None:
    with open_writer(path) as journal, Journal(path) as reader:
        assert (list(reader), len(reader)) == ([], 0)
        journal.record_intent(HOOK, EVENT, NOW)
        assert [entry.in_flight for entry in reader] == [True]
        entries = iter(reader)
        next(entries)
        # A slow reader does not block the writer.
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
        journal.record_intent(HOOK, OTHER, NOW)
        assert [entry.request_id for entry in entries] == [OTHER]
        assert [e.request_id for e in reader.entries("delivered")] == [EVENT]


def test_every_entry_is_yielded_once_across_pages(path: Path) -> None:
    events = [UUID(int=n) for n in range(3_001, 0, -1)]
    found: list[UUID] = []
    with open_writer(path) as journal, Journal(path) as reader:
        journal.write_plan(PLAN, [(HOOK, event) for event in events])
        for entry in reader:
            found.append(entry.request_id)
            if len(found) % 100 == 0:
                journal.record_intent(HOOK, entry.request_id, NOW)
        assert found == events
        assert len(reader) == len(events)


def test_reading_needs_constant_memory(path: Path) -> None:
    def peak(path: Path, number: int) -> int:
        with open_writer(path) as journal:
            journal.write_plan(PLAN, ((HOOK, UUID(int=n)) for n in range(number)))
        with Journal(path) as reader:
            tracemalloc.start()
            try:
                assert sum(1 for _ in reader) == number
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    few, many = peak(path, 2_000), peak(path.with_name("many"), 20_000)
    assert many < few * 1.5


def test_the_last_to_close_removes_the_other_files(path: Path) -> None:
    journal = open_writer(path)
    journal.record_intent(HOOK, EVENT, NOW)
    reader = Journal(path)
    assert len(reader) == 1
    journal.close()
    assert len(reader) == 1
    reader.close()
    reader.close()
    assert names_in(path.parent) == [path.name]
    with Journal(path) as reader:
        assert [entry.in_flight for entry in reader] == [True]
    assert names_in(path.parent) == [path.name]
    for attempt in (lambda: len(reader), lambda: reader.counts, lambda: list(reader)):
        with pytest.raises(JournalError, match="closed"):
            attempt()


def test_a_reader_may_be_used_by_any_thread(path: Path) -> None:
    fill(path)
    with Journal(path) as reader:
        found: list[int] = []
        thread = Thread(target=lambda: found.append(len(list(reader))))
        thread.start()
        thread.join()
        assert found == [7]


def test_a_journal_is_read_while_another_process_writes_and_after_that_has_died(path: Path) -> None:
    with python_process(WRITER, path, 1) as writer:
        read_until(writer, "intent 20")
        with Journal(path) as reader:
            assert len(reader) >= 20
            assert reader.counts["delivered"] >= 19
    with Journal(path) as reader:
        first = list(reader)[:20]
        assert [entry.request_id.int for entry in first] == list(range(1, 21))
        assert all(entry.status == "delivered" for entry in first[:19])


@posix
def test_a_closed_journal_is_read_without_write_permission(path: Path) -> None:
    fill(path)
    with unwritable_directory(path) as directory:
        with unprivileged(), Journal(directory / path.name) as reader:
            assert len(list(reader)) == 7
            assert reader.plan == PLAN
        assert names_in(directory) == [path.name]


@posix
@pytest.mark.parametrize("left", [("-wal", "-shm"), ("-wal",)], ids=len)
def test_a_journal_left_by_a_crash_is_read_without_write_permission(
    path: Path, left: tuple[str, ...]
) -> None:
    with python_process(WRITER, path, 1) as writer:
        read_until(writer, "intent 20")
    files = [path, *(path.with_name(path.name + suffix) for suffix in left)]
    with unwritable_directory(*files) as directory:
        with unprivileged(), Journal(directory / path.name) as reader:
            assert len(list(reader)) >= 20
            assert reader.counts["delivered"] >= 19
            assert reader.base_url == BASE_URL
        assert set(names_in(directory)) <= {file.name for file in files}


@posix
def test_a_reader_without_write_permission_leaves_no_files(path: Path) -> None:
    fill(path)
    with unwritable_directory(path) as directory:
        (directory / path.name).chmod(0o400)
        directory.chmod(0o755)
        with unprivileged(), Journal(directory / path.name) as reader:
            assert len(list(reader)) == 7
            assert names_in(directory) == [path.name]
        assert names_in(directory) == [path.name]
