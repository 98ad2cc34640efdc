"""Carries out a replay with threads. The same shape, line by line, as `_async_replay`."""

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
from webhooks_sdk.replay._engine.run import Run, not_entered
from webhooks_sdk.replay._engine.scheduler import Idle, Job, Wait
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import Outcome, Result, classify_result
from webhooks_sdk.replay._report import Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Recovery

_LONGEST_WAIT = 1.0


class Replay:
    """Many redeliveries: a context manager, and an iterator of outcomes as they come.

    `client.hooks.redeliver_many` and `client.hooks.recover` make one. Requests are begun while the
    next outcome is waited for, and those under way go on meanwhile: a slow body slows the run down,
    and nothing piles up. The targets are iterated in the thread that iterates the replay.

    Leaving the `with` block early takes no more targets and waits for what is under way.
    KeyboardInterrupt, or another exception that is no `Exception`, does not wait, also where it is
    caught inside the block: what was under way is unknown when the journal is resumed.

    Args:
        send: Redelivers one event, and returns the attempt or raises. Called in threads. It must
            not try again by itself, and return in finite time.
        targets: What is to be redelivered, consumed as it is needed.
        base_url: The environment, to which a journal is bound.
        list_events: Lists the recent events of a subscription: needed to find out what became of
            requests that an earlier run left unknown. None leaves them unknown.
        options: How the replay is carried out.
        recovery: Instead of targets, what is to be recovered.
        on_close: Called when the replay has ended.
    """

    def __init__(
        self,
        send: Callable[[Target], WebhookEvent],
        targets: Iterable[TargetLike],
        *,
        base_url: str,
        list_events: Callable[[UUID], Iterable[WebhookEvent]] | None = None,
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
        # Whether the targets raised when they were last asked: a generator then looks exhausted.
        self._broken_off = False
        self._run: Run | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[Job, Result | BaseException] | None] = SimpleQueue()
        self._workers: list[Thread] = []

    def __enter__(self) -> Self:
        if self._run is not None:
            raise RuntimeError("A replay can be entered once: make a new one.")
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
        hook_to_plan = run.to_plan()
        if hook_to_plan is not None:
            assert self._list_events is not None
            run.plan(self._list_events(hook_to_plan))
        for hook_id in run.to_look_up():
            if self._list_events is None:
                break
            try:
                run.look_up(hook_id, self._list_events(hook_id))
            except NotFoundError:
                # The subscription is gone: nobody can tell any more.
                continue
        run.begin()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._entered()
        try:
            if exc is None or isinstance(exc, Exception):
                self._drain(run, exc)
        finally:
            self._close(run)

    def _drain(self, run: Run, during: Exception | None) -> None:
        run.leave()
        failure: Exception | None = None
        while not run.ended:
            try:
                # Nobody wants the outcome any more; the report counts it.
                self._next(run)
            except Exception as error:  # noqa: BLE001 - the others under way are to end all the same
                failure = failure or error
        if failure is None:
            return
        if during is None:
            raise failure
        during.add_note(f"The replay could not end in order: {failure}")

    def _close(self, run: Run) -> None:
        try:
            run.close()
        finally:
            try:
                self._dismiss(run)
            finally:
                if self._on_close is not None:
                    self._on_close()

    def _dismiss(self, run: Run) -> None:
        with suppress(Empty):
            while True:
                # Nothing more is sent after an interruption.
                self._jobs.get_nowait()
        for _ in self._workers:
            self._jobs.put(None)
        if not run.in_flight and not run.gave_up_on_some:
            for worker in self._workers:
                worker.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Outcome:
        run = self._entered()
        try:
            outcome = self._next(run)
        except Exception:
            raise
        except BaseException:
            run.interrupt()
            raise
        if outcome is None:
            run.check_stopped()
            raise StopIteration
        return outcome

    def run(self) -> Report:
        """Carry the whole replay out.

        Returns:
            The report at its end.

        Raises:
            ReplayStoppedError: Nothing worked, or the credentials were refused.
            JournalError: The journal cannot be written.
        """
        for _ in self:
            """The report counts it."""
        return self.report

    @property
    def report(self) -> Report:
        """What the run has come to, at any time."""
        return self._entered().report()

    def stop(self, grace: float | None = None) -> None:
        """Take no more targets, and let what is under way end. It can be called from any thread.

        It does not wait: the iteration ends when the last outcome is there.

        Args:
            grace: Seconds to wait for what is under way, after which it is unknown; None to wait
                until it has ended.
        """
        self._entered().stop(grace)
        self._ended.put(None)

    def _entered(self) -> Run:
        if self._run is None:
            raise not_entered("with")
        return self._run

    def _next(self, run: Run) -> Outcome | None:
        while not run.ended:
            self._take_ended(run)
            step = None if run.outcomes_full else run.step()
            if step is Idle.TAKE_TARGET:
                self._pull(run)
            elif isinstance(step, Job):
                self._begin(run, step)
            elif run.outcomes:
                return run.outcomes.popleft()
            elif isinstance(step, Wait):
                self._wait(run, step)
            else:
                run.finish()
        return None

    def _pull(self, run: Run) -> None:
        job = run.take_leftover() if self._targets is None else self._take(run, self._targets)
        if job is not None:
            self._begin(run, job)

    def _take(self, run: Run, targets: Iterator[TargetLike]) -> Job | None:
        broken_off, self._broken_off = self._broken_off, True
        try:
            target = next(targets)
        except StopIteration:
            self._targets = None
            if broken_off:
                run.targets_failed()
            return None
        self._broken_off = False
        return run.take(target)

    def _begin(self, run: Run, job: Job) -> None:
        if len(self._workers) <= run.in_flight:
            self._add_worker(run)
        run.dispatch(job)
        self._jobs.put(job)

    def _add_worker(self, run: Run) -> None:
        worker = Thread(target=self._work, args=(run,), name="webhooks-replay", daemon=True)
        try:
            worker.start()
        except RuntimeError:
            # The system has no more threads to give: those that there are do the work.
            if not self._workers:
                raise
        else:
            self._workers.append(worker)

    def _work(self, run: Run) -> None:
        while (job := self._jobs.get()) is not None:
            result: Result | BaseException
            try:
                result = self._carry_out(run, job)
            except BaseException as error:  # noqa: BLE001 - raised where the replay is iterated
                result = error
            self._ended.put((job, result))

    def _carry_out(self, run: Run, job: Job) -> Result:
        began = SYSTEM_CLOCK.monotonic()
        answer: WebhookEvent | Exception
        try:
            answer = self._send(job.target)
        except Exception as error:  # noqa: BLE001 - what it means is decided elsewhere
            answer = error
        result = classify_result(answer, SYSTEM_CLOCK.monotonic() - began)
        run.record(job, result)
        return result

    def _wait(self, run: Run, wait: Wait) -> None:
        # In pieces, since Ctrl-C does not get through a long wait on Windows.
        seconds = _LONGEST_WAIT if wait.seconds is None else min(wait.seconds, _LONGEST_WAIT)
        with suppress(Empty):
            self._note(run, self._ended.get(timeout=seconds))

    def _take_ended(self, run: Run) -> None:
        with suppress(Empty):
            while True:
                self._note(run, self._ended.get_nowait())

    def _note(self, run: Run, ended: tuple[Job, Result | BaseException] | None) -> None:
        if ended is None:
            return
        job, result = ended
        if isinstance(result, BaseException):
            run.forget(job)
            raise result
        run.complete(job, result)
