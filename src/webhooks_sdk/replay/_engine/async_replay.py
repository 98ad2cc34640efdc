"""Carries out a replay with tasks. The same shape, line by line, as `_sync_replay`."""

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
from webhooks_sdk.replay._engine.run import Run, not_entered
from webhooks_sdk.replay._engine.scheduler import Idle, Job, Wait
from webhooks_sdk.replay._options import ReplayOptions
from webhooks_sdk.replay._outcomes import Outcome, Result, classify_result
from webhooks_sdk.replay._report import Report
from webhooks_sdk.replay._targets import Target, TargetLike
from webhooks_sdk.replay._undelivered import Recovery


class AsyncReplay:
    """Many redeliveries: an async context manager, and an async iterator of outcomes as they come.

    `client.hooks.redeliver_many` and `client.hooks.recover` make one. Requests are begun while the
    next outcome is waited for, and those under way go on meanwhile: a slow body slows the run down,
    and nothing piles up. The targets are iterated in the task that iterates the replay.

    Leaving the `async with` block early takes no more targets and waits for what is under way.
    Cancellation, or another exception that is no `Exception`, does not wait: what was under way is
    cancelled, and unknown when the journal is resumed.

    Args:
        send: Redelivers one event, and returns the attempt or raises. It must not try again by
            itself, and return in finite time.
        targets: What is to be redelivered, an iterable or async iterable, consumed as it is needed.
        base_url: The environment, to which a journal is bound.
        list_events: Lists the recent events of a subscription: needed to find out what became of
            requests that an earlier run left unknown. None leaves them unknown.
        options: How the replay is carried out.
        recovery: Instead of targets, what is to be recovered.
        on_close: Called and awaited when the replay has ended.
    """

    def __init__(
        self,
        send: Callable[[Target], Awaitable[WebhookEvent]],
        targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
        *,
        base_url: str,
        list_events: Callable[[UUID], Awaitable[Iterable[WebhookEvent]]] | None = None,
        options: ReplayOptions | None = None,
        recovery: Recovery | None = None,
        on_close: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._send = send
        self._targets: AsyncIterator[TargetLike] | None = _iterate(targets)
        self._total = len(targets) if isinstance(targets, Sized) else None
        self._base_url = base_url
        self._list_events = list_events
        self._options = ReplayOptions() if options is None else options
        self._recovery = recovery
        self._on_close = on_close
        # Whether the targets raised when they were last asked: a generator then looks exhausted.
        self._broken_off = False
        self._run: Run | None = None
        # With each whether the journal has it.
        self._ended: deque[tuple[Job, Result | Exception, bool]] = deque()
        self._starting: list[Job] = []
        self._idle: list[_Place] = []
        self._is_waiting = False

    async def __aenter__(self) -> Self:
        if self._run is not None:
            raise RuntimeError("A replay can be entered once: make a new one.")
        run = self._run = Run(
            self._options,
            base_url=self._base_url,
            recovery=self._recovery,
            total=self._total,
            clock=SYSTEM_CLOCK,
        )
        self._news = anyio.Event()
        self._begun: anyio.Event | None = None
        self._call_soon = _call_soon()
        self._group = anyio.create_task_group()
        try:
            await self._prepare(run)
            await self._group.__aenter__()
        except BaseException:
            await self._close(run)
            raise
        return self

    async def _prepare(self, run: Run) -> None:
        hook_to_plan = run.to_plan()
        if hook_to_plan is not None:
            assert self._list_events is not None
            run.plan(await self._list_events(hook_to_plan))
        for hook_id in run.to_look_up():
            if self._list_events is None:
                break
            try:
                run.look_up(hook_id, await self._list_events(hook_id))
            except NotFoundError:
                # The subscription is gone: nobody can tell any more.
                continue
        run.begin()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._entered()
        try:
            if exc is None or isinstance(exc, Exception):
                await self._drain(run, exc)
        finally:
            try:
                self._group.cancel_scope.cancel()
                await self._group.__aexit__(None, None, None)
            finally:
                await self._close(run)

    async def _drain(self, run: Run, during: Exception | None) -> None:
        run.leave()
        failure: Exception | None = None
        while not run.ended:
            try:
                # Nobody wants the outcome any more; the report counts it.
                await self._next(run)
            except Exception as error:  # noqa: BLE001 - the others under way are to end all the same
                failure = failure or error
        if failure is None:
            return
        if during is None:
            raise failure
        during.add_note(f"The replay could not end in order: {failure}")

    async def _close(self, run: Run) -> None:
        try:
            run.close()
        finally:
            if self._on_close is not None:
                with anyio.CancelScope(shield=True):
                    await self._on_close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        run = self._entered()
        outcome = await self._next(run)
        if outcome is None:
            run.check_stopped()
            raise StopAsyncIteration
        return outcome

    async def run(self) -> Report:
        """Carry the whole replay out.

        Returns:
            The report at its end.

        Raises:
            ReplayStoppedError: Nothing worked, or the credentials were refused.
            JournalError: The journal cannot be written.
        """
        async for _ in self:
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
        # When the event loop has ended, so has the replay.
        with suppress(RuntimeError):
            self._call_soon(self._wake)

    def _wake(self) -> None:
        self._news.set()

    def _entered(self) -> Run:
        if self._run is None:
            raise not_entered("async with")
        return self._run

    async def _next(self, run: Run) -> Outcome | None:
        try:
            while not run.ended:
                if self._begun is not None:
                    await self._begun.wait()
                self._take_ended(run)
                if run.outcomes_full:
                    # Other tasks must get their turn while many targets are skipped.
                    self._launch(run)
                    await checkpoint()
                step = None if run.outcomes_full else run.step()
                if step is Idle.TAKE_TARGET:
                    await self._pull(run)
                elif isinstance(step, Job):
                    await self._begin(run, step)
                elif run.outcomes:
                    return run.outcomes.popleft()
                elif isinstance(step, Wait):
                    self._launch(run)
                    await self._wait(run, step)
                else:
                    run.finish()
        finally:
            self._launch(run)
        return None

    async def _pull(self, run: Run) -> None:
        if self._targets is None:
            self._hold(run)
            job = run.take_leftover()
        else:
            job = await self._take(run, self._targets)
        if job is not None:
            await self._begin(run, job)

    async def _take(self, run: Run, targets: AsyncIterator[TargetLike]) -> Job | None:
        if not isinstance(targets, _Plain):
            self._launch(run)
        broken_off, self._broken_off = self._broken_off, True
        try:
            target = await anext(targets)
        except StopAsyncIteration:
            self._targets = None
            if broken_off:
                run.targets_failed()
            return None
        self._broken_off = False
        self._hold(run)
        return run.take(target)

    async def _begin(self, run: Run, job: Job) -> None:
        if not self._options.durable:
            self._hold(run)
            run.dispatch(job)
            self._starting.append(job)
            return
        # In a task of its own, since who iterates may be cancelled meanwhile, and go on after it.
        self._begun = anyio.Event()
        self._group.start_soon(self._begin_durably, run, job, self._begun)
        await self._begun.wait()

    async def _begin_durably(self, run: Run, job: Job, begun: anyio.Event) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(run.dispatch, job)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            self._ended.append((job, error, True))
            return
        finally:
            begun.set()
        await self._work(run, job)

    def _hold(self, run: Run) -> None:
        """Gather what is written until `_launch`: one write for all costs little more than one."""
        if not self._options.durable:
            run.hold()

    def _launch(self, run: Run) -> None:
        """Write down what was gathered, then send what was begun. No other task runs before it."""
        starting, self._starting = self._starting, []
        try:
            run.flush()
        except BaseException:
            for job in starting:
                run.forget(job)
            raise
        for job in starting:
            if self._idle:
                self._idle.pop().take(job)
            else:
                self._group.start_soon(self._work, run, job)

    async def _work(self, run: Run, job: Job) -> None:
        while True:
            result = await self._carry_out(job)
            # Who waits for it is about to write it down, together with what it leads to.
            is_recorded = not self._is_waiting or self._options.durable
            if is_recorded and isinstance(result, Result):
                result = await self._recorded(run, job, result)
            self._ended.append((job, result, is_recorded))
            self._wake()
            place = _Place()
            self._idle.append(place)
            job = await place.wait()

    async def _carry_out(self, job: Job) -> Result | Exception:
        began = SYSTEM_CLOCK.monotonic()
        answer: WebhookEvent | Exception
        try:
            answer = await self._send(job.target)
        except Exception as error:  # noqa: BLE001 - what it means is decided elsewhere
            answer = error
        try:
            return classify_result(answer, SYSTEM_CLOCK.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            return error

    def _gathered(self, run: Run, job: Job, result: Result) -> Result | Exception:
        try:
            self._hold(run)
        except JournalError as error:
            return error
        return self._written(run, job, result)

    def _written(self, run: Run, job: Job, result: Result) -> Result | Exception:
        try:
            run.record(job, result)
        except Exception as error:  # noqa: BLE001 - raised where the replay is iterated
            return error
        return result

    async def _recorded(self, run: Run, job: Job, result: Result) -> Result | Exception:
        recorded: Result | Exception = result
        if not self._options.durable:
            recorded = self._written(run, job, result)
        else:
            # It waits for the disk: not in the event loop, and not half of it.
            with anyio.CancelScope(shield=True):
                recorded = await to_thread.run_sync(self._written, run, job, result)
        return recorded

    async def _wait(self, run: Run, wait: Wait) -> None:
        self._is_waiting = True
        try:
            if wait.seconds is None:
                await self._news.wait()
            else:
                with anyio.move_on_after(wait.seconds):
                    await self._news.wait()
        except BaseException:
            # A journal that fails must not hide a cancellation; what it lacks stays an intent.
            with suppress(JournalError):
                self._record_ended(run)
            raise
        finally:
            self._is_waiting = False
        self._take_ended(run)

    def _record_ended(self, run: Run) -> None:
        """Write down what has ended, and draw no conclusions: who iterates is cancelled."""
        self._hold(run)
        for position, (job, result, is_recorded) in enumerate(self._ended):
            if not is_recorded and isinstance(result, Result):
                run.record(job, result)
                self._ended[position] = (job, result, True)
        run.flush()

    def _take_ended(self, run: Run) -> None:
        if self._news.is_set():
            self._news = anyio.Event()
        while self._ended:
            job, result, is_recorded = self._ended.popleft()
            if not is_recorded and isinstance(result, Result):
                result = self._gathered(run, job, result)
            if isinstance(result, Exception):
                run.forget(job)
                raise result
            run.complete(job, result)


def _call_soon() -> Callable[[Callable[[], object]], object]:
    """Return what has the event loop call something, from any thread or signal handler."""
    token: Any = current_token().native_token
    in_trio = hasattr(token, "run_sync_soon")
    call_soon: Callable[[Callable[[], object]], object]
    call_soon = token.run_sync_soon if in_trio else token.call_soon_threadsafe
    return call_soon


def _iterate(
    targets: Iterable[TargetLike] | AsyncIterable[TargetLike],
) -> AsyncIterator[TargetLike]:
    return aiter(targets) if isinstance(targets, AsyncIterable) else _Plain(iter(targets))


class _Place:
    """Where a task waits for its next job: a new task for each would cost more than the engine."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._job: Job | None = None

    def take(self, job: Job) -> None:
        self._job = job
        self._event.set()

    async def wait(self) -> Job:
        await self._event.wait()
        assert self._job is not None
        return self._job


class _Plain:
    """A plain iterator as an async one; no generator, which would have to be closed."""

    def __init__(self, items: Iterator[TargetLike]) -> None:
        self._items = items

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TargetLike:
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
