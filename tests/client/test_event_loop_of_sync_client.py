"""The sync client in the thread of an event loop: a debug message that names `AsyncClient`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from support.harness import BACKENDS
from support.samples import HOOK_ID, REQUEST_ID

from webhooks_sdk import Client

if TYPE_CHECKING:
    from support.fault_server import FaultServer
    from support.harness import Backend


@pytest.fixture(autouse=True)
def debug_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "webhooks_sdk")


def messages(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if "AsyncClient" in record.getMessage()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_logged_once_per_client(
    backend: Backend, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Client("token", base_url=server.url), Client("token", base_url=server.url)

    async def main() -> None:
        for _ in range(2):
            first.hooks.list()
            first.with_options(timeout=9).hooks.list()
        second.hooks.list()

    with first, second:
        anyio.run(main, backend=backend)
    assert [record.levelno for record in messages(caplog)] == [logging.DEBUG] * 2


def test_a_replay_logs_it(server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        # The requests are sent in other threads, but the replay waits for them in this one.
        with client.hooks.redeliver_many([(HOOK_ID, REQUEST_ID)], concurrency=200) as replay:
            replay.run()

    with Client("token", base_url=server.url) as client:
        asyncio.run(main())
    assert len(messages(caplog)) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_not_logged_outside_the_event_loop(
    backend: Backend, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        await anyio.to_thread.run_sync(client.hooks.list)
        if backend == "asyncio":
            await asyncio.to_thread(client.hooks.list)

    with Client("token", base_url=server.url) as client:
        client.hooks.list()
        anyio.run(main, backend=backend)
    assert messages(caplog) == []
    assert len(server.requests) == (3 if backend == "asyncio" else 2)
