"""The example of replay with Celery: a real Redis, real workers, and one of them killed."""

from __future__ import annotations

import os
import pickle
import signal
from collections import Counter
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from celery_replay.app import TASK, make_app
from celery_replay.exchange import Exchange
from celery_replay.sender import WorkerSender
from celery_replay.settings import Settings
from support.celery_cluster import (
    Gate,
    Process,
    RedisServer,
    coordinator,
    wait_ready,
    wait_until,
    worker,
)

from webhooks_sdk import Client, ClientCredentials, WebhookEvent
from webhooks_sdk.errors import APIConnectionError, ConfigurationError, NotFoundError
from webhooks_sdk.replay import Journal, Target
from webhooks_sdk.sandbox import Sandbox, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

CLIENT_SECRET = "a-client-secret-that-nobody-else-may-see"
SIGNING_SECRET = "a-signing-secret-that-nobody-else-may-see"


class Cluster:
    """Redis, the service, a subscriber, and workers that are started as they are needed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.redis = stack.enter_context(RedisServer(folder))
        # So few are listed that what was lost cannot be looked up later.
        self.sandbox = stack.enter_context(
            Sandbox(client_secret=CLIENT_SECRET, variants=Variants(listed=10))
        )
        self.gate = stack.enter_context(Gate())
        self.token = self.sandbox.issue_token()
        credentials = ClientCredentials(self.sandbox.client_id, CLIENT_SECRET)
        self.client = stack.enter_context(
            Client(credentials, base_url=self.sandbox.base_url, token_url=self.sandbox.token_url)
        )
        self.hook_id = self.client.hooks.create(
            url=self.gate.url, events=["*"], active=True, secret=SIGNING_SECRET
        ).id

    def variables(self, **more: str) -> dict[str, str]:
        return {
            "REPLAY_REDIS_URL": self.redis.url,
            "WEBHOOKS_BASE_URL": self.sandbox.base_url,
            "WEBHOOKS_TOKEN_URL": self.sandbox.token_url,
            "WEBHOOKS_CLIENT_ID": self.sandbox.client_id,
            "WEBHOOKS_CLIENT_SECRET": CLIENT_SECRET,
            **more,
        }

    def with_token(self, **more: str) -> dict[str, str]:
        variables = self.variables(WEBHOOKS_ACCESS_TOKEN=self.token, **more)
        for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"):
            del variables[f"WEBHOOKS_{name}"]
        return variables

    def work(self, name: str, variables: dict[str, str]) -> Process:
        return self._stack.enter_context(worker(name, self.folder / f"{name}.log", variables))

    def coordinate(self, name: str, variables: dict[str, str], *arguments: str) -> Process:
        return self._stack.enter_context(
            coordinator(self.folder / f"{name}.log", variables, *arguments)
        )

    def miss(self, number: int) -> list[Target]:
        """Let some events happen, which the subscriber does not take."""
        self.gate.status = 500
        missed = [
            self.sandbox.publish("application_form:quoted", {"number": one})[0]
            for one in range(number)
        ]
        self.gate.status = 200
        return [Target(self.hook_id, attempt.event_id) for attempt in missed]

    def redelivered(self, target: Target) -> int:
        """How many times an event was sent again."""
        return sum(
            attempt.redelivery and attempt.event_id == target.request_id
            for attempt in self.sandbox.attempts
        )

    def delivered(self) -> Counter[UUID]:
        """How many times each event was delivered, as the service saw it."""
        return Counter(one.event_id for one in self.sandbox.attempts if one.delivered)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def test_a_worker_is_killed_and_nothing_is_lost(cluster: Cluster) -> None:
    times = {"REPLAY_QUEUE_SECONDS": "5", "REPLAY_ANSWER_SECONDS": "5"}
    targets = cluster.miss(40)
    cluster.gate.close_after(10)
    victim = cluster.work("victim", cluster.variables(**times))
    other = cluster.work("other", cluster.with_token(**times))
    wait_ready(victim, other)
    events = cluster.folder / "events.csv"
    events.write_text("".join(f"{one.hook_id},{one.request_id}\n" for one in targets), "utf-8")
    journal = cluster.folder / "outage.sqlite"
    command = ("redeliver", str(events), f"--journal={journal}", "--concurrency=2")

    first = cluster.coordinate("first", cluster.with_token(**times), *command)
    cluster.gate.wait_held(2)
    victim.kill()
    cluster.gate.open()
    assert first.wait() == 1, first.said

    with Journal(journal) as read:
        assert len(read) == len(targets)
        [lost] = read.entries("unknown")
        assert read.counts["delivered"] == len(targets) - 1, first.said
    assert lost.error is not None
    assert "it may have died" in lost.error
    assert str(lost.request_id) in first.said

    second = cluster.coordinate("second", cluster.with_token(**times), *command, "--resend-unknown")
    assert second.wait() == 0, second.said
    delivered = cluster.delivered()
    assert {target.request_id for target in targets} == set(delivered)
    # The victim's event had been delivered when it died: the journal named it, and no other.
    assert {one for one, times in delivered.items() if times > 1} == {lost.request_id}
    assert_no_secret(cluster, targets)


def assert_no_secret(cluster: Cluster, targets: list[Target]) -> None:
    cluster.redis.stop()
    written = cluster.redis.written
    # All of it is there: each event was in a message, and in a reply.
    assert all(written.count(str(one.request_id).encode()) >= 2 for one in targets)
    for secret in (cluster.token, CLIENT_SECRET, SIGNING_SECRET, "Bearer"):
        assert secret.encode() not in written


def test_a_recovery_is_stopped_and_resumed(cluster: Cluster) -> None:
    # Timestamps of the service are cut to milliseconds.
    began = cluster.sandbox.now - timedelta(seconds=1)
    targets = cluster.miss(6)
    wait_ready(cluster.work("worker", cluster.variables()))
    cluster.gate.close_after(2)
    journal = cluster.folder / "outage.sqlite"
    command = (
        *("recover", str(cluster.hook_id), f"--since={began.isoformat()}"),
        *(f"--journal={journal}", "--concurrency=1"),
    )
    first = cluster.coordinate("first", cluster.variables(), *command)
    cluster.gate.wait_held(1)
    first.terminate()
    # It waits for what is under way, and begins nothing more.
    wait_until("it heard the signal", lambda: "stopping" in first.said)
    cluster.gate.open()
    assert first.wait() == 1, first.said
    with Journal(journal) as read:
        assert (read.counts["delivered"], read.counts["planned"]) == (3, 3)
    second = cluster.coordinate("second", cluster.variables(), *command)
    assert second.wait() == 0, second.said
    assert cluster.delivered() == {target.request_id: 1 for target in targets}


def test_redis_is_killed_and_the_journal_says_what_was_under_way(cluster: Cluster) -> None:
    targets = cluster.miss(3)
    working = cluster.work("worker", cluster.variables())
    wait_ready(working)
    cluster.gate.close_after(1)
    events = cluster.folder / "events.csv"
    events.write_text("".join(f"{one.hook_id},{one.request_id}\n" for one in targets), "utf-8")
    journal = cluster.folder / "outage.sqlite"
    running = cluster.coordinate(
        *("run", cluster.variables(), "redeliver", str(events)),
        *(f"--journal={journal}", "--concurrency=1"),
    )
    cluster.gate.wait_held(1)
    cluster.redis.kill()
    # It would wait for Redis to come back.
    working.kill()
    assert running.wait() == 1, running.said
    assert "Redis cannot be reached, nothing was sent" in running.said
    with Journal(journal) as read:
        assert [entry.request_id for entry in read.entries("delivered")] == [targets[0].request_id]
        [lost] = read.entries("unknown")
        assert lost.request_id == targets[1].request_id
        assert "Redis was lost" in str(lost.error)
        # It was put off, and counts as no attempt.
        assert all(entry.attempts == 0 for entry in read if entry.status is None)


class Desk:
    """A coordinator's end in this process."""

    def __init__(
        self, cluster: Cluster, stack: ExitStack, *, base_url: str | None = None, queue: float = 30
    ) -> None:
        self.settings = Settings(
            redis_url=cluster.redis.url, queue_seconds=queue, answer_seconds=600
        )
        self.app: Celery = stack.enter_context(closing(make_app(self.settings)))
        self.exchange = stack.enter_context(closing(Exchange(self.settings)))
        self.base_url = base_url or cluster.client.base_url
        self.send = WorkerSender(self.app, self.exchange, self.settings, base_url=self.base_url)

    def publish(self, task_id: str, target: Target) -> None:
        self.app.send_task(
            TASK,
            (str(target.hook_id), str(target.request_id), self.base_url),
            task_id=task_id,
            queue=self.settings.queue,
            ignore_result=True,
        )


