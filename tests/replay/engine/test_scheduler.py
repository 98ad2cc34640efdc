"""Which request is next, and when: the scheduler of a replay, on a clock that is a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.replays import HOOK, attempt, event_id

from webhooks_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)
from webhooks_sdk.replay._engine.scheduler import MAX_PUT_OFF, Idle, Job, Scheduler, Wait
from webhooks_sdk.replay._outcomes import classify_result
from webhooks_sdk.replay._targets import Target
from webhooks_sdk.replay._throttling.breaker import CircuitBreaker
from webhooks_sdk.replay._throttling.concurrency import ConcurrencyLimiter
from webhooks_sdk.replay._throttling.rate import RateLimiter

if TYPE_CHECKING:
    from webhooks_sdk import WebhookEvent
    from webhooks_sdk.replay import Outcome
    from webhooks_sdk.replay._engine.scheduler import Step

FINE = attempt(0)
REJECTED = attempt(0, 422)
DOWN = attempt(0, 500)
UNSENT = APIConnectionError("refused", operation="redeliver")
LOST = APITimeoutError("timed out", operation="redeliver", outcome_unknown=True)
GONE = NotFoundError("no such event", operation="redeliver", status=404)
REFUSED = AuthenticationError("no", operation="redeliver", status=401)


def busy(retry_after: float | None) -> RateLimitError:
    return RateLimitError("later", operation="redeliver", status=429, retry_after=retry_after)


def unavailable(retry_after: float) -> InternalServerError:
    return InternalServerError("later", operation="redeliver", status=503, retry_after=retry_after)


class Bench:
    """A scheduler, and the rest of a run as far as it concerns it."""

    def __init__(
        self,
        *,
        concurrency: int = 8,
        rate: float | None = None,
        failures: int | None = None,
        max_attempts: int = 3,
        max_queued: int = 8,
    ) -> None:
        self.now = 1_000.0
        self.window = ConcurrencyLimiter(concurrency)
        self.scheduler = Scheduler(
            window=self.window,
            pace=RateLimiter(rate),
            breaker=CircuitBreaker(failures),
            max_attempts=max_attempts,
            max_queued=max_queued,
            random=lambda: 1.0,
        )
        self.taken = 0

    def step(self) -> Step:
        return self.scheduler.step(self.now)

    def wait(self) -> float:
        """Return the seconds that it says to wait."""
        step = self.step()
        assert isinstance(step, Wait)
        assert step.seconds is not None
        return step.seconds

    def send(self, job: Job | None = None) -> Job:
        """Send what is next: a new target, or this job that is to be sent again."""
        step = self.step()
        if step is Idle.TAKE_TARGET:
            self.taken += 1
            step = Job(Target(HOOK, event_id(self.taken)))
        assert isinstance(step, Job)
        assert job in (None, step)
        self.begin(step)
        return step

    def begin(self, job: Job) -> None:
        job.attempts += 1
        self.scheduler.sent(job, self.now)

    def end(self, job: Job, answer: WebhookEvent | Exception, after: float = 0.1) -> Outcome | None:
        self.now += after
        result = classify_result(answer, after)
        if result.not_attempted:
            job.attempts -= 1
        return self.scheduler.ended(job, result, self.now)

    def wide(self, size: int) -> Bench:
        """Let it have this many in flight at once, by others that go well."""
        while self.window.size < size:
            jobs = list[Job]()
            while self.window.has_room:
                jobs.append(self.send())
                self.now += 1
            for job in jobs:
                self.end(job, FINE)
        return self


# What is next


def test_a_target_is_taken_when_it_can_be_sent_at_once() -> None:
    bench = Bench(rate=2)
    assert bench.step() is Idle.TAKE_TARGET
    job = bench.send()
    # There is no room, and so it does not matter when the pace would allow it.
    assert bench.step() == Wait(None)
    bench.end(job, FINE, after=0.1)
    assert bench.wait() == pytest.approx(0.4)
    bench.now += 0.4
    assert bench.step() is Idle.TAKE_TARGET


def test_asking_changes_nothing() -> None:
    bench = Bench(rate=2)
    assert [bench.step() for _ in range(3)] == [Idle.TAKE_TARGET] * 3
    bench.end(bench.send(), UNSENT, after=0)
    assert bench.step() == bench.step() == Wait(0.5)


def test_what_is_due_again_comes_before_new_targets() -> None:
    bench = Bench().wide(4)
    first, second = bench.send(), bench.send()
    bench.end(first, UNSENT)
    bench.end(second, UNSENT)
    # They wait half a second: till then new ones are taken.
    third = bench.send()
    assert third not in (first, second)
    bench.now += 0.6
    bench.send(first)


def test_what_is_due_first_is_sent_first() -> None:
    bench = Bench().wide(4)
    slow, quick = bench.send(), bench.send()
    bench.end(slow, UNSENT)
    bench.now += 1
    bench.send(slow)
    # The second wait is twice as long.
    bench.end(slow, UNSENT, after=0)
    bench.end(quick, UNSENT, after=0.2)
    bench.now += 5
    bench.send(quick)


def test_those_put_off_keep_their_order() -> None:
    bench = Bench().wide(4)
    jobs = [bench.send() for _ in range(4)]
    for job in jobs:
        bench.end(job, unavailable(3), after=0)
    bench.now += 3
    # Distress halved how many there may be at once.
    bench.send(jobs[0])
    bench.send(jobs[1])
    assert bench.step() == Wait(None)


def test_resends_wait_longer_each_time() -> None:
    bench = Bench(max_attempts=9)
    job = bench.send()
    bench.scheduler.end_of_targets()
    waits = list[float]()
    for _ in range(7):
        bench.end(job, UNSENT)
        waits.append(bench.wait())
        bench.now += waits[-1]
        bench.send(job)
    assert waits == [pytest.approx(seconds) for seconds in (0.5, 1, 2, 4, 8, 8, 8)]


def test_no_target_is_taken_while_too_many_wait_to_be_sent_again() -> None:
    bench = Bench(max_queued=2).wide(4)
    for job in [bench.send(), bench.send()]:
        bench.end(job, UNSENT, after=0)
    assert bench.step() == Wait(0.5)


def test_the_end_of_the_targets_is_not_that_of_the_run() -> None:
    bench = Bench().wide(2)
    first, second = bench.send(), bench.send()
    bench.scheduler.end_of_targets()
    assert bench.step() == Wait(None)
    assert bench.end(first, UNSENT) is None
    assert bench.end(second, FINE) is not None
    assert bench.wait() == pytest.approx(0.4)
    bench.now += 0.5
    bench.send(first)
    bench.end(first, FINE)
    assert bench.step() is Idle.FINISHED


# What an answer leads to


@pytest.mark.parametrize(
    ("answer", "status", "attempts"),
    [
        (FINE, "delivered", 1),
        (attempt(0, None), "accepted", 1),
        (REJECTED, "rejected", 1),
        (DOWN, "rejected", 1),
        (LOST, "unknown", 1),
        (GONE, "failed", 1),
        (REFUSED, "failed", 0),
        (ValueError("of somebody else"), "unknown", 1),
    ],
)
def test_an_answer_that_ends_a_target(answer: Any, status: str, attempts: int) -> None:
    bench = Bench()
    outcome = bench.end(bench.send(), answer)
    assert outcome is not None
    assert (outcome.status, outcome.attempts) == (status, attempts)
    assert answer in (outcome.event, outcome.error)
    assert bench.scheduler.in_flight == bench.window.in_flight == 0


def test_what_was_not_sent_is_tried_until_attempts_run_out() -> None:
    bench = Bench(max_attempts=3)
    job = bench.send()
    for _ in range(2):
        assert bench.end(job, UNSENT) is None
        bench.now += 1
        bench.send(job)
    outcome = bench.end(job, UNSENT)
    assert outcome is not None
    assert (outcome.status, outcome.attempts, outcome.error) == ("failed", 3, UNSENT)


@pytest.mark.parametrize("answer", [busy(None), busy(0), busy(3), unavailable(0), unavailable(3)])
def test_a_run_that_is_put_off_for_an_hour_is_stopped(answer: RateLimitError) -> None:
    bench = Bench(max_attempts=1)
    job = bench.send()
    began = bench.now
    while bench.now - began <= MAX_PUT_OFF:
        assert bench.end(job, answer) is None
        bench.now += 61
        bench.send(job)
    outcome = bench.end(job, answer)
    assert outcome is not None
    assert (outcome.status, outcome.attempts, outcome.error) == ("failed", 0, answer)
    assert bench.scheduler.gave_up
    assert bench.scheduler.stopped == "for an hour the service has put off every request."
    assert bench.scheduler.cause is answer


def test_any_other_answer_begins_the_hour_anew() -> None:
    bench = Bench(max_attempts=3)
    job = bench.send()
    for answer in [busy(0), UNSENT, busy(0)]:
        assert bench.end(job, answer) is None
        bench.now += MAX_PUT_OFF
        bench.send(job)
    assert not bench.scheduler.gave_up


@pytest.mark.parametrize("answer", [busy(30), unavailable(30)])
def test_all_wait_for_as_long_as_the_service_asks(answer: RateLimitError) -> None:
    bench = Bench().wide(4)
    job = bench.send()
    bench.end(job, answer)
    assert bench.step() == Wait(30)
    bench.now += 30
    bench.send(job)


def test_a_429_lowers_the_pace_and_not_how_many_are_under_way() -> None:
    bench = Bench(rate=50).wide(4)
    job = bench.send()
    bench.end(job, busy(0), after=0)
    assert bench.window.size == 4
    # 70 % of 50 a second, since little was observed.
    assert bench.wait() == pytest.approx(1 / 35)


@pytest.mark.parametrize("answer", [DOWN, LOST, unavailable(1), ValueError("lost")])
def test_distress_halves_how_many_are_under_way(answer: Any) -> None:
    bench = Bench().wide(8)
    bench.end(bench.send(), answer)
    assert bench.window.size == 4


def test_the_window_does_not_grow_while_the_pace_is_what_binds() -> None:
    bench = Bench(rate=1)
    for _ in range(5):
        bench.end(bench.send(), FINE)
        bench.now += 1
    assert bench.window.size == 1
    bench.end(bench.send(), FINE, after=2)
    assert bench.window.size == 2


# Stopping


def test_nothing_is_sent_after_a_stop_and_the_first_reason_counts() -> None:
    bench = Bench().wide(2)
    again, last = bench.send(), bench.send()
    bench.end(again, UNSENT)
    bench.scheduler.stop("enough")
    bench.scheduler.stop("more than enough")
    bench.now += 60
    assert bench.step() == Wait(None)
    assert bench.end(last, UNSENT) is None
    assert bench.step() is Idle.FINISHED
    assert bench.scheduler.stopped == "enough"
    assert not bench.scheduler.gave_up
    # Both have failed: they are not sent again.
    assert [job.outcome().status for job in bench.scheduler.queued()] == ["failed", "failed"]
    assert list(bench.scheduler.queued()) == []


def test_refused_credentials_stop_it() -> None:
    bench = Bench().wide(2)
    refused, other = bench.send(), bench.send()
    assert bench.end(refused, REFUSED) is not None
    assert (bench.scheduler.stopped, bench.scheduler.cause) == (str(REFUSED), REFUSED)
    assert bench.scheduler.gave_up
    assert bench.step() == Wait(None)
    bench.end(other, FINE)
    assert bench.step() is Idle.FINISHED


def test_the_breaker_counts_outcomes_in_order_of_completion() -> None:
    bench = Bench(failures=3, max_attempts=2).wide(8)
    jobs = [bench.send() for _ in range(8)]
    bench.end(jobs[7], GONE)
    bench.end(jobs[6], REJECTED)
    # Not an outcome yet, and so not counted.
    bench.end(jobs[5], UNSENT)
    bench.end(jobs[4], busy(0))
    assert not bench.scheduler.gave_up
    bench.end(jobs[3], LOST)
    assert bench.scheduler.gave_up
    reason = "the last 3 outcomes were unsuccessful: 1 rejected, 1 failed, 1 unknown."
    assert bench.scheduler.stopped == reason
    assert bench.scheduler.cause is LOST
    # What ends later changes nothing.
    bench.end(jobs[0], FINE)
    assert bench.scheduler.stopped == reason


def test_what_is_abandoned_is_handed_out_once() -> None:
    bench = Bench().wide(4)
    jobs = [bench.send() for _ in range(4)]
    bench.scheduler.stop("enough")
    # Whoever takes them may fail half-way.
    first = next(bench.scheduler.abandon())
    rest = list(bench.scheduler.abandon())
    assert [first, *rest] == jobs
    assert all(job.abandoned for job in jobs)
    assert bench.step() is Idle.FINISHED


def test_what_is_forgotten_leaves_its_room_to_others() -> None:
    bench = Bench()
    bench.scheduler.forget(bench.send())
    assert bench.scheduler.in_flight == bench.window.in_flight == 0
    assert bench.step() is Idle.TAKE_TARGET
    assert bench.window.size == 1


# What holds whatever happens


ANSWERS: list[WebhookEvent | Exception] = [
    FINE,
    attempt(0, None),
    REJECTED,
    DOWN,
    UNSENT,
    LOST,
    GONE,
    busy(None),
    busy(0),
    busy(40),
    unavailable(0),
    unavailable(7),
    ValueError("of somebody else"),
]


class AnyRun(RuleBasedStateMachine):
    """A run to which anything may happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(concurrency=4, rate=20, failures=5, max_queued=4)
        self.left = 30
        self.jobs: list[Job] = []
        self.flying: list[Job] = []
        self.outcomes: dict[Job, list[Outcome]] = {}
        self.finished = False

    @rule()
    def go(self) -> None:
        """Do what it says, or wait a little."""
        step = self.bench.step()
        if step is Idle.TAKE_TARGET:
            self.pull()
        elif isinstance(step, Job):
            assert step not in self.flying
            assert not self.outcomes[step]
            self.dispatch(step)
        elif isinstance(step, Wait):
            # Something must come that ends the wait.
            assert self.flying or step.seconds is not None
            assert step.seconds is None or 0 < step.seconds <= 900
            self.bench.now += min(step.seconds or 0.0, 1.0)
        else:
            assert not self.flying
            self.finish()

    def pull(self) -> None:
        if not self.left:
            self.bench.scheduler.end_of_targets()
            return
        self.left -= 1
        job = Job(Target(HOOK, event_id(self.left)))
        self.jobs.append(job)
        self.outcomes[job] = []
        self.dispatch(job)

    def dispatch(self, job: Job) -> None:
        assert self.bench.scheduler.stopped is None
        assert self.bench.window.in_flight < self.bench.window.size <= 4
        self.bench.begin(job)
        assert job.attempts <= 3
        self.flying.append(job)

    def finish(self) -> None:
        for job in self.bench.scheduler.queued():
            self.outcomes[job].append(job.outcome())
        self.finished = True

    @precondition(lambda self: self.flying)
    @rule(
        which=st.integers(0, 3),
        answer=st.sampled_from(ANSWERS),
        after=st.sampled_from([0.0, 0.05, 1.0, 20.0]),
    )
    def end(self, which: int, answer: WebhookEvent | Exception, after: float) -> None:
        job = self.flying.pop(which % len(self.flying))
        outcome = self.bench.end(job, answer, after)
        if outcome is not None:
            self.outcomes[job].append(outcome)

    @precondition(lambda self: self.flying and len(self.jobs) > 5)
    @rule(error=st.just(REFUSED))
    def refuse(self, error: Exception) -> None:
        self.end(0, error, 0.0)

    @precondition(lambda self: len(self.jobs) > 5)
    @rule()
    def stop(self) -> None:
        self.bench.scheduler.stop("enough")

    @precondition(lambda self: self.bench.scheduler.stopped is not None)
    @rule()
    def abandon(self) -> None:
        for job in self.bench.scheduler.abandon():
            self.flying.remove(job)
            self.outcomes[job].append(job.outcome())

    @invariant()
    def nothing_is_lost_and_nothing_comes_twice(self) -> None:
        assert self.bench.scheduler.in_flight == len(self.flying)
        assert all(len(outcomes) <= 1 for outcomes in self.outcomes.values())

    def teardown(self) -> None:
        """From now on all goes well: it has to come to an end."""
        for _ in range(5_000):
            if self.finished:
                break
            if self.flying:
                self.end(0, FINE, 0.1)
            self.go()
        assert self.finished
        assert all(len(self.outcomes[job]) == 1 for job in self.jobs)
        assert self.bench.scheduler.stopped is not None or not self.left


AnyRun.TestCase.settings = settings(max_examples=60, stateful_step_count=80, deadline=None)
TestAnyRun = AnyRun.TestCase
