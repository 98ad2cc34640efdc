"""Recovering every hour, as docs/replay.md describes it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from support.fault_server import Behaviour, held, respond, truncated
from support.samples import HOOK_ID, event

import webhooks_sdk
from webhooks_sdk import Client, ClientCredentials, ReplayStoppedError
from webhooks_sdk.sandbox import Sandbox

if TYPE_CHECKING:
    from support.fault_server import Exchange, FaultServer

    from webhooks_sdk.replay import Report

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text("utf-8")
SECTION = PAGE.partition("## Every hour, from cron\n")[2].partition("\n## ")[0]
[SNIPPET, PROGRAM] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
EVENT = "application_form:quoted"
DAY = timedelta(hours=24)


OLD, MISSED, IN_FLIGHT = (48, 200), (1, 503), (0, None)


def listed(hours_ago: float, status: int | None) -> dict[str, Any]:
    """The only attempt of an event."""
    moment = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    times = dict.fromkeys(("enqueued_at", "created_at", "updated_at"), moment)
    return event(id=str(uuid4()), response_status=status, redelivery=False) | times


@pytest.mark.parametrize(
    ("status", "attempts", "response", "printed"),
    [
        pytest.param(0, [OLD], None, "no targets", id="nothing missed"),
        pytest.param(0, [], None, "The service listed no events", id="no events"),
        pytest.param(0, [OLD, MISSED], respond(200, event()), "1 delivered", id="delivered"),
        pytest.param(0, [OLD, IN_FLIGHT], None, "1 event had an attempt in flight", id="pending"),
        pytest.param(
            1,
            [OLD, MISSED],
            respond(200, event(response_status=500)),
            "1 rejected",
            id="rejected",
        ),
        pytest.param(1, [OLD, MISSED], respond(404), "1 failed", id="failed"),
        pytest.param(1, [OLD, MISSED], respond(403), "stopped: ", id="stopped"),
        pytest.param(2, None, respond(401), "list_events: 401", id="credentials rejected"),
        pytest.param(3, [OLD, MISSED], truncated(), "1 unknown", id="unknown"),
        pytest.param(
            4, [MISSED], respond(200, event()), "earlier events may be missing", id="short list"
        ),
    ],
)
def test_the_exit_status_of_the_program(
    server: FaultServer,
    status: int,
    attempts: list[tuple[float, int | None]] | None,
    response: Behaviour | None,
    printed: str,
) -> None:
    script = [] if attempts is None else [respond(200, [listed(*attempt) for attempt in attempts])]
    script += [] if response is None else [response]
    server.add(*script)
    run = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(Path(webhooks_sdk.__file__).parents[1]),
            "WEBHOOKS_BASE_URL": server.url,
            "WEBHOOKS_ACCESS_TOKEN": "token",
            "HOOK_ID": str(HOOK_ID),
        },
    )
    assert run.returncode == status, run.stderr
    assert printed in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert len(server.requests) == len(script)


def test_overlapping_windows_lose_no_event_and_send_none_twice(server: FaultServer) -> None:
    arrived, release = threading.Event(), threading.Event()
    with (
        Sandbox() as sandbox,
        Client(
            ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.base_url,
            token_url=sandbox.token_url,
        ) as client,
    ):
        hook_id = client.hooks.create(url=f"{server.url}/in", events=["*"], active=True).id

        def run_job() -> Report:
            names: dict[str, Any] = {"client": client, "hook_id": hook_id}
            exec(compile(SNIPPET, "replay.md", "exec"), names)  # noqa: S102 - our own page
            report: Report = names["replay"].report
            return report

        server.add(respond(503), held(arrived, release, respond(503)))
        sandbox.publish(EVENT, {"name": "failed before the first run"})
        publisher = threading.Thread(
            target=sandbox.publish, args=(EVENT, {"name": "in progress at the first run"})
        )
        publisher.start()
        try:
            assert arrived.wait(30)
            first = run_job()
            end_of_first = sandbox.now
        finally:
            release.set()
            publisher.join()
        assert first.counts["delivered"] == 1
        assert first.coverage is not None
        assert first.coverage.pending == 1

        # The service's own retries during the next hour fail.
        server.add(*[respond(503)] * 100)
        sandbox.advance(timedelta(hours=1))
        server.clear_script()
        # A window that begins where the first one ended does not have the event.
        until = sandbox.now
        assert len(client.hooks.list_undelivered(hook_id, since=end_of_first, until=until)) == 0
        second = run_job()
        assert second.counts["delivered"] == 1
        assert second.coverage is not None
        assert second.coverage.pending == 0

        assert run_job().done == 0
        delivered = Counter(attempt.event_id for attempt in sandbox.attempts if attempt.delivered)
        assert delivered == Counter({attempt.event_id for attempt in sandbox.attempts})
        assert len(delivered) == 2


def test_events_that_are_always_rejected_do_not_keep_later_runs_from_the_others(
    server: FaultServer,
) -> None:
    def reject_bad(exchange: Exchange) -> bool:
        assert exchange.request is not None
        return respond(422 if b"bad" in exchange.request.body else 200).run(exchange)

    with (
        Sandbox() as sandbox,
        Client(
            ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.base_url,
            token_url=sandbox.token_url,
        ) as client,
    ):
        hook_id = client.hooks.create(url=f"{server.url}/in", events=["*"], active=True).id
        server.add(*[respond(503)] * 30)
        for number in range(30):
            sandbox.publish(EVENT, {"name": "bad" if number < 24 else "good"})
        assert len(client.hooks.list_undelivered(hook_id, since=sandbox.now - DAY)) == 30
        server.add(*[Behaviour(reject_bad)] * 500)
        for _ in range(2):
            with suppress(ReplayStoppedError):
                exec(  # noqa: S102 - our own page
                    compile(SNIPPET, "replay.md", "exec"), {"client": client, "hook_id": hook_id}
                )
        left = client.hooks.list_undelivered(hook_id, since=sandbox.now - DAY)
        assert len(left) == 24
