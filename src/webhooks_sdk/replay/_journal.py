"""Writing the journal of a replay: SQLite, the intent before a request and the outcome after it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._lock import WriterLock
from webhooks_sdk.replay._rows import (
    APPLICATION_ID,
    COLUMNS,
    FORMAT,
    SCHEMA,
    error_text,
    microseconds,
    read_plan_text,
    read_row,
    write_plan_text,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from webhooks_sdk.replay._outcomes import OutcomeStatus
    from webhooks_sdk.replay._rows import Plan, Row

_MAGIC = b"SQLite format 3\0"
_PAGE = 500
# Pages of the write-ahead log, 32 MB, between two times that SQLite waits for the disk.
_CHECKPOINT = 8000

_FIND = f"SELECT {COLUMNS} FROM targets WHERE request_id = ? AND hook_id = ?"  # noqa: S608 - constants
_INTEND = """
INSERT INTO targets (hook_id, request_id, state, before, attempts, run, intended_at)
VALUES (?, ?, 'in_flight', 'planned', 1, ?, ?)
ON CONFLICT (request_id, hook_id) DO UPDATE SET
    state = 'in_flight', before = state, attempts = attempts + 1, run = excluded.run,
    intended_at = excluded.intended_at
RETURNING attempts
"""
_SETTLE = """
UPDATE targets SET state = ?, settled_at = ?, response_status = ?, duration_ms = ?,
    delivery_id = ?, error = ?
