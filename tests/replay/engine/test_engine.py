"""The outcomes of a replay, on threads, asyncio and trio."""

from __future__ import annotations

import pickle
import threading
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import evolve
from support.replays import HOOK, ReplayHarness, Service, attempt, event_id

from webhooks_sdk._core.clock import Clock
from webhooks_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplayStoppedError,
)
from webhooks_sdk.replay import NotSentReason, Outcome, OutcomeStatus, ReplayOptions, Target
from webhooks_sdk.replay._engine.run import Run
from webhooks_sdk.replay._engine.scheduler import Action, Wait
from webhooks_sdk.replay._report import RunStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from uuid import UUID

    from webhooks_sdk.errors import APIError

UNSENT = APIConnectionError("refused", operation="redeliver")
LOST = APITimeoutError("timed out", operation="redeliver", outcome_unknown=True)
GONE = NotFoundError("no such event", operation="redeliver", status=404)
BUSY = RateLimitError("later", operation="redeliver", status=429, retry_after=0.01)
DOWN = InternalServerError("later", operation="redeliver", status=503, retry_after=0.01)

RESULTS: list[int | Exception] = [500, GONE, LOST]


def targets(number: int) -> list[tuple[UUID, UUID]]:
    return [(HOOK, event_id(n)) for n in range(number)]


def statuses(outcomes: list[Outcome]) -> dict[UUID, OutcomeStatus]:
    return {outcome.request_id: outcome.status for outcome in outcomes}


