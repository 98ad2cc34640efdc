"""The scheduler of a replay, with a simulated clock."""

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
from webhooks_sdk.replay._engine.scheduler import MAX_DEFERRAL, Action, Job, Scheduler, Wait
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


class SchedulerHarness:
    """A scheduler, and the parts of a run that it depends on."""

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
        self.concurrency_limiter = ConcurrencyLimiter(concurrency)
        self.scheduler = Scheduler(
            concurrency_limiter=self.concurrency_limiter,
            rate_limiter=RateLimiter(rate),
            circuit_breaker=CircuitBreaker(failures),
            max_attempts=max_attempts,
            max_queued=max_queued,
            random=lambda: 1.0,
        )
        self.taken = 0

    def step(self) -> Step:
        return self.scheduler.step(self.now)

    def wait(self) -> float:
        """Return the number of seconds that the scheduler asks to wait."""
        step = self.step()
        assert isinstance(step, Wait)
        assert step.seconds is not None
        return step.seconds

    def send(self, job: Job | None = None) -> Job:
        """Send the next job, which must be `job` if that is given."""
        step = self.step()
        if step is Action.TAKE_TARGET:
            self.taken += 1
            step = Job(Target(HOOK, event_id(self.taken)))
        assert isinstance(step, Job)
        assert job in (None, step)
        self.begin(step)
        return step

    def begin(self, job: Job) -> None:
        job.attempts += 1
        self.scheduler.started(job, self.now)

    def end(
        self, job: Job, returned: WebhookEvent | Exception, after: float = 0.1
    ) -> Outcome | None:
        self.now += after
        result = classify_result(returned, after)
        if not result.counts_as_attempt:
            job.attempts -= 1
        return self.scheduler.finished(job, result, self.now)

    def grow(self, size: int) -> SchedulerHarness:
        """Raise the concurrency to `size` by sending requests that succeed."""
        while self.concurrency_limiter.limit < size:
            jobs = list[Job]()
            while self.concurrency_limiter.has_room:
                jobs.append(self.send())
                self.now += 1
            for job in jobs:
                self.end(job, FINE)
        return self


# Order


def test_a_target_is_taken_only_when_it_can_be_sent_at_once() -> None:
    harness = SchedulerHarness(rate=2)
    assert harness.step() is Action.TAKE_TARGET
    job = harness.send()
    # The concurrency limit is reached, so the rate does not matter.
    assert harness.step() == Wait(None)
    harness.end(job, FINE, after=0.1)
    assert harness.wait() == pytest.approx(0.4)
    harness.now += 0.4
    assert harness.step() is Action.TAKE_TARGET


def test_step_has_no_side_effects() -> None:
    harness = SchedulerHarness(rate=2)
    assert [harness.step() for _ in range(3)] == [Action.TAKE_TARGET] * 3
    harness.end(harness.send(), UNSENT, after=0)
    assert harness.step() == harness.step() == Wait(0.5)


def test_due_resends_come_before_new_targets() -> None:
    harness = SchedulerHarness().grow(4)
    first, second = harness.send(), harness.send()
    harness.end(first, UNSENT)
    harness.end(second, UNSENT)
    # Their backoff is half a second. Until then, new targets are taken.
    third = harness.send()
    assert third not in (first, second)
    harness.now += 0.6
    harness.send(first)


def test_resends_are_sent_in_order_of_due_time() -> None:
    harness = SchedulerHarness().grow(4)
    slow, quick = harness.send(), harness.send()
    harness.end(slow, UNSENT)
    harness.now += 1
    harness.send(slow)
    # The second backoff is twice as long.
    harness.end(slow, UNSENT, after=0)
    harness.end(quick, UNSENT, after=0.2)
    harness.now += 5
    harness.send(quick)


def test_deferred_requests_keep_their_order() -> None:
    harness = SchedulerHarness().grow(4)
    jobs = [harness.send() for _ in range(4)]
    for job in jobs:
        harness.end(job, unavailable(3), after=0)
    harness.now += 3
    # The overload signal halved the concurrency.
    harness.send(jobs[0])
    harness.send(jobs[1])
    assert harness.step() == Wait(None)


