"""The Celery example, with a real Redis server and real workers."""

from __future__ import annotations

import os
import pickle
import signal
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from celery_replay.app import TASK, make_app
from celery_replay.sender import WorkerSender
from celery_replay.settings import Settings
from celery_replay.task_store import TaskStore
from support.celery_cluster import (
    BlockingSubscriber,
    Process,
    RedisServer,
    start_coordinator,
    start_worker,
    wait_until,
    wait_until_ready,
)

from webhooks_sdk import Client, ClientCredentials, WebhookEvent
from webhooks_sdk.errors import APIConnectionError, ConfigurationError, NotFoundError
from webhooks_sdk.replay import Journal, Target
from webhooks_sdk.sandbox import Sandbox, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

CLIENT_SECRET = "a-client-secret-that-must-not-leak"
SIGNING_SECRET = "a-signing-secret-that-must-not-leak"


class Cluster:
    """Redis, the sandbox, a subscriber, and workers that are started on demand."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.redis = stack.enter_context(RedisServer(folder))
        # The list is so short that lost requests cannot be looked up later.
        self.sandbox = stack.enter_context(
            Sandbox(client_secret=CLIENT_SECRET, variants=Variants(max_listed=10))
        )
        self.subscriber = stack.enter_context(BlockingSubscriber())
        self.token = self.sandbox.issue_token()
        credentials = ClientCredentials(self.sandbox.client_id, CLIENT_SECRET)
        self.client = stack.enter_context(
            Client(credentials, base_url=self.sandbox.base_url, token_url=self.sandbox.token_url)
        )
        self.hook_id = self.client.hooks.create(
            url=self.subscriber.url, events=["*"], active=True, secret=SIGNING_SECRET
        ).id

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "REPLAY_REDIS_URL": self.redis.url,
            "WEBHOOKS_BASE_URL": self.sandbox.base_url,
            "WEBHOOKS_TOKEN_URL": self.sandbox.token_url,
            "WEBHOOKS_CLIENT_ID": self.sandbox.client_id,
            "WEBHOOKS_CLIENT_SECRET": CLIENT_SECRET,
            **more,
        }

    def token_environment(self, **more: str) -> dict[str, str]:
        variables = self.environment(WEBHOOKS_ACCESS_TOKEN=self.token, **more)
        for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"):
            del variables[f"WEBHOOKS_{name}"]
        return variables

    def start_worker(self, name: str, environment: dict[str, str]) -> Process:
        return self._stack.enter_context(
            start_worker(name, self.folder / f"{name}.log", environment)
        )

    def start_coordinator(self, name: str, environment: dict[str, str], *arguments: str) -> Process:
        return self._stack.enter_context(
            start_coordinator(self.folder / f"{name}.log", environment, *arguments)
        )

    def publish_missed(self, number: int) -> list[Target]:
        """Publish events that the subscriber rejects."""
        self.subscriber.status = 500
        missed = [
            self.sandbox.publish("application_form:quoted", {"number": index})[0]
            for index in range(number)
        ]
        self.subscriber.status = 200
        return [Target(self.hook_id, attempt.event_id) for attempt in missed]

    def redelivery_count(self, target: Target) -> int:
        """Return how many times an event was redelivered."""
        return sum(
            attempt.redelivery and attempt.event_id == target.request_id
            for attempt in self.sandbox.attempts
        )

    def delivery_counts(self) -> Counter[UUID]:
        """Return how many times each event was delivered, according to the service."""
        return Counter(attempt.event_id for attempt in self.sandbox.attempts if attempt.delivered)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def test_killing_a_worker_loses_no_event(cluster: Cluster) -> None:
    timeouts = {"REPLAY_QUEUE_SECONDS": "5", "REPLAY_REPLY_SECONDS": "5"}
    targets = cluster.publish_missed(40)
    cluster.subscriber.block_after(10)
    victim = cluster.start_worker("victim", cluster.environment(**timeouts))
    other = cluster.start_worker("other", cluster.token_environment(**timeouts))
    wait_until_ready(victim, other)
    events = cluster.folder / "events.csv"
    events.write_text(
        "".join(f"{target.hook_id},{target.request_id}\n" for target in targets), "utf-8"
    )
    journal = cluster.folder / "outage.sqlite"
    command = ("redeliver", str(events), f"--journal={journal}", "--concurrency=2")

    first = cluster.start_coordinator("first", cluster.token_environment(**timeouts), *command)
    cluster.subscriber.wait_blocked(2)
    victim.kill()
    cluster.subscriber.unblock()
    assert first.wait() == 3, first.output

    with Journal(journal) as read:
        assert len(read) == len(targets)
        [lost] = read.entries("unknown")
        assert read.counts["delivered"] == len(targets) - 1, first.output
    assert lost.error is not None
    assert "it may have died" in lost.error
    assert str(lost.request_id) in first.output

    second = cluster.start_coordinator(
        "second", cluster.token_environment(**timeouts), *command, "--resend-unknown"
    )
    assert second.wait() == 0, second.output
    delivered = cluster.delivery_counts()
    assert {target.request_id for target in targets} == set(delivered)
    # The event of the killed worker had been delivered. No other event was sent twice.
    assert {event for event, count in delivered.items() if count > 1} == {lost.request_id}
    assert_no_secret(cluster, targets)


def assert_no_secret(cluster: Cluster, targets: list[Target]) -> None:
    cluster.redis.stop()
    written = cluster.redis.written
    # The log is complete: each event is in a message and in a reply.
    assert all(written.count(str(target.request_id).encode()) >= 2 for target in targets)
    for secret in (cluster.token, CLIENT_SECRET, SIGNING_SECRET, "Bearer"):
        assert secret.encode() not in written


def test_a_recovery_can_be_stopped_and_resumed(cluster: Cluster) -> None:
    # The list reaches back beyond the window, so that nothing can be missing.
    (earlier,) = cluster.sandbox.publish("application_form:quoted", {"number": 0})
    targets = cluster.publish_missed(6)
    first_event = cluster.sandbox.attempts[1].enqueued_at
    # The service truncates its timestamps to milliseconds.
    since = first_event.replace(microsecond=first_event.microsecond // 1000 * 1000)
    wait_until_ready(cluster.start_worker("worker", cluster.environment()))
    cluster.subscriber.block_after(2)
    journal = cluster.folder / "outage.sqlite"
    command = (
        *("recover", str(cluster.hook_id), f"--since={since.isoformat()}"),
        *(f"--journal={journal}", "--concurrency=1"),
    )
    first = cluster.start_coordinator("first", cluster.environment(), *command)
    cluster.subscriber.wait_blocked(1)
    first.terminate()
    # It waits for the request in flight, and starts no other.
    wait_until("the coordinator is stopping", lambda: "stopping" in first.output)
    cluster.subscriber.unblock()
    assert first.wait() == 1, first.output
    with Journal(journal) as read:
        assert (read.counts["delivered"], read.counts["planned"]) == (3, 3)
    second = cluster.start_coordinator("second", cluster.environment(), *command)
    assert second.wait() == 0, second.output
    expected = {earlier.event_id, *(target.request_id for target in targets)}
    assert cluster.delivery_counts() == dict.fromkeys(expected, 1)


def test_when_redis_is_killed_the_request_in_flight_is_unknown(cluster: Cluster) -> None:
    targets = cluster.publish_missed(3)
    worker = cluster.start_worker("worker", cluster.environment())
    wait_until_ready(worker)
    cluster.subscriber.block_after(1)
    events = cluster.folder / "events.csv"
    events.write_text(
        "".join(f"{target.hook_id},{target.request_id}\n" for target in targets), "utf-8"
    )
    journal = cluster.folder / "outage.sqlite"
    running = cluster.start_coordinator(
        *("run", cluster.environment(), "redeliver", str(events)),
        *(f"--journal={journal}", "--concurrency=1"),
    )
    cluster.subscriber.wait_blocked(1)
    cluster.redis.kill()
    # The worker would wait for Redis to come back.
    worker.kill()
    assert running.wait() == 1, running.output
    assert "Nothing was sent. Check REPLAY_REDIS_URL." in running.output
    with Journal(journal) as read:
        assert [entry.request_id for entry in read.entries("delivered")] == [targets[0].request_id]
        [lost] = read.entries("unknown")
        assert lost.request_id == targets[1].request_id
        assert "The connection to Redis was lost" in str(lost.error)
        # Requests that were not sent do not count as attempts.
        assert all(entry.attempts == 0 for entry in read if entry.status is None)


class CoordinatorHarness:
    """The coordinator's side of the example, in this process."""

    def __init__(
        self, cluster: Cluster, stack: ExitStack, *, base_url: str | None = None, queue: float = 30
    ) -> None:
        self.settings = Settings(
            redis_url=cluster.redis.url, queue_seconds=queue, reply_seconds=600
        )
        self.app: Celery = stack.enter_context(closing(make_app(self.settings)))
        self.task_store = stack.enter_context(closing(TaskStore(self.settings)))
        self.base_url = base_url or cluster.client.base_url
        self.send = WorkerSender(self.app, self.task_store, self.settings, base_url=self.base_url)

    def publish(self, task_id: str, target: Target) -> None:
        self.app.send_task(
            TASK,
            (str(target.hook_id), str(target.request_id), self.base_url),
            task_id=task_id,
            queue=self.settings.queue,
            ignore_result=True,
        )


