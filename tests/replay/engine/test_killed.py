"""A replay process is killed repeatedly: no event is lost, none is sent twice unless unknown.

What the sandbox delivered is compared with the journal.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import replay_child

import webhooks_sdk
from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.replay import Journal
from webhooks_sdk.sandbox import Fault, Sandbox, Subscriber, Variants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from webhooks_sdk.sandbox import Tenant

CONCURRENCY = 16


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


class Outage:
    """Events that a subscriber missed, and the runs that replay them."""

    def __init__(self, sandbox: Tenant, subscriber: Subscriber, folder: Path, events: int) -> None:
        self.sandbox = sandbox
        self.journal = folder / "outage.sqlite"
        self.ever_unknown: set[UUID] = set()
        self.killed = 0
        self._file = folder / "targets"
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            self.hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
        subscriber.stop()
        missed = [sandbox.publish("application_form:quoted", {"n": n}) for n in range(events)]
        subscriber.start()
        self.events = [attempt.event_id for (attempt,) in missed]
        lines = (f"{self.hook.id} {event_id}\n" for event_id in self.events)
        self._file.write_text("".join(lines), encoding="utf-8")

    def run(self, *, kill_after: int | None = None, **options: Any) -> int:
        """Run a process, and return how many of its requests finished.

        Args:
            kill_after: Number of finished requests after which it is killed, None for never.
            **options: Options of the replay.
        """
        options = {"concurrency": CONCURRENCY, "is_async": False} | options
        command = [sys.executable, replay_child.__file__, str(self.journal), str(self._file)]
        finished = 0
        with subprocess.Popen(  # noqa: S603 - this interpreter
            [*command, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                # The child must import the package under test, wherever it is installed.
                "PYTHONPATH": str(Path(webhooks_sdk.__file__).parents[1]),
                "WEBHOOKS_BASE_URL": self.sandbox.base_url,
                "WEBHOOKS_TOKEN_URL": self.sandbox.token_url,
                "WEBHOOKS_CLIENT_ID": self.sandbox.client_id,
                "WEBHOOKS_CLIENT_SECRET": self.sandbox.client_secret,
            },
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            while finished != kill_after and process.stdout.readline():
                finished += 1
            if kill_after is not None:
                process.kill()
            errors = process.stderr.read()
        assert process.returncode in ((0,) if kill_after is None else (0, -signal.SIGKILL)), errors
        self.killed += process.returncode != 0
        self.collect_unknown()
        return finished

    def collect_unknown(self) -> None:
        with Journal(self.journal) as journal:
            entries = list(journal)
        in_flight = {entry.request_id for entry in entries if entry.in_flight}
        assert len(in_flight) <= CONCURRENCY, "more than the last run had in flight"
        unknown = {entry.request_id for entry in entries if entry.status == "unknown"}
        self.ever_unknown |= in_flight | unknown

    def check(self) -> None:
        """Compare what the sandbox delivered with what the journal recorded."""
        delivered = Counter(
            attempt.event_id for attempt in self.sandbox.attempts if attempt.delivered
        )
        assert set(delivered) == set(self.events)
        twice = {event_id for event_id, times in delivered.items() if times > 1}
        assert twice <= self.ever_unknown
        with Journal(self.journal) as journal:
            assert {entry.status for entry in journal} <= {"delivered", "accepted"}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_killed_at_thirty_random_points(
    sandbox: Sandbox, subscriber: Subscriber, tmp_path: Path, is_async: bool
) -> None:
    events, kills = (2000, 30) if is_async else (700, 10)
    outage = Outage(sandbox, subscriber, tmp_path, events)
    draw = random.Random(f"kill {is_async}")  # noqa: S311 - not a secret
    for _ in range(kills):
        outage.run(kill_after=draw.randint(1, events // kills - CONCURRENCY), is_async=is_async)
    outage.run(is_async=is_async)
    outage.run(is_async=is_async, resend_unknown=True)
    outage.check()
    assert outage.ever_unknown
    # On a slow machine, the process may end before it is killed.
    assert outage.killed >= kills - 2


def test_a_recovery_killed_at_random_points(
    sandbox: Sandbox, subscriber: Subscriber, tmp_path: Path
) -> None:
    outage = Outage(sandbox, subscriber, tmp_path, 300)
    attempts = sandbox.attempts
    window = {
        "hook_id": str(outage.hook.id),
        "since": (attempts[0].enqueued_at - timedelta(seconds=1)).isoformat(),
        "until": sandbox.now.isoformat(),
    }
    # A subscriber that refuses connections leaves attempts without a status.
    recovery: dict[str, Any] = {"recover": window, "pending_grace": 0, "rate": None}
    # The list is short, so that each redelivery pushes an older event out.
    sandbox.variants = Variants(max_listed=300)
    draw = random.Random("recover")  # noqa: S311 - not a secret
    for _ in range(5):
        outage.run(kill_after=draw.randint(1, 40), **recovery)
    assert outage.killed >= 3
    outage.run(**recovery)
    outage.run(**recovery, resend_unknown=True)
    outage.check()


FAULTS = {
    "429 storms": [
        Fault("rate_limited", operation="redeliver", times=6, retry_after=0),
        Fault("rate_limited", operation="redeliver", probability=0.02, retry_after=0),
    ],
    "resets before": [Fault("reset_before", operation="redeliver", probability=0.05)],
    "resets after": [Fault("reset_after", operation="redeliver", probability=0.05)],
    "hangs": [Fault("latency", operation="redeliver", seconds=3600, times=6)],
    "broken responses": [
        Fault("truncated", operation="redeliver", probability=0.05),
        Fault("malformed_json", operation="redeliver", probability=0.05),
        Fault("server_error", operation="redeliver", probability=0.05, processed=True),
    ],
    "no tokens": [Fault("server_error", operation="token", status=503, retry_after=1, times=2)],
}


@pytest.mark.parametrize("fault_name", FAULTS)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_killed_during_faults(
    sandbox: Sandbox, subscriber: Subscriber, tmp_path: Path, fault_name: str, is_async: bool
) -> None:
    outage = Outage(sandbox, subscriber, tmp_path, 150)
    draw = random.Random(f"{fault_name} {is_async}")  # noqa: S311 - not a secret
    sandbox.inject(*FAULTS[fault_name])
    for _ in range(3):
        outage.run(kill_after=draw.randint(1, 30), is_async=is_async)
    outage.run(is_async=is_async)
    sandbox.clear_faults()
    outage.run(is_async=is_async, max_attempts=10, resend_unknown=True)
    outage.check()


@pytest.mark.parametrize("name", Variants.names())
def test_killed_with_each_service_variant(
    sandbox: Sandbox, subscriber: Subscriber, tmp_path: Path, name: str
) -> None:
    outage = Outage(sandbox, subscriber, tmp_path, 120)
    sandbox.variants = Variants.named(name)
    draw = random.Random(name)  # noqa: S311 - not a secret
    for _ in range(2):
        outage.run(kill_after=draw.randint(1, 30), is_async=True)
    outage.run(is_async=True)
    outage.run(is_async=True, resend_unknown=True)
    # Some variants respond before the delivery has ended.
    subscriber.wait_for(len(outage.events))
    outage.check()