WHERE request_id = ? AND hook_id = ?
"""
_WITHDRAW = """
UPDATE targets SET state = before, attempts = attempts - 1 WHERE request_id = ? AND hook_id = ?
"""
_TOUCH = "UPDATE targets SET run = ? WHERE request_id = ? AND hook_id = ?"
_UNTOUCHED = f"SELECT {COLUMNS} FROM targets WHERE seq > ? AND run < ? ORDER BY seq LIMIT {_PAGE}"  # noqa: S608 - constants
_UNANSWERED = f"SELECT {COLUMNS} FROM targets WHERE state IN ('in_flight', 'unknown')"  # noqa: S608 - constants
_PLAN = """
INSERT OR IGNORE INTO targets (hook_id, request_id, state, before, attempts, run)
VALUES (?, ?, 'planned', 'planned', 0, 0)
"""


class JournalWriter:
    """A journal that is being written, by any thread of one process.

    Each method that writes has written when it returns: the death of the process takes nothing
    back.

    Args:
        path: The file; None for a temporary one, which is removed at the end.
        base_url: The environment: a journal belongs to one.
        durable: Whether a loss of power takes nothing back either.

    Attributes:
        path: The file.
        temporary: Whether it is removed at the end.
        run: The number of this run of the journal, counted from 1.

    Raises:
        JournalLockedError: Somebody else writes it.
        JournalError: It cannot be opened, is no journal, or belongs to another environment.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, base_url: str, durable: bool = False
    ) -> None:
        self.temporary = path is None
        self.path = _temporary_file() if path is None else Path(path)
        self._mutex = Lock()
        self._plan: Plan | None = None
        self._writer: WriterLock | None = None
        with self._told():
            self._writer = None if self.temporary else _locked(self.path)
        try:
            self._connection = self._open(durable=durable)
            try:
                self.run = self._begin(base_url)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            self._release()
            raise

    def _open(self, *, durable: bool) -> sqlite3.Connection:
        with self._told():
            _check_magic(self.path)
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=10
            )
        try:
            with self._told():
                self._prepare(connection, durable=durable)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner == 0 and tables == 0:
            connection.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        elif owner != APPLICATION_ID:
            raise JournalError(f"{self.path} is no journal of a replay: give another path.")
        elif version != FORMAT:
            raise JournalError(
                f"{self.path} is of another version of the SDK (format {version}, this one has"
                f" {FORMAT}): resume it with that one."
            )
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise JournalError(f"{self.path} lies where SQLite cannot keep a write-ahead log.")
        level = "FULL" if durable else "OFF" if self.temporary else "NORMAL"
        connection.execute(f"PRAGMA synchronous = {level}")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")

    def _begin(self, base_url: str) -> int:
        meta = dict(self._all("SELECT name, value FROM meta"))
        owner = meta.setdefault("base_url", base_url)
        if owner != base_url:
            raise JournalError(
                f"{self.path} belongs to {owner}, not to {base_url}: give another path."
            )
        run = int(meta.get("run", 0)) + 1
        with self._mutex, self._told():
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [("base_url", base_url), ("run", str(run))],
            )
            self._connection.execute("COMMIT")
        if "plan" in meta:
            self._plan = read_plan_text(meta["plan"])
        return run

    def close(self) -> None:
        """Close the file. Closing twice is closing once."""
        with self._mutex:
            self._connection.close()
        self._release()

    def _release(self) -> None:
        if self.temporary:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.release()

    @property
    def plan(self) -> Plan | None:
        """What a recovery was to send; None if there is no plan."""
        return self._plan

    @property
    def empty(self) -> bool:
        """Whether it holds no target."""
        return not self._all("SELECT 1 FROM targets LIMIT 1")

    def write_plan(self, plan: Plan, targets: Iterable[tuple[UUID, UUID]]) -> None:
        """Write down a plan and all its targets, or nothing."""
        rows = [(hook_id.bytes, request_id.bytes) for hook_id, request_id in targets]
        with self._mutex, self._told():
            self._connection.execute("BEGIN")
            try:
                self._connection.executemany(_PLAN, rows)
                kept = ("plan", write_plan_text(plan))
                self._connection.execute("INSERT INTO meta VALUES (?, ?)", kept)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        self._plan = plan

    def find(self, hook_id: UUID, request_id: UUID) -> Row | None:
        """Return what is known of a target; None if that is nothing."""
        rows = self._all(_FIND, request_id.bytes, hook_id.bytes)
        return read_row(rows[0]) if rows else None

    def intend(self, hook_id: UUID, request_id: UUID, at: datetime) -> int:
        """Write down that a request is about to be sent.

        Returns:
            How many there were for this target, this one included.
        """
        ids = (hook_id.bytes, request_id.bytes)
        [(attempts,)] = self._all(_INTEND, *ids, self.run, microseconds(at))
        return int(attempts)

    def settle(
        self,
        hook_id: UUID,
        request_id: UUID,
        status: OutcomeStatus,
        at: datetime,
        *,
        response_status: int | None = None,
        duration_ms: int | None = None,
        delivery_id: UUID | None = None,
        error: Exception | None = None,
    ) -> None:
        """Write down what came of a request."""
        self._all(
            _SETTLE,
            status.value,
            microseconds(at),
            response_status,
            duration_ms,
            None if delivery_id is None else delivery_id.bytes,
            None if error is None else error_text(error),
            request_id.bytes,
            hook_id.bytes,
        )

    def withdraw(self, hook_id: UUID, request_id: UUID) -> None:
        """Take an intent back: it is proven that nothing was done, and it counts as no attempt."""
        self._all(_WITHDRAW, request_id.bytes, hook_id.bytes)

    def touch(self, hook_id: UUID, request_id: UUID) -> None:
        """Note that this run has dealt with a target, without sending it."""
        self._all(_TOUCH, self.run, request_id.bytes, hook_id.bytes)

    def untouched(self) -> Iterator[Row]:
        """Yield the targets that this run has not dealt with, as they came, page by page."""
        seq = 0
        while rows := self._all(_UNTOUCHED, seq, self.run):
            for values in rows:
                row = read_row(values)
                seq = row.seq
                yield row

    def unanswered(self) -> list[Row]:
        """Return the targets of which earlier runs did not learn what came of them."""
        return [read_row(values) for values in self._all(_UNANSWERED)]

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        # Runs several times for each request: no context manager of our own.
        try:
            with self._mutex:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._problem(error) from error

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> JournalError:
        return JournalError(
            f"The journal {self.path} cannot be used: {error}. What was written stays: mend the"
            " cause and resume, or give another path."
        )


def _temporary_file() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="webhooks-replay-", suffix=".sqlite")
    os.close(descriptor)
    return Path(name)


def _locked(path: Path) -> WriterLock:
    lock = WriterLock(path)
    try:
        # Made by hand, so that nobody else can read it from the first byte on. SQLite gives the
        # files beside it the same mode. A symbolic link could lead anywhere.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(path, flags, 0o600))
    except BaseException:
        lock.release()
        raise
    return lock


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(len(_MAGIC))
    if beginning and beginning != _MAGIC:
        raise JournalError(f"{path} is no journal of a replay: give another path.")
