"""The replay driver for asyncio and trio tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sized,
)
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint, current_token

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import JournalError, NotFoundError
from webhooks_sdk.replay._engine.run import Run, not_entered_error
from webhooks_sdk.replay._engine.scheduler import Action, Job, Wait
from webhooks_sdk.replay._listing import EventList
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import Outcome, Result, classify_result
from webhooks_sdk.replay._report import Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Recovery


class AsyncReplay:
    """An async context manager that redelivers events, and an async iterator of their outcomes.

    Usually created by `client.hooks.redeliver_many` or `client.hooks.recover`. Requests are started
    while the next outcome is awaited, and continue while the loop body runs: a slow body slows the
    run down, and results do not pile up. The targets are iterated, and `on_progress` is called, in
    the task that iterates the replay. A replay can be iterated to its end once.

    Exiting the `async with` block early takes no more targets and waits for the requests in flight.
    On cancellation, and on other exceptions that do not derive from `Exception`, nothing is waited
    for: requests in flight are cancelled, and are unknown when the journal is resumed.

    Args:
        send: Redelivers one event, and returns the delivery attempt or raises. It must not retry,
            and must return eventually.
        targets: The events to redeliver, an iterable or async iterable, consumed lazily.
        base_url: The base URL of the API. A journal cannot be resumed with another one.
        list_events: Lists the recent events of a subscription, which is needed to resolve requests
            that an earlier run left unknown. None leaves them unknown. Required with `recovery`. It
            may return the response of `client.send(operations.list_events(hook_id))`: with
            `recovery`, its `Date` header is used as the clock of the service.
        options: The options of the replay.
        recovery: The window to recover, instead of targets.
        on_close: Called and awaited when the replay has ended.
    """

    def __init__(
        self,
        send: Callable[[Target], Awaitable[WebhookEvent]],
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        *,
        base_url: str,
        list_events: Callable[[UUID], Awaitable[EventList]] | None = None,
        options: ReplayOptions | None = None,
        recovery: Recovery | None = None,
        on_close: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._send = send
        self._targets: AsyncIterator[TargetLike] | None = _as_async_iterator(targets)
        self._total = len(targets) if isinstance(targets, Sized) else None
        self._base_url = base_url
        self._list_events = list_events
        self._options = ReplayOptions() if options is None else options
        self._recovery = recovery
        self._on_close = on_close
        # Whether the last call of `anext(targets)` raised: a generator is exhausted after that.
        self._targets_failed = False
        self._run: Run | None = None
        # The flag is whether the result is already in the journal.
        self._results: deque[tuple[Job, Result | Exception, bool]] = deque()
        # Jobs that are sent once the batch with their intents is written.
        self._batched_jobs: list[Job] = []
        self._idle_workers: list[_JobSlot] = []
        self._is_waiting = False

    async def __aenter__(self) -> Self:
        if self._run is not None:
            raise RuntimeError("A replay can be entered only once: create a new one.")
        run = self._run = Run(
            self._options,
            base_url=self._base_url,
            recovery=self._recovery,
            total=self._total,
            clock=SYSTEM_CLOCK,
        )
        self._wakeup = anyio.Event()
        self._durable_start: anyio.Event | None = None
        self._call_soon = _threadsafe_call_soon()
        self._task_group = anyio.create_task_group()
        try:
            await self._prepare(run)
            await self._task_group.__aenter__()
        except BaseException:
            await self._close(run)
            raise
        return self

    async def _prepare(self, run: Run) -> None:
        hook_to_list = run.hook_to_list()
        if hook_to_list is not None:
            assert self._list_events is not None
            run.plan(await self._list_events(hook_to_list))
        for hook_id in run.mark_unknown_and_list_hooks():
            if self._list_events is None:
                break
            try:
                run.resolve_unknown(hook_id, await self._list_events(hook_id))
            except NotFoundError:
                # The subscription was deleted, so its requests stay unknown.
                continue
        run.set_total_from_journal()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._entered_run()
        try:
            if exc is None or isinstance(exc, Exception):
                await self._drain(run, exc)
        finally:
            try:
                self._task_group.cancel_scope.cancel()
                await self._task_group.__aexit__(None, None, None)
            finally:
                await self._close(run)

    async def _drain(self, run: Run, body_error: Exception | None) -> None:
        run.stop_early()
        failure: Exception | None = None
        while not run.ended:
            try:
                # The outcome is dropped, but counted in the report.
                await self._next(run)
            except Exception as error:  # noqa: BLE001 - the other requests must end all the same
                failure = failure or error
        if failure is None:
            return
        if body_error is None:
            raise failure
        body_error.add_note(f"The replay could not shut down cleanly: {failure}")

    async def _close(self, run: Run) -> None:
        try:
            run.close()
        finally:
            if self._on_close is not None:
                with anyio.CancelScope(shield=True):
                    await self._on_close()

    def __aiter__(self) -> Self:
        self._entered_run().check_iterable()
        return self

    async def __anext__(self) -> Outcome:
        run = self._entered_run()
        run.check_open()
        outcome = await self._next(run)
        if outcome is None:
            run.end_iteration()
            raise StopAsyncIteration
        return outcome

    async def run(self) -> Report:
        """Run the replay to its end.

        Returns:
            The final report.

        Raises:
            ReplayStoppedError: As in `redeliver_many`.
            InvalidArgumentError: A target does not name an event.
            JournalError: The journal cannot be written.
            RuntimeError: The replay has not been entered, or has ended already: see `report`.
        """
        async for _ in self:
            """The report counts the outcome."""
        return self.report

    @property
    def report(self) -> Report:
        """The report of the run so far.

        Raises:
            RuntimeError: The replay has not been entered.
        """
        return self._entered_run().report()

    def stop(self, grace: float | None = None) -> None:
        """Take no more targets, and let the requests in flight finish. Thread-safe.

        Returns at once: the iteration ends with the last outcome.

        Args:
            grace: Maximum number of seconds to wait for the requests in flight, which are unknown
                after that: from 0 to 1,000,000. None to wait until they finish.

        Raises:
            InvalidArgumentError: `grace` is out of range. The replay is not stopped.
            RuntimeError: The replay has not been entered.
        """
        self._entered_run().stop(grace)
        # If the event loop is closed, the replay has ended too.
        with suppress(RuntimeError):
            self._call_soon(self._wake)

    def _wake(self) -> None:
        self._wakeup.set()

    def _entered_run(self) -> Run:
        if self._run is None:
            raise not_entered_error("async with")
        return self._run

    async def _next(self, run: Run) -> Outcome | None:
        try:
            while not run.ended:
                if self._durable_start is not None:
                    await self._durable_start.wait()
                self._process_results(run)
                if run.outcomes_full:
                    # Yield to other tasks while many targets are skipped.
                    self._flush_and_send(run)
                    await checkpoint()
                step = None if run.outcomes_full else run.step()
                if step is Action.TAKE_TARGET:
                    await self._take_target(run)
                elif isinstance(step, Job):
                    await self._start(run, step)
                elif run.outcomes:
                    return run.outcomes.popleft()
                elif isinstance(step, Wait):
                    self._flush_and_send(run)
                    await self._wait(run, step)
                else:
                    run.finish()
        finally:
            self._flush_and_send(run)
        return None

    async def _take_target(self, run: Run) -> None:
        if self._targets is None:
            self._begin_batch(run)
            job = run.take_from_journal()
        else:
            job = await self._take_from(run, self._targets)
        if job is not None:
            await self._start(run, job)

    async def _take_from(self, run: Run, targets: AsyncIterator[TargetLike]) -> Job | None:
        if not isinstance(targets, _SyncIteratorAdapter):
            self._flush_and_send(run)
        failed_before, self._targets_failed = self._targets_failed, True
        try:
            target = await anext(targets)
        except StopAsyncIteration:
            self._targets = None
            if failed_before:
                run.stop_after_target_error()
            return None
        self._targets_failed = False
        self._begin_batch(run)
        return run.accept_target(target)

    async def _start(self, run: Run, job: Job) -> None:
        if not self._options.durable:
            self._begin_batch(run)
            run.start(job)
            self._batched_jobs.append(job)
            return
        # In a separate task, since the iterating task may be cancelled here and iterate again.
        self._durable_start = anyio.Event()
        self._task_group.start_soon(self._start_durably, run, job, self._durable_start)
        await self._durable_start.wait()

    async def _start_durably(self, run: Run, job: Job, started: anyio.Event) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(run.start, job)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            self._results.append((job, error, True))
            return
        finally:
            started.set()
        await self._work(run, job)

    def _begin_batch(self, run: Run) -> None:
        """Batch journal writes until `_flush_and_send`, unless each must be durable at once."""
        if not self._options.durable:
            run.begin_batch()

    def _flush_and_send(self, run: Run) -> None:
        """Write the batch, then send its jobs. No other task may run between the two calls."""
        jobs, self._batched_jobs = self._batched_jobs, []
        try:
            run.flush()
        except BaseException:
            for job in jobs:
                run.discard(job)
            raise
        for job in jobs:
            if self._idle_workers:
                self._idle_workers.pop().put(job)
            else:
                self._task_group.start_soon(self._work, run, job)

    async def _work(self, run: Run, job: Job) -> None:
        while True:
            result = await self._execute(job)
            # A waiting iteration records the result itself, in one batch with what follows from it.
            is_recorded = not self._is_waiting or self._options.durable
            if is_recorded and isinstance(result, Result):
                result = await self._record(run, job, result)
            self._results.append((job, result, is_recorded))
            self._wake()
            slot = _JobSlot()
            self._idle_workers.append(slot)
            job = await slot.get()

    async def _execute(self, job: Job) -> Result | Exception:
        started_at = SYSTEM_CLOCK.monotonic()
        returned: WebhookEvent | Exception
        try:
            returned = await self._send(job.target)
        except Exception as error:  # noqa: BLE001 - classified below
            returned = error
        try:
            return classify_result(returned, SYSTEM_CLOCK.monotonic() - started_at)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            return error

    def _record_in_batch(self, run: Run, job: Job, result: Result) -> Result | Exception:
        try:
            self._begin_batch(run)
        except JournalError as error:
            return error
        return self._record_sync(run, job, result)

    def _record_sync(self, run: Run, job: Job, result: Result) -> Result | Exception:
        try:
            run.record_result(job, result)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            return error
        return result

    async def _record(self, run: Run, job: Job, result: Result) -> Result | Exception:
        recorded: Result | Exception = result
        if not self._options.durable:
            recorded = self._record_sync(run, job, result)
        else:
            # A durable write waits for the disk, so it must not block the event loop.
            with anyio.CancelScope(shield=True):
                recorded = await to_thread.run_sync(self._record_sync, run, job, result)
        return recorded

    async def _wait(self, run: Run, wait: Wait) -> None:
        self._is_waiting = True
        try:
            if wait.seconds is None:
                await self._wakeup.wait()
            else:
                with anyio.move_on_after(wait.seconds):
                    await self._wakeup.wait()
        except BaseException:
            # A journal error must not hide a cancellation; unrecorded results remain intents.
            with suppress(JournalError):
                self._record_results(run)
            raise
        finally:
            self._is_waiting = False
        self._process_results(run)

    def _record_results(self, run: Run) -> None:
        """Record the results without processing them, as the iterating task is cancelled."""
        self._begin_batch(run)
        for position, (job, result, is_recorded) in enumerate(self._results):
            if not is_recorded and isinstance(result, Result):
                run.record_result(job, result)
                self._results[position] = (job, result, True)
        run.flush()

    def _process_results(self, run: Run) -> None:
        if self._wakeup.is_set():
            self._wakeup = anyio.Event()
        while self._results:
            job, result, is_recorded = self._results.popleft()
            if not is_recorded and isinstance(result, Result):
                result = self._record_in_batch(run, job, result)
            if isinstance(result, Exception):
                run.discard(job)
                raise result
            run.complete(job, result)


def _threadsafe_call_soon() -> Callable[[Callable[[], object]], object]:
    """Return a function that schedules a call in the event loop. Safe in threads and signals."""
    token: Any = current_token().native_token
    in_trio = hasattr(token, "run_sync_soon")
    call_soon: Callable[[Callable[[], object]], object]
    call_soon = token.run_sync_soon if in_trio else token.call_soon_threadsafe
    return call_soon


def _as_async_iterator(
    targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
) -> AsyncIterator[TargetLike]:
    if isinstance(targets, AsyncIterable):
        return aiter(targets)
    return _SyncIteratorAdapter(iter(targets))


class _JobSlot:
    """Hands the next job to an idle task, since starting a task per job is expensive."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._job: Job | None = None

    def put(self, job: Job) -> None:
        self._job = job
        self._event.set()

    async def get(self) -> Job:
        await self._event.wait()
        assert self._job is not None
        return self._job


class _SyncIteratorAdapter:
    """A sync iterator as an async one. Unlike an async generator, it need not be closed."""

    def __init__(self, items: Iterator[TargetLike]) -> None:
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TargetLike:
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
