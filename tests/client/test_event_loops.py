"""Clients and event loops: separate transports, and no reference that keeps either alive."""

from __future__ import annotations

import asyncio
import gc
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import trio
from support import fault_server as fs
from support.fault_server import respond
from support.harness import BACKENDS
from support.samples import token

from webhooks_sdk import AsyncClient, ClientCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fault_server import FaultServer
    from support.harness import Backend


class RecordingTransport(httpx.AsyncBaseTransport):
    """A transport that records the hosts of requests and how often it is closed."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.host)
        return httpx.Response(200, json=[])

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_clients_in_one_event_loop_use_their_own_transports(backend: Backend) -> None:
    first, second = RecordingTransport(), RecordingTransport()

    async def main() -> None:
        a = AsyncClient("token", base_url="https://a.example", transport=first)
        b = AsyncClient("token", base_url="https://b.example", transport=second)
        for client in (a, b, a):
            await client.hooks.list()
        await a.aclose()
        assert (first.closed, second.closed) == (1, 0)
        await b.hooks.list()
        await b.aclose()

    anyio.run(main, backend=backend)
    assert first.hosts == ["a.example"] * 2
    assert second.hosts == ["b.example"] * 2
    assert (first.closed, second.closed) == (1, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_a_client_keeps_the_connections_of_another(
    backend: Backend, server: FaultServer
) -> None:
    async def main() -> None:
        async with AsyncClient("token-b", base_url=server.url) as b:
            async with AsyncClient("token-a", base_url=server.url) as a:
                await a.hooks.list()
                await b.hooks.list()
            await b.hooks.list()

    anyio.run(main, backend=backend)
    port_a, *ports_b = server.ports
    assert len(ports_b) == 2
    assert set(ports_b) == {ports_b[0]} != {port_a}


# References


def running_asyncio_loop() -> Any:
    return asyncio.get_running_loop()


def running_trio_loop() -> Any:
    return trio.lowlevel.current_trio_token()


RUNNING_LOOP: dict[Backend, Callable[[], Any]] = {
    "asyncio": running_asyncio_loop,
    "trio": running_trio_loop,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("used", ["connections", "a transport", "credentials"])
def test_a_client_keeps_no_event_loop_alive(
    backend: Backend, used: str, server: FaultServer
) -> None:
    options: dict[str, Any] = {"auth": "token", "base_url": server.url}
    if used == "a transport":
        options["transport"] = RecordingTransport()
    if used == "credentials":
        # Each event loop requests a token.
        server.add(*[respond(200, token("short", expires_in=0)), fs.default_response()] * 3)
        options["auth"] = ClientCredentials("an-id", "a-client-secret")
        options["token_url"] = f"{server.url}/token"
    client = AsyncClient(**options)
    loops: list[weakref.ref[Any]] = []

    async def main() -> None:
        await client.hooks.list()
        loops.append(weakref.ref(RUNNING_LOOP[backend]()))

    for _ in range(3):
        anyio.run(main, backend=backend)
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3
    assert not client.closed


def test_a_closed_client_keeps_no_manually_run_event_loop_alive(server: FaultServer) -> None:
    # Without shutdown_asyncgens, which asyncio.run would call.
    client = AsyncClient("token", base_url=server.url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.hooks.list())
    loop.run_until_complete(client.aclose())
    loop.close()
    loop_ref = weakref.ref(loop)
    del loop
    gc.collect()
    assert loop_ref() is None


def test_an_event_loop_closed_without_cleanup_is_released_by_the_next(server: FaultServer) -> None:
    server.add(*[respond(200, token("short", expires_in=0)), fs.default_response()] * 2)
    credentials = ClientCredentials("an-id", "a-client-secret")
    client = AsyncClient(credentials, base_url=server.url, token_url=f"{server.url}/token")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.hooks.list())
    loop.close()
    loop_ref = weakref.ref(loop)
    del loop
    with warnings.catch_warnings():
        # The sockets of a closed loop are closed by the garbage collector, which warns.
        warnings.simplefilter("ignore", ResourceWarning)
        anyio.run(client.hooks.list)
        gc.collect()
    assert loop_ref() is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_garbage_collected_client_closes_its_sockets(
    backend: Backend, server: FaultServer
) -> None:
    async def use_client() -> weakref.ref[AsyncClient]:
        client = AsyncClient("token", base_url=server.url)
        await client.hooks.list()
        return weakref.ref(client)

    async def main() -> None:
        client_ref = await use_client()
        gc.collect()
        assert client_ref() is None
        await anyio.to_thread.run_sync(server.wait_for_open_connections, 0)

    with warnings.catch_warnings():
        # As for any socket, Python warns about a client that is not closed.
        warnings.simplefilter("ignore", ResourceWarning)
        anyio.run(main, backend=backend)
    assert len(server.requests) == server.connections == 1
