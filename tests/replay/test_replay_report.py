"""The report of a run: what it says about what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.replays import HOOK, NOON, ReplayHarness, Service, attempt, event_id

from webhooks_sdk.errors import ReplayStoppedError
from webhooks_sdk.replay import Recovery, Replay, ReplayOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from webhooks_sdk.replay import Outcome

WINDOW = Recovery(hook_id=HOOK, since=NOON)


def targets(number: int) -> list[tuple[UUID, UUID]]:
    return [(HOOK, event_id(n)) for n in range(number)]


def exit_early(_: object, __: Outcome) -> bool:
    return True


def test_a_run_that_delivered_everything_is_complete(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.listed = [attempt("a", 503)]
    _, report = replay_harness.collect(service, (), recovery=WINDOW)
    assert report.complete
    assert report.notes == ()
    assert report.not_reached == 0
    assert str(report).startswith("1 delivered; 1 request in ")
    assert str(report).endswith(" s; finished")


def test_a_list_that_is_too_short_is_reported(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.listed = [attempt("a", 503, at=60)]
    _, report = replay_harness.collect(service, (), recovery=WINDOW)
    assert not report.complete
    assert report.coverage is not None
    assert not report.coverage.covers_since
    summary, note = str(report).splitlines()
    assert summary.startswith("1 delivered; 1 request in ")
    assert note == (
        "The service listed only events from 2026-03-01T12:01:00+00:00 on, not from since: earlier"
        " events may be missing. Pass their IDs to redeliver_many."
    )


def test_an_empty_list_is_reported(service: Service) -> None:
    _, report = ReplayHarness("sync").collect(service, (), recovery=WINDOW)
    assert not report.complete
    [note] = report.notes
    assert note == (
        "The service listed no events: if there were any in the window, pass their IDs to"
        " redeliver_many."
    )


def test_pending_events_are_reported(replay_harness: ReplayHarness, service: Service) -> None:
    later = NOON + timedelta(days=10_000)
    service.listed = [
        attempt("a", 503),
        attempt("b", None, updated_at=later),
        attempt("c", None, updated_at=later),
    ]
    _, report = replay_harness.collect(service, (), recovery=WINDOW)
    assert report.counts["delivered"] == 1
    assert not report.complete
    [note] = report.notes
    assert note == (
        "2 events had an attempt in flight when the events were listed: run recover again later,"
        " with a new journal."
    )


@pytest.mark.parametrize("result", [500, ValueError("lost")], ids=["rejected", "unknown"])
def test_a_run_with_problems_is_not_complete(service: Service, result: Any) -> None:
    service.respond(0, result)
    _, report = ReplayHarness("sync").collect(service, targets(1))
    assert (report.finished, report.complete) == (True, False)


def test_targets_that_were_not_reached_are_counted(
    replay_harness: ReplayHarness, service: Service
) -> None:
    service.listed = [attempt(n, 503, at=n) for n in range(10)]
    _, report = replay_harness.collect(service, (), recovery=WINDOW, each=exit_early, concurrency=1)
    assert report.not_reached is not None
    assert report.not_reached == 10 - report.done
    assert 7 <= report.not_reached <= 9
    assert not report.complete
    assert report.notes == (f"{report.not_reached} targets had no outcome yet.",)


def test_an_aborted_run_counts_the_targets_that_it_did_not_reach(service: Service) -> None:
    for n in range(30):
        service.respond(n, 500)
    options = ReplayOptions(max_consecutive_failures=5, concurrency=1)
    with (
        Replay(
            service.end, targets(30), base_url="https://service.test", options=options
        ) as replay,
        pytest.raises(ReplayStoppedError),
    ):
        replay.run()
    assert replay.report.not_reached == 25
    assert "25 targets had no outcome yet." in str(replay.report)


def test_how_many_targets_a_generator_has_left_is_unknown(service: Service) -> None:
    def generate() -> Iterator[tuple[UUID, UUID]]:
        yield from targets(10)

    harness = ReplayHarness("sync")
    _, report = harness.collect(service, generate(), each=exit_early, concurrency=1)
    assert (report.not_reached, report.notes) == (None, ())
    _, report = harness.collect(service, generate())
    assert report.not_reached == 0


def test_targets_of_the_journal_are_counted_when_it_is_resumed(
    service: Service, tmp_path: Path
) -> None:
    harness, path = ReplayHarness("sync"), tmp_path / "journal"
    for n in range(10):
        service.respond(n, 500)
    harness.collect(service, targets(10), journal=path)
    _, report = harness.collect(service, (), journal=path, each=exit_early, concurrency=1)
    assert report.not_reached == 10 - report.done > 0


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
def test_how_many_targets_are_left_is_unknown_while_the_callers_may_be_in_the_journal(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, kind: Any
) -> None:
    path, progress = tmp_path / "journal", list[Any]()
    for n in range(10):
        service.respond(n, 500)
    replay_harness.collect(service, targets(10), journal=path)
    ten_more = kind(targets(20)[10:])
    _, report = replay_harness.collect(
        service,
        ten_more,
        journal=path,
        each=exit_early,
        concurrency=1,
        on_progress=progress.append,
    )
    assert (report.not_reached, report.notes) == (None, ())
    assert (progress[-1].total, progress[-1].remaining) == (None, None)


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
def test_how_many_targets_are_left_is_known_once_the_callers_are_exhausted(
    replay_harness: ReplayHarness, service: Service, tmp_path: Path, kind: Any
) -> None:
    path, progress = tmp_path / "journal", list[Any]()
    for n in range(10):
        service.respond(n, 500)
    replay_harness.collect(service, targets(10), journal=path)

    def stop_at_12(_: object, outcome: Outcome) -> bool:
        done.append(outcome)
        return len(done) == 12

    # Half of the targets are in the journal too: 15 in all, and one more outcome for a duplicate.
    done: list[Outcome] = []
    mixed = kind([*targets(15)[5:], *targets(15)[14:]])
    _, report = replay_harness.collect(
        service,
        mixed,
        journal=path,
        each=stop_at_12,
        concurrency=1,
        on_progress=progress.append,
    )
    assert report.not_reached == 16 - report.done > 0
    assert report.notes[0].startswith(f"{report.not_reached} target")
    assert progress[-1].total == 16