def test_backoff_grows_with_each_resend() -> None:
    harness = SchedulerHarness(max_attempts=9)
    job = harness.send()
    harness.scheduler.mark_exhausted()
    waits = list[float]()
    for _ in range(7):
        harness.end(job, UNSENT)
        waits.append(harness.wait())
        harness.now += waits[-1]
        harness.send(job)
    assert waits == [pytest.approx(seconds) for seconds in (0.5, 1, 2, 4, 8, 8, 8)]


def test_no_target_is_taken_while_the_queue_is_full() -> None:
    harness = SchedulerHarness(max_queued=2).grow(4)
    for job in [harness.send(), harness.send()]:
        harness.end(job, UNSENT, after=0)
    assert harness.step() == Wait(0.5)


def test_the_run_continues_after_the_targets_are_exhausted() -> None:
    harness = SchedulerHarness().grow(2)
    first, second = harness.send(), harness.send()
    harness.scheduler.mark_exhausted()
    assert harness.step() == Wait(None)
    assert harness.end(first, UNSENT) is None
    assert harness.end(second, FINE) is not None
    assert harness.wait() == pytest.approx(0.4)
    harness.now += 0.5
    harness.send(first)
    harness.end(first, FINE)
    assert harness.step() is Action.FINISH


# Results


@pytest.mark.parametrize(
    ("returned", "status", "attempts"),
    [
        (FINE, "delivered", 1),
        (attempt(0, None), "accepted", 1),
        (REJECTED, "rejected", 1),
        (DOWN, "rejected", 1),
        (LOST, "unknown", 1),
        (GONE, "failed", 1),
        (REFUSED, "failed", 0),
        (ValueError("not an error of the SDK"), "unknown", 1),
    ],
)
def test_results_that_end_a_target(returned: Any, status: str, attempts: int) -> None:
    harness = SchedulerHarness()
    outcome = harness.end(harness.send(), returned)
    assert outcome is not None
    assert (outcome.status, outcome.attempts) == (status, attempts)
    assert returned in (outcome.event, outcome.error)
    assert harness.scheduler.in_flight == harness.concurrency_limiter.in_flight == 0


def test_an_unsent_request_is_resent_up_to_max_attempts() -> None:
    harness = SchedulerHarness(max_attempts=3)
    job = harness.send()
    for _ in range(2):
        assert harness.end(job, UNSENT) is None
        harness.now += 1
        harness.send(job)
    outcome = harness.end(job, UNSENT)
    assert outcome is not None
    assert (outcome.status, outcome.attempts, outcome.error) == ("failed", 3, UNSENT)


@pytest.mark.parametrize("error", [busy(None), busy(0), busy(3), unavailable(0), unavailable(3)])
def test_an_hour_of_deferrals_aborts_the_run(error: RateLimitError) -> None:
    harness = SchedulerHarness(max_attempts=1)
    job = harness.send()
    started_at = harness.now
    while harness.now - started_at <= MAX_DEFERRAL:
        assert harness.end(job, error) is None
        harness.now += 61
        harness.send(job)
    outcome = harness.end(job, error)
    assert outcome is not None
    assert (outcome.status, outcome.attempts, outcome.error) == ("failed", 0, error)
    assert harness.scheduler.aborted
    assert harness.scheduler.stop_reason == "the service has deferred every request for an hour."
    assert harness.scheduler.cause is error


def test_any_other_result_restarts_the_hour() -> None:
    harness = SchedulerHarness(max_attempts=3)
    job = harness.send()
    for error in [busy(0), UNSENT, busy(0)]:
        assert harness.end(job, error) is None
        harness.now += MAX_DEFERRAL
        harness.send(job)
    assert not harness.scheduler.aborted


