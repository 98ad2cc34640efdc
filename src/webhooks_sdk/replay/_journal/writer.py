"""Writes a journal: an intent before each request, and its outcome after."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias
from uuid import UUID

from webhooks_sdk.errors import JournalError
from webhooks_sdk.replay._journal.file import (
    open_for_writing,
    remove_directory,
    resolve_path,
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

_SELECT_ROW = f"SELECT {COLUMNS} FROM target WHERE request_id = ? AND hook_id = ?"  # noqa: S608 - constants
_SELECT_SUMMARY = "SELECT seq, state, attempts FROM target WHERE request_id = ? AND hook_id = ?"
_INSERT_IN_FLIGHT = """
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
_INSERT_PLANNED = """
INSERT OR IGNORE INTO target (request_id, hook_id, state, attempts, run)
VALUES (?, ?, 'planned', 0, 0)
"""
_SELECT_NEXT = f"SELECT {COLUMNS} FROM target WHERE seq > ? AND {{}} ORDER BY seq LIMIT 1"  # noqa: S608 - constants
_SELECT_UNSEEN_DONE = _SELECT_NEXT.format("run < ? AND state IN ('delivered', 'accepted')")
_SELECT_UNSEEN_PLANNED = _SELECT_NEXT.format("run < ? AND state = 'planned'")
_UNSEEN_OTHERS = "run < ? AND state NOT IN ('delivered', 'accepted', 'planned')"
_SELECT_UNSEEN_OTHERS = _SELECT_NEXT.format(_UNSEEN_OTHERS)
_SELECT_LAST_SENT = (
    f"SELECT seq FROM target WHERE {_UNSEEN_OTHERS} ORDER BY intent_at DESC, seq DESC LIMIT 1"  # noqa: S608 - constants
)
_COUNT_UNSEEN = "SELECT count(*) FROM target WHERE run < ?"
_SELECT_UNRESOLVED = _SELECT_NEXT.format(
    "(state = 'unknown' OR (state IN ('in_flight', 'accepted') AND run < ?))"
)

_CACHE_SIZE = 1_000

_Key: TypeAlias = tuple[bytes, bytes]


class _RowSummary(NamedTuple):
    seq: int
    state: RowState
    attempts: int