@pytest.fixture
def coordinator(cluster: Cluster) -> Iterator[CoordinatorHarness]:
    with ExitStack() as stack:
        yield CoordinatorHarness(cluster, stack)


def test_a_worker_sends_one_request_per_permit(
    cluster: Cluster, coordinator: CoordinatorHarness
) -> None:
    wait_until_ready(cluster.start_worker("worker", cluster.environment()))
    good, twice, forbidden, last = cluster.publish_missed(4)

    event = coordinator.send(good)
    assert isinstance(event, WebhookEvent)
    assert (event.id, event.redelivery, event.response_status) == (good.request_id, True, 200)

    with pytest.raises(NotFoundError) as raised:
        coordinator.send(Target(cluster.hook_id, UUID(int=7)))
    assert (raised.value.status, raised.value.request_id) == (404, UUID(int=7))

    with ExitStack() as stack:
        elsewhere = CoordinatorHarness(cluster, stack, base_url="https://elsewhere.example")
        with pytest.raises(ConfigurationError, match="configure both for the same environment"):
            elsewhere.send(good)

    # A message that is delivered twice, and one without a permit.
    task_id = str(uuid4())
    coordinator.task_store.grant_permit(task_id)
    coordinator.publish(task_id, twice)
    coordinator.publish(task_id, twice)
    coordinator.publish(str(uuid4()), forbidden)
    # The only worker handles messages in order: when this one is done, so are the others.
    assert coordinator.send(last).delivered
    assert [cluster.redelivery_count(event) for event in (good, twice, forbidden, last)] == [
        1,
        1,
        0,
        1,
    ]


