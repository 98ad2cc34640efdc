"""Automatic retries, over real sockets and in virtual time."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber
from webhooks_sdk.sandbox._service.schedule import retry_delay

if TYPE_CHECKING:
    from collections.abc import Iterator

THREE_WEEKS = timedelta(weeks=3)
TOLERANCE = timedelta(minutes=1)  # real time passes during attempts


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


def test_a_failed_delivery_is_retried_25_times_over_three_weeks(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url, secret="s")
    subscriber.status = 503
    (first,) = sandbox.publish(EVENT, {"n": 1})
    retries = sandbox.advance(THREE_WEEKS)
    assert [retry.retry for retry in retries] == [*range(1, 26)]
    assert [retry.number for retry in retries] == [*range(2, 27)]
    assert sandbox.attempts == (first, *retries)
    assert {attempt.event_id for attempt in sandbox.attempts} == {first.event_id}
    assert len({attempt.delivery_id for attempt in sandbox.attempts}) == 26
    assert not any(attempt.redelivery for attempt in sandbox.attempts)
    assert sandbox.pending_retries == ()
    assert sandbox.advance(timedelta(weeks=100)) == ()
    # The subscriber received the same event 26 times.
    assert len({delivery.body for delivery in subscriber.deliveries}) == 1
    assert len(subscriber.deliveries) == 26
    due = first.started_at
    for retry in retries:
        due += retry_delay(retry.retry or 0)
        assert timedelta() <= retry.started_at - due < TOLERANCE


def test_a_step_makes_only_the_retries_that_become_due(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = 500
    sandbox.publish(EVENT, {})
    assert sandbox.advance(timedelta(seconds=14, microseconds=999_999)) == ()
    (first,) = sandbox.advance(timedelta(microseconds=1))
    assert first.retry == 1
    assert sandbox.advance(timedelta()) == ()
    (second,) = sandbox.advance(retry_delay(2) + retry_delay(3) - timedelta(seconds=1))
    assert second.retry == 2
    (pending,) = sandbox.pending_retries
    assert (pending.retry, pending.event, pending.event_id) == (3, EVENT, first.event_id)
    assert abs(pending.due_at - sandbox.now - timedelta(seconds=1)) < TOLERANCE


def test_a_successful_retry_ends_the_schedule(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.stop()
    sandbox.publish(EVENT, {})
    sandbox.advance(timedelta(seconds=60))
    subscriber.start()
    attempts = sandbox.advance(THREE_WEEKS)
    assert [attempt.delivered for attempt in attempts] == [True]
    assert sandbox.pending_retries == ()


def test_a_successful_first_attempt_schedules_no_retry(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    sandbox.publish(EVENT, {})
    assert sandbox.pending_retries == ()
    assert sandbox.advance(THREE_WEEKS) == ()


def test_a_redelivery_does_not_change_the_schedule(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = 500
    (attempt,) = sandbox.publish(EVENT, {})
    before = [(retry.retry, retry.event_id) for retry in sandbox.pending_retries]
    for status in (500, 200):
        subscriber.status = status
        client.redeliver(attempt)
        assert [(retry.retry, retry.event_id) for retry in sandbox.pending_retries] == before
    (retry,) = sandbox.advance(timedelta(seconds=15))
    assert (retry.retry, retry.number, retry.redelivery) == (1, 4, False)
    # A failed redelivery of a delivered event does not start one either.
    subscriber.status = 500
    client.redeliver(attempt)
    assert sandbox.pending_retries == ()


def test_deleting_a_subscription_cancels_its_retries(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    hook_id = client.subscribe(subscriber.url)["id"]
    subscriber.status = 500
    sandbox.publish(EVENT, {})
    client.delete(f"/hooks/{hook_id}").raise_for_status()
    assert sandbox.pending_retries == ()
    assert sandbox.advance(THREE_WEEKS) == ()
    assert len(sandbox.attempts) == 1


def test_deleting_a_subscription_during_an_attempt_prevents_retries(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    hook_id = client.subscribe(subscriber.url)["id"]
    subscriber.delay = 600
    publishing = threading.Thread(target=sandbox.publish, args=(EVENT, {}))
    publishing.start()
    subscriber.wait_for(1)
    client.delete(f"/hooks/{hook_id}").raise_for_status()
    subscriber.stop()
    publishing.join()
    assert sandbox.attempts[0].error
    assert sandbox.pending_retries == ()


def test_retries_are_not_sent_while_the_subscription_is_inactive(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    hook_id = client.subscribe(subscriber.url)["id"]
    subscriber.status = 500
    sandbox.publish(EVENT, {})
    client.patch(f"/hooks/{hook_id}", json={"active": False}).raise_for_status()
    (skipped,) = sandbox.advance(timedelta(seconds=15))
    assert skipped.status is None
    assert "not sent" in (skipped.error or "")
    assert skipped.request_headers == ()
    assert len(subscriber.deliveries) == 1
    client.patch(f"/hooks/{hook_id}", json={"active": True}).raise_for_status()
    subscriber.status = 200
    (sent,) = sandbox.advance(retry_delay(2))
    assert (sent.retry, sent.delivered) == (2, True)


def test_retries_of_several_events_are_made_in_due_order(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = 500
    for number in range(3):
        sandbox.publish(EVENT, {"n": number})
        sandbox.advance(timedelta(seconds=1))
    before = len(subscriber.deliveries)
    attempts = sandbox.advance(timedelta(hours=1))
    times = [attempt.started_at for attempt in attempts]
    assert times == sorted(times)
    seen = [delivery.json() for delivery in subscriber.deliveries[before:]]
    assert seen == [{"n": number} for _ in range(len(seen) // 3) for number in range(3)]
    assert [attempt.number for attempt in attempts[::3]] == [*range(2, 2 + len(attempts) // 3)]


def test_attempts_are_deterministic() -> None:
    def run() -> list[tuple[str, int, int | None, int | None]]:
        with Sandbox() as sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
            client.subscribe(subscriber.url)
            client.subscribe(subscriber.url, events=["carrier"])
            subscriber.status = 500
            for event in (EVENT, "carrier:bridged", "carrier"):
                sandbox.publish(event, {})
                sandbox.advance(timedelta(minutes=2))
            subscriber.status = 200
            sandbox.advance(timedelta(days=1))
            return [
                (attempt.event, attempt.number, attempt.retry, attempt.status)
                for attempt in sandbox.attempts
            ]

    assert run() == run()


def test_the_clock_determines_timestamps_but_not_durations(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    real = datetime.now(UTC)
    assert abs(sandbox.now - real) < TOLERANCE
    sandbox.advance(timedelta(days=1000))
    future = real + timedelta(days=1000)
    row = client.subscribe(subscriber.url)
    (attempt,) = sandbox.publish(EVENT, {})
    listed = client.get(f"/hooks/{row['id']}/requests").json()[0]
    times = [
        *(sandbox.now, attempt.enqueued_at, attempt.started_at, attempt.finished_at),
        sandbox.requests[-1].received_at,
        *(datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at")),
        *(datetime.fromisoformat(listed[name]) for name in ("enqueued_at", "created_at")),
    ]
    assert all(time is not None and abs(time - future) < TOLERANCE for time in times)
    assert attempt.duration_ms is not None
    assert attempt.duration_ms < 60_000
    # Tokens expire in real time: one from before the step is still valid.
    assert client.get("/hooks").status_code == 200


def test_each_tenant_has_its_own_clock(sandbox: Sandbox, subscriber: Subscriber) -> None:
    subscriber.status = 500
    with sandbox.add_tenant() as other:
        for tenant in (sandbox, other):
            with SandboxClient(tenant) as client:
                client.subscribe(subscriber.url)
            tenant.publish(EVENT, {})
        assert len(other.advance(timedelta(days=1))) > 1
        assert abs(other.now - sandbox.now - timedelta(days=1)) < TOLERANCE
        assert len(sandbox.attempts) == len(sandbox.pending_retries) == 1


@pytest.mark.parametrize("step", [timedelta(seconds=-1), timedelta.max])
def test_steps_out_of_range_are_rejected(sandbox: Sandbox, step: timedelta) -> None:
    with pytest.raises(ValueError, match="step"):
        sandbox.advance(step)


def test_a_step_must_be_a_timedelta(sandbox: Sandbox) -> None:
    seconds: Any = 60
    with pytest.raises(TypeError, match=r"must be a timedelta, .* got 60"):
        sandbox.advance(seconds)


def test_advance_requires_a_running_sandbox() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        Sandbox().advance(timedelta(1))


def test_reset_returns_to_real_time(sandbox: Sandbox) -> None:
    sandbox.advance(timedelta(days=1))
    sandbox.reset()
    assert abs(sandbox.now - datetime.now(UTC)) < TOLERANCE


def test_reset_ends_a_step_in_progress(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.fail()
    sandbox.publish(EVENT, {})
    subscriber.hang()
    with ThreadPoolExecutor() as pool:
        step = pool.submit(sandbox.advance, THREE_WEEKS)
        subscriber.wait_for(2)
        sandbox.reset()
        subscriber.stop()
        assert len(step.result()) == 1
    assert abs(sandbox.now - datetime.now(UTC)) < TOLERANCE
    assert sandbox.attempts == ()
    assert sandbox.pending_retries == ()


def test_retries_come_due_in_real_time(subscriber: Subscriber) -> None:
    subscriber.status = 500
    with Sandbox(real_time=True) as sandbox, SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        sandbox.publish(EVENT, {})
        # Almost the whole delay.
        assert sandbox.advance(timedelta(seconds=14.9)) == ()
        subscriber.status = 200
        subscriber.wait_for(2)
        sandbox.advance(timedelta())  # waits for background deliveries
        retry = sandbox.attempts[1]
    assert (retry.retry, retry.delivered) == (1, True)


def test_a_delivery_cancelled_by_shutdown_is_retried() -> None:
    with Subscriber(delay=600) as subscriber:
        with Sandbox() as sandbox, SandboxClient(sandbox) as client:
            client.subscribe(subscriber.url)

            def publish() -> None:
                with pytest.raises(RuntimeError, match="stopped"):
                    sandbox.publish(EVENT, {})

            publishing = threading.Thread(target=publish)
            publishing.start()
            subscriber.wait_for(1)
        publishing.join()
    assert "cancelled" in (sandbox.attempts[0].error or "")
    assert [retry.retry for retry in sandbox.pending_retries] == [1]


def test_an_attempt_records_the_request_and_the_failure(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url, secret="s", header="X-Key: v")
    subscriber.status = 418
    (attempt,) = sandbox.publish(EVENT, {"n": 1})
    (delivery,) = subscriber.deliveries
    assert {name.lower(): value for name, value in attempt.request_headers} == dict(
        delivery.headers
    )
    assert attempt == sandbox.attempts[0]
    assert attempt.url == subscriber.url
    assert attempt.signature == delivery.headers["X-Signature"]
    assert attempt.failure == "the subscriber returned 418"
    assert sandbox.event_body(attempt.event_id) == delivery.body
    with pytest.raises(LookupError):
        sandbox.event_body(attempt.delivery_id)
    subscriber.status = 200
    (delivered,) = sandbox.publish(EVENT, {})
    assert delivered.failure is None
    subscriber.stop()
    (failed,) = sandbox.publish(EVENT, {})
    assert failed.failure == failed.error is not None
    client.subscribe(subscriber.url)
    assert sandbox.publish(EVENT, {})[1].signature is None


def test_the_latest_time_is_supported(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = 500
    sandbox.advance(datetime(9999, 1, 1, tzinfo=UTC) - sandbox.now - TOLERANCE)
    (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.started_at.year == 9998
    assert [retry.retry for retry in sandbox.pending_retries] == [1]
    with pytest.raises(ValueError, match="9998"):
        sandbox.advance(THREE_WEEKS)


def test_concurrent_steps_make_each_retry_once(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = 500
    for _ in range(4):
        sandbox.publish(EVENT, {})
    with ThreadPoolExecutor(4) as pool:
        results = [*pool.map(sandbox.advance, [timedelta(days=1)] * 4)]
    attempts = [attempt for result in results for attempt in result]
    assert len(sandbox.attempts) == 4 + len(attempts)
    counts = Counter((attempt.event_id, attempt.retry) for attempt in attempts)
    assert set(counts.values()) == {1}
    assert abs(sandbox.now - datetime.now(UTC) - timedelta(days=4)) < TOLERANCE