class JournalWriter:
    """The only writer of a journal, shared by all threads of a process. A context manager.

    What a method has written survives the death of the process once the method returns, except in
    a batch. Every method raises `JournalError` if the file cannot be read or written, or the
    journal is closed.

    Attributes:
        path: The file.
        temporary: Whether the file is removed when the journal is closed.
        run: The number of this run of the journal, from 1.
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        base_url: str,
        durable: bool = False,
    ) -> Self:
        """Open a journal, or create it if it does not exist, and start a run.

        Args:
            path: The file, which is created with mode 0600. None for a temporary file.
            base_url: The API that the targets belong to.
            durable: Whether what is written also survives a power failure.

        Raises:
            JournalLockedError: The journal has a writer, in this process or another.
            JournalError: It cannot be opened, is not a journal, or belongs to another API.
        """
        if path is not None:
            return cls(resolve_path(path), base_url=base_url, durable=durable, directory=None)
        directory = temporary_directory()
        try:
            location = resolve_path(directory / "journal.sqlite")
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
        # The states of the targets in flight, and of those read last, which are likely to be
        # written next: avoids a query for each write.
        self._in_flight: dict[_Key, _RowSummary] = {}
        self._cache: dict[_Key, _RowSummary] = {}
        self._writer_lock = WriterLock(path)
        try:
            synchronous = "FULL" if durable else "OFF" if self.temporary else "NORMAL"
            self._database = open_for_writing(path, synchronous=synchronous)
            try:
                self._start_run(base_url)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._writer_lock.release()
            raise

    def _start_run(self, base_url: str) -> None:
        row = self._database.fetch_one("SELECT base_url, run, plan FROM journal")
        recorded_url, run, plan = (base_url, 0, None) if row is None else row
        if recorded_url != base_url:
            raise JournalError(
                f"The journal {str(self.path)!r} belongs to {recorded_url}, but the client uses"
                f" {base_url}. Use a client for {recorded_url}, or a different journal."
            )
        self.run: int = run + 1
        self._plan = None if plan is None else plan_from_sql(plan)
        self._database.execute(
            "INSERT OR REPLACE INTO journal VALUES (1, ?, ?, ?)", base_url, self.run, plan
        )
        counts = self._database.fetch_all("SELECT state, count(*) FROM target GROUP BY state")
        self._counts = Counter({RowState(state): number for state, number in counts})

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
        """Close the journal and release its lock. Idempotent.

        Without readers, a single file remains; a temporary journal is removed.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                self._database.close()
            finally:
                self._clean_up()

    def _clean_up(self) -> None:
        if self._database.inherited:
            return
        self._writer_lock.release()
        if self._directory is not None:
            remove_directory(self._directory)

    @property
    def plan(self) -> Plan | None:
        """The plan of a recovery, None if none was written."""
        return self._plan

    def write_plan(self, plan: Plan, targets: Iterable[tuple[UUID, UUID]]) -> None:
        """Write the plan and its targets in one transaction.

        Args:
            plan: The plan.
            targets: The subscription and the event of each target. Duplicates are ignored.

        Raises:
            JournalError: The journal already has a plan or targets.
        """
        with self._mutex:
            self._database.check_usable()
            database = self._database
            if self._plan is not None or database.fetch_one("SELECT 1 FROM target LIMIT 1"):
                raise JournalError(
                    f"The journal {str(self.path)!r} contains the targets of another replay. Use"
                    " a different journal."
                )
            with database.transaction():
                database.execute_many(
                    _INSERT_PLANNED,
                    ((request_id.bytes, hook_id.bytes) for hook_id, request_id in targets),
                )
                database.execute("UPDATE journal SET plan = ?", plan_to_sql(plan))
                [(total,)] = database.fetch_all("SELECT count(*) FROM target")
            self._counts[RowState.PLANNED] = total
            self._plan = plan

    def begin_batch(self) -> None:
        """Start a transaction that `flush` commits, if there is none.

        It also includes what other threads write in the meantime.
        """
        with self._mutex:
            self._database.check_usable()
            if not self._batching:
                self._database.execute("BEGIN")
                self._batching = True

    def flush(self) -> None:
        """Commit the batch, if there is one. If this raises, none of it is written."""
        if not self._batching:
            return
        with self._mutex:
            self._batching = False
            self._database.commit()

    def find(self, hook_id: UUID, request_id: UUID) -> Row | None:
        """Return the row of a target, None if it is not in the journal."""
        with self._mutex:
            self._database.check_usable()
            values = self._database.fetch_one(_SELECT_ROW, request_id.bytes, hook_id.bytes)
            return None if values is None else self._cache_row(values)

    def record_first_intent(self, hook_id: UUID, request_id: UUID, at: datetime) -> bool:
        """Record that a request for a new target is about to be sent.

        Args:
            hook_id: The subscription.
            request_id: The event.
            at: The current time, an aware datetime.

        Returns:
            Whether the target was new. If not, nothing is written.
        """
        now = time_to_sql(at)
        key = request_id.bytes, hook_id.bytes
        with self._mutex:
            self._database.check_usable()
            seq = self._database.insert(_INSERT_IN_FLIGHT, *key, self.run, now, now)
            if seq is not None:
                self._update_cache(key, _RowSummary(seq, RowState.IN_FLIGHT, 1), before=None)
            return seq is not None

    def record_intent(self, hook_id: UUID, request_id: UUID, at: datetime) -> int:
        """Record that a request is about to be sent.

        Args:
            hook_id: The subscription.
            request_id: The event.
            at: The current time, an aware datetime.

        Returns:
            The number of requests for this target, over all runs, including this one.
        """
        now = time_to_sql(at)
        key = request_id.bytes, hook_id.bytes
        if key not in self._cache and self.record_first_intent(hook_id, request_id, at):
            return 1
        with self._mutex:
            self._database.check_usable()
            row = self._summary_of(key)
            attempts = row.attempts + 1
            self._database.execute(_RECORD_INTENT, self.run, now, now, row.seq)
            self._update_cache(
                key, _RowSummary(row.seq, RowState.IN_FLIGHT, attempts), before=row.state
            )
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
        """Record the outcome of a target. It replaces the outcome of an earlier attempt.

        Args:
            hook_id: The subscription.
            request_id: The event.
            status: How it ended; not `skipped`, which is not the outcome of a request.
            at: The current time, an aware datetime.
            response_status: The status of the subscriber's response.
            duration_ms: Milliseconds that the subscriber took to respond.
            delivery_id: The delivery attempt.
            error: The record of the error.

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
            row = self._summary_of(key)
            self._database.execute(_RECORD_OUTCOME, *values, row.seq)
            self._update_cache(key, _RowSummary(row.seq, state, row.attempts), before=row.state)

    def cancel_intent(self, hook_id: UUID, request_id: UUID) -> None:
        """Cancel an intent, because the service did nothing. The attempt does not count.

        Restores the state before the intent. Does nothing if there is no intent.
        """
        key = request_id.bytes, hook_id.bytes
        with self._mutex:
            before = self._summary_of(key)
            self._database.execute(_CANCEL_INTENT, before.seq)
            self._in_flight.pop(key, None)
            self._cache.pop(key, None)
            after = self._summary_of(key)
            self._update_cache(key, after, before=before.state)

    def mark_seen(self, hook_id: UUID, request_id: UUID) -> None:
        """Record that this run has handled a target, without changing its state."""
        with self._mutex:
            row = self._summary_of((request_id.bytes, hook_id.bytes))
            self._database.execute(_MARK_SEEN, self.run, row.seq)

    def postpone(self, hook_id: UUID, request_id: UUID) -> None:
        """Record that this run has taken a target, and leave it to `unseen`."""
        with self._mutex:
            row = self._summary_of((request_id.bytes, hook_id.bytes))
            self._database.execute(_MARK_SEEN, -self.run, row.seq)

    def count_unseen(self) -> int:
        """Return the number of targets that this run has not handled."""
        with self._mutex:
            self._database.check_usable()
            [(number,)] = self._database.fetch_all(_COUNT_UNSEEN, self.run)
            return int(number)

    def unseen(self) -> Iterator[Row]:
        """Yield the targets that this run has not handled.

        First those that are done, then those that were never sent, each in order of insertion. The
        others follow, from the one after the last that was sent, and then from the beginning: a run
        that the circuit breaker stops must not begin with the same failures each time. Each is read
        when it is requested, so the journal may be written in between.
        """
        yield from self._select(_SELECT_UNSEEN_DONE)
        yield from self._select(_SELECT_UNSEEN_PLANNED)
        with self._mutex:
            self._database.check_usable()
            last_sent = self._database.fetch_one(_SELECT_LAST_SENT, self.run)
        if last_sent is not None:
            yield from self._select(_SELECT_UNSEEN_OTHERS, after=last_sent[0])
        yield from self._select(_SELECT_UNSEEN_OTHERS)

    def unresolved(self) -> Iterator[Row]:
        """Yield targets that are unknown, or that an earlier run left in flight or accepted.

        They are read in the same way as those of `unseen`.
        """
        return self._select(_SELECT_UNRESOLVED)

    def _select(self, query: str, *, after: int = 0) -> Iterator[Row]:
        seq = after
        while True:
            with self._mutex:
                self._database.check_usable()
                values = self._database.fetch_one(query, seq, self.run)
                if values is None:
                    return
                seq = values[0]
                row = self._cache_row(values)
            yield row

    def _cache_row(self, values: SQLRow) -> Row:
        row = row_from_sql(values)
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        key = row.request_id.bytes, row.hook_id.bytes
        self._cache[key] = _RowSummary(values[0], row.state, row.attempts)
        return row

    def counts(self) -> Mapping[RowState, int]:
        """Return the number of targets in each state. Every state is a key."""
        with self._mutex:
            return MappingProxyType({state: self._counts[state] for state in RowState})

    def _update_cache(self, key: _Key, row: _RowSummary, *, before: RowState | None) -> None:
        if before is not None:
            self._counts[before] -= 1
        self._counts[row.state] += 1
        self._cache.pop(key, None)
        if row.state is RowState.IN_FLIGHT:
            self._in_flight[key] = row
        else:
            self._in_flight.pop(key, None)

    def _summary_of(self, key: _Key) -> _RowSummary:
        self._database.check_usable()
        row = self._in_flight.get(key) or self._cache.get(key)
        if row is not None:
            return row
        values = self._database.fetch_one(_SELECT_SUMMARY, *key)
        if values is None:
            request_id, hook_id = (UUID(bytes=part) for part in key)
            raise JournalError(
                f"The journal {str(self.path)!r} has no entry for event {request_id} of"
                f" subscription {hook_id}. Call record_intent first."
            )
        seq, state, attempts = values
        return _RowSummary(seq, RowState(state), attempts)