@pytest.fixture
def desk(cluster: Cluster) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(cluster, stack)


def test_a_worker_sends_what_was_permitted_and_as_often(cluster: Cluster, desk: Desk) -> None:
    wait_ready(cluster.work("worker", cluster.variables()))
    good, twice, forbidden, last = cluster.miss(4)

    event = desk.send(good)
    assert isinstance(event, WebhookEvent)
    assert (event.id, event.redelivery, event.response_status) == (good.request_id, True, 200)

    with pytest.raises(NotFoundError) as raised:
        desk.send(Target(cluster.hook_id, UUID(int=7)))
    assert (raised.value.status, raised.value.request_id) == (404, UUID(int=7))

    with ExitStack() as stack:
        elsewhere = Desk(cluster, stack, base_url="https://elsewhere.example")
        with pytest.raises(ConfigurationError, match="give both the same environment"):
            elsewhere.send(good)

    # A message that comes twice, and one whose permit was taken back.
    task_id = str(uuid4())
    desk.exchange.grant(task_id)
    desk.publish(task_id, twice)
    desk.publish(task_id, twice)
    desk.publish(str(uuid4()), forbidden)
    # One worker takes the messages in their order: when this one is done, the others are.
    assert desk.send(last).delivered
    assert [cluster.redelivered(one) for one in (good, twice, forbidden, last)] == [1, 1, 0, 1]


