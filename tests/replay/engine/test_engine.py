"""What becomes of the targets of a replay, on threads, asyncio and trio."""

from __future__ import annotations

import pickle
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from support.replays import HOOK, ReplayHarness, Service, attempt, event_id

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
from webhooks_sdk.replay import Outcome, OutcomeStatus, Target
from webhooks_sdk.replay._report import Tally

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

ANSWERS: list[int | Exception] = [500, GONE, LOST]


def targets(number: int) -> list[tuple[UUID, UUID]]:
    return [(HOOK, event_id(n)) for n in range(number)]


def statuses(outcomes: list[Outcome]) -> dict[UUID, OutcomeStatus]:
    return {outcome.request_id: outcome.status for outcome in outcomes}


def test_every_target_ends_in_one_outcome(replay_harness: ReplayHarness, service: Service) -> None:
    service.answer(1, 500)
    service.answer(2, None)
    service.answer(3, GONE)
    service.answer(4, LOST)
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
    assert (report.requests, report.total, report.finished, report.stopped) == (6, 7, True, None)


def test_an_outcome_says_all_that_is_known(replay_harness: ReplayHarness, service: Service) -> None:
    service.answer(1, 500)
    service.answer(2, GONE)
    outcomes, report = replay_harness.collect(service, targets(3))
    delivered, rejected, failed = sorted(outcomes, key=lambda one: one.status)
    assert (delivered.hook_id, delivered.request_id) == (HOOK, event_id(0))
    assert delivered.event is not None
    assert (delivered.event.response_status, delivered.error, delivered.attempts) == (200, None, 1)
    assert rejected.status == "failed"
    assert (rejected.event, rejected.error) == (None, GONE)
    assert failed.event is not None
    assert failed.event.response_status == 500
    assert set(report.problems) == {rejected, failed}


def test_outcomes_can_be_pickled(service: Service) -> None:
    service.answer(1, GONE)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(2))
    for outcome in outcomes:
        copy = pickle.loads(pickle.dumps(outcome))  # noqa: S301 - made just now
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
def test_what_names_an_event_is_a_target(service: Service, target: Any) -> None:
    outcomes, _ = ReplayHarness("sync").collect(service, iter([target]))
    assert statuses(outcomes) == {event_id(1): "delivered"}


@pytest.mark.parametrize(
    "bad",
    ["not a pair", (HOOK,), (HOOK, "no id"), ("", event_id(1)), None, 7, (HOOK, event_id(1), 3)],
)
def test_what_names_no_event_ends_the_run_and_says_which_it_was(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, bad: Any
) -> None:
    journal = tmp_path / "journal.sqlite"
    with pytest.raises(InvalidArgumentError, match=r"targets\[2\]"):
        replay_harness.collect(service, [*targets(2), bad, *targets(5)], journal=journal)
    # What had been taken was ended in order.
    outcomes, _ = replay_harness.collect(service, targets(5), journal=journal)
    assert sorted(outcome.status for outcome in outcomes) == ["delivered"] * 3 + ["skipped"] * 2


def test_targets_are_taken_as_they_are_needed(
    replay_harness: ReplayHarness, service: Service
) -> None:
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
    assert taken == len(service.sent) == report.total
    assert report.stopped == "the block was left early"


def test_async_iterables_are_targets_of_the_async_one(service: Service) -> None:
    async def generate() -> AsyncIterator[tuple[UUID, UUID]]:
        for target in targets(5):
            yield target

    for name in ("asyncio", "trio"):
        outcomes, _ = ReplayHarness(name).collect(service, generate())
        assert len(outcomes) == 5


def test_it_begins_with_one_request_and_keeps_to_its_concurrency(
    replay_harness: ReplayHarness, service: Service
) -> None:
    replay_harness.collect(service, targets(300), concurrency=5)
    assert service.ended_before[:2] == [0, 1]
    assert 1 < service.most_at_once <= 5


def test_no_targets_are_no_work(replay_harness: ReplayHarness, service: Service) -> None:
    outcomes, report = replay_harness.collect(service, ())
    assert (outcomes, report.finished, report.requests) == ([], True, 0)
    assert str(report).startswith("no targets; 0 requests in ")


@pytest.mark.parametrize("error", [BUSY, DOWN], ids=["429", "503 with Retry-After"])
def test_what_the_service_puts_off_is_sent_again_and_counts_as_no_attempt(
    replay_harness: ReplayHarness, service: Service, error: Any
) -> None:
    service.answer(0, error, error, 200)
    outcomes, report = replay_harness.collect(service, targets(2), max_attempts=1)
    assert statuses(outcomes) == {event_id(0): "delivered", event_id(1): "delivered"}
    assert [outcome.attempts for outcome in outcomes] == [1, 1]
    assert report.requests == 4


def test_what_was_not_sent_is_sent_again_until_attempts_run_out(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.answer(0, UNSENT, 200)
    service.answer(1, UNSENT)
    outcomes, _ = replay_harness.collect(service, targets(2), max_attempts=2)
    assert statuses(outcomes) == {event_id(0): "delivered", event_id(1): "failed"}
    assert [outcome.attempts for outcome in outcomes] == [2, 2]
    assert service.sent.count(event_id(1)) == 2


@pytest.mark.parametrize("answer", [500, None, LOST, GONE, ValueError("not the SDK's own")])
def test_nothing_else_is_sent_again(service: Service, answer: Any) -> None:
    service.answer(0, answer)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(1))
    assert len(service.sent) == 1
    assert outcomes[0].attempts == 1


