"""The file of a journal: accepted paths, permissions, and the lock of its one writer."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from support.journal_helpers import (
    EVENT,
    HOOK,
    LATER,
    NOW,
    WRITER,
    names_in,
    nonzero,
    open_writer,
    python_process,
    unprivileged,
    unwritable_directory,
)

from webhooks_sdk import JournalError, JournalLockedError
from webhooks_sdk.replay import Journal, OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


@pytest.fixture(params=["writer", "reader"])
def open_journal(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    """The function that opens a journal for writing or for reading."""
    return open_writer if request.param == "writer" else Journal


# Refused files, which must not be changed


def test_a_directory_is_refused(tmp_path: Path, open_journal: Callable[[Path], object]) -> None:
    with pytest.raises(JournalError, match="is a directory"):
        open_journal(tmp_path)
    assert names_in(tmp_path) == []


@posix
def test_a_symbolic_link_is_refused(path: Path, open_journal: Callable[[Path], object]) -> None:
    with open_writer(path):
        pass
    before = path.read_bytes()
    for name, target in (("link", path), ("dangling", path.with_name("nowhere"))):
        link = path.with_name(name)
        link.symlink_to(target)
        with pytest.raises(JournalError, match="symbolic link"):
            open_journal(link)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["dangling", "link", path.name]


@posix
def test_a_named_pipe_is_refused(path: Path, open_journal: Callable[[Path], object]) -> None:
    os.mkfifo(path)
    with pytest.raises(JournalError, match="not a regular file"):
        open_journal(path)


@posix
def test_a_file_with_two_hard_links_is_refused(path: Path) -> None:
    with open_writer(path):
        pass
    path.with_name("other").hardlink_to(path)
    with pytest.raises(JournalError, match="hard links"):
        open_writer(path)


@pytest.mark.parametrize("name", ["", ".", "..", "with\0zero", "directory/"])
def test_a_path_that_does_not_name_a_file_is_refused(
    name: str, open_journal: Callable[[object], object]
) -> None:
    with pytest.raises(JournalError, match="must name a file"):
        open_journal(name)


def test_a_missing_directory_is_reported(
    path: Path, open_journal: Callable[[Path], object]
) -> None:
    missing = path.parent / "missing" / "outage.sqlite"
    with pytest.raises(JournalError, match="No such file") as caught:
        open_journal(missing)
    assert str(missing) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"x", b"SQLite format 3\0", b"# notes\n" * 1_000, bytes(8_192)], ids=len
)
def test_another_file_is_refused_and_unchanged(
    path: Path, content: bytes, open_journal: Callable[[Path], object]
) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(JournalError, match="not a replay journal"):
        open_journal(path)
    assert path.read_bytes() == content
    assert names_in(path.parent) == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_database_of_another_application_is_refused_and_unchanged(
    path: Path, mode: str, open_journal: Callable[[Path], object]
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE target (seq)")
        before = {
            file: file.read_bytes() for file in path.parent.iterdir() if "-shm" not in file.name
        }
        with pytest.raises(JournalError, match="not a replay journal"):
            open_journal(path)
        assert {file: file.read_bytes() for file in before} == before
        assert not path.with_name(f"{path.name}-lock").exists()


def test_a_newer_format_is_refused_and_unchanged(
    path: Path, open_journal: Callable[[Path], object]
) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"has format 2.*Use the version that wrote it"):
        open_journal(path)
    assert path.read_bytes() == before
    assert names_in(path.parent) == [path.name]


def test_a_damaged_journal_is_refused(path: Path) -> None:
    with open_writer(path) as journal:
        for number in range(1, 500):
            journal.record_intent(HOOK, UUID(int=number), NOW)
    content = bytearray(path.read_bytes())
    content[4_096:] = os.urandom(len(content) - 4_096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="damaged"):
        open_writer(path)
    assert names_in(path.parent) == [path.name]


def test_reading_does_not_create_a_journal(path: Path) -> None:
    with pytest.raises(JournalError, match="does not exist"):
        Journal(path)
    assert names_in(path.parent) == []
    path.touch()
    with pytest.raises(JournalError, match="not a replay journal"):
        Journal(path)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch(mode=0o644)
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        assert modes(path) == {0o600}


@posix
def test_an_unwritable_directory_is_refused() -> None:
    with (
        unwritable_directory() as directory,
        unprivileged(),
        pytest.raises(JournalError, match="Permission denied") as caught,
    ):
        open_writer(directory / "outage.sqlite")
    assert str(directory) in str(caught.value)


@posix
def test_an_unwritable_journal_is_refused(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with unwritable_directory(path) as directory:
        (directory / path.name).chmod(0o400)
        directory.chmod(0o755)
        with unprivileged(), pytest.raises(JournalError, match="is not writable"):
            open_writer(directory / path.name)
        assert names_in(directory) == [path.name]
        assert (directory / path.name).read_bytes() == path.read_bytes()


# Accepted paths


@pytest.mark.parametrize("name", ["a b?c#d%41.sqlite", "file:x?mode=memory", ":memory:", "ünï"])
@posix
def test_a_name_is_not_interpreted_by_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer(name) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        assert journal.path == tmp_path / name
    assert names_in(tmp_path) == [name]
    with Journal(name) as reader:
        assert len(reader) == 1


@posix
def test_a_name_may_be_undecodable(tmp_path: Path) -> None:
    name = os.fsdecode(b"out\xffage")
    with open_writer(tmp_path / name) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    assert names_in(tmp_path) == [name]
    with Journal(tmp_path / name) as reader:
        assert len(reader) == 1


def test_a_leftover_log_of_a_removed_journal_is_ignored(path: Path) -> None:
    with python_process(WRITER, path, 1) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
    path.unlink()
    assert path.with_name(f"{path.name}-wal").exists()
    with open_writer(path) as journal:
        assert (journal.run, nonzero(journal)) == (1, {})


# Permissions


def modes(path: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_can_read_it(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with open_writer(path) as journal:
            journal.record_intent(HOOK, EVENT, NOW)
            assert names_in(path.parent) == [
                path.name + suffix for suffix in ("", "-lock", "-shm", "-wal")
            ]
            # The lock file is empty.
            assert modes(path) - {0o600} <= {0o600 & ~umask}
        assert modes(path) == {0o600}
    finally:
        os.umask(before)


# The lock


@pytest.fixture
def writing(path: Path) -> Iterator[None]:
    with python_process(WRITER, path, 1) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        yield


@pytest.mark.usefixtures("writing")
def test_a_second_writer_in_another_process_is_refused(path: Path) -> None:
    for _ in range(3):
        with pytest.raises(JournalLockedError, match="by another process") as caught:
            open_writer(path)
        assert str(path) in str(caught.value)


def test_a_second_writer_in_the_same_process_is_refused(path: Path) -> None:
    with open_writer(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        (path.parent / "here").mkdir()
        for same in (path, path.parent / "here" / ".." / path.name, os.path.relpath(path)):
            with pytest.raises(JournalLockedError, match="by this process"):
                open_writer(same)
        # Neither the attempts nor a reader have released its locks.
        with Journal(path) as reader:
            assert len(reader) == 1
        with python_process(WRITER, path, 1) as other:
            assert other.stdout is not None
            assert other.stdout.read() == ""
            assert other.wait() == 1
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
    with open_writer(path) as journal:
        assert nonzero(journal) == {"delivered": 1}


@posix
def test_the_lock_ends_with_its_process(path: Path) -> None:
    for run in range(1, 4):
        with python_process(WRITER, path, 1) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            writer.kill()
            writer.wait()
            assert path.with_name(f"{path.name}-lock").exists()
        with open_writer(path) as journal:
            assert journal.run == 2 * run
        assert names_in(path.parent) == [path.name]


@posix
@pytest.mark.parametrize("kind", ["directory", "link"])
def test_another_file_at_the_path_of_the_lock_is_unchanged(path: Path, kind: str) -> None:
    lock = path.with_name(f"{path.name}-lock")
    if kind == "directory":
        lock.mkdir()
    else:
        lock.symlink_to(path.with_name("victim"))
    with pytest.raises(JournalError, match=r"-lock.*cannot be created"):
        open_writer(path)
    assert names_in(path.parent) == [lock.name]


RACER = """
import os, sys
from webhooks_sdk import JournalLockedError
from webhooks_sdk.replay._journal.writer import JournalWriter

