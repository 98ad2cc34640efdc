"""Constants and helpers for the tests of the journal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from webhooks_sdk.replay import Plan
from webhooks_sdk.replay._journal.writer import JournalWriter

if TYPE_CHECKING:
    from collections.abc import Generator

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


def open_writer(path: str | os.PathLike[str] | None, *, durable: bool = False) -> JournalWriter:
    return JournalWriter.open(path, base_url=BASE_URL, durable=durable)


def nonzero(journal: JournalWriter) -> dict[str, int]:
    return {state.value: number for state, number in journal.counts().items() if number}


def names_in(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


@contextmanager
def python_process(script: str, *arguments: object) -> Generator[subprocess.Popen[str]]:
    """Run a script in a separate Python process, which is killed at the end of the block."""
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


# Prints a line for each intent and each outcome that it has written, until it is killed.
WRITER = """
import sys
from datetime import UTC, datetime
from uuid import UUID
from webhooks_sdk.replay import OutcomeStatus
from webhooks_sdk.replay._journal.writer import JournalWriter

path, first = sys.argv[1], int(sys.argv[2])
hook, now = UUID(int=1), datetime(2026, 1, 2, tzinfo=UTC)
with JournalWriter.open(path, base_url="https://hookshot.example") as journal:
    print("open", flush=True)
    for number in range(first, first + 1_000_000):
        journal.record_intent(hook, UUID(int=number), now)
        print("intent", number, flush=True)
        delivered = OutcomeStatus.DELIVERED
        journal.record_outcome(hook, UUID(int=number), delivered, now, response_status=200)
        print("outcome", number, flush=True)
"""


def read_until(process: subprocess.Popen[str], line: str) -> None:
    """Read the output of a process up to a line. Fails if the output ends before it."""
    assert process.stdout is not None
    while (found := process.stdout.readline()) != f"{line}\n":
        assert found, f"The process ended before it printed {line!r}."


@contextmanager
def unprivileged() -> Generator[None]:
    """Run the block without root privileges, so that permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(0)


_NOBODY_UID = 65_534


@contextmanager
def unwritable_directory(*files: Path) -> Generator[Path]:
    """Create a directory with copies of files; `unprivileged` code can write only to the copies."""
    directory = Path(tempfile.mkdtemp())
    try:
        for file in files:
            shutil.copy(file, directory / file.name)
        if os.geteuid() == 0:
            for owned in (directory, *directory.iterdir()):
                os.chown(owned, _NOBODY_UID, -1)
        directory.chmod(0o555)
        yield directory
    finally:
        directory.chmod(0o755)
        shutil.rmtree(directory)