def test_a_task_that_no_worker_takes_is_withdrawn(cluster: Cluster, desk: Desk) -> None:
    wait_ready(cluster.work("worker", cluster.variables()))
    held, late, last = cluster.miss(3)
    cluster.gate.close_after(0)
    with ExitStack() as stack:
        hasty = Desk(cluster, stack, queue=0.2)
        ended = in_background(desk, held)
        cluster.gate.wait_held(1)
        with pytest.raises(APIConnectionError, match="start more workers") as raised:
            hasty.send(late)
    assert not raised.value.outcome_unknown
    cluster.gate.open()
    assert isinstance(ended.get(timeout=60), WebhookEvent)
    assert desk.send(last).delivered
    assert cluster.redelivered(late) == 0


def test_a_process_that_dies_is_told_of_at_once(cluster: Cluster, desk: Desk) -> None:
    wait_ready(cluster.work("worker", cluster.variables()))
    lost, last = cluster.miss(2)
    cluster.gate.close_after(0)
    ended = in_background(desk, lost)
    cluster.gate.wait_held(1)
    stats = desk.app.control.inspect(["worker@test"]).stats()
    assert stats is not None
    [child] = stats["worker@test"]["pool"]["processes"]
    os.kill(child, signal.SIGKILL)
    # Well before the ten minutes that a worker may take.
    error = ended.get(timeout=60)
    assert isinstance(error, APIConnectionError)
    assert error.outcome_unknown
    assert "WorkerLostError" in str(error)
    cluster.gate.open()
    assert desk.send(last).delivered


def in_background(desk: Desk, target: Target) -> SimpleQueue[WebhookEvent | Exception]:
    ended: SimpleQueue[WebhookEvent | Exception] = SimpleQueue()

    def send() -> None:
        try:
            ended.put(desk.send(target))
        except Exception as error:  # noqa: BLE001 - looked at by the test
            ended.put(error)

    Thread(target=send, daemon=True).start()
    return ended


class Trap:
    """What makes a file when it is read from a pickle."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._file,)


def test_a_worker_reads_no_pickle(cluster: Cluster, desk: Desk, tmp_path: Path) -> None:
    control, sprung = tmp_path / "control", tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(control)))  # noqa: S301 - what must not happen in a worker
    assert control.exists()
    running = cluster.work("worker", cluster.variables())
    wait_ready(running)
    [target] = cluster.miss(1)
    desk.app.send_task(
        TASK,
        (str(target.hook_id), str(target.request_id), desk.base_url),
        kwargs={"trap": Trap(sprung)},
        task_id=str(uuid4()),
        queue=desk.settings.queue,
        ignore_result=True,
        serializer="pickle",
    )
    assert desk.send(target).delivered
    assert not sprung.exists()
    assert "pickle" in running.said


def test_a_worker_without_settings_ends(cluster: Cluster) -> None:
    started = cluster.work("worker", {"REPLAY_REDIS_URL": cluster.redis.url})
    assert started.wait() != 0
    assert "WEBHOOKS_" in started.said


def test_without_redis_a_run_stops_with_nothing_sent(cluster: Cluster, desk: Desk) -> None:
    [target] = cluster.miss(1)
    cluster.redis.stop()
    with pytest.raises(ConfigurationError, match="Redis cannot be reached, nothing was sent"):
        desk.send(target)
