"""One token request for all users of a client: calls, views, and replays with extra connections."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import anyio.to_thread
from support import fault_server as fs
from support.fault_server import Behaviour, FaultServer, respond
from support.samples import HOOK_ID, token
from support.threads import wait_for_threads_in

from webhooks_sdk import AsyncClient, Client, ClientCredentials, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.harness import ClientHarness

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")
CALLS = 4
TARGETS = [(HOOK_ID, UUID(int=number)) for number in range(1, 21)]


def client_for(harness: ClientHarness, server: FaultServer, **options: Any) -> Any:
    return harness.client_class(
        CREDENTIALS,
        base_url=server.url,
        token_url=f"{server.url}/token",
        max_connections=2,
        retry=RetryPolicy.none(),
        **options,
    )


def replay_and_call_in_threads(client: Client, ready: Callable[[], None]) -> int:
    """Run a replay and `CALLS` calls at once, and return how many events were delivered.

    Args:
        client: The client.
        ready: Called when the replay and all calls have started.
    """

    def replay() -> int:
        with client.hooks.redeliver_many(TARGETS, concurrency=8) as run:
            return run.run().counts["delivered"]

    view = client.with_options(timeout=20)
    with ThreadPoolExecutor(1 + CALLS) as pool:
        delivered = pool.submit(replay)
        calls = [pool.submit((client, view)[number % 2].hooks.list) for number in range(CALLS)]
        ready()
        assert all(call.result(30) for call in calls)
        return delivered.result(30)


async def replay_and_call_in_tasks(client: AsyncClient, ready: Callable[[], None]) -> int:
    delivered: list[int] = []

    async def replay() -> None:
        async with client.hooks.redeliver_many(TARGETS, concurrency=8) as run:
            delivered.append((await run.run()).counts["delivered"])

    view = client.with_options(timeout=20)
    async with anyio.create_task_group() as group:
        group.start_soon(replay)
        for number in range(CALLS):
            group.start_soon((client, view)[number % 2].hooks.list)
        await anyio.to_thread.run_sync(ready)
    return delivered[0]


def replay_and_call(harness: ClientHarness, client: Any, ready: Callable[[], None]) -> None:
    """Run a replay with more connections than the client has, and calls, at the same time."""
    if harness.name == "sync":
        with client:
            client.hooks.list()
            assert replay_and_call_in_threads(client, ready) == len(TARGETS)
        return

    async def main() -> int:
        async with client:
            await client.hooks.list()
            return await replay_and_call_in_tasks(client, ready)

    assert harness.run(main) == len(TARGETS)


def wait_for_waiting_calls(harness: ClientHarness) -> None:
    """Wait until all but the call that requests the token wait for it."""
    if harness.name == "sync":
        wait_for_threads_in("acquire", "sync_tokens.py", CALLS)
    else:
        harness.run(anyio.wait_all_tasks_blocked)


def token_requests(server: FaultServer) -> int:
    return len(server.received("POST", "/token"))


def test_an_expired_token_is_renewed_once_for_a_replay_and_calls(
    harness: ClientHarness, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(
        respond(200, token("expired", expires_in=0)),
        fs.default_response(),
        fs.held(arrived, release, fs.default_response()),
    )

    def ready() -> None:
        assert arrived.wait(30)
        wait_for_waiting_calls(harness)
        release.set()

    replay_and_call(harness, client_for(harness, server), ready)
    assert token_requests(server) == 2
    assert server.connections > 2


def test_a_rejected_token_is_renewed_once_for_a_replay_and_calls(
    harness: ClientHarness, server: FaultServer
) -> None:
    # The requests of a replay and of its client are rejected at the same time.
    barrier = threading.Barrier(2)
    expired = threading.Event()

    def reject_expired(exchange: fs.Exchange) -> bool:
        assert exchange.request is not None
        if exchange.request.headers.get("authorization") != "Bearer token-1":
            return exchange.server.default(exchange)
        if not expired.is_set():
            return exchange.server.default(exchange)
        barrier.wait(30)
        return respond(401).run(exchange)

    server.add(*[Behaviour(reject_expired)] * 100)
    client = client_for(harness, server)

    def call_both() -> None:
        client.hooks.list()
        expired.set()
        with (
            ThreadPoolExecutor(1) as pool,
            client.hooks.redeliver_many(TARGETS[:1], concurrency=8) as run,
        ):
            call = pool.submit(client.hooks.list)
            assert run.run().counts["delivered"] == 1
            assert call.result(30)

    async def call_both_in_tasks() -> None:
        await client.hooks.list()
        expired.set()
        async with (
            anyio.create_task_group() as group,
            client.hooks.redeliver_many(TARGETS[:1], concurrency=8) as run,
        ):
            group.start_soon(client.hooks.list)
            assert (await run.run()).counts["delivered"] == 1

    harness.run(call_both if harness.name == "sync" else call_both_in_tasks)
    harness.run(client.close if harness.name == "sync" else client.aclose)
    assert token_requests(server) == 2
    sent = [r.headers["authorization"] for r in server.requests if "/hooks" in r.path]
    assert sorted(sent) == ["Bearer token-1"] * 3 + ["Bearer token-2"] * 2
