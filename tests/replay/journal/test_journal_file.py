"""Where a journal may be, who may read it, what is refused, and that one alone writes it."""

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
    opened,
    process,
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
def open_it(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    """The two ways in, which must not succeed."""
    return opened if request.param == "writer" else Journal


# What is refused, and left as it was


def test_a_directory_is_refused(tmp_path: Path, open_it: Callable[[Path], object]) -> None:
    with pytest.raises(JournalError, match="is a directory"):
        open_it(tmp_path)
    assert names_in(tmp_path) == []


@posix
def test_a_symbolic_link_is_refused(path: Path, open_it: Callable[[Path], object]) -> None:
    with opened(path):
        pass
    before = path.read_bytes()
    for name, target in (("link", path), ("dangling", path.with_name("nowhere"))):
        link = path.with_name(name)
        link.symlink_to(target)
        with pytest.raises(JournalError, match="symbolic link"):
            open_it(link)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["dangling", "link", path.name]


@posix
def test_what_would_never_end_is_refused(path: Path, open_it: Callable[[Path], object]) -> None:
    os.mkfifo(path)
    with pytest.raises(JournalError, match="no regular file"):
        open_it(path)


@posix
def test_a_file_of_two_names_is_refused(path: Path) -> None:
    with opened(path):
        pass
    path.with_name("other").hardlink_to(path)
    with pytest.raises(JournalError, match="hard links"):
        opened(path)


@pytest.mark.parametrize("name", ["", ".", "..", "with\0zero", "directory/"])
def test_what_names_no_file_is_refused(name: str, open_it: Callable[[object], object]) -> None:
    with pytest.raises(JournalError, match="name of a file"):
        open_it(name)


def test_a_missing_directory_is_named(path: Path, open_it: Callable[[Path], object]) -> None:
    missing = path.parent / "missing" / "outage.sqlite"
    with pytest.raises(JournalError, match="No such file") as caught:
        open_it(missing)
    assert str(missing) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"x", b"SQLite format 3\0", b"# notes\n" * 1_000, bytes(8_192)], ids=len
)
def test_another_file_is_refused_and_untouched(
    path: Path, content: bytes, open_it: Callable[[Path], object]
) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(JournalError, match="no journal of a replay"):
        open_it(path)
    assert path.read_bytes() == content
    assert names_in(path.parent) == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_database_of_another_application_is_refused_and_untouched(
    path: Path, mode: str, open_it: Callable[[Path], object]
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE target (seq)")
        before = {
            file: file.read_bytes() for file in path.parent.iterdir() if "-shm" not in file.name
        }
        with pytest.raises(JournalError, match="no journal of a replay"):
            open_it(path)
        assert {file: file.read_bytes() for file in before} == before
        assert not path.with_name(f"{path.name}-lock").exists()


def test_a_newer_format_is_refused_and_untouched(
    path: Path, open_it: Callable[[Path], object]
) -> None:
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"has format 2.*use the version that wrote it"):
        open_it(path)
    assert path.read_bytes() == before
    assert names_in(path.parent) == [path.name]


def test_a_damaged_journal_is_told_from_a_good_one(path: Path) -> None:
    with opened(path) as journal:
        for number in range(1, 500):
            journal.record_intent(HOOK, UUID(int=number), NOW)
    content = bytearray(path.read_bytes())
    content[4_096:] = os.urandom(len(content) - 4_096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="damaged"):
        opened(path)
    assert names_in(path.parent) == [path.name]


def test_reading_makes_no_journal(path: Path) -> None:
    with pytest.raises(JournalError, match="no journal"):
        Journal(path)
    assert names_in(path.parent) == []
    path.touch()
    with pytest.raises(JournalError, match="no journal"):
        Journal(path)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch(mode=0o644)
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        assert modes(path) == {0o600}


@posix
def test_a_place_that_may_not_be_written_is_refused() -> None:
    with (
        unwritable_directory() as directory,
        unprivileged(),
        pytest.raises(JournalError, match="Permission denied") as caught,
    ):
        opened(directory / "outage.sqlite")
    assert str(directory) in str(caught.value)


@posix
def test_a_journal_that_may_not_be_written_is_refused(path: Path) -> None:
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    with unwritable_directory(path) as directory:
        (directory / path.name).chmod(0o400)
        directory.chmod(0o755)
        with unprivileged(), pytest.raises(JournalError, match="may not be written"):
            opened(directory / path.name)
        assert names_in(directory) == [path.name]
        assert (directory / path.name).read_bytes() == path.read_bytes()


# Where it may be


@pytest.mark.parametrize("name", ["a b?c#d%41.sqlite", "file:x?mode=memory", ":memory:", "ünï"])
@posix
def test_a_name_means_nothing_to_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(name) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        assert journal.path == tmp_path / name
    assert names_in(tmp_path) == [name]
    with Journal(name) as reader:
        assert len(reader) == 1