@pytest.mark.parametrize("error", [busy(30), unavailable(30)])
def test_retry_after_pauses_all_requests(error: RateLimitError) -> None:
    harness = SchedulerHarness().grow(4)
    job = harness.send()
    harness.end(job, error)
    assert harness.step() == Wait(30)
    harness.now += 30
    harness.send(job)


def test_a_429_lowers_the_rate_but_not_the_concurrency() -> None:
    harness = SchedulerHarness(rate=50).grow(4)
    job = harness.send()
    harness.end(job, busy(0), after=0)
    assert harness.concurrency_limiter.limit == 4
    # 70 % of 50 per second, since little throughput was observed.
    assert harness.wait() == pytest.approx(1 / 35)


@pytest.mark.parametrize("returned", [DOWN, LOST, unavailable(1), ValueError("lost")])
def test_overload_halves_the_concurrency(returned: Any) -> None:
    harness = SchedulerHarness().grow(8)
    harness.end(harness.send(), returned)
    assert harness.concurrency_limiter.limit == 4


def test_concurrency_does_not_grow_while_the_rate_is_the_bottleneck() -> None:
    harness = SchedulerHarness(rate=1)
    for _ in range(5):
        harness.end(harness.send(), FINE)
        harness.now += 1
    assert harness.concurrency_limiter.limit == 1
    harness.end(harness.send(), FINE, after=2)
    assert harness.concurrency_limiter.limit == 2


# Stopping


def test_nothing_is_sent_after_a_stop_and_the_first_reason_is_kept() -> None:
    harness = SchedulerHarness().grow(2)
    again, last = harness.send(), harness.send()
    harness.end(again, UNSENT)
    harness.scheduler.stop("enough")
    harness.scheduler.stop("more than enough")
    harness.now += 60
    assert harness.step() == Wait(None)
    assert harness.end(last, UNSENT) is None
    assert harness.step() is Action.FINISH
    assert harness.scheduler.stop_reason == "enough"
    assert not harness.scheduler.aborted
    # Both have failed and are not sent again.
    assert [job.outcome().status for job in harness.scheduler.drain_resends()] == [
        "failed",
        "failed",
    ]
    assert list(harness.scheduler.drain_resends()) == []


def test_rejected_credentials_abort_the_run() -> None:
    harness = SchedulerHarness().grow(2)
    rejected, other = harness.send(), harness.send()
    assert harness.end(rejected, REFUSED) is not None
    assert (harness.scheduler.stop_reason, harness.scheduler.cause) == (str(REFUSED), REFUSED)
    assert harness.scheduler.aborted
    assert harness.step() == Wait(None)
    harness.end(other, FINE)
    assert harness.step() is Action.FINISH


def test_the_circuit_breaker_counts_outcomes_in_order_of_completion() -> None:
    harness = SchedulerHarness(failures=3, max_attempts=2).grow(8)
    jobs = [harness.send() for _ in range(8)]
    harness.end(jobs[7], GONE)
    harness.end(jobs[6], REJECTED)
    # Requeued, so not an outcome yet.
    harness.end(jobs[5], UNSENT)
    harness.end(jobs[4], busy(0))
    assert not harness.scheduler.aborted
    harness.end(jobs[3], LOST)
    assert harness.scheduler.aborted
    reason = "the last 3 outcomes were unsuccessful: 1 rejected, 1 failed, 1 unknown."
    assert harness.scheduler.stop_reason == reason
    assert harness.scheduler.cause is LOST
    # Later results change nothing.
    harness.end(jobs[0], FINE)
    assert harness.scheduler.stop_reason == reason


def test_each_abandoned_job_is_yielded_once() -> None:
    harness = SchedulerHarness().grow(4)
    jobs = [harness.send() for _ in range(4)]
    harness.scheduler.stop("enough")
    # The caller may fail halfway.
    first = next(harness.scheduler.abandon())
    rest = list(harness.scheduler.abandon())
    assert [first, *rest] == jobs
    assert all(job.abandoned for job in jobs)
    assert harness.step() is Action.FINISH


