"""Closing a client while calls are in flight: waiting calls send nothing more."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from attrs import evolve
from support import fault_server as fs
from support.fault_server import FaultServer, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, REQUEST_ID
from support.threads import wait_for_threads_in

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    AsyncClient,
    Client,
    ClientClosedError,
    ClientCredentials,
    ReplayStoppedError,
    RetryPolicy,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from support.harness import Backend, ClientHarness

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")
RESEND_UNKNOWN = evolve(FAST, resend_unknown=True)
# Long enough for a task started before the wait to run.
RETRY_IN_A_SECOND = [("Retry-After", "1")]


@pytest.mark.parametrize(
    ("fault", "unknown"), [(respond(429), False), (respond(500), True)], ids=["429", "500"]
)
def test_a_waiting_call_sends_nothing_after_close(
    fault: fs.Behaviour, unknown: bool, server: FaultServer
) -> None:
    server.add(fault)
    client = Client(
        "token", base_url=server.url, retry=RESEND_UNKNOWN, on_retry=lambda _: client.close()
    )
    with pytest.raises(APIConnectionError, match="the client was closed") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown is unknown
    assert caught.value.attempts == 1
    assert len(server.requests) == server.connections == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("status", "unknown"), [(429, False), (500, True)])
def test_a_waiting_task_sends_nothing_after_aclose(
    backend: Backend, status: int, unknown: bool, server: FaultServer
) -> None:
    server.add(respond(status, headers=RETRY_IN_A_SECOND))

    errors: list[APIConnectionError] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            client = AsyncClient(
                "token",
                base_url=server.url,
                retry=RESEND_UNKNOWN,
                on_retry=lambda _: group.start_soon(client.aclose),
            )
            with pytest.raises(APIConnectionError, match="the client was closed") as caught:
                await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
            errors.append(caught.value)

    anyio.run(main, backend=backend)
    (error,) = errors
    assert error.outcome_unknown is unknown
    assert error.attempts == 1
    assert len(server.requests) == server.connections == 1


def test_a_client_closed_by_its_token_provider_sends_nothing(server: FaultServer) -> None:
    def provide() -> str:
        client.close()
        return "token"

    client = Client(provide, base_url=server.url, retry=FAST)
    with pytest.raises(APIConnectionError, match="the client was closed") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown
    assert caught.value.attempts == server.connections == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_async_client_closed_by_its_token_provider_sends_nothing(
    backend: Backend, server: FaultServer
) -> None:
    async def main() -> APIConnectionError:
        async def provide() -> str:
            await client.aclose()
            return "token"

        client = AsyncClient(provide, base_url=server.url, retry=FAST)
        with pytest.raises(APIConnectionError, match="the client was closed") as caught:
            await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
        return caught.value

    error = anyio.run(main, backend=backend)
    assert not error.outcome_unknown
    assert error.attempts == server.connections == 0


def test_a_waiting_token_request_sends_nothing_after_close(server: FaultServer) -> None:
    server.add(respond(503))
    client = Client(
        CREDENTIALS,
        base_url=server.url,
        token_url=f"{server.url}/token",
        retry=FAST,
        on_retry=lambda _: client.close(),
    )
    with pytest.raises(APIConnectionError, match=r"no access token.*the client was closed"):
        client.hooks.list()
    assert len(server.requests) == server.connections == 1


@pytest.mark.parametrize("concurrency", [1, 200], ids=["shared connections", "extra connections"])
def test_a_replay_sends_nothing_after_close(
    concurrency: int, harness: ClientHarness, server: FaultServer
) -> None:
    client: Any = harness.client_class("token", base_url=server.url)

    def replay() -> None:
        with client.hooks.redeliver_many([(HOOK_ID, REQUEST_ID)], concurrency=concurrency) as run:
            client.close()
            run.run()

    async def replay_async() -> None:
        run = client.hooks.redeliver_many([(HOOK_ID, REQUEST_ID)], concurrency=concurrency)
        async with run:
            await client.aclose()
            await run.run()

    with pytest.raises(ReplayStoppedError, match="The client is closed"):
        harness.run(replay if isinstance(client, Client) else replay_async)
    assert server.requests == []


def test_close_fails_calls_waiting_for_a_connection_and_lets_active_ones_finish(
    server: FaultServer,
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, fs.default_response()))
    client = Client("token", base_url=server.url, max_connections=1, retry=RESEND_UNKNOWN)
    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(client.hooks.list)
        assert arrived.wait(30)
        waiting: Future[object] = pool.submit(client.hooks.redeliver, HOOK_ID, REQUEST_ID)
        wait_for_threads_in("_wait_for_slot", "sync_pool.py")
        client.close()
        error = waiting.exception(30)
        release.set()
        assert holding.result(30)
    assert isinstance(error, APIConnectionError)
    assert "the client was closed" in str(error)
    assert not error.outcome_unknown
    assert len(server.requests) == 1
    server.wait_for_open_connections(0)


# Custom HTTP clients


def test_a_closed_http_client_raises_client_closed_error(
    harness: ClientHarness, server: FaultServer
) -> None:
    http_client = harness.http_client()
    client = harness.client("token", base_url=server.url, http_client=http_client, retry=FAST)
    client.hooks.list()
    harness.run(http_client.close if harness.name == "sync" else http_client.aclose)
    with pytest.raises(ClientClosedError, match="http_client is closed") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not isinstance(caught.value, APIError)
    assert len(server.requests) == 1


def test_an_http_client_closed_during_a_wait_keeps_outcome_unknown(server: FaultServer) -> None:
    server.add(respond(500))
    http_client = httpx.Client()
    policy = RetryPolicy(initial_backoff=0.001, max_backoff=0.002, resend_unknown=True)
    with (
        Client(
            "token",
            base_url=server.url,
            http_client=http_client,
            retry=policy,
            on_retry=lambda _: http_client.close(),
        ) as client,
        pytest.raises(APIConnectionError, match="closed") as caught,
    ):
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert len(server.requests) == 1