@posix
def test_a_name_need_not_be_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"out\xffage")
    with opened(tmp_path / name) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
    assert names_in(tmp_path) == [name]
    with Journal(tmp_path / name) as reader:
        assert len(reader) == 1


def test_what_an_older_journal_left_behind_is_not_taken_for_a_part(path: Path) -> None:
    with process(WRITER, path, 1) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
    path.unlink()
    assert path.with_name(f"{path.name}-wal").exists()
    with opened(path) as journal:
        assert (journal.run, nonzero(journal)) == (1, {})


# Who may read it


def modes(path: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_can_read_it(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with opened(path) as journal:
            journal.record_intent(HOOK, EVENT, NOW)
            assert names_in(path.parent) == [
                path.name + suffix for suffix in ("", "-lock", "-shm", "-wal")
            ]
            # The lock file is empty.
            assert modes(path) - {0o600} <= {0o600 & ~umask}
        assert modes(path) == {0o600}
    finally:
        os.umask(before)


# One writer


@pytest.fixture
def writing(path: Path) -> Iterator[None]:
    with process(WRITER, path, 1) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        yield


@pytest.mark.usefixtures("writing")
def test_a_writer_keeps_other_processes_off(path: Path) -> None:
    for _ in range(3):
        with pytest.raises(JournalLockedError, match="by another process") as caught:
            opened(path)
        assert str(path) in str(caught.value)


def test_a_writer_keeps_its_own_process_off(path: Path) -> None:
    with opened(path) as journal:
        journal.record_intent(HOOK, EVENT, NOW)
        (path.parent / "here").mkdir()
        for same in (path, path.parent / "here" / ".." / path.name, os.path.relpath(path)):
            with pytest.raises(JournalLockedError, match="by this process"):
                opened(same)
        # Neither the attempts nor a reader have taken its locks away.
        with Journal(path) as reader:
            assert len(reader) == 1
        with process(WRITER, path, 1) as other:
            assert other.stdout is not None
            assert other.stdout.read() == ""
            assert other.wait() == 1
        journal.record_outcome(HOOK, EVENT, OutcomeStatus.DELIVERED, LATER)
    with opened(path) as journal:
        assert nonzero(journal) == {"delivered": 1}


@posix
def test_a_lock_ends_with_its_process(path: Path) -> None:
    for run in range(1, 4):
        with process(WRITER, path, 1) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "open\n"
            writer.kill()
            writer.wait()
            assert path.with_name(f"{path.name}-lock").exists()
        with opened(path) as journal:
            assert journal.run == 2 * run
        assert names_in(path.parent) == [path.name]


@posix
@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_stands_in_the_place_of_the_lock_is_left_alone(path: Path, kind: str) -> None:
    lock = path.with_name(f"{path.name}-lock")
    if kind == "directory":
        lock.mkdir()
    else:
        lock.symlink_to(path.with_name("victim"))
    with pytest.raises(JournalError, match=r"-lock.*cannot be made"):
        opened(path)
    assert names_in(path.parent) == [lock.name]


RACER = """
import sys
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
        with open(inside, "x"):  # fails if another is inside
            pass
        import os
        os.unlink(inside)
        won += 1
print(won)
"""


def test_of_many_that_come_and_go_one_writes_at_a_time(path: Path) -> None:
    inside = path.with_name("inside")
    with (
        process(RACER, path, inside) as first,
        process(RACER, path, inside) as second,
        process(RACER, path, inside) as third,
    ):
        assert [racer.communicate()[0] for racer in (first, second, third)] == ["60\n"] * 3
    with opened(path) as journal:
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
said, saying = os.pipe()
waiting, wake = os.pipe()
if os.fork() == 0:
    os.close(wake)
    for attempt in (
        lambda: journal.find(UUID(int=1), UUID(int=2)),
        lambda: JournalWriter.open(path, base_url=url),
    ):
        try:
            attempt()
        except JournalError as error:
            os.write(saying, f"{type(error).__name__}: {error}\\n".encode())
    journal.close()
    del journal
    os.write(saying, b"closed\\n")
    os.close(saying)
    os.read(waiting, 1)  # outlives its parent
    os._exit(0)
os.close(saying)
with os.fdopen(said) as told:
    print(told.read(), end="", flush=True)
journal.record_intent(UUID(int=1), UUID(int=3), datetime(2026, 1, 1, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
"""


@posix
def test_a_forked_child_has_no_part_in_the_journal(path: Path) -> None:
    with process(FORKER, path) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline() for _ in range(4)]
        assert lines[0].startswith("JournalError: ")
        assert "parent of this process" in lines[0]
        assert lines[1].startswith("JournalLockedError: ")
        assert "by another process" in lines[1]
        assert lines[2:] == ["closed\n", "ready\n"]
        with pytest.raises(JournalLockedError):
            opened(path)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        # The child lives on, and does not keep the lock.
        with opened(path) as journal:
            assert nonzero(journal) == {"in_flight": 2}
