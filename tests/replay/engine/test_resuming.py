"""Resuming: what a second run does with the journal of the first one."""

from __future__ import annotations

from collections import Counter
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
from webhooks_sdk.replay import Journal, NotSentReason, Recovery, Replay, ReplayOptions

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from webhooks_sdk.replay import Outcome

LOST = APITimeoutError("timed out", operation="redeliver", outcome_unknown=True)
GONE = NotFoundError("no such event", operation="redeliver", status=404)
REFUSED = UnprocessableEntityError("no", operation="redeliver", status=422)
UNSENT = APIConnectionError("refused", operation="redeliver")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outage.sqlite"


def targets(number: int) -> list[tuple[UUID, UUID]]:
    return [(HOOK, event_id(n)) for n in range(number)]


def status_of(outcomes: list[Outcome], n: int) -> str:
    [outcome] = [outcome for outcome in outcomes if outcome.request_id == event_id(n)]
    return outcome.status


@pytest.mark.parametrize(
    ("result", "status"),
    [(200, "skipped"), (None, "accepted"), (LOST, "unknown"), (GONE, "failed")],
    ids=["delivered", "accepted", "unknown", "404"],
)
def test_targets_that_are_not_resent(
    replay_harness: ReplayHarness, service: Service, path: Path, result: Any, status: str
) -> None:
    service.respond(0, result)
    replay_harness.collect(service, targets(1), journal=path)
    outcomes, _ = replay_harness.collect(service, targets(1), journal=path)
    assert status_of(outcomes, 0) == status
    assert len(service.sent) == 1