def test_an_error_that_is_none_of_the_sdk_leaves_the_target_unknown(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.answer(0, ValueError("a worker was lost"))
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
def test_refused_credentials_stop_the_run_which_can_be_resumed(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, error: APIError
) -> None:
    journal = tmp_path / "journal.sqlite"
    service.answer(3, error, 200)
    with pytest.raises(ReplayStoppedError) as caught:
        replay_harness.collect(service, targets(50), journal=journal, concurrency=1)
    assert str(caught.value).startswith(f"The replay was stopped: {error} Nothing is lost: ")
    assert f"journal={str(journal)!r}" in str(caught.value)
    assert caught.value.__cause__ is error
    assert len(service.sent) == 4
    outcomes, report = replay_harness.collect(service, targets(50), journal=journal)
    assert report.counts["delivered"] == 47
    assert report.counts["skipped"] == 3
    # The refused request did nothing, and so was no attempt.
    assert {outcome.attempts for outcome in outcomes} == {1}


def test_a_run_in_which_nothing_works_is_stopped(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path
) -> None:
    for n in range(100):
        service.answer(n, ANSWERS[n % 3])
    with pytest.raises(ReplayStoppedError, match="again with journal=") as caught:
        replay_harness.collect(
            service, targets(100), journal=tmp_path / "j", max_consecutive_failures=7
        )
    assert "7" in str(caught.value)
    assert 7 <= len(service.sent) <= 7 + 16


def test_a_run_without_a_journal_says_that_it_cannot_be_resumed(service: Service) -> None:
    service.answer(0, AuthenticationError("no", operation="redeliver", status=401))
    with pytest.raises(ReplayStoppedError, match="give it a journal= to be able to resume"):
        ReplayHarness("sync").collect(service, targets(1))


def test_one_success_among_failures_keeps_a_run_going(service: Service) -> None:
    for n in range(100):
        service.answer(n, 200 if n % 5 == 0 else 500)
    outcomes, _ = ReplayHarness("sync").collect(service, targets(100), max_consecutive_failures=7)
    assert len(outcomes) == 100


def test_the_breaker_can_be_switched_off(service: Service) -> None:
    for n in range(100):
        service.answer(n, GONE)
    outcomes, _ = ReplayHarness("sync").collect(
        service, targets(100), max_consecutive_failures=None
    )
    assert len(outcomes) == 100


def test_the_report_keeps_the_first_hundred_problems(service: Service) -> None:
    for n in range(150):
        service.answer(n, 500)
    outcomes, report = ReplayHarness("sync").collect(
        service, targets(150), max_consecutive_failures=None
    )
    assert report.problems == tuple(outcomes[:100])


def test_the_report_has_a_histogram_of_durations(service: Service) -> None:
    _, report = ReplayHarness("sync").collect(service, targets(5))
    bins = {(one.above_ms, one.up_to_ms): one.count for one in report.durations if one.count}
    assert bins == {(10, 25): 5}
    assert report.durations[0].above_ms == 0
    assert report.durations[-1].up_to_ms is None


def test_progress_is_told_at_the_end(replay_harness: ReplayHarness, service: Service) -> None:
    told: list[Any] = []
    replay_harness.collect(service, targets(5), on_progress=told.append)
    assert told[-1].done == told[-1].total == told[-1].counts["delivered"] == 5
    assert told[-1].in_flight == 0
    assert told[-1].remaining.total_seconds() == 0


def test_what_is_skipped_says_nothing_of_the_time_that_is_left(
    service: Service, tmp_path: Path
) -> None:
    harness, told = ReplayHarness("sync"), list[Any]()
    harness.collect(service, targets(5), journal=tmp_path / "journal")
    harness.collect(service, targets(5), journal=tmp_path / "journal", on_progress=told.append)
    assert (told[-1].done, told[-1].rate) == (5, 0)
    assert told[-1].remaining.total_seconds() == 0


def test_the_time_that_is_left_is_that_of_what_is_sent() -> None:
    skipped = Outcome(hook_id=HOOK, request_id=event_id(0), status=OutcomeStatus.SKIPPED)
    tally = Tally(total=1_001, began=0.0)
    for _ in range(900):
        tally.count(skipped, sent=False)
    assert tally.progress(10.0, in_flight=1).remaining is None
    tally.count(evolve(skipped, status=OutcomeStatus.DELIVERED), sent=True)
    progress = tally.progress(10.0, in_flight=0)
    assert (progress.done, progress.rate) == (901, 0.1)
    assert progress.remaining == timedelta(seconds=1_000)


def test_the_total_of_a_generator_is_not_known(service: Service) -> None:
    told: list[Any] = []
    ReplayHarness("sync").collect(service, iter(targets(5)), on_progress=told.append)
    assert (told[-1].total, told[-1].remaining) == (None, None)
