"""The replay driver for threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self
from uuid import UUID

from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._models import WebhookEvent
from webhooks_sdk.errors import NotFoundError
from webhooks_sdk.replay._engine.run import Run, not_entered_error
from webhooks_sdk.replay._engine.scheduler import Action, Job, Wait
from webhooks_sdk.replay._listing import EventList
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import Outcome, Result, classify_result
from webhooks_sdk.replay._report import Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Recovery

_MAX_WAIT = 1.0


class Replay:
    """A context manager that redelivers events, and an iterator of their outcomes.

    Usually created by `client.hooks.redeliver_many` or `client.hooks.recover`. Requests are started
    while the next outcome is awaited, and continue while the loop body runs: a slow body slows the
    run down, and results do not pile up. The targets are iterated, and `on_progress` is called, in
    the thread that iterates the replay. A replay can be iterated to its end once.

    Exiting the `with` block early takes no more targets and waits for the requests in flight.
    On KeyboardInterrupt, and on other exceptions that do not derive from `Exception`, nothing is
    waited for, even if the exception is caught inside the block: requests in flight are unknown
    when the journal is resumed.

    Args:
        send: Redelivers one event, and returns the delivery attempt or raises. Called in threads.
            It must not retry, and must return eventually.
        targets: The events to redeliver, consumed lazily.
        base_url: The base URL of the API. A journal cannot be resumed with another one.
        list_events: Lists the recent events of a subscription, which is needed to resolve requests
            that an earlier run left unknown. None leaves them unknown. Required with `recovery`. It
            may return the response of `client.send(operations.list_events(hook_id))`: with
            `recovery`, its `Date` header is used as the clock of the service.
        options: The options of the replay.
        recovery: The window to recover, instead of targets.
        on_close: Called when the replay has ended.
    """

    def __init__(
        self,
        send: Callable[[Target], WebhookEvent],
        targets: Iterable[TargetLike],
        *,
        base_url: str,
        list_events: Callable[[UUID], EventList] | None = None,
        options: ReplayOptions | None = None,
        recovery: Recovery | None = None,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        self._send = send
        self._targets: Iterator[TargetLike] | None = iter(targets)
        self._total = len(targets) if isinstance(targets, Sized) else None
        self._base_url = base_url
        self._list_events = list_events
        self._options = ReplayOptions() if options is None else options
        self._recovery = recovery
        self._on_close = on_close
        # Whether the last call of `next(targets)` raised: a generator is exhausted after that.
        self._targets_failed = False
        self._run: Run | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Job, Result | BaseException] | None] = SimpleQueue()
        self._workers: list[Thread] = []

    def __enter__(self) -> Self:
        if self._run is not None:
            raise RuntimeError("A replay can be entered only once: create a new one.")
        run = self._run = Run(
            self._options,
            base_url=self._base_url,
            recovery=self._recovery,
            total=self._total,
            clock=SYSTEM_CLOCK,
        )
        try:
            self._prepare(run)
        except BaseException:
            self._close(run)
            raise
        return self

    def _prepare(self, run: Run) -> None:
        hook_to_list = run.hook_to_list()
        if hook_to_list is not None:
            assert self._list_events is not None
            run.plan(self._list_events(hook_to_list))
        for hook_id in run.mark_unknown_and_list_hooks():
            if self._list_events is None:
                break
            try:
                run.resolve_unknown(hook_id, self._list_events(hook_id))
            except NotFoundError:
                # The subscription was deleted, so its requests stay unknown.
                continue
        run.set_total_from_journal()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._entered_run()
        try:
            if exc is None or isinstance(exc, Exception):
                self._drain(run, exc)
        finally:
            self._close(run)

    def _drain(self, run: Run, body_error: Exception | None) -> None:
        run.stop_early()
        failure: Exception | None = None
        while not run.ended:
            try:
                # The outcome is dropped, but counted in the report.
                self._next(run)
            except Exception as error:  # noqa: BLE001 - the other requests must end all the same
                failure = failure or error
        if failure is None:
            return
        if body_error is None:
            raise failure
        body_error.add_note(f"The replay could not shut down cleanly: {failure}")

    def _close(self, run: Run) -> None:
        try:
            run.close()
        finally:
            try:
                self._stop_workers(run)
            finally:
                if self._on_close is not None:
                    self._on_close()

    def _stop_workers(self, run: Run) -> None:
        with suppress(Empty):
            while True:
                # After an interruption, queued jobs must not be sent.
                self._jobs.get_nowait()
        for _ in self._workers:
            self._jobs.put(None)
        if not run.in_flight and not run.has_abandoned:
            for worker in self._workers:
                worker.join()

    def __iter__(self) -> Self:
        self._entered_run().check_iterable()
        return self

    def __next__(self) -> Outcome:
        run = self._entered_run()
        run.check_open()
        try:
            outcome = self._next(run)
        except Exception:
            raise
        except BaseException:
            run.interrupt()
            raise
        if outcome is None:
            run.end_iteration()
            raise StopIteration
        return outcome

    def run(self) -> Report:
        """Run the replay to its end.

        Returns:
            The final report.

        Raises:
            ReplayStoppedError: As in `redeliver_many`.
            InvalidArgumentError: A target does not name an event.
            JournalError: The journal cannot be written.
            RuntimeError: The replay has not been entered, or has ended already: see `report`.
        """
        for _ in self:
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
        self._results.put(None)

    def _entered_run(self) -> Run:
        if self._run is None:
            raise not_entered_error("with")
        return self._run

    def _next(self, run: Run) -> Outcome | None:
        while not run.ended:
            self._process_results(run)
            step = None if run.outcomes_full else run.step()
            if step is Action.TAKE_TARGET:
                self._take_target(run)
            elif isinstance(step, Job):
                self._start(run, step)
            elif run.outcomes:
                return run.outcomes.popleft()
            elif isinstance(step, Wait):
                self._wait(run, step)
            else:
                run.finish()
        return None

    def _take_target(self, run: Run) -> None:
        if self._targets is None:
            job = run.take_from_journal()
        else:
            job = self._take_from(run, self._targets)
        if job is not None:
            self._start(run, job)

    def _take_from(self, run: Run, targets: Iterator[TargetLike]) -> Job | None:
        failed_before, self._targets_failed = self._targets_failed, True
        try:
            target = next(targets)
        except StopIteration:
            self._targets = None
            if failed_before:
                run.stop_after_target_error()
            return None
        self._targets_failed = False
        return run.accept_target(target)

    def _start(self, run: Run, job: Job) -> None:
        if len(self._workers) <= run.in_flight:
            self._add_worker(run)
        run.start(job)
        self._jobs.put(job)

    def _add_worker(self, run: Run) -> None:
        worker = Thread(target=self._work, args=(run,), name="webhooks-replay", daemon=True)
        try:
            worker.start()
        except RuntimeError:
            # The system cannot start more threads: continue with those that exist.
            if not self._workers:
                raise
        else:
            self._workers.append(worker)

    def _work(self, run: Run) -> None:
        while (job := self._jobs.get()) is not None:
            result: Result | BaseException
            try:
                result = self._execute(job)
                run.record_result(job, result)
            except BaseException as error:  # noqa: BLE001 - raised where the replay is iterated
                result = error
            self._results.put((job, result))

    def _execute(self, job: Job) -> Result:
        started_at = SYSTEM_CLOCK.monotonic()
        returned: WebhookEvent | Exception
        try:
            returned = self._send(job.target)
        except Exception as error:  # noqa: BLE001 - classified below
            returned = error
        return classify_result(returned, SYSTEM_CLOCK.monotonic() - started_at)

    def _wait(self, run: Run, wait: Wait) -> None:
        # In slices, since Ctrl-C does not interrupt a long wait on Windows.
        seconds = _MAX_WAIT if wait.seconds is None else min(wait.seconds, _MAX_WAIT)
        with suppress(Empty):
            self._process(run, self._results.get(timeout=seconds))

    def _process_results(self, run: Run) -> None:
        with suppress(Empty):
            while True:
                self._process(run, self._results.get_nowait())

    def _process(self, run: Run, item: tuple[Job, Result | BaseException] | None) -> None:
        if item is None:
            return
        job, result = item
        if isinstance(result, BaseException):
            run.discard(job)
            raise result
        run.complete(job, result)
