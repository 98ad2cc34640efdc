"""Code that a client runs and that uses the same client: an immediate error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import httpx
import pytest
from attrs import evolve
from support.fault_server import FaultServer, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, REQUEST_ID, token

from webhooks_sdk import (
    APIConnectionError,
    AsyncClient,
    AuthenticationError,
    Client,
    ClientCredentials,
    ConfigurationError,
)
from webhooks_sdk._transport.provider_calls import provider_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.harness import Backend, ClientHarness

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")


def credentials_for(server: FaultServer) -> dict[str, Any]:
    return {"auth": CREDENTIALS, "base_url": server.url, "token_url": f"{server.url}/token"}


def token_requests(server: FaultServer) -> int:
    return len(server.received("POST", "/token"))


# While an access token is requested


@pytest.mark.parametrize("used", ["client", "view"])
def test_on_retry_must_not_use_the_client_while_a_token_is_requested(
    used: str, server: FaultServer
) -> None:
    server.add(respond(503))

    def use_client(_: object) -> None:
        (client if used == "client" else client.with_options(timeout=9)).hooks.list()

    client = Client(**credentials_for(server), retry=FAST, on_retry=use_client)
    with client, pytest.raises(ConfigurationError, match="on_retry"):
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert len(server.requests) == token_requests(server) == 1


def test_the_client_is_usable_after_on_retry_used_it(server: FaultServer) -> None:
    server.add(respond(503))
    problems: list[ConfigurationError] = []

    def use_client(_: object) -> None:
        with pytest.raises(ConfigurationError) as caught:
            client.hooks.list()
        problems.append(caught.value)

    with Client(**credentials_for(server), retry=FAST, on_retry=use_client) as client:
        assert client.hooks.list()
        assert client.hooks.list()
    assert len(problems) == 1
    assert token_requests(server) == 2


def test_on_retry_may_use_the_client_when_no_token_is_requested(server: FaultServer) -> None:
    results: list[object] = []
    with Client(
        **credentials_for(server),
        retry=FAST,
        on_retry=lambda _: results.append(client.hooks.get(HOOK_ID).id),
    ) as client:
        client.hooks.list()
        server.add(respond(503))
        client.hooks.list()
    assert results == [HOOK_ID]


def test_other_threads_wait_for_the_token_while_on_retry_runs(server: FaultServer) -> None:
    server.add(respond(503))
    with ThreadPoolExecutor(1) as pool:
        calls: list[Any] = []
        with Client(
            **credentials_for(server),
            retry=FAST,
            on_retry=lambda _: calls.append(pool.submit(client.hooks.list)),
        ) as client:
            client.hooks.list()
            assert calls[0].result(30)
    assert token_requests(server) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_started_by_on_retry_waits_for_the_token(
    backend: Backend, server: FaultServer
) -> None:
    server.add(respond(503))

    async def main() -> None:
        async with (
            AsyncClient(
                **credentials_for(server),
                retry=FAST,
                on_retry=lambda _: group.start_soon(client.hooks.list),
            ) as client,
            anyio.create_task_group() as group,
        ):
            await client.hooks.redeliver(HOOK_ID, REQUEST_ID)

    anyio.run(main, backend=backend)
    assert token_requests(server) == 2
    assert len(server.received("GET", "/hooks")) == 1


def test_an_event_hook_must_not_use_the_client_while_a_token_is_requested(
    harness: ClientHarness, server: FaultServer
) -> None:
    clients: list[Any] = []

    def use_client(request: httpx.Request) -> None:
        if request.url.path == "/token":
            clients[0].hooks.list()

    async def use_async_client(request: httpx.Request) -> None:
        if request.url.path == "/token":
            await clients[0].hooks.list()

    hook: Any = use_client if harness.name == "sync" else use_async_client
    http_client = harness.http_client(event_hooks={"request": [hook]})
    client = harness.client_class(**credentials_for(server), retry=FAST, http_client=http_client)
    clients.append(client)
    with pytest.raises(APIConnectionError, match="client was used by code that it runs") as caught:
        harness.run(client.hooks.list)
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert server.requests == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("deadline", [120.0, None])
def test_an_event_hook_must_not_wait_for_a_task_that_uses_the_client_during_a_token_request(
    backend: Backend, deadline: float | None, server: FaultServer
) -> None:
    async def use_client(request: httpx.Request) -> None:
        if request.url.path == "/token":
            async with anyio.create_task_group() as group:
                group.start_soon(client.hooks.list)

    client = AsyncClient(
        **credentials_for(server),
        retry=evolve(FAST, deadline=deadline),
        http_client=httpx.AsyncClient(event_hooks={"request": [use_client]}),
    )

    async def main() -> None:
        with anyio.fail_after(30):
            await client.hooks.list()

    with pytest.raises(APIConnectionError, match="event hook") as caught:
        anyio.run(main, backend=backend)
    group = cast("ExceptionGroup[Exception]", caught.value.__cause__)
    assert [type(problem) for problem in group.exceptions] == [ConfigurationError]
    assert server.requests == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_that_outlives_a_token_request_may_use_the_client(
    backend: Backend, server: FaultServer
) -> None:
    results: list[object] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            listed = anyio.Event()

            async def use_later() -> None:
                await listed.wait()
                # The first token has expired, so this requests another one.
                results.append(await client.hooks.list())

            async def start_task(request: httpx.Request) -> None:
                if request.url.path == "/token":
                    group.start_soon(use_later)

            server.add(respond(200, token(expires_in=0)))
            async with (
                httpx.AsyncClient(event_hooks={"request": [start_task]}) as http_client,
                AsyncClient(**credentials_for(server), http_client=http_client) as client,
            ):
                await client.hooks.list()
                http_client.event_hooks = {}
                listed.set()
                with anyio.fail_after(30):
                    while not results:
                        await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
    assert token_requests(server) == 2


# In the auth callable


def auth_that_uses(harness: ClientHarness, find_client: Callable[[], Any]) -> Any:
    """Return an auth callable for this kind of client that uses another one of this kind."""
    if harness.name == "sync":

        def provide() -> str:
            find_client().hooks.list()
            return "token"

        return provide

    async def provide_async() -> str:
        await find_client().hooks.list()
        return "token"

    return provide_async


@pytest.mark.parametrize("used", ["client", "view"])
def test_the_auth_callable_must_not_use_the_client(
    harness: ClientHarness, used: str, server: FaultServer
) -> None:
    clients: dict[str, Any] = {}
    client = harness.client_class(
        auth_that_uses(harness, lambda: clients[used]), base_url=server.url
    )
    clients |= {"client": client, "view": client.with_options(timeout=9)}
    with pytest.raises(AuthenticationError, match="own auth callable") as caught:
        harness.run(client.hooks.list)
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert server.requests == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_auth_callable_must_not_use_the_client_in_a_task_that_it_awaits(
    backend: Backend, server: FaultServer
) -> None:
    async def provide() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(client.hooks.list)
        return "token"

    client = AsyncClient(provide, base_url=server.url)
    with pytest.raises(AuthenticationError) as caught:
        anyio.run(client.hooks.list, backend=backend)
    group = cast("ExceptionGroup[Exception]", caught.value.__cause__)
    assert [type(problem) for problem in group.exceptions] == [ConfigurationError]
    assert server.requests == []


def test_the_auth_callable_may_use_another_client(
    harness: ClientHarness, server: FaultServer, token_server: FaultServer
) -> None:
    other = harness.client_class("token", base_url=token_server.url)
    client = harness.client_class(auth_that_uses(harness, lambda: other), base_url=server.url)
    assert harness.run(client.hooks.list)
    assert harness.run(client.hooks.list)
    for opened in (client, other):
        harness.run(opened.close if isinstance(opened, Client) else opened.aclose)
    assert len(server.requests) == len(token_server.requests) == 2


def test_two_clients_must_not_use_each_other_in_their_auth_callables(
    harness: ClientHarness, server: FaultServer
) -> None:
    clients: list[Any] = []
    clients += [
        harness.client_class(auth_that_uses(harness, lambda: clients[1]), base_url=server.url),
        harness.client_class(auth_that_uses(harness, lambda: clients[0]), base_url=server.url),
    ]
    with pytest.raises(AuthenticationError):
        harness.run(clients[0].hooks.list)
    assert server.requests == []


def test_threads_call_the_auth_callable_at_the_same_time(server: FaultServer) -> None:
    barrier = threading.Barrier(2)

    def provide() -> str:
        barrier.wait(30)
        return "token"

    with Client(provide, base_url=server.url) as client, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(client.hooks.list) for _ in range(2)]
        assert all(call.result(30) for call in calls)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_that_outlives_the_auth_callable_may_use_the_client(
    backend: Backend, server: FaultServer
) -> None:
    results: list[object] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            provided = anyio.Event()

            async def use_later() -> None:
                await provided.wait()
                results.append(await client.hooks.list())

            def provide() -> str:
                if not provided.is_set():
                    group.start_soon(use_later)
                return "token"

            async with AsyncClient(provide, base_url=server.url) as client:
                await client.hooks.list()
                provided.set()
                with anyio.fail_after(30):
                    while not results:
                        await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
    assert len(server.requests) == 2


def test_a_call_of_auth_may_end_in_another_context() -> None:
    # A coroutine that is garbage collected or closed by another task ends in that context.
    owner = object()
    block = provider_call(owner)
    copy_context().run(block.__enter__)
    copy_context().run(block.__exit__, None, None, None)
    entered = False
    with provider_call(owner):
        entered = True
    assert entered
