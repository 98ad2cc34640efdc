"""Writing a journal: the intent before a request goes out, its outcome after."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias
from uuid import UUID

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._journal.file import (
    locate,
    open_for_writing,
    remove_directory,
    temporary_directory,
)
from webhooks_sdk.replay._journal.lock import WriterLock
from webhooks_sdk.replay._journal.rows import (
    COLUMNS,
    Plan,
    Row,
    RowState,
    error_to_sql,
    integer_to_sql,
    plan_from_sql,
    plan_to_sql,
    row_from_sql,
    time_to_sql,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from webhooks_sdk.replay._journal.database import SQLRow
    from webhooks_sdk.replay._journal.rows import ErrorRecord
    from webhooks_sdk.replay._outcomes import OutcomeStatus

__all__ = ["JournalWriter", "Plan", "Row", "RowState"]

_FIND = f"SELECT {COLUMNS} FROM target WHERE request_id = ? AND hook_id = ?"  # noqa: S608 - constants
_PLACE = "SELECT seq, state, attempts FROM target WHERE request_id = ? AND hook_id = ?"
_ADD = """
INSERT OR IGNORE INTO target
    (request_id, hook_id, state, previous_state, attempts, run, intent_at, open_since)
VALUES (?, ?, 'in_flight', 'planned', 1, ?, ?, ?)
"""
_RECORD_INTENT = """
UPDATE target SET state = 'in_flight', previous_state = state, attempts = attempts + 1, run = ?,
    previous_intent_at = intent_at, intent_at = ?,
    open_since = CASE WHEN state IN ('in_flight', 'unknown') THEN open_since ELSE ? END
WHERE seq = ?
"""
_RECORD_OUTCOME = """
UPDATE target SET state = ?, settled_at = ?, response_status = ?, duration_ms = ?, delivery_id = ?,
    error_kind = ?, error_message = ?, error_status = ?, error_retry_after = ?,
    open_since = CASE WHEN ? THEN open_since END
WHERE seq = ?
"""
_CANCEL_INTENT = """
UPDATE target SET state = previous_state, attempts = attempts - 1, intent_at = previous_intent_at,
    open_since = CASE WHEN previous_state IN ('in_flight', 'unknown') THEN open_since END