def test_every_target_has_exactly_one_outcome(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.respond(1, 500)
    service.respond(2, None)
    service.respond(3, GONE)
    service.respond(4, LOST)
    outcomes, report = replay_harness.collect(service, [*targets(6), (HOOK, event_id(0))])
    assert len(outcomes) == 7
    assert sorted(outcome.status for outcome in outcomes) == [
        "accepted",
        "delivered",
        "delivered",
        "failed",
        "rejected",
        "skipped",
        "unknown",
    ]
    assert sorted(service.sent) == sorted(event_id(n) for n in range(6))
    assert report.counts == {
        "delivered": 2,
        "rejected": 1,
        "accepted": 1,
        "failed": 1,
        "unknown": 1,
        "skipped": 1,
    }
    assert (report.requests, report.done, report.finished, report.stop_reason) == (6, 7, True, None)


def test_outcome_holds_event_error_and_attempts(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.respond(1, 500)
    service.respond(2, GONE)
    outcomes, report = replay_harness.collect(service, targets(3))
    delivered, failed, rejected = sorted(outcomes, key=lambda one: one.status)
    assert (delivered.hook_id, delivered.request_id) == (HOOK, event_id(0))
    assert delivered.event is not None
    assert (delivered.event.response_status, delivered.error, delivered.attempts) == (200, None, 1)
    assert failed.status == "failed"
    assert (failed.event, failed.error) == (None, GONE)
    assert rejected.event is not None
    assert rejected.event.response_status == 500
    assert set(report.problems) == {rejected, failed}


def test_outcomes_can_be_pickled(service: Service) -> None:
    service.respond(1, GONE)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(2))
    for outcome in outcomes:
        copy = pickle.loads(pickle.dumps(outcome))  # noqa: S301 - pickled by this test
        assert copy == outcome
        assert str(copy.error) == str(outcome.error)
        assert type(copy.error) is type(outcome.error)


@pytest.mark.parametrize(
    "target",
    [
        (HOOK, event_id(1)),
        (str(HOOK), str(event_id(1)).upper()),
        Target(HOOK, event_id(1)),
        attempt(1, 500),
    ],
    ids=["ids", "strings", "target", "event"],
)
def test_targets_can_be_ids_or_events(service: Service, target: Any) -> None:
    outcomes, _ = ReplayHarness("sync").collect(service, iter([target]))
    assert statuses(outcomes) == {event_id(1): "delivered"}


@pytest.mark.parametrize(
    "bad",
    ["not a pair", (HOOK,), (HOOK, "no id"), ("", event_id(1)), None, 7, (HOOK, event_id(1), 3)],
)
def test_an_invalid_target_ends_the_run_with_an_error_that_names_it(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, bad: Any
) -> None:
    journal = tmp_path / "journal.sqlite"
    with pytest.raises(InvalidArgumentError, match=r"targets\[2\]"):
        replay_harness.collect(service, [*targets(2), bad, *targets(5)], journal=journal)
    # The targets before it were completed.
    outcomes, _ = replay_harness.collect(service, targets(5), journal=journal)
    assert sorted(outcome.status for outcome in outcomes) == ["delivered"] * 3 + ["skipped"] * 2


def test_targets_are_consumed_lazily(replay_harness: ReplayHarness, service: Service) -> None:
    taken = 0

    def endless() -> Iterator[tuple[UUID, UUID]]:
        nonlocal taken
        for n in count():
            taken += 1
            yield HOOK, event_id(n)

    seen: list[int] = []

    def each(_: object, __: Outcome) -> bool:
        seen.append(taken)
        return len(seen) == 100

    outcomes, report = replay_harness.collect(service, endless(), each=each, concurrency=4)
    assert len(outcomes) == 100
    assert all(taken - n <= 2 * 4 for n, taken in enumerate(seen))
    assert taken == len(service.sent) == report.done
    assert report.stop_reason == "the `with` block was exited early"


def test_async_replay_accepts_async_iterables(service: Service) -> None:
    async def generate() -> AsyncIterator[tuple[UUID, UUID]]:
        for target in targets(5):
            yield target

    for name in ("asyncio", "trio"):
        outcomes, _ = ReplayHarness(name).collect(service, generate())
        assert len(outcomes) == 5


def test_concurrency_starts_at_one_and_stays_within_its_limit(
    replay_harness: ReplayHarness, service: Service
) -> None:
    replay_harness.collect(service, targets(300), concurrency=5)
    assert service.finished_before[:2] == [0, 1]
    assert 1 < service.max_in_flight <= 5


def test_without_targets_nothing_is_sent(replay_harness: ReplayHarness, service: Service) -> None:
    outcomes, report = replay_harness.collect(service, ())
    assert (outcomes, report.finished, report.requests) == ([], True, 0)
    assert str(report).startswith("no targets; 0 requests in ")


@pytest.mark.parametrize("error", [BUSY, DOWN], ids=["429", "503 with Retry-After"])
def test_a_deferred_request_is_resent_and_does_not_count_as_an_attempt(
    replay_harness: ReplayHarness, service: Service, error: Any
) -> None:
    service.respond(0, error, error, 200)
    outcomes, report = replay_harness.collect(service, targets(2), max_attempts=1)
    assert statuses(outcomes) == {event_id(0): "delivered", event_id(1): "delivered"}
    assert [outcome.attempts for outcome in outcomes] == [1, 1]
    assert report.requests == 4


def test_an_unsent_request_is_resent_up_to_max_attempts(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.respond(0, UNSENT, 200)
    service.respond(1, UNSENT)
    outcomes, _ = replay_harness.collect(service, targets(2), max_attempts=2)
    assert statuses(outcomes) == {event_id(0): "delivered", event_id(1): "failed"}
    assert [outcome.attempts for outcome in outcomes] == [2, 2]
    assert service.sent.count(event_id(1)) == 2


@pytest.mark.parametrize("result", [500, None, LOST, GONE, ValueError("not an error of the SDK")])
def test_other_requests_are_not_resent(service: Service, result: Any) -> None:
    service.respond(0, result)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(1))
    assert len(service.sent) == 1
    assert outcomes[0].attempts == 1


def test_a_foreign_error_leaves_the_target_unknown(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.respond(0, ValueError("a worker was lost"))
    [outcome], _ = replay_harness.collect(service, targets(1))
    assert outcome.status == "unknown"
    assert repr(outcome.error) == "ValueError('a worker was lost')"


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("redeliver: wrong token.", operation="redeliver", status=401),
        PermissionDeniedError("redeliver: not yours.", operation="redeliver", status=403),
    ],
    ids=["401", "403"],
)
def test_rejected_credentials_stop_the_run_and_it_can_be_resumed(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, error: APIError
) -> None:
    journal = tmp_path / "journal.sqlite"
    service.respond(3, error, 200)
    with pytest.raises(ReplayStoppedError) as caught:
        replay_harness.collect(service, targets(50), journal=journal, concurrency=1)
    assert str(caught.value).startswith(f"The replay was stopped: {error} Fix the cause ")
    assert f"journal={str(journal)!r}" in str(caught.value)
    assert caught.value.__cause__ is error
    assert len(service.sent) == 4
    outcomes, report = replay_harness.collect(service, targets(50), journal=journal)
    assert report.counts["delivered"] == 47
    assert report.counts["skipped"] == 3
    # The rejected request does not count as an attempt.
    assert {outcome.attempts for outcome in outcomes} == {1}