def test_a_task_that_no_worker_takes_is_withdrawn(
    cluster: Cluster, coordinator: CoordinatorHarness
) -> None:
    wait_until_ready(cluster.start_worker("worker", cluster.environment()))
    blocked, late, last = cluster.publish_missed(3)
    cluster.subscriber.block_after(0)
    with ExitStack() as stack:
        impatient = CoordinatorHarness(cluster, stack, queue=0.2)
        results = send_in_background(coordinator, blocked)
        cluster.subscriber.wait_blocked(1)
        with pytest.raises(APIConnectionError, match="start more workers") as raised:
            impatient.send(late)
    assert not raised.value.outcome_unknown
    cluster.subscriber.unblock()
    assert isinstance(results.get(timeout=60), WebhookEvent)
    assert coordinator.send(last).delivered
    assert cluster.redelivery_count(late) == 0


def test_the_death_of_a_pool_process_is_reported_at_once(
    cluster: Cluster, coordinator: CoordinatorHarness
) -> None:
    wait_until_ready(cluster.start_worker("worker", cluster.environment()))
    lost, last = cluster.publish_missed(2)
    cluster.subscriber.block_after(0)
    results = send_in_background(coordinator, lost)
    cluster.subscriber.wait_blocked(1)
    stats = coordinator.app.control.inspect(["worker@test"]).stats()
    assert stats is not None
    [child] = stats["worker@test"]["pool"]["processes"]
    os.kill(child, signal.SIGKILL)
    # Well before the ten minutes that a worker may take.
    error = results.get(timeout=60)
    assert isinstance(error, APIConnectionError)
    assert error.outcome_unknown
    assert "WorkerLostError" in str(error)
    cluster.subscriber.unblock()
    assert coordinator.send(last).delivered


def send_in_background(
    coordinator: CoordinatorHarness, target: Target
) -> SimpleQueue[WebhookEvent | Exception]:
    results: SimpleQueue[WebhookEvent | Exception] = SimpleQueue()

    def send() -> None:
        try:
            results.put(coordinator.send(target))
        except Exception as error:  # noqa: BLE001 - checked by the test
            results.put(error)

    Thread(target=send, daemon=True).start()
    return results


class PickleBomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._file,)


def test_a_worker_does_not_unpickle(
    cluster: Cluster, coordinator: CoordinatorHarness, tmp_path: Path
) -> None:
    control, exploded = tmp_path / "control", tmp_path / "exploded"
    pickle.loads(pickle.dumps(PickleBomb(control)))  # noqa: S301 - proves that the bomb works
    assert control.exists()
    running = cluster.start_worker("worker", cluster.environment())
    wait_until_ready(running)
    [target] = cluster.publish_missed(1)
    coordinator.app.send_task(
        TASK,
        (str(target.hook_id), str(target.request_id), coordinator.base_url),
        kwargs={"bomb": PickleBomb(exploded)},
        task_id=str(uuid4()),
        queue=coordinator.settings.queue,
        ignore_result=True,
        serializer="pickle",
    )
    assert coordinator.send(target).delivered
    assert not exploded.exists()
    assert "pickle" in running.output


def test_a_worker_without_settings_exits(cluster: Cluster) -> None:
    started = cluster.start_worker("worker", {"REPLAY_REDIS_URL": cluster.redis.url})
    assert started.wait() != 0
    assert "WEBHOOKS_" in started.output


def test_without_redis_nothing_is_sent(cluster: Cluster, coordinator: CoordinatorHarness) -> None:
    [target] = cluster.publish_missed(1)
    cluster.redis.stop()
    with pytest.raises(ConfigurationError, match=r"Redis cannot be reached: .* Nothing was sent"):
        coordinator.send(target)