WHERE seq = ? AND state = 'in_flight'
"""
_MARK_SEEN = "UPDATE target SET run = ? WHERE seq = ?"
_PLANNED = """
INSERT OR IGNORE INTO target (request_id, hook_id, state, attempts, run)
VALUES (?, ?, 'planned', 0, 0)
"""
_NEXT = f"SELECT {COLUMNS} FROM target WHERE seq > ? AND {{}} ORDER BY seq LIMIT 1"  # noqa: S608 - constants
_UNSEEN = _NEXT.format("run < ?")
_UNRESOLVED = _NEXT.format("(state = 'unknown' OR (state = 'in_flight' AND run < ?))")


_MOST_SEEN = 1_000

_Key: TypeAlias = tuple[bytes, bytes]


class _Place(NamedTuple):
    seq: int
    state: RowState
    attempts: int


class JournalWriter:
    """The one writer of a journal, for all threads of a process. A context manager.

    What a method has written when it returns survives the death of the process. Every method
    raises `JournalError` if the file cannot be read or written, or the journal is closed.

    Attributes:
        path: The file.
        temporary: Whether it is removed when the journal is closed.
        run: The number of this run of the journal: 1, 2 and so on.
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        base_url: str,
        durable: bool = False,
    ) -> Self:
        """Open a journal, or make it if there is none, and begin a run.

        Args:
            path: The file, which is made with mode 0600. None for a temporary one.
            base_url: The API that the targets belong to.
            durable: Whether what is written survives a loss of power too.

        Raises:
            JournalLockedError: It has a writer, in this process or another.
            JournalError: It cannot be opened, is no journal, or belongs to another API.
        """
        if path is not None:
            return cls(locate(path), base_url=base_url, durable=durable, directory=None)
        directory = temporary_directory()
        try:
            location = locate(directory / "journal.sqlite")
            return cls(location, base_url=base_url, durable=durable, directory=directory)
        except BaseException:
            remove_directory(directory)
            raise

    def __init__(self, path: Path, *, base_url: str, durable: bool, directory: Path | None) -> None:
        self.path = path
        self.temporary = directory is not None
        self._directory = directory
        self._mutex = Lock()
        self._batching = False
        self._closed = False
        # What is under way, and what was read last and is likely to be written next: saves looking
        # them up.
        self._in_flight: dict[_Key, _Place] = {}
        self._seen: dict[_Key, _Place] = {}
        self._writer_lock = WriterLock(path)
        try:
            synchronous = "FULL" if durable else "OFF" if self.temporary else "NORMAL"
            self._database = open_for_writing(path, synchronous=synchronous)
            try:
                self._begin(base_url)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._writer_lock.release()
            raise

    def _begin(self, base_url: str) -> None:
        found = self._database.one("SELECT base_url, run, plan FROM journal")
        owner, run, plan = (base_url, 0, None) if found is None else found
        if owner != base_url:
            raise JournalError(
                f"The journal {str(self.path)!r} belongs to {owner}, not to {base_url}: use that"
                " environment, or name another journal."
            )
        self.run: int = run + 1
        self._plan = None if plan is None else plan_from_sql(plan)
        self._database.write(
            "INSERT OR REPLACE INTO journal VALUES (1, ?, ?, ?)", base_url, self.run, plan
        )
        counted = self._database.all("SELECT state, count(*) FROM target GROUP BY state")
        self._counts = Counter({RowState(state): number for state, number in counted})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal, and let others write it. Closing twice does no harm.

        If nobody reads it just then, one file is left; of a temporary one, nothing.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                self._database.close()
            finally:
                self._release()

    def _release(self) -> None:
        if self._database.inherited:
            return
        self._writer_lock.release()
        if self._directory is not None:
            remove_directory(self._directory)

    @property
    def plan(self) -> Plan | None:
        """What a recovery is to send, None if nothing was decided."""
        return self._plan

    def write_plan(self, plan: Plan, targets: Iterable[tuple[UUID, UUID]]) -> None:
        """Write the plan and all its targets, or nothing.

        Args:
            plan: What was decided.
            targets: Subscription and event of each. One that comes twice is written once.

        Raises:
            JournalError: There is a plan, or there are targets without one.
        """
        with self._mutex:
            self._database.check_usable()
            database = self._database
            if self._plan is not None or database.one("SELECT 1 FROM target LIMIT 1"):
                raise JournalError(
                    f"The journal {str(self.path)!r} holds the targets of another replay: name"
                    " another journal."
                )
            with database.transaction():
                database.write_many(
                    _PLANNED, ((request_id.bytes, hook_id.bytes) for hook_id, request_id in targets)
                )
                database.write("UPDATE journal SET plan = ?", plan_to_sql(plan))
                [(total,)] = database.all("SELECT count(*) FROM target")
            self._counts[RowState.PLANNED] = total
            self._plan = plan

    def begin_batch(self) -> None:
        """Gather what is written from now on, until `flush`, as one write.

        Only for one thread: what others write meanwhile is gathered as well.
        """
        with self._mutex:
            self._database.check_usable()
            if not self._batching:
                self._database.write("BEGIN")
                self._batching = True

    def flush(self) -> None:
        """Write what was gathered: all, or none if it raises."""
        if not self._batching:
            return
        with self._mutex:
            self._batching = False
            self._database.commit()

    def find(self, hook_id: UUID, request_id: UUID) -> Row | None:
        """Return what is known of a target, None if the journal does not hold it."""
        with self._mutex:
            self._database.check_usable()
            found = self._database.one(_FIND, request_id.bytes, hook_id.bytes)
            return None if found is None else self._see(found)

    def add(self, hook_id: UUID, request_id: UUID, at: datetime) -> bool:
        """Write that the first request for a target is about to be sent, if it is new.

        Args:
            hook_id: The subscription.
            request_id: The event.
            at: The present time, aware.

        Returns:
            Whether it was new. If not, nothing is written.
        """
        now = time_to_sql(at)
        key = request_id.bytes, hook_id.bytes
        with self._mutex:
            self._database.check_usable()
            seq = self._database.add(_ADD, *key, self.run, now, now)
            if seq is not None:
                self._move(key, _Place(seq, RowState.IN_FLIGHT, 1), before=None)
            return seq is not None

    def record_intent(self, hook_id: UUID, request_id: UUID, at: datetime) -> int:
        """Write that a request is about to be sent.

        Args:
            hook_id: The subscription.
            request_id: The event.
            at: The present time, aware.

        Returns:
            How many requests that makes for this target, over all runs.
        """
        now = time_to_sql(at)
        key = request_id.bytes, hook_id.bytes
        if key not in self._seen and self.add(hook_id, request_id, at):
            return 1
        with self._mutex:
            self._database.check_usable()
            place = self._place(key)
            attempts = place.attempts + 1
            self._database.write(_RECORD_INTENT, self.run, now, now, place.seq)
            self._move(key, _Place(place.seq, RowState.IN_FLIGHT, attempts), before=place.state)
            return attempts

    def record_outcome(
        self,
        hook_id: UUID,
        request_id: UUID,
        status: OutcomeStatus,
        at: datetime,
        *,
        response_status: int | None = None,
        duration_ms: int | None = None,
        delivery_id: UUID | None = None,
        error: ErrorRecord | None = None,
    ) -> None:
        """Write what became of a target. It replaces the outcome of an earlier attempt.

        Args:
            hook_id: The subscription.
            request_id: The event.
            status: What became of it; not `skipped`, which is no outcome of a request.
            at: The present time, aware.
            response_status: What the subscriber answered.
            duration_ms: Milliseconds until that answer.
            delivery_id: The delivery attempt.
            error: What is kept of the error.

        Raises:
            ValueError: `status` is `skipped`.
        """
        state = RowState(status.value)
        values = (
            state.value,
            time_to_sql(at),
            integer_to_sql(response_status),
            integer_to_sql(duration_ms),
            None if delivery_id is None else delivery_id.bytes,
            *error_to_sql(error),
            state is RowState.UNKNOWN,
        )
        key = request_id.bytes, hook_id.bytes
        with self._mutex:
            place = self._place(key)
            self._database.write(_RECORD_OUTCOME, *values, place.seq)
            self._move(key, _Place(place.seq, state, place.attempts), before=place.state)

    def cancel_intent(self, hook_id: UUID, request_id: UUID) -> None:
        """Take an intent back: nothing was carried out, and the attempt does not count.

        The target stands where it stood before the intent. Without one, nothing is done.
        """
        key = request_id.bytes, hook_id.bytes
        with self._mutex:
            before = self._place(key)
            self._database.write(_CANCEL_INTENT, before.seq)
            self._in_flight.pop(key, None)
            self._seen.pop(key, None)
            after = self._place(key)
            self._move(key, after, before=before.state)

    def mark_seen(self, hook_id: UUID, request_id: UUID) -> None:
        """Write that this run has dealt with a target, and nothing else."""
        with self._mutex:
            place = self._place((request_id.bytes, hook_id.bytes))
            self._database.write(_MARK_SEEN, self.run, place.seq)

    def unseen(self) -> Iterator[Row]:
        """Yield what this run has not dealt with, in order of insertion.

        Each is looked up when it is asked for, so that the journal may be written in between.
        """
        return self._rows(_UNSEEN)

    def unresolved(self) -> Iterator[Row]:
        """Yield what is to be looked up: unknown, or left in flight by an earlier run.

        In order of insertion, each looked up as `untouched` does.
        """
        return self._rows(_UNRESOLVED)

    def _rows(self, following: str) -> Iterator[Row]:
        seq = 0
        while True:
            with self._mutex:
                self._database.check_usable()
                found = self._database.one(following, seq, self.run)
                if found is None:
                    return
                seq = found[0]
                row = self._see(found)
            yield row

    def _see(self, found: SQLRow) -> Row:
        row = row_from_sql(found)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        key = row.request_id.bytes, row.hook_id.bytes
        self._seen[key] = _Place(found[0], row.state, row.attempts)
        return row

    def counts(self) -> Mapping[RowState, int]:
        """Return how many targets stand where; every state is a key."""
        with self._mutex:
            return MappingProxyType({state: self._counts[state] for state in RowState})

    def _move(self, key: _Key, place: _Place, *, before: RowState | None) -> None:
        if before is not None:
            self._counts[before] -= 1
        self._counts[place.state] += 1
        self._seen.pop(key, None)
        if place.state is RowState.IN_FLIGHT:
            self._in_flight[key] = place
        else:
            self._in_flight.pop(key, None)

    def _place(self, key: _Key) -> _Place:
        self._database.check_usable()
        place = self._in_flight.get(key) or self._seen.get(key)
        if place is not None:
            return place
        found = self._database.one(_PLACE, *key)
        if found is None:
            request_id, hook_id = (UUID(bytes=part) for part in key)
            raise JournalError(
                f"The journal {str(self.path)!r} does not hold event {request_id} of subscription"
                f" {hook_id}: record_intent comes first."
            )
        seq, state, attempts = found
        return _Place(seq, RowState(state), attempts)