def test_consecutive_failures_stop_the_run(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    for n in range(100):
        service.respond(n, RESULTS[n % 3])
    with pytest.raises(ReplayStoppedError, match="run again with journal=") as caught:
        replay_harness.collect(
            service, targets(100), journal=tmp_path / "j", max_consecutive_failures=7
        )
    assert "7" in str(caught.value)
    assert 7 <= len(service.sent) <= 7 + 16


def test_the_error_of_a_run_without_a_journal_asks_for_one(service: Service) -> None:
    service.respond(0, AuthenticationError("no", operation="redeliver", status=401))
    with pytest.raises(ReplayStoppedError, match="pass journal= to be able to resume"):
        ReplayHarness("sync").collect(service, targets(1))


def test_a_success_resets_the_count_of_consecutive_failures(service: Service) -> None:
    for n in range(100):
        service.respond(n, 200 if n % 5 == 0 else 500)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(100), max_consecutive_failures=7)
    assert len(outcomes) == 100


def test_the_circuit_breaker_can_be_disabled(service: Service) -> None:
    for n in range(100):
        service.respond(n, GONE)
    outcomes, _ = ReplayHarness("sync").collect(
        service, targets(100), max_consecutive_failures=None
    )
    assert len(outcomes) == 100


def test_the_report_holds_the_first_hundred_problems(service: Service) -> None:
    for n in range(150):
        service.respond(n, 500)
    outcomes, report = ReplayHarness("sync").collect(
        service, targets(150), max_consecutive_failures=None
    )
    assert report.problems == tuple(outcomes[:100])


def test_the_report_has_a_histogram_of_durations(service: Service) -> None:
    _, report = ReplayHarness("sync").collect(service, targets(5))
    buckets = {
        (bucket.above_ms, bucket.up_to_ms): bucket.count
        for bucket in report.response_times
        if bucket.count
    }
    assert buckets == {(10, 25): 5}
    assert report.response_times[0].above_ms == 0
    assert report.response_times[-1].up_to_ms is None


def test_progress_is_reported_at_the_end(replay_harness: ReplayHarness, service: Service) -> None:
    reported: list[Any] = []
    replay_harness.collect(service, targets(5), on_progress=reported.append)
    assert reported[-1].done == reported[-1].total == reported[-1].counts["delivered"] == 5
    assert reported[-1].in_flight == 0
    assert reported[-1].remaining.total_seconds() == 0


def test_progress_is_reported_while_nothing_completes(replay_harness: ReplayHarness) -> None:
    service, reported = StalledService(), list[Any]()

    def on_progress(progress: Any) -> None:
        reported.append((threading.get_ident(), progress))
        if len(reported) == 2:
            service.finish()

    replay_harness.collect(service, targets(1), on_progress=on_progress)
    (thread, first), (_, second), (_, last) = reported
    assert (first.done, first.in_flight, first.total) == (0, 1, 1)
    assert (second.done, second.in_flight) == (0, 1)
    assert (last.done, last.in_flight) == (1, 0)
    assert thread == threading.get_ident()


class StalledService(Service):
    """A service that responds once `finish` is called, or after 30 s, which fails the test."""

    def __init__(self) -> None:
        super().__init__()
        self.finish_sync = threading.Event()
        self.finish_async: anyio.Event | None = None

    def finish(self) -> None:
        self.finish_sync.set()
        if self.finish_async is not None:
            self.finish_async.set()

    def wait(self) -> None:
        self.finish_sync.wait(30)

    async def wait_async(self) -> None:
        self.finish_async = anyio.Event()
        with anyio.move_on_after(30):
            await self.finish_async.wait()


class VirtualClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: 1.8e9)


@pytest.fixture
def ticking() -> Iterator[tuple[Run, VirtualClock, list[Any]]]:
    """A run with one request in flight, its clock, and the reported progress."""
    clock, reported = VirtualClock(), list[Any]()
    run = Run(
        ReplayOptions(on_progress=reported.append),
        base_url="https://service.test",
        recovery=None,
        total=1,
        clock=clock.clock,
    )
    try:
        run.set_total_from_journal()
        assert run.step() is Action.TAKE_TARGET
        job = run.accept_target((HOOK, event_id(0)))
        assert job is not None
        run.start(job)
        yield run, clock, reported
    finally:
        run.close()


def test_a_wait_ends_when_progress_is_due(
    ticking: tuple[Run, VirtualClock, list[Any]],
) -> None:
    run, clock, reported = ticking
    for second in range(1, 61):
        assert run.step() == Wait(1.0)
        assert len(reported) == second - 1
        clock.now += 1
    assert run.step() == Wait(1.0)
    assert [(progress.in_flight, progress.done) for progress in reported] == [(1, 0)] * 60


def test_progress_is_due_within_the_grace_of_a_stop(
    ticking: tuple[Run, VirtualClock, list[Any]],
) -> None:
    run, clock, reported = ticking
    run.stop(grace=1.5)
    assert run.step() == Wait(1.0)
    clock.now += 1
    assert run.step() == Wait(0.5)
    clock.now += 0.5
    assert run.step() is Action.FINISH
    assert len(reported) == 1


def test_without_on_progress_a_wait_has_no_limit() -> None:
    run = Run(
        ReplayOptions(),
        base_url="https://service.test",
        recovery=None,
        total=1,
        clock=VirtualClock().clock,
    )
    try:
        run.set_total_from_journal()
        job = run.accept_target((HOOK, event_id(0)))
        assert job is not None
        run.start(job)
        assert run.step() == Wait(None)
    finally:
        run.close()


def test_skipped_targets_do_not_count_towards_the_rate(service: Service, tmp_path: Path) -> None:
    harness, reported = ReplayHarness("sync"), list[Any]()
    harness.collect(service, targets(5), journal=tmp_path / "journal")
    harness.collect(service, targets(5), journal=tmp_path / "journal", on_progress=reported.append)
    assert (reported[-1].done, reported[-1].rate) == (5, 0)
    assert reported[-1].remaining.total_seconds() == 0


def test_remaining_time_is_based_on_the_targets_sent() -> None:
    skipped = Outcome(
        hook_id=HOOK,
        request_id=event_id(0),
        status=OutcomeStatus.SKIPPED,
        not_sent=NotSentReason.DONE_EARLIER,
    )
    stats = RunStats(total=1_001, started_at=0.0)
    for _ in range(900):
        stats.add(skipped)
    assert stats.progress(10.0, in_flight=1).remaining is None
    stats.add(evolve(skipped, status=OutcomeStatus.DELIVERED, not_sent=None))
    progress = stats.progress(10.0, in_flight=0)
    assert (progress.done, progress.rate) == (901, 0.1)
    assert progress.remaining == timedelta(seconds=1_000)


def test_a_remaining_time_that_no_timedelta_can_hold_is_unknown() -> None:
    stats = RunStats(total=10**12, started_at=0.0)
    stats.add(
        Outcome(hook_id=HOOK, request_id=event_id(0), status=OutcomeStatus.DELIVERED, attempts=1)
    )
    assert stats.progress(1e6, in_flight=0).remaining is None


def test_the_total_of_a_generator_is_known_once_it_is_exhausted(service: Service) -> None:
    reported: list[Any] = []
    ReplayHarness("sync").collect(service, iter(targets(5)), on_progress=reported.append)
    assert (reported[-1].total, reported[-1].remaining) == (5, timedelta(0))