def test_a_discarded_job_frees_its_place() -> None:
    harness = SchedulerHarness()
    harness.scheduler.discard(harness.send())
    assert harness.scheduler.in_flight == harness.concurrency_limiter.in_flight == 0
    assert harness.step() is Action.TAKE_TARGET
    assert harness.concurrency_limiter.limit == 1


# Invariants


RESULTS: list[WebhookEvent | Exception] = [
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
    ValueError("not an error of the SDK"),
]


class SchedulerMachine(RuleBasedStateMachine):
    """A run with arbitrary results in arbitrary order."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = SchedulerHarness(concurrency=4, rate=20, failures=5, max_queued=4)
        self.left = 30
        self.jobs: list[Job] = []
        self.in_flight: list[Job] = []
        self.outcomes: dict[Job, list[Outcome]] = {}
        self.finished = False

    @rule()
    def go(self) -> None:
        """Perform the next action, or advance the clock."""
        step = self.harness.step()
        if step is Action.TAKE_TARGET:
            self.pull()
        elif isinstance(step, Job):
            assert step not in self.in_flight
            assert not self.outcomes[step]
            self.dispatch(step)
        elif isinstance(step, Wait):
            # Something must end the wait.
            assert self.in_flight or step.seconds is not None
            assert step.seconds is None or 0 < step.seconds <= 900
            self.harness.now += min(step.seconds or 0.0, 1.0)
        else:
            assert not self.in_flight
            self.finish()

    def pull(self) -> None:
        if not self.left:
            self.harness.scheduler.mark_exhausted()
            return
        self.left -= 1
        job = Job(Target(HOOK, event_id(self.left)))
        self.jobs.append(job)
        self.outcomes[job] = []
        self.dispatch(job)

    def dispatch(self, job: Job) -> None:
        assert self.harness.scheduler.stop_reason is None
        assert (
            self.harness.concurrency_limiter.in_flight < self.harness.concurrency_limiter.limit <= 4
        )
        self.harness.begin(job)
        assert job.attempts <= 3
        self.in_flight.append(job)

    def finish(self) -> None:
        for job in self.harness.scheduler.drain_resends():
            self.outcomes[job].append(job.outcome())
        self.finished = True

    @precondition(lambda self: self.in_flight)
    @rule(
        which=st.integers(0, 3),
        returned=st.sampled_from(RESULTS),
        after=st.sampled_from([0.0, 0.05, 1.0, 20.0]),
    )
    def end(self, which: int, returned: WebhookEvent | Exception, after: float) -> None:
        job = self.in_flight.pop(which % len(self.in_flight))
        outcome = self.harness.end(job, returned, after)
        if outcome is not None:
            self.outcomes[job].append(outcome)

    @precondition(lambda self: self.in_flight and len(self.jobs) > 5)
    @rule(error=st.just(REFUSED))
    def refuse(self, error: Exception) -> None:
        self.end(0, error, 0.0)

    @precondition(lambda self: len(self.jobs) > 5)
    @rule()
    def stop(self) -> None:
        self.harness.scheduler.stop("enough")

    @precondition(lambda self: self.harness.scheduler.stop_reason is not None)
    @rule()
    def abandon(self) -> None:
        for job in self.harness.scheduler.abandon():
            self.in_flight.remove(job)
            self.outcomes[job].append(job.outcome())

    @invariant()
    def every_job_is_accounted_for_once(self) -> None:
        assert self.harness.scheduler.in_flight == len(self.in_flight)
        assert all(len(outcomes) <= 1 for outcomes in self.outcomes.values())

    def teardown(self) -> None:
        """Let all requests succeed from now on: the run must finish."""
        for _ in range(5_000):
            if self.finished:
                break
            if self.in_flight:
                self.end(0, FINE, 0.1)
            self.go()
        assert self.finished
        assert all(len(self.outcomes[job]) == 1 for job in self.jobs)
        assert self.harness.scheduler.stop_reason is not None or not self.left


SchedulerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=80, deadline=None
)
TestScheduler = SchedulerMachine.TestCase
