"""A journal survives its writer being killed, a full disk, and a locked file."""

from __future__ import annotations

import random
import sys
import threading
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from support.journal_helpers import (
    EVENT,
    HOOK,
    LATER,
    NOW,
    PLAN,
    WRITER,
    names_in,
    nonzero,
    open_writer,
    python_process,
)

from webhooks_sdk import JournalError
from webhooks_sdk.replay import Journal, OutcomeStatus
from webhooks_sdk.replay._journal.rows import RowState

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def lines_before_kill(writer: subprocess.Popen[str], number: int) -> list[str]:
    """Read some lines, kill the process, and return all complete lines that it printed."""
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(number)]
    writer.kill()
    lines += writer.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("seed", range(6))
def test_written_rows_survive_a_kill_at_any_point(path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - not for security
    intents: set[int] = set()
    outcomes: set[int] = set()
    for run in range(1, 6):
        with python_process(WRITER, path, run * 1_000_000) as writer:
            lines = lines_before_kill(writer, rng.choice([0, 1, 2, 3, rng.randrange(4, 3_000)]))
        for line in lines:
            kind, _, number = line.strip().partition(" ")
            if kind == "intent":
                intents.add(int(number))
            elif kind == "outcome":
                outcomes.add(int(number))
    with open_writer(path) as journal:
        states = {row.request_id.int: row.state for row in journal.unseen()}
        unresolved = {row.request_id.int for row in journal.unresolved()}
    assert intents <= states.keys()
    assert all(states[number] is RowState.DELIVERED for number in outcomes)
    # At most one for each run: the request that was in flight, whether or not it was printed.
    assert len(unresolved) <= 5
    assert unresolved == {number for number, state in states.items() if state is RowState.IN_FLIGHT}
    assert len(states.keys() - intents) <= 5
    assert names_in(path.parent) == [path.name]


PLANNER = """
import sys
from datetime import UTC, datetime
from uuid import UUID
from webhooks_sdk.replay import Plan
from webhooks_sdk.replay._journal.writer import JournalWriter

now = datetime(2026, 1, 2, tzinfo=UTC)
plan = Plan(hook_id=UUID(int=1), since=now, until=now, oldest_listed=None, covers_since=False,
            pending=0, total=60_000)

def targets():
    for number in range(60_000):
        if number % 1_000 == 0:
            print(number, flush=True)
        yield UUID(int=1), UUID(int=number * 7_919 % 60_000)

with JournalWriter.open(sys.argv[1], base_url="https://hookshot.example") as journal:
    print("open", flush=True)
    journal.write_plan(plan, targets())
    print("planned", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("lines", [0, 1, 2, 20, 45, 60, 61, 62])
def test_a_plan_is_written_completely_or_not_at_all_despite_a_kill(path: Path, lines: int) -> None:
    with python_process(PLANNER, path) as writer:
        printed = lines_before_kill(writer, lines)
    with open_writer(path) as journal:
        if journal.plan is None:
            assert "planned\n" not in printed
            assert nonzero(journal) == {}
            journal.write_plan(PLAN, [(HOOK, EVENT)])
            assert nonzero(journal) == {"planned": 1}
        else:
            assert len(printed) >= 61
            assert journal.plan.total == 60_000
            assert nonzero(journal) == {"planned": 60_000}
            assert sum(1 for _ in journal.unseen()) == 60_000
    assert names_in(path.parent) == [path.name]


CREATOR = """
import sys
from webhooks_sdk.replay._journal.writer import JournalWriter

print("ready", flush=True)
sys.stdin.readline()
while True:
    with JournalWriter.open(sys.argv[1], base_url="https://hookshot.example") as journal:
        pass
    journal.path.unlink()
"""


@posix
def test_a_journal_can_be_created_after_a_kill_during_creation(path: Path) -> None:
    rng = random.Random(1)  # noqa: S311 - not for security
    for _ in range(12):
        with python_process(CREATOR, path) as creator:
            assert creator.stdout is not None
            assert creator.stdin is not None
            assert creator.stdout.readline() == "ready\n"
            creator.stdin.write("\n")
            creator.stdin.flush()
            # The kill may hit any step; the test does not depend on which.
            threading.Event().wait(rng.uniform(0.0, 0.03))
            creator.kill()
        with open_writer(path) as journal:
            assert nonzero(journal) == {}
            journal.record_intent(HOOK, EVENT, NOW)
        assert names_in(path.parent) == [path.name]
        path.unlink()


FILLER = """
import resource, sys
from datetime import UTC, datetime
from uuid import UUID
from webhooks_sdk import JournalError
from webhooks_sdk.replay import OutcomeStatus
from webhooks_sdk.replay._journal.writer import JournalWriter

# Files of this process cannot grow beyond this, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
now = datetime(2026, 1, 2, tzinfo=UTC)
with JournalWriter.open(sys.argv[1], base_url="https://hookshot.example") as journal:
    written = settled = 0
    try:
        while True:
            journal.record_intent(UUID(int=1), UUID(int=written + 1), now)
            written += 1
    except JournalError as error:
        print(written)
        print(error)
    try:
        while True:  # smaller writes may still succeed
            journal.record_outcome(UUID(int=1), UUID(int=settled + 1), OutcomeStatus.DELIVERED, now)
            settled += 1
    except JournalError:
        print(settled)
    print(journal.counts()["in_flight"], journal.find(UUID(int=1), UUID(int=written)) is not None)
print("closed")
"""


@posix
def test_a_full_disk_is_reported_and_loses_nothing(path: Path) -> None:
    with python_process(FILLER, path) as filler:
        output, _ = filler.communicate(timeout=60)
    written, message, settled, counted, last = output.splitlines()
    assert int(written) > 50
    assert str(path) in message
    assert "resume" in message
    left = int(written) - int(settled)
    assert (counted, last) == (f"{left} True", "closed")
    with open_writer(path) as journal:
        delivered = {"delivered": int(settled)} if int(settled) else {}
        assert nonzero(journal) == {"in_flight": left} | delivered
        journal.record_outcome(HOOK, UUID(int=int(written)), OutcomeStatus.DELIVERED, LATER)
    with Journal(path) as reader:
        assert len(reader) == int(written)


BLOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("blocked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


def test_a_short_lock_by_another_program_is_waited_for(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        with python_process(BLOCKER, path) as blocker:
            assert blocker.stdout is not None
            assert blocker.stdout.readline() == "blocked\n"
            release = threading.Timer(0.2, lambda: blocker.communicate("release\n"))
            release.start()
            journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
            release.join()
        assert nonzero(journal) == {"delivered": 1}


def test_a_lasting_lock_by_another_program_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks_sdk.replay._journal.database._BUSY_TIMEOUT", 0.05)
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        with python_process(BLOCKER, path) as blocker:
            assert blocker.stdout is not None
            assert blocker.stdout.readline() == "blocked\n"
            with pytest.raises(JournalError, match="Another program has locked it"):
                journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
            blocker.communicate("release\n")
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