def test_accepted_targets_are_sent_again_if_the_list_shows_that_they_failed(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    # Without a status for longer than the grace: the subscriber was down.
    now = datetime.now(UTC)
    for n in range(5):
        service.respond(n, None, 200)
    first, report = replay_harness.collect(service, targets(5), journal=path)
    assert {outcome.status for outcome in first} == {"accepted"}
    assert not report.complete
    assert "did not report a response of the subscriber" in str(report)
    assert first[0].event is not None
    redelivery: dict[str, Any] = {"delivery_id": first[0].event.delivery_id}
    service.listed = [
        attempt(0, None, **redelivery),
        attempt(1, 503, **redelivery),
        attempt(2, 200, **redelivery),
        attempt(3, None, created_at=now, updated_at=now, **redelivery),
    ]
    outcomes, report = replay_harness.collect(service, targets(5), journal=path)
    assert {n: status_of(outcomes, n) for n in range(5)} == {
        0: "delivered",
        1: "delivered",
        2: "skipped",  # found delivered
        3: "accepted",  # may still be in flight
        4: "accepted",  # not listed
    }
    assert sorted(service.sent[5:]) == sorted(event_id(n) for n in (0, 1))
    assert report.not_sent["found delivered"] == 1
    assert report.not_sent["accepted earlier"] == 2
    assert not report.complete


def test_a_later_attempt_of_the_service_tells_about_an_accepted_target(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    for n in range(2):
        service.respond(n, None, 200)
    replay_harness.collect(service, targets(2), journal=path)
    later = datetime.now(UTC) + timedelta(seconds=1)
    service.listed = [
        attempt(0, 503, at=1, created_at=later, updated_at=later),
        attempt(1, 200, at=1, created_at=later, updated_at=later),
    ]
    outcomes, _ = replay_harness.collect(service, targets(2), journal=path)
    assert (status_of(outcomes, 0), status_of(outcomes, 1)) == ("delivered", "skipped")
    assert service.sent[2:] == [event_id(0)]


@pytest.mark.parametrize("result", [500, REFUSED], ids=["rejected", "failed"])
def test_every_run_resends_what_failed(
    replay_harness: ReplayHarness, service: Service, path: Path, result: Any
) -> None:
    service.respond(0, result)
    for sent in (1, 2, 3, 4):
        outcomes, _ = replay_harness.collect(service, targets(1), journal=path, max_attempts=2)
        assert status_of(outcomes, 0) == ("rejected" if result == 500 else "failed")
        assert outcomes[0].attempts == len(service.sent) == sent
        assert outcomes[0].not_sent is None


def test_max_attempts_counts_the_requests_of_one_run(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.respond(0, UNSENT)
    for sent in (2, 4):
        outcomes, _ = replay_harness.collect(service, targets(1), journal=path, max_attempts=2)
        assert status_of(outcomes, 0) == "failed"
        assert outcomes[0].attempts == len(service.sent) == sent


@pytest.mark.parametrize("missed", [5, 30], ids=["fewer than open the breaker", "more"])
@pytest.mark.parametrize("failure", [503, None], ids=["rejected", "unsent"])
def test_runs_during_an_outage_do_not_keep_a_later_run_from_sending(
    replay_harness: ReplayHarness, service: Service, path: Path, missed: int, failure: int | None
) -> None:
    service.listed = [attempt(n, 503, at=n) for n in range(missed)]
    for n in range(missed):
        service.respond(n, UNSENT if failure is None else failure)
    for _ in range(6):
        with suppress(ReplayStoppedError):
            replay_harness.collect(service, (), recovery=recovery(), journal=path, max_attempts=1)
    service.results.clear()
    _, report = replay_harness.collect(service, (), recovery=recovery(), journal=path)
    assert report.counts["delivered"] == missed
    assert report.complete


@pytest.mark.parametrize("result", [422, REFUSED, LOST], ids=["rejected", "failed", "unknown"])
@pytest.mark.parametrize("source", ["recovery", "list", "generator"])
def test_events_that_always_fail_do_not_keep_a_resumed_run_from_the_others(
    replay_harness: ReplayHarness, service: Service, path: Path, source: str, result: Any
) -> None:
    service.listed = [attempt(n, 503, at=n) for n in range(50)]
    for n in range(25):
        service.respond(n, result)
    for _ in range(2):
        supplied: Any = {"recovery": (), "list": targets(50), "generator": iter(targets(50))}
        with suppress(ReplayStoppedError):
            replay_harness.collect(
                service,
                supplied[source],
                recovery=recovery() if source == "recovery" else None,
                journal=path,
                concurrency=2,
                resend_unknown=True,
            )
    with Journal(path) as journal:
        assert journal.counts["delivered"] == 25


@pytest.mark.parametrize("source", ["recovery", "list"])
def test_events_that_always_fail_do_not_keep_those_that_failed_in_the_outage_from_being_sent(
    service: Service, path: Path, source: str
) -> None:
    harness = ReplayHarness("sync")
    service.listed = [attempt(n, 503, at=n) for n in range(50)]

    def run() -> None:
        by_recovery = source == "recovery"
        with suppress(ReplayStoppedError):
            harness.collect(
                service,
                () if by_recovery else targets(50),
                recovery=recovery() if by_recovery else None,
                journal=path,
                concurrency=1,
            )

    for n in range(50):
        service.respond(n, 422 if n < 25 else 503)
    for _ in range(4):
        run()
    for n in range(25, 50):
        service.respond(n, 200)
    for _ in range(3):
        run()
    with Journal(path) as journal:
        assert journal.counts["delivered"] == 25


@pytest.mark.parametrize("durable", [False, True])
def test_a_target_that_failed_earlier_has_one_outcome_and_its_duplicates_are_skipped(
    replay_harness: ReplayHarness, service: Service, path: Path, durable: bool
) -> None:
    service.respond(0, 500, 200)
    replay_harness.collect(service, targets(1), journal=path, durable=durable)
    outcomes, report = replay_harness.collect(
        service, targets(2) + targets(2), journal=path, durable=durable
    )
    assert Counter((one.request_id, one.status, one.not_sent) for one in outcomes) == Counter(
        [
            (event_id(0), "skipped", NotSentReason.DUPLICATE),
            (event_id(0), "delivered", None),
            (event_id(1), "delivered", None),
            (event_id(1), "skipped", NotSentReason.DUPLICATE),
        ]
    )
    assert (len(service.sent), report.complete) == (3, True)


def test_outcomes_that_need_no_request_have_a_reason(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    results: list[Any] = [200, None, LOST, LOST, GONE]
    for n, result in enumerate(results):
        service.respond(n, result)
    replay_harness.collect(service, targets(5), journal=path)
    later = datetime.now(UTC) + timedelta(days=1)
    service.listed = [attempt(2, redelivery=True, created_at=later, updated_at=later)]
    outcomes, report = replay_harness.collect(service, [*targets(6), *targets(1)], journal=path)
    reasons = [(outcome.request_id, outcome.status, outcome.not_sent) for outcome in outcomes]
    assert Counter(reasons) == Counter(
        [
            (event_id(0), "skipped", NotSentReason.DONE_EARLIER),
            (event_id(0), "skipped", NotSentReason.DUPLICATE),
            (event_id(1), "accepted", NotSentReason.ACCEPTED_EARLIER),
            (event_id(2), "skipped", NotSentReason.FOUND_DELIVERED),
            (event_id(3), "unknown", NotSentReason.UNKNOWN_EARLIER),
            (event_id(4), "failed", NotSentReason.NOT_FOUND_EARLIER),
            (event_id(5), "delivered", None),
        ]
    )
    assert dict(report.not_sent) == {
        "duplicate": 1,
        "done earlier": 1,
        "found delivered": 1,
        "accepted earlier": 1,
        "unknown earlier": 1,
        "not found earlier": 1,
    }
    summary, *notes = str(report).splitlines()
    assert summary.startswith(
        "1 delivered, 1 accepted (1 accepted earlier), 1 failed (1 not found earlier), 1 unknown (1"
        " unknown earlier), 3 skipped (1 duplicate, 1 done earlier, 1 found delivered); 1 request"
    )
    assert tuple(notes) == report.notes
    accepted, unknown, not_found = notes
    assert accepted == (
        "1 event was accepted by the service, which did not report a response of the subscriber:"
        " run again with the same journal after two minutes to check, and to send again what"
        " failed."
    )
    assert unknown == (
        "1 event had an unknown outcome in an earlier run and may have been delivered: pass"
        " resend_unknown=True to send such events again."
    )
    assert not_found == "1 event cannot be redelivered: the service returned 404 in an earlier run."
    assert not report.complete
    # By now the redelivery is in the journal.
    outcomes, _ = replay_harness.collect(service, targets(3), journal=path)
    assert [outcome.not_sent for outcome in outcomes if outcome.request_id == event_id(2)] == [
        NotSentReason.DONE_EARLIER
    ]


def test_the_error_of_an_earlier_run_is_restored(service: Service, path: Path) -> None:
    service.respond(0, GONE)
    ReplayHarness("sync").collect(service, targets(1), journal=path)
    [outcome], _ = ReplayHarness("sync").collect(service, targets(1), journal=path)
    assert isinstance(outcome.error, NotFoundError)
    assert str(outcome.error) == str(GONE)
    assert (outcome.error.status, outcome.error.request_id) == (404, event_id(0))


def test_resend_unknown_resends_unknown_targets(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.respond(0, LOST, 200)
    replay_harness.collect(service, targets(1), journal=path)
    outcomes, _ = replay_harness.collect(service, targets(1), journal=path, resend_unknown=True)
    assert status_of(outcomes, 0) == "delivered"
    assert len(service.sent) == 2


DENIED = AuthenticationError("wrong token", operation="redeliver", status=401)


@pytest.mark.parametrize("result", [UNSENT, DENIED], ids=["proven unsent", "401"])
def test_an_unknown_target_stays_unknown_if_the_resend_is_not_sent(
    replay_harness: ReplayHarness, service: Service, path: Path, result: Any
) -> None:
    service.respond(0, LOST, result)
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
def test_unknown_targets_are_looked_up_before_sending(
    replay_harness: ReplayHarness, service: Service, path: Path, resend_unknown: bool
) -> None:
    service.respond(0, LOST)
    replay_harness.collect(service, targets(1), journal=path)
    with Journal(path) as journal:
        [entry] = journal
    assert entry.intent_at is not None
    after = entry.intent_at + timedelta(seconds=1)
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


def test_each_subscription_is_looked_up_separately(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    other = event_id("another subscription")
    mixed = [(hook, event_id(n)) for n in range(3) for hook in (HOOK, other)]
    for n in range(3):
        service.respond(n, LOST)
    replay_harness.collect(service, mixed, journal=path)
    later = datetime.now(UTC) + timedelta(days=1)
    # The same list is returned for both subscriptions.
    service.listed = [
        attempt(1, redelivery=True, updated_at=later),
        attempt("not a target", redelivery=True, updated_at=later),
        attempt(1, 500, redelivery=True, updated_at=later),
    ]
    outcomes, _ = replay_harness.collect(service, mixed, journal=path)
    statuses = {(outcome.hook_id, outcome.request_id): outcome.status for outcome in outcomes}
    assert [target for target in mixed if statuses[target] == "skipped"] == [
        (HOOK, event_id(1)),
        (other, event_id(1)),
    ]
    assert len(service.sent) == len(mixed)


def test_a_redelivery_before_the_intent_does_not_resolve_an_unknown_target(
    service: Service, path: Path
) -> None:
    service.respond(0, LOST)
    service.listed = [attempt(0, redelivery=True)]
    harness = ReplayHarness("sync")
    harness.collect(service, targets(1), journal=path)
    outcomes, _ = harness.collect(service, targets(1), journal=path)
    assert status_of(outcomes, 0) == "unknown"


def test_without_targets_the_journal_alone_is_resumed(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.respond(1, 500, 200)
    replay_harness.collect(service, targets(3), journal=path)
    outcomes, report = replay_harness.collect(service, (), journal=path)
    assert status_of(outcomes, 1) == "delivered"
    assert report.counts["skipped"] == 2


def test_targets_that_failed_earlier_are_sent_last_and_once(service: Service, path: Path) -> None:
    service.respond(1, 500, 200)
    service.respond(2, 500, 200)
    harness = ReplayHarness("sync")
    harness.collect(service, targets(3), journal=path)
    service.sent.clear()
    outcomes, _ = harness.collect(service, [(HOOK, event_id(n)) for n in (7, 2)], journal=path)
    assert service.sent == [event_id(7), event_id(1), event_id(2)]
    assert len(outcomes) == 4


def test_a_journal_is_bound_to_its_base_url(service: Service, path: Path) -> None:
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


def test_recover_sends_only_undelivered_events(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.listed = outage()
    _, report = replay_harness.collect(service, (), recovery=recovery(), concurrency=1)
    assert service.sent == [event_id(n) for n in (1, 2, 4, 5, 7, 8)]
    assert report.coverage is not None
    assert (report.coverage.covers_since, report.coverage.oldest_listed) == (True, NOON)


def test_a_resumed_recovery_takes_its_targets_from_the_journal(
    replay_harness: ReplayHarness, service: Service, path: Path
) -> None:
    service.listed = outage()

    def exit_early(_: object, __: Outcome) -> bool:
        return True

    replay_harness.collect(
        service, (), recovery=recovery(), journal=path, each=exit_early, concurrency=1
    )
    # Each redelivery pushes older events out of the list.
    service.listed = [attempt("new", 500, at=3)]
    outcomes, report = replay_harness.collect(service, (), recovery=recovery(), journal=path)
    assert sorted(service.sent) == sorted(event_id(n) for n in (1, 2, 4, 5, 7, 8))
    assert report.counts["skipped"] == len(outcomes) - report.counts["delivered"] >= 1
    assert report.coverage is not None
    assert report.coverage.oldest_listed == NOON


def test_a_recovery_records_all_targets_before_the_first_request(
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
def test_a_journal_of_another_window_is_refused(
    service: Service, path: Path, other: Recovery
) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(), journal=path)
    service.sent.clear()
    with pytest.raises(JournalError, match=r"another recovery \(subscription .*, from 2026-03"):
        harness.collect(service, (), recovery=other, journal=path)
    assert service.sent == []


def test_a_journal_of_another_subscription_is_refused(service: Service, path: Path) -> None:
    harness = ReplayHarness("sync")
    service.listed = outage()
    harness.collect(service, (), recovery=recovery(), journal=path)
    other = Recovery(hook_id=event_id("other hook"), since=NOON, until=recovery().until)
    with pytest.raises(JournalError, match="another recovery"):
        harness.collect(service, (), recovery=other, journal=path)


def test_without_until_the_plan_has_no_end(service: Service, path: Path) -> None:
    service.listed = [attempt("a", 500, created_at=datetime.now(UTC) + timedelta(hours=1))]
    harness = ReplayHarness("sync")
    harness.collect(service, (), recovery=recovery(until=None), journal=path)
    with Journal(path) as journal:
        assert journal.plan is not None
        assert (journal.plan.until, journal.plan.total) == (None, 1)
    with pytest.raises(JournalError, match=r"from 2026-03-01T12:00:00\+00:00\): resume it"):
        harness.collect(service, (), recovery=recovery(), journal=path)


def test_a_resumed_recovery_without_until_keeps_its_window(service: Service, path: Path) -> None:
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
    with pytest.raises(JournalError, match="pass a different journal to recover"):
        harness.collect(service, (), recovery=recovery(), journal=other)
