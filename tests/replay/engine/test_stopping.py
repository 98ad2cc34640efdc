"""Replays that end early, and what they leave in the journal."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from support.replays import HOOK, ReplayHarness, Service, attempt, event_id

from webhooks_sdk.errors import InvalidArgumentError, JournalError, ReplayStoppedError
from webhooks_sdk.replay import AsyncReplay, Journal, Replay, ReplayOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from uuid import UUID

    from support.harness import Backend

    from webhooks_sdk import WebhookEvent
    from webhooks_sdk.replay import Outcome, Target

BASE_URL = "https://service.test"


def endless() -> Iterator[tuple[UUID, UUID]]:
    return ((HOOK, event_id(n)) for n in count())


def test_stop_lets_requests_in_flight_finish(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "journal"

    def each(replay: Any, _: Outcome) -> None:
        if len(service.sent) >= 20:
            replay.stop()

    outcomes, report = replay_harness.collect(service, endless(), each=each, journal=path)
    assert len(outcomes) == len(service.sent) == report.done
    assert report.stop_reason == "stop() was called"
    assert not report.finished
    with Journal(path) as journal:
        assert {entry.status for entry in journal} == {"delivered"}


def test_exiting_the_block_early_lets_requests_in_flight_finish(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "journal"

    def each(_: object, __: Outcome) -> bool:
        return len(service.sent) >= 20

    outcomes, report = replay_harness.collect(service, endless(), each=each, journal=path)
    assert len(outcomes) <= report.done == len(service.sent)
    with Journal(path) as journal:
        assert {entry.status for entry in journal} == {"delivered"}


def test_an_exception_in_the_block_is_propagated(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    def each(_: Any, __: Outcome) -> None:
        raise KeyError("raised in the block")

    with pytest.raises(KeyError, match="raised in the block"):
        replay_harness.collect(service, endless(), each=each, journal=tmp_path / "journal")
    with Journal(tmp_path / "journal") as journal:
        assert {entry.status for entry in journal} == {"delivered"}


def test_an_exception_of_the_targets_is_propagated(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    def broken() -> Iterator[tuple[UUID, UUID]]:
        yield HOOK, event_id(0)
        raise LookupError("the database is gone")

    with pytest.raises(LookupError, match="the database is gone"):
        replay_harness.collect(service, broken(), journal=tmp_path / "journal")
    assert service.sent == [event_id(0)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_result_that_cannot_be_recorded_does_not_affect_the_others(
    backend: Backend, tmp_path: Path
) -> None:
    path = tmp_path / "journal"

    async def main() -> None:
        unreadable = anyio.Semaphore(0)

        async def send(target: Target) -> WebhookEvent:
            if target.request_id in {event_id(5), event_id(6)}:
                unreadable.release()
                return cast("WebhookEvent", None)
            if target.request_id == event_id(4):
                await unreadable.acquire()
                await unreadable.acquire()
                await anyio.wait_all_tasks_blocked()
            return attempt("x", id=target.request_id)

        options = ReplayOptions(journal=path)
        targets = [(HOOK, event_id(n)) for n in range(7)]
        async with AsyncReplay(send, targets, base_url=BASE_URL, options=options) as replay:
            await replay.run()

    with pytest.raises(AttributeError) as caught:
        anyio.run(main, backend=backend)
    assert "could not shut down cleanly" in caught.value.__notes__[0]
    with Journal(path) as journal:
        states = {entry.request_id: entry.status for entry in journal}
    assert states == {event_id(n): "delivered" if n < 5 else None for n in range(7)}


def test_a_run_whose_targets_raised_is_not_finished(service: Service) -> None:
    def broken() -> Iterator[tuple[UUID, UUID]]:
        yield HOOK, event_id(0)
        raise LookupError

    with Replay(service.end, broken(), base_url=BASE_URL) as replay:
        with pytest.raises(LookupError):
            list(replay)
        list(replay)
    assert not replay.report.finished
    assert "the iteration over the targets was interrupted" in str(replay.report)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_whose_targets_were_cancelled_is_not_finished(backend: Backend) -> None:
    async def slow() -> AsyncIterator[tuple[UUID, UUID]]:
        yield HOOK, event_id(0)
        await anyio.sleep_forever()

    async def send(target: Target) -> WebhookEvent:
        return attempt("x", id=target.request_id)

    async def main() -> AsyncReplay:
        async with AsyncReplay(send, slow(), base_url=BASE_URL) as replay:
            async with anyio.create_task_group() as group:
                group.start_soon(replay.run)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            await replay.run()
        return replay

    report = anyio.run(main, backend=backend).report
    assert (report.done, report.finished) == (1, False)
    assert "the iteration over the targets was interrupted" in str(report)


def test_a_replay_must_be_entered_exactly_once(service: Service) -> None:
    replay = Replay(service.end, (), base_url=BASE_URL)
    with pytest.raises(RuntimeError, match=r"use it as `with \.\.\. as replay:`"):
        next(replay)
    with replay, pytest.raises(RuntimeError, match="can be entered only once"), replay:
        pass


def test_a_second_iteration_over_a_finished_replay_is_refused(service: Service) -> None:
    targets = [(HOOK, event_id(n)) for n in range(3)]
    with Replay(service.end, targets, base_url=BASE_URL) as replay:
        assert len(list(replay)) == 3
        for again in (lambda: list(replay), replay.run):
            with pytest.raises(RuntimeError, match=r"^The replay has ended: .* See replay\.report"):
                again()
        # As every iterator, it stays exhausted.
        assert next(replay, None) is None
    with pytest.raises(RuntimeError, match="has ended"):
        list(replay)
    assert replay.report.counts["delivered"] == 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_async_iteration_over_a_finished_replay_is_refused(backend: Backend) -> None:
    async def send(target: Target) -> WebhookEvent:
        return attempt("x", id=target.request_id)

    async def main() -> None:
        async with AsyncReplay(send, [(HOOK, event_id(0))], base_url=BASE_URL) as replay:
            assert len([outcome async for outcome in replay]) == 1
            with pytest.raises(RuntimeError, match="The replay has ended"):
                [outcome async for outcome in replay]
            with pytest.raises(RuntimeError, match="The replay has ended"):
                await replay.run()
            assert await anext(replay, None) is None
        with pytest.raises(RuntimeError, match="The replay has ended"):
            await replay.run()

    anyio.run(main, backend=backend)


def test_iterating_after_stop_yields_the_rest_once(
    replay_harness: ReplayHarness, service: Service
) -> None:
    def stop_at_once(replay: Any, _: Outcome) -> bool:
        replay.stop()
        return False

    def then(replay: Any) -> None:
        with pytest.raises(RuntimeError, match="The replay has ended"):
            iter(replay) if replay_harness.name == "sync" else aiter(replay)

    outcomes, report = replay_harness.collect(
        service, endless(), each=stop_at_once, then=then, concurrency=1
    )
    assert (len(outcomes), report.stop_reason) == (1, "stop() was called")


def test_iterating_a_replay_that_was_exited_early_is_refused(
    replay_harness: ReplayHarness, service: Service
) -> None:
    def exit_at_once(*_: object) -> bool:
        return True

    def then(replay: Any) -> None:
        with pytest.raises(RuntimeError, match=r"^The replay was exited, so it yields no more"):
            iter(replay) if replay_harness.name == "sync" else aiter(replay)
        with pytest.raises(RuntimeError, match=r"^The replay was exited, so it yields no more"):
            next(replay) if replay_harness.name == "sync" else anyio.run(replay.__anext__)

    replay_harness.collect(service, endless(), each=exit_at_once, then=then, concurrency=1)


def test_a_second_iteration_over_an_aborted_replay_raises_its_error_again(
    service: Service,
) -> None:
    for n in range(10):
        service.respond(n, 500)
    targets = [(HOOK, event_id(n)) for n in range(10)]
    options = ReplayOptions(max_consecutive_failures=3)
    with Replay(service.end, targets, base_url=BASE_URL, options=options) as replay:
        for _ in range(2):
            with pytest.raises(ReplayStoppedError, match="the last 3 outcomes"):
                replay.run()


@pytest.mark.parametrize(
    "grace", [-1, float("nan"), float("inf"), 1e10, 10**30, True, "5"], ids=repr
)
def test_a_grace_out_of_range_is_refused(
    replay_harness: ReplayHarness, service: Service, grace: Any
) -> None:
    def stop(replay: Any, _: Outcome) -> None:
        with pytest.raises(InvalidArgumentError, match=r"^grace must be a number of seconds from"):
            replay.stop(grace=grace)

    _, report = replay_harness.collect(service, [(HOOK, event_id(0))], each=stop)
    # An invalid argument does not stop the replay.
    assert report.finished


class BlockingService:
    """A service whose requests block until `unblocked` is set."""

    def __init__(self) -> None:
        self.unblocked = threading.Event()
        self.entered = threading.Semaphore(0)

    def send(self, target: Target) -> WebhookEvent:
        self.entered.release()
        self.unblocked.wait()
        return attempt("x", id=target.request_id, redelivery=True)


def test_requests_in_flight_after_the_grace_are_unknown(tmp_path: Path) -> None:
    service = BlockingService()
    options = ReplayOptions(journal=tmp_path / "journal")
    with Replay(service.send, endless(), base_url=BASE_URL, options=options) as replay:

        def stop() -> None:
            service.entered.acquire()
            replay.stop(grace=0)

        stopper = threading.Thread(target=stop)
        stopper.start()
        [outcome] = list(replay)
        stopper.join()
        assert (outcome.request_id, outcome.status) == (event_id(0), "unknown")
        assert replay.report.counts["unknown"] == 1
    service.unblocked.set()
    with Journal(tmp_path / "journal") as journal:
        [entry] = journal
        assert entry.in_flight


def test_ctrl_c_ends_the_run_at_once(tmp_path: Path) -> None:
    service = BlockingService()
    options = ReplayOptions(journal=tmp_path / "journal")

    def targets() -> Iterator[tuple[UUID, UUID]]:
        yield HOOK, event_id(0)
        raise KeyboardInterrupt

    service.unblocked.set()
    with (
        pytest.raises(KeyboardInterrupt),
        Replay(service.send, targets(), base_url=BASE_URL, options=options) as replay,
    ):
        list(replay)
    service.unblocked.set()

    resumed = Replay(
        service.send, (), base_url=BASE_URL, options=ReplayOptions(journal=tmp_path / "journal")
    )
    with resumed:
        assert [outcome.status for outcome in resumed] == ["skipped"]


def test_ctrl_c_caught_inside_the_block_ends_the_run_at_once(tmp_path: Path) -> None:
    service = BlockingService()

    def send(target: Target) -> WebhookEvent:
        return attempt("x") if target.request_id == event_id(0) else service.send(target)

    def targets() -> Iterator[tuple[UUID, UUID]]:
        yield HOOK, event_id(0)
        yield HOOK, event_id(1)
        service.entered.acquire()
        raise KeyboardInterrupt

    options = ReplayOptions(journal=tmp_path / "journal")
    with Replay(send, targets(), base_url=BASE_URL, options=options) as replay:
        with pytest.raises(KeyboardInterrupt):
            list(replay)
        statuses = {outcome.request_id: outcome.status for outcome in replay}
    service.unblocked.set()
    assert statuses[event_id(1)] == "unknown"
    assert replay.report.stop_reason == "the run was interrupted"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("by", ["thread", "signal"])
def test_async_replay_can_be_stopped_from_a_thread_or_a_signal_handler(
    backend: Backend, by: str
) -> None:
    async def send(target: Target) -> WebhookEvent:
        return attempt("x", id=target.request_id)

    async def main() -> AsyncReplay:
        # At this rate, the second request is sent after eleven days.
        options = ReplayOptions(rate=1e-6)
        async with AsyncReplay(send, endless(), base_url=BASE_URL, options=options) as replay:
            await anext(replay)
            async with anyio.create_task_group() as group:
                group.start_soon(replay.run)
                await anyio.wait_all_tasks_blocked()
                stop(replay)
        replay.stop()
        return replay

    def stop(replay: AsyncReplay) -> None:
        if by == "thread":
            threading.Thread(target=replay.stop).start()
        else:

            def on_signal(*_: object) -> None:
                replay.stop()

            signal.signal(signal.SIGTERM, on_signal)
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()

    before = signal.getsignal(signal.SIGTERM)
    try:
        replay = anyio.run(main, backend=backend)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert replay.report.stop_reason == "stop() was called"
    replay.stop()


def test_cancelling_anext_loses_no_outcome(tmp_path: Path) -> None:
    targets = [(HOOK, event_id(n)) for n in range(200)]
    outcomes: list[Outcome] = []

    async def send(target: Target) -> WebhookEvent:
        return attempt("x", id=target.request_id)

    async def main() -> None:
        options = ReplayOptions(journal=tmp_path / "journal", durable=True)
        async with AsyncReplay(send, targets, base_url=BASE_URL, options=options) as replay:
            while not replay.report.finished:
                waiting = asyncio.ensure_future(anext(replay, None))
                for _ in range(len(outcomes) % 7):
                    await asyncio.sleep(0)
                # A native asyncio cancellation, from which a cancel scope of anyio does not shield.
                waiting.cancel()
                with suppress(asyncio.CancelledError):
                    outcome = await waiting
                    outcomes.extend([outcome] if outcome else [])
                    continue
                outcomes.extend([await anext(replay)])

    asyncio.run(main())
    assert Counter(outcome.request_id for outcome in outcomes) == Counter(
        target[1] for target in targets
    )


def test_system_exit_in_a_worker_thread_ends_the_run(tmp_path: Path) -> None:
    def send(_: Target) -> WebhookEvent:
        raise SystemExit(3)

    path = tmp_path / "journal"
    options = ReplayOptions(journal=path)
    with (
        pytest.raises(SystemExit),
        Replay(send, endless(), base_url=BASE_URL, options=options) as replay,
    ):
        replay.run()
    with Journal(path) as journal:
        [entry] = journal
        assert entry.in_flight


def test_a_run_copes_with_a_limit_on_threads(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start_two)
    outcomes, report = ReplayHarness("sync").collect(
        service, [(HOOK, event_id(n)) for n in range(50)], concurrency=8
    )
    assert report.finished
    assert len({outcome.request_id for outcome in outcomes}) == len(service.sent) == 50
    assert len(started) == 2


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_stop_iteration_raised_by_on_progress_does_not_end_the_iteration(
    replay_harness: ReplayHarness, service: Service, error: type[Exception]
) -> None:
    def on_progress(_: object) -> None:
        raise error

    with pytest.raises(RuntimeError, match=f"on_progress raised {error.__name__},"):
        replay_harness.collect(service, [(HOOK, event_id(0))], on_progress=on_progress)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancellation_ends_the_run_at_once(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    cancelled: list[UUID] = []

    async def send(target: Target) -> WebhookEvent:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(target.request_id)
            raise
        raise AssertionError

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with (
                AsyncReplay(
                    send, endless(), base_url=BASE_URL, options=ReplayOptions(journal=path)
                ) as replay,
                anyio.create_task_group() as group,
            ):
                group.start_soon(anext, replay)
                while replay.report.requests == 0:
                    await anyio.lowlevel.checkpoint()
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

    anyio.run(main, backend=backend)
    assert cancelled == [event_id(0)]
    with Journal(path) as journal:
        [entry] = journal
        assert (entry.request_id, entry.in_flight) == (event_id(0), True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_failing_journal_ends_the_run_without_hanging(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        async def send(target: Target) -> WebhookEvent:
            await anyio.lowlevel.checkpoint()
            return attempt("x", id=target.request_id, redelivery=True)

        options = ReplayOptions(journal=tmp_path / "journal")
        with anyio.fail_after(20):
            async with AsyncReplay(send, endless(), base_url=BASE_URL, options=options) as replay:
                await anext(replay)
                assert replay._run is not None  # pyright: ignore[reportPrivateUsage] - closed by the test
                replay._run._journal.close()  # pyright: ignore[reportPrivateUsage] - closed by the test
                await replay.run()

    with pytest.raises(JournalError, match="is closed"):
        anyio.run(main, backend=backend)
