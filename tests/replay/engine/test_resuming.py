"""What a second run of a journal does with what the first one left."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.replays import HOOK, NOON, ReplayHarness, Service, attempt, event_id

from webhooks_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    JournalError,
    JournalLockedError,
    NotFoundError,
    ReplayStoppedError,
    UnprocessableEntityError,
)
from webhooks_sdk.replay import Journal, Recovery, Replay, ReplayOptions

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from webhooks_sdk.replay import Outcome

LOST = APITimeoutError("timed out", operation="redeliver", outcome_unknown=True)
GONE = NotFoundError("no such event", operation="redeliver", status=404)
REFUSED = UnprocessableEntityError("no", operation="redeliver", status=422)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def targets(number: int) -> list[tuple[UUID, UUID]]:
    return [(HOOK, event_id(n)) for n in range(number)]


def status_of(outcomes: list[Outcome], n: int) -> str:
    [outcome] = [one for one in outcomes if one.request_id == event_id(n)]
    return outcome.status


@pytest.mark.parametrize(
    ("answer", "status"),
    [(200, "skipped"), (None, "skipped"), (LOST, "unknown"), (GONE, "failed")],
    ids=["delivered", "accepted", "unknown", "404"],
)
def test_what_is_not_sent_again(
    replay_harness: ReplayHarness, service: Service, path: Path, answer: Any, status: str
) -> None:
    service.answer(0, answer)
    replay_harness.collect(service, targets(1), journal=path)
    outcomes, _ = replay_harness.collect(service, targets(1), journal=path)
    assert status_of(outcomes, 0) == status
    assert len(service.sent) == 1


@pytest.mark.parametrize("answer", [500, REFUSED], ids=["rejected", "failed"])
def test_what_is_sent_again_up_to_its_attempts(
    replay_harness: ReplayHarness, service: Service, path: Path, answer: Any
) -> None:
    service.answer(0, answer)
    for sent in (1, 2, 3, 3):
        outcomes, _ = replay_harness.collect(service, targets(1), journal=path, max_attempts=3)
        assert status_of(outcomes, 0) == ("rejected" if answer == 500 else "failed")
        assert outcomes[0].attempts == len(service.sent) == sent


def test_an_error_of_an_earlier_run_is_told_again(service: Service, path: Path) -> None:
    service.answer(0, GONE)
    ReplayHarness("sync").collect(service, targets(1), journal=path)
    [outcome], _ = ReplayHarness("sync").collect(service, targets(1), journal=path)
    assert isinstance(outcome.error, NotFoundError)
    assert str(outcome.error) == str(GONE)
    assert (outcome.error.status, outcome.error.request_id) == (404, event_id(0))


def test_what_is_unknown_is_sent_again_when_asked_for(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.answer(0, LOST, 200)
    replay_harness.collect(service, targets(1), journal=path)
    outcomes, _ = replay_harness.collect(service, targets(1), journal=path, resend_unknown=True)
    assert status_of(outcomes, 0) == "delivered"
    assert len(service.sent) == 2


UNSENT = APIConnectionError("refused", operation="redeliver")
DENIED = AuthenticationError("wrong token", operation="redeliver", status=401)


@pytest.mark.parametrize("answer", [UNSENT, DENIED], ids=["proven unsent", "401"])
def test_what_was_unknown_stays_so_if_it_could_not_be_sent_again(
    replay_harness: ReplayHarness, service: Service, path: Path, answer: Any
) -> None:
    service.answer(0, LOST, answer)
    replay_harness.collect(service, targets(1), journal=path)
    seen: list[str] = []

    def each(_: object, outcome: Outcome) -> None:
        seen.append(outcome.status)

    options: dict[str, Any] = {"journal": path, "max_attempts": 2, "resend_unknown": True}
    with suppress(ReplayStoppedError):
        replay_harness.collect(service, targets(1), each=each, **options)
    assert seen == ["unknown"]
    with Journal(path) as journal:
        [entry] = journal
    assert entry.status == "unknown"
    sent = len(service.sent)
    outcomes, _ = replay_harness.collect(service, targets(1), journal=path)
    assert status_of(outcomes, 0) == "unknown"
    assert len(service.sent) == sent


@pytest.mark.parametrize("resend_unknown", [True, False])
def test_what_is_unknown_is_looked_up_first(
    replay_harness: ReplayHarness, service: Service, path: Path, resend_unknown: bool
) -> None:
    service.answer(0, LOST)
    replay_harness.collect(service, targets(1), journal=path)
    with Journal(path) as journal:
        [entry] = journal
    assert entry.intended_at is not None
    after = entry.intended_at + timedelta(seconds=1)
    service.listed = [
        attempt(0, redelivery=True, enqueued_at=NOON, created_at=after, updated_at=after)
    ]
    outcomes, _ = replay_harness.collect(
        service, targets(1), journal=path, resend_unknown=resend_unknown
    )
    assert status_of(outcomes, 0) == "skipped"
    assert len(service.sent) == 1
    with Journal(path) as journal:
        [entry] = journal
    assert (entry.status, entry.response_status) == ("delivered", 200)


def test_each_subscription_is_looked_up_for_its_own(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    other = event_id("another subscription")
    mixed = [(hook, event_id(n)) for n in range(3) for hook in (HOOK, other)]
    for n in range(3):
        service.answer(n, LOST)
    replay_harness.collect(service, mixed, journal=path)
    later = datetime.now(UTC) + timedelta(days=1)
    # Listed for both, as what was not asked for would be.
    service.listed = [
        attempt(1, redelivery=True, updated_at=later),
        attempt("of nobody", redelivery=True, updated_at=later),
        attempt(1, 500, redelivery=True, updated_at=later),
    ]
    outcomes, _ = replay_harness.collect(service, mixed, journal=path)
    told = {(outcome.hook_id, outcome.request_id): outcome.status for outcome in outcomes}
    assert [target for target in mixed if told[target] == "skipped"] == [
        (HOOK, event_id(1)),
        (other, event_id(1)),
    ]
    assert len(service.sent) == len(mixed)


def test_a_redelivery_before_the_intent_proves_nothing(service: Service, path: Path) -> None:
    service.answer(0, LOST)
    service.listed = [attempt(0, redelivery=True)]
    harness = ReplayHarness("sync")
    harness.collect(service, targets(1), journal=path)
    outcomes, _ = harness.collect(service, targets(1), journal=path)
    assert status_of(outcomes, 0) == "unknown"


def test_no_targets_resume_from_the_journal_alone(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.answer(1, 500, 200)
    replay_harness.collect(service, targets(3), journal=path)
    outcomes, report = replay_harness.collect(service, (), journal=path)
    assert status_of(outcomes, 1) == "delivered"
    assert report.counts["skipped"] == 2


def test_leftovers_of_the_journal_come_after_the_targets_and_once(
    service: Service, path: Path
) -> None:
    service.answer(1, 500, 200)
    service.answer(2, 500, 200)
    harness = ReplayHarness("sync")
    harness.collect(service, targets(3), journal=path)
    service.sent.clear()
    outcomes, _ = harness.collect(service, [(HOOK, event_id(n)) for n in (7, 2)], journal=path)
    assert service.sent == [event_id(7), event_id(2), event_id(1)]
    assert len(outcomes) == 4


def test_a_journal_is_bound_to_its_environment(service: Service, path: Path) -> None:
    ReplayHarness("sync").collect(service, targets(1), journal=path)
    options = ReplayOptions(journal=path)
    with (
        pytest.raises(JournalError, match=r"https://service\.test"),
        Replay(service.end, (), base_url="https://other.test", options=options),
    ):
        pass


def test_a_journal_has_one_writer(service: Service, path: Path) -> None:
    options = ReplayOptions(journal=path)
    with (
        Replay(service.end, (), base_url="https://service.test", options=options),
        pytest.raises(JournalLockedError, match=r"outage\.sqlite"),
        Replay(service.end, (), base_url="https://service.test", options=options),
    ):
        pass
    ReplayHarness("sync").collect(service, targets(1), journal=path)


def recovery(since: float = 0, until: float | None = 3600) -> Recovery:
    return Recovery(
        hook_id=HOOK,
        since=NOON + timedelta(seconds=since),
        until=None if until is None else NOON + timedelta(seconds=until),
    )


def outage() -> list[Any]:
    return [attempt(n, 200 if n % 3 == 0 else 500, at=n) for n in range(9)]


def test_recover_sends_what_is_undelivered_and_nothing_else(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.listed = outage()
    _, report = replay_harness.collect(service, (), recovery=recovery(), concurrency=1)
    assert service.sent == [event_id(n) for n in (1, 2, 4, 5, 7, 8)]
    assert report.coverage is not None
    assert (report.coverage.covers_since, report.coverage.oldest_listed) == (True, NOON)


def test_a_recovery_is_resumed_from_its_journal_alone(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.listed = outage()

    def leave(_: object, __: Outcome) -> bool:
        return True

    replay_harness.collect(
        service, (), recovery=recovery(), journal=path, each=leave, concurrency=1
    )
    # Each redelivery pushes older events out of the list.
    service.listed = [attempt("new", 500, at=3)]
    outcomes, report = replay_harness.collect(service, (), recovery=recovery(), journal=path)
    assert sorted(service.sent) == sorted(event_id(n) for n in (1, 2, 4, 5, 7, 8))
    assert report.counts["skipped"] == len(outcomes) - report.counts["delivered"] >= 1
    assert report.coverage is not None
    assert report.coverage.oldest_listed == NOON


def test_all_of_a_recovery_is_written_down_before_the_first_request(
    service: Service, path: Path
) -> None:
    service.listed = outage()
    options = ReplayOptions(journal=path)
    with (
        Replay(
            service.end,
            (),
            base_url="https://service.test",
            list_events=lambda _: service.listed,
            options=options,
            recovery=recovery(),
        ),
        Journal(path) as journal,
    ):
        assert [entry.request_id for entry in journal] == [event_id(n) for n in (1, 2, 4, 5, 7, 8)]
        assert {entry.status for entry in journal} == {None}


@pytest.mark.parametrize("other", [recovery(since=1), recovery(until=1800)], ids=["since", "until"])
def test_a_recovery_of_another_window_is_refused(
    service: Service, path: Path, other: Recovery
) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(), journal=path)
    service.sent.clear()
    with pytest.raises(JournalError, match=r"another recovery \(of subscription .*, from 2026-03"):
        harness.collect(service, (), recovery=other, journal=path)
    assert service.sent == []


def test_a_recovery_of_another_subscription_is_refused(service: Service, path: Path) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(), journal=path)
    other = Recovery(hook_id=event_id("other hook"), since=NOON, until=recovery().until)
    with pytest.raises(JournalError, match="another recovery"):
        harness.collect(service, (), recovery=other, journal=path)


def test_without_until_the_window_ends_before_the_list_was_made(path: Path) -> None:
    listed_at: list[datetime] = []

    def list_events(_: UUID) -> list[Any]:
        listed_at.append(datetime.now(UTC))
        return []

    with Replay(
        Service().end,
        (),
        base_url="https://service.test",
        list_events=list_events,
        options=ReplayOptions(journal=path),
        recovery=recovery(until=None),
    ):
        pass
    with Journal(path) as journal:
        assert journal.plan is not None
        assert journal.plan.until <= listed_at[0]


def test_without_until_a_resumed_recovery_keeps_its_window(service: Service, path: Path) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(until=None), journal=path)
    outcomes, _ = harness.collect(service, (), recovery=recovery(until=None), journal=path)
    assert {outcome.status for outcome in outcomes} == {"skipped"}


def test_recover_and_redeliver_many_do_not_share_a_journal(service: Service, path: Path) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(), journal=path)
    with pytest.raises(JournalError, match="resume it with recover"):
        harness.collect(service, targets(1), journal=path)
    other = path.with_name("other")
    harness.collect(service, targets(1), journal=other)
    with pytest.raises(JournalError, match="give recover another file"):
        harness.collect(service, (), recovery=recovery(), journal=other)