path, inside = sys.argv[1:]
won = 0
while won < 60:
    try:
        journal = JournalWriter.open(path, base_url="https://hookshot.example")
    except JournalLockedError:
        continue
    with journal:
        with open(inside, "x"):  # fails if another writer is inside
            pass
        os.unlink(inside)
        won += 1
print(won)
"""


def test_of_competing_writers_one_writes_at_a_time(path: Path) -> None:
    inside = path.with_name("inside")
    with (
        python_process(RACER, path, inside) as first,
        python_process(RACER, path, inside) as second,
        python_process(RACER, path, inside) as third,
    ):
        assert [racer.communicate()[0] for racer in (first, second, third)] == ["60\n"] * 3
    with open_writer(path) as journal:
        assert journal.run == 181
    assert names_in(path.parent) == [path.name]


FORKER = """
import os, sys
from datetime import UTC, datetime
from uuid import UUID
from webhooks_sdk import JournalError
from webhooks_sdk.replay import Journal
from webhooks_sdk.replay._journal.writer import JournalWriter

path = sys.argv[1]
url = "https://hookshot.example"
journal = JournalWriter.open(path, base_url=url)
journal.record_intent(UUID(int=1), UUID(int=2), datetime(2026, 1, 1, tzinfo=UTC))
output, child_output = os.pipe()
parent_alive, parent_end = os.pipe()
if os.fork() == 0:
    os.close(parent_end)
    for attempt in (
        lambda: journal.find(UUID(int=1), UUID(int=2)),
        lambda: JournalWriter.open(path, base_url=url),
    ):
        try:
            attempt()
        except JournalError as error:
            os.write(child_output, f"{type(error).__name__}: {error}\\n".encode())
    journal.close()
    del journal
    os.write(child_output, b"closed\\n")
    os.close(child_output)
    os.read(parent_alive, 1)  # outlives its parent
    os._exit(0)
os.close(child_output)
with os.fdopen(output) as lines:
    print(lines.read(), end="", flush=True)
journal.record_intent(UUID(int=1), UUID(int=3), datetime(2026, 1, 1, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
"""


@posix
def test_a_forked_child_cannot_use_the_journal(path: Path) -> None:
    with python_process(FORKER, path) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline() for _ in range(4)]
        assert lines[0].startswith("JournalError: ")
        assert "parent of this process" in lines[0]
        assert lines[1].startswith("JournalLockedError: ")
        assert "by another process" in lines[1]
        assert lines[2:] == ["closed\n", "ready\n"]
        with pytest.raises(JournalLockedError):
            open_writer(path)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        # The child is still alive, and does not hold the lock.
        with open_writer(path) as journal:
            assert nonzero(journal) == {"in_flight": 2}
