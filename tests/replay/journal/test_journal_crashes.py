"""A journal outlives its writer: killed at any point, out of room, or cut off while it was made."""

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
    opened,
    process,
)

from webhooks_sdk import JournalError
from webhooks_sdk.replay import Journal, OutcomeStatus
from webhooks_sdk.replay._journal.writer import RowState

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def lines_until(writer: subprocess.Popen[str], number: int) -> list[str]:
    """Return the first lines that it writes, and those on their way when it is killed then."""
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(number)]
    writer.kill()
    lines += writer.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("seed", range(6))
def test_what_was_written_survives_a_kill_at_any_point(path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    intents: set[int] = set()
    outcomes: set[int] = set()
    for run in range(1, 6):
        with process(WRITER, path, run * 1_000_000) as writer:
            lines = lines_until(writer, chance.choice([0, 1, 2, 3, chance.randrange(4, 3_000)]))
        for line in lines:
            what, _, number = line.strip().partition(" ")
            if what == "intent":
                intents.add(int(number))
            elif what == "outcome":
                outcomes.add(int(number))
    with opened(path) as journal:
        kept = {row.request_id.int: row.state for row in journal.unseen()}
        in_doubt = {row.request_id.int for row in journal.unresolved()}
    assert intents <= kept.keys()
    assert all(kept[number] is RowState.DELIVERED for number in outcomes)
    # Of each run at most the one that was under way, whether or not it could still say so.
    assert len(in_doubt) <= 5
    assert in_doubt == {number for number, state in kept.items() if state is RowState.IN_FLIGHT}
    assert len(kept.keys() - intents) <= 5
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
def test_a_plan_survives_a_kill_as_a_whole_or_not_at_all(path: Path, lines: int) -> None:
    with process(PLANNER, path) as writer:
        said = lines_until(writer, lines)
    with opened(path) as journal:
        if journal.plan is None:
            assert "planned\n" not in said
            assert nonzero(journal) == {}
            journal.write_plan(PLAN, [(HOOK, EVENT)])
            assert nonzero(journal) == {"planned": 1}
        else:
            assert len(said) >= 61
            assert journal.plan.total == 60_000
            assert nonzero(journal) == {"planned": 60_000}
            assert sum(1 for _ in journal.unseen()) == 60_000
    assert names_in(path.parent) == [path.name]


MAKER = """
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
def test_a_journal_that_was_cut_off_while_it_was_made_can_be_made(path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - a test
    for _ in range(12):
        with process(MAKER, path) as maker:
            assert maker.stdout is not None
            assert maker.stdin is not None
            assert maker.stdout.readline() == "ready\n"
            maker.stdin.write("\n")
            maker.stdin.flush()
            # Wherever it is then: nothing here depends on where.
            threading.Event().wait(chance.uniform(0.0, 0.03))
            maker.kill()
        with opened(path) as journal:
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

# No file of this process may grow further, as on a disk that is full.
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
        while True:  # what takes less room may still find some
            journal.record_outcome(UUID(int=1), UUID(int=settled + 1), OutcomeStatus.DELIVERED, now)
            settled += 1
    except JournalError:
        print(settled)
    print(journal.counts()["in_flight"], journal.find(UUID(int=1), UUID(int=written)) is not None)
print("closed")
"""


@posix
def test_a_full_disk_is_said_and_takes_nothing_back(path: Path) -> None:
    with process(FILLER, path) as filler:
        said, _ = filler.communicate(timeout=60)
    written, message, settled, counted, last = said.splitlines()
    assert int(written) > 50
    assert str(path) in message
    assert "resume" in message
    left = int(written) - int(settled)
    assert (counted, last) == (f"{left} True", "closed")
    with opened(path) as journal:
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


def test_who_locks_the_file_by_hand_is_waited_for(path: Path) -> None:
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        with process(BLOCKER, path) as blocker:
            assert blocker.stdout is not None
            assert blocker.stdout.readline() == "blocked\n"
            release = threading.Timer(0.2, lambda: blocker.communicate("go on\n"))
            release.start()
            journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
            release.join()
        assert nonzero(journal) == {"delivered": 1}


def test_who_keeps_the_file_locked_is_named_as_the_cause(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks_sdk.replay._journal.database._BUSY_TIMEOUT", 0.05)
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        with process(BLOCKER, path) as blocker:
            assert blocker.stdout is not None
            assert blocker.stdout.readline() == "blocked\n"
            with pytest.raises(JournalError, match="another program has it locked"):
                journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
            blocker.communicate("go on\n")
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
