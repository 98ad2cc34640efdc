"""Connection pools, event loops, threads, processes, proxies, and the masking of secrets."""

from __future__ import annotations

import copy
import gc
import gzip
import logging
import pickle
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from support import fault_server as fs
from support.fault_server import FaultServer, respond
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, OPERATIONS, REQUEST_ID, subscription, token

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    Client,
    ClientClosedError,
    ClientCredentials,
    ConfigurationError,
    ResponseDecodeError,
    RetryPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.harness import Backend, ClientHarness

CREDENTIALS = ClientCredentials("an-id", "s3cret-of-the-client")


def credentials_for(server: FaultServer) -> dict[str, Any]:
    return {"auth": CREDENTIALS, "base_url": server.url, "token_url": f"{server.url}/token"}


# Closing


def test_a_closed_client_raises_client_closed_error(
    harness: ClientHarness, server: FaultServer
) -> None:
    with harness.client("token", base_url=server.url) as client:
        assert not client.closed
        client.hooks.list()
    assert client.closed
    server.wait_for_open_connections(0)
    for operation in OPERATIONS.values():
        with pytest.raises(ClientClosedError, match="closed"):
            client.send(operation())
    client.close()
    assert len(server.requests) == 1


def test_a_client_can_be_closed_before_it_is_used(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client("token", base_url=server.url)
    client.close()
    with pytest.raises(ClientClosedError):
        client.hooks.list()


def test_closing_a_view_does_not_close_the_client(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client(**credentials_for(server), retry=FAST)
    with client.with_options(timeout=7) as view:
        view.hooks.list()
    view.close()
    assert not view.closed
    client.hooks.list()
    view.hooks.list()
    assert len(set(server.ports)) == 1
    assert len(server.received("POST", "/token")) == 1
    client.close()
    assert view.closed
    with pytest.raises(ClientClosedError):
        view.hooks.list()


def test_a_view_has_its_own_options(harness: ClientHarness, server: FaultServer) -> None:
    client = harness.client("token", base_url=server.url, retry=FAST)
    view = client.with_options(retry=RetryPolicy.none())
    server.add(respond(429))
    with pytest.raises(APIStatusError):
        view.hooks.list()
    server.add(respond(429))
    assert client.hooks.list()
    server.add(fs.never_respond())
    with pytest.raises(APITimeoutError):
        view.with_options(timeout=0.1).hooks.list()
    with pytest.raises(ConfigurationError):
        client.with_options(timeout=0)
    with pytest.raises(ConfigurationError):
        client.with_options(retry=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_connection_closed_by_the_server_is_not_reused(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client("token", base_url=server.url, retry=RetryPolicy.none())
    server.add(fs.then_close(fs.default_response()))
    client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    server.wait_for_open_connections(0)
    client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert server.connections == 2


# Event loops


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "not closed"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_async_client_serves_several_event_loops(
    backend: Backend, closing: bool, server: FaultServer
) -> None:
    client = AsyncClient(**credentials_for(server), retry=RetryPolicy.none())

    async def main(last: bool) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(client.hooks.list)
        await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
        if last and closing:
            await client.aclose()

    for number in range(3):
        before = set(server.ports)
        anyio.run(main, number == 2, backend=backend)
        gc.collect()
        # No connection outlives its event loop, and the next loop opens its own.
        server.wait_for_open_connections(0)
        assert before < set(server.ports)
    assert len(server.received("POST", "/token")) == 1
    assert client.closed is closing


def test_one_async_client_serves_asyncio_and_trio(server: FaultServer) -> None:
    client = AsyncClient("token", base_url=server.url)
    for backend in (*BACKENDS, *BACKENDS):
        assert anyio.run(client.hooks.list, backend=backend)
        gc.collect()
        server.wait_for_open_connections(0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failed_event_loop_leaks_no_connection(backend: Backend, server: FaultServer) -> None:
    client = AsyncClient("token", base_url=server.url, retry=RetryPolicy.none())
    server.add(fs.never_respond())

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.hooks.list)
            await anyio.to_thread.run_sync(server.wait_for_requests, 1)
            raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(main, backend=backend)
    assert caught.group_contains(LookupError)
    gc.collect()
    server.wait_for_open_connections(0)


# Threads and processes


def test_one_client_serves_32_threads(server: FaultServer) -> None:
    barrier = threading.Barrier(32)
    with (
        Client(**credentials_for(server), max_connections=8) as client,
        ThreadPoolExecutor(32) as pool,
    ):

        def work(_: int) -> int:
            barrier.wait(30)
            return sum(client.hooks.redeliver(HOOK_ID, REQUEST_ID).delivered for _ in range(30))

        assert list(pool.map(work, range(32))) == [30] * 32
    assert len(server.received("POST", "/token")) == 1
    assert len(server.requests) == 961
    assert server.connections <= 8


def test_max_connections_bounds_the_connections(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client("token", base_url=server.url, max_connections=2)
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(client.hooks.list) for _ in range(10)]
        assert all(call.result(30) for call in calls)
    assert server.connections <= 2


FORK = dedent(
    """
    import os, sys, warnings
    from webhooks_sdk import Client

    client = Client("token", base_url=sys.argv[1])
    client.hooks.list()
    warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
    child = os.fork()
    if child == 0:
        client.hooks.list()
        client.hooks.list()
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.hooks.list()
    client.close()
    """
)


def test_a_forked_child_shares_no_socket(server: FaultServer) -> None:
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", FORK, server.url]
    child = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)  # noqa: S603
    assert (child.returncode, child.stderr) == (0, "")
    before, in_child, again_in_child, after = server.ports
    assert in_child == again_in_child != before
    assert after == before


# Cancellation


@pytest.fixture
def quick_collections() -> Iterator[None]:
    """Limit garbage collection to the objects that the test creates."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "fault",
    [None, respond(500), respond(401), fs.close_after_request()],
    ids=["", "500", "401", "lost"],
)
def test_cancelling_at_any_await_keeps_pool_and_token_usable(
    backend: Backend, fault: fs.Behaviour | None, server: FaultServer
) -> None:
    completed: list[bool] = []

    async def main(ticks: int) -> None:
        async with AsyncClient(**credentials_for(server), max_connections=1, retry=FAST) as client:
            finished = anyio.Event()
            scope = anyio.CancelScope()

            async def call() -> None:
                with scope:
                    await client.hooks.update(HOOK_ID, active=True)
                finished.set()

            if fault is not None:
                # The first response is to the token request.
                server.add(fs.default_response(), fault)
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                for _ in range(ticks):
                    await checkpoint()
                scope.cancel()
            completed.append(not scope.cancelled_caught)
            assert finished.is_set()
            server.clear_script()
            with anyio.fail_after(20):
                assert await client.hooks.list()
                assert (await client.hooks.redeliver(HOOK_ID, REQUEST_ID)).delivered

    for ticks in (*range(24), *range(24, 120, 8)):
        anyio.run(main, ticks, backend=backend)
        gc.collect()
    assert not completed[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancelling_while_reading_a_response_keeps_the_pool_usable(
    backend: Backend, server: FaultServer
) -> None:
    async def main() -> None:
        async with AsyncClient("token", base_url=server.url, max_connections=1) as client:
            server.add(fs.drip(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n", b" ", 0.01))
            with anyio.move_on_after(0.2) as scope:
                await client.hooks.list()
            assert scope.cancelled_caught
            assert await client.hooks.list()

    anyio.run(main, backend=backend)
    gc.collect()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_call_raises_the_cancellation(backend: Backend, server: FaultServer) -> None:
    server.add(fs.never_respond())

    async def main() -> None:
        async with AsyncClient("token", base_url=server.url) as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.hooks.redeliver, HOOK_ID, REQUEST_ID)
                    await anyio.to_thread.run_sync(server.wait_for_requests, 1)
                    scope.cancel()
            assert scope.cancelled_caught

    anyio.run(main, backend=backend)


# Waiting for a connection


def test_a_deadline_while_waiting_for_a_connection_does_not_set_outcome_unknown(
    harness: ClientHarness, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, fs.default_response()))
    client = harness.client("token", base_url=server.url, max_connections=1)
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(client.hooks.list)
        assert arrived.wait(30)
        with_short_deadline = client.with_options(retry=RetryPolicy(deadline=0.3))
        with pytest.raises(APITimeoutError) as caught:
            with_short_deadline.hooks.redeliver(HOOK_ID, REQUEST_ID)
        assert not caught.value.outcome_unknown
        release.set()
        assert holding.result(30)
    assert len(server.requests) == 1
    assert client.hooks.redeliver(HOOK_ID, REQUEST_ID).delivered


# Large responses


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("coding", [None, "gzip", "br"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_too_large_response_leaks_no_generator(
    backend: Backend, coding: str | None, chunked: bool, server: FaultServer
) -> None:
    body = b"[" + b" " * 3_000_000 + b"]"
    body = gzip.compress(body, 0) if coding else body
    lines = [b"HTTP/1.1 200 X"]
    lines += [f"Content-Encoding: {coding}".encode()] if coding else []
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        lines.append(b"Content-Length: %d" % len(body))
    server.add(fs.raw(b"\r\n".join([*lines, b"", body])))

    async def main() -> None:
        async with AsyncClient(
            "token", base_url=server.url, max_response_bytes=100_000, max_connections=1
        ) as client:
            with pytest.raises(ResponseDecodeError):
                await client.hooks.list()
            gc.collect()
            assert await client.hooks.list()

    anyio.run(main, backend=backend)
    gc.collect()


def test_a_response_may_have_max_response_bytes(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client("token", base_url=server.url, max_response_bytes=1000, retry=FAST)
    server.add(respond(200, b"[" + b" " * 998 + b"]"))
    assert client.hooks.list() == []
    server.add(respond(200, b"[" + b" " * 999 + b"]"))
    with pytest.raises(ResponseDecodeError, match="max_response_bytes"):
        client.hooks.list()
    assert client.hooks.get(HOOK_ID).id == HOOK_ID


def test_a_large_error_body_is_truncated(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(400, b"x" * 200_000))
    client = harness.client("token", base_url=server.url, max_response_bytes=1000)
    with pytest.raises(APIStatusError) as caught:
        client.hooks.list()
    assert caught.value.status == 400
    assert caught.value.body is not None
    assert len(caught.value.body) <= 8192


# Custom HTTP clients and transports


def test_a_custom_http_client_is_used_and_not_closed(
    harness: ClientHarness, server: FaultServer
) -> None:
    seen: list[str] = []

    def record(request: httpx.Request) -> None:
        seen.append(request.method)
        request.headers["X-Note"] = "noted"

    http_client = harness.http_client(event_hooks={"request": [harness.event_hook(record)]})
    with harness.client("token", base_url=server.url, http_client=http_client) as client:
        client.hooks.list()
    assert not http_client.is_closed
    assert seen == ["GET"]
    assert server.requests[0].headers["x-note"] == "noted"


def test_auth_redirects_and_timeout_of_a_custom_http_client_do_not_apply(
    harness: ClientHarness, server: FaultServer
) -> None:
    http_client = harness.http_client(auth=("someone", "else"), follow_redirects=True, timeout=0.05)
    release = threading.Event()
    server.add(
        respond(302, headers=[("Location", "/hooks")]),
        fs.held(threading.Event(), release, fs.default_response()),
    )
    client = harness.client(
        "token", base_url=server.url, http_client=http_client, retry=RetryPolicy.none()
    )
    with pytest.raises(APIStatusError) as caught:
        client.hooks.list()
    assert caught.value.status == 302
    timer = threading.Timer(0.3, release.set)
    timer.start()
    assert client.hooks.list()
    timer.join()
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer token"] * 2


def test_the_timeout_applies_to_a_custom_http_client(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(fs.never_respond())
    http_client = harness.http_client(timeout=None)
    client = harness.client(
        "token", base_url=server.url, http_client=http_client, timeout=0.1, retry=RetryPolicy.none()
    )
    with pytest.raises(APITimeoutError):
        client.hooks.list()


@pytest.mark.parametrize("kind", ["request", "response"])
def test_an_exception_of_an_event_hook_is_the_cause(
    harness: ClientHarness, kind: str, server: FaultServer
) -> None:
    class HookError(Exception):
        pass

    problem = HookError("no")

    def fail(_: object) -> None:
        raise problem

    http_client = harness.http_client(event_hooks={kind: [harness.event_hook(fail)]})
    client = harness.client("token", base_url=server.url, http_client=http_client, retry=FAST)
    with pytest.raises(APIError, match="HookError") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.__cause__ is problem
    assert caught.value.attempts == 1
    assert len(server.requests) == (kind == "response")


def test_an_event_hook_may_read_the_response(harness: ClientHarness, server: FaultServer) -> None:
    bodies: list[bytes] = []

    if harness.name == "sync":

        def read(response: httpx.Response) -> None:
            bodies.append(response.read())

        hook: Any = read
    else:

        async def aread(response: httpx.Response) -> None:
            bodies.append(await response.aread())

        hook = aread
    http_client = harness.http_client(event_hooks={"response": [hook]})
    client = harness.client("token", base_url=server.url, http_client=http_client)
    body = gzip.compress(b"[]")
    server.add(respond(200, body, [("Content-Encoding", "gzip")]))
    assert client.hooks.list() == []
    assert bodies == [b"[]"]


class RecordingTransport(httpx.MockTransport):
    def __init__(self, handler: Callable[[httpx.Request], httpx.Response]) -> None:
        super().__init__(handler)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("used", [True, False])
def test_a_custom_transport_is_used_and_closed(harness: ClientHarness, used: bool) -> None:
    transport = RecordingTransport(lambda _: httpx.Response(200, json=[subscription()]))
    client = harness.client("token", base_url="https://service.example/api", transport=transport)
    if used:
        assert client.hooks.list()[0].id == HOOK_ID
    assert transport.closed == 0
    client.close()
    client.close()
    assert transport.closed == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_custom_transport_outlives_an_event_loop(backend: Backend) -> None:
    transport = RecordingTransport(lambda _: httpx.Response(200, json=[]))
    client = AsyncClient("token", base_url="https://service.example", transport=transport)
    anyio.run(client.hooks.list, backend=backend)
    anyio.run(client.hooks.list, backend=backend)
    assert transport.closed == 0
    anyio.run(client.aclose, backend=backend)
    assert transport.closed == 1


@pytest.mark.parametrize("error", [ConnectionRefusedError(), httpx.ConnectError("no")], ids=repr)
def test_only_a_refused_connection_proves_that_a_custom_transport_sent_nothing(
    harness: ClientHarness, error: Exception
) -> None:
    attempts: list[int] = []

    def fail(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        raise httpx.ConnectTimeout("lost", request=request) from error

    client = harness.client(
        "token",
        base_url="https://service.example",
        transport=RecordingTransport(fail),
        retry=FAST,
    )
    with pytest.raises(APITimeoutError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    proven = isinstance(error, ConnectionRefusedError)
    assert caught.value.outcome_unknown is not proven
    assert len(attempts) == (3 if proven else 1)


def test_http_client_and_transport_cannot_be_combined(harness: ClientHarness) -> None:
    transport = RecordingTransport(lambda _: httpx.Response(200))
    http_client = harness.http_client()
    with pytest.raises(ConfigurationError, match="either"):
        harness.client_class(
            "token",
            base_url="https://service.example",
            http_client=http_client,
            transport=transport,
        )


# Proxies


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> FaultServer:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, server.url)
    return server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_plain_http_to_loopback_bypasses_the_proxy(
    harness: ClientHarness, host: str, proxy: FaultServer
) -> None:
    with FaultServer() as service:
        client = harness.client(
            CREDENTIALS,
            base_url=f"http://{host}:{service.port}",
            token_url=f"http://{host}:{service.port}/token",
        )
        assert client.hooks.list()
        assert [request.path for request in service.requests] == ["/token", "/hooks"]
    assert proxy.connections == 0


def test_plain_http_to_another_host_goes_through_the_proxy(
    harness: ClientHarness, proxy: FaultServer
) -> None:
    client = harness.client(
        "token", base_url="http://service.invalid/api", allow_insecure_http=True, retry=FAST
    )
    proxy.add(respond(200, [subscription()]))
    assert client.hooks.list()
    assert [request.path for request in proxy.requests] == ["http://service.invalid/api/hooks"]


def test_a_proxy_does_not_see_the_token_over_tls(
    harness: ClientHarness, proxy: FaultServer
) -> None:
    client = harness.client("s3cret-token", base_url="https://service.invalid", retry=FAST)
    proxy.add(*[respond(403, close=True)] * 3)
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert not any("authorization" in request.headers for request in proxy.requests)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(
    harness: ClientHarness, status: int, server: FaultServer
) -> None:
    with FaultServer() as elsewhere:
        server.add(respond(status, headers=[("Location", f"{elsewhere.url}/hooks")]))
        with pytest.raises(APIStatusError, match="Redirects are not followed") as caught:
            harness.client("token", base_url=server.url).hooks.redeliver(HOOK_ID, REQUEST_ID)
        assert caught.value.status == status
        assert elsewhere.connections == 0
    assert len(server.requests) == 1


# Secrets


def test_a_client_cannot_be_pickled_and_its_repr_hides_credentials(
    harness: ClientHarness, server: FaultServer
) -> None:
    client = harness.client(**credentials_for(server))
    client.hooks.list()
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            copied(client)
    shown = f"{client!r} {client!s} {client.hooks!r} {CREDENTIALS!r} {CREDENTIALS}"
    assert server.url in shown
    assert "s3cret" not in shown
    assert "token-1" not in shown


TOKEN = "s3cret-token-0123456789"
ECHOES = {
    "body and header": fs.echo(400),
    "body and header of a 5xx": fs.echo(500),
    "success": fs.echo(200),
    "unexpected success": fs.echo(202),
    "401": fs.echo(401),
    "404": fs.echo(404),
    "429": fs.echo(429),
    "status line": fs.echo_in_status_line(),
}


# Not in the raising line, which a traceback quotes.
SECRETS: dict[str, Any] = {"secret": "s3cret-of-the-hook", "header": "X-Key: s3cret-of-the-header"}


@pytest.mark.parametrize("called", ["create", "token-form", "token-multipart", "token-basic"])
@pytest.mark.parametrize("echo_kind", ECHOES)
def test_echoed_secrets_are_masked(
    harness: ClientHarness,
    echo_kind: str,
    called: str,
    server: FaultServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "webhooks_sdk")
    server.add(*[ECHOES[echo_kind]] * 3)
    auth: Any = TOKEN
    options: dict[str, Any] = {}
    if called != "create":
        style: Any = called.removeprefix("token-")
        auth = ClientCredentials("an-id", 's3cret/of the"client', style=style)
        options["token_url"] = f"{server.url}/token"
    client = harness.client(auth, base_url=server.url, retry=FAST, **options)
    with pytest.raises(APIError) as caught:
        client.hooks.create(url="https://subscriber.example", **SECRETS)
    error = caught.value
    shown = [
        *traceback.format_exception(error),
        str(error),
        repr(error),
        repr(error.__dict__),
        repr(error.headers),
        str(error.body),
        caplog.text,
        *(repr(record.__dict__) for record in caplog.records),
    ]
    assert server.requests
    text = "\n".join(shown)
    assert "s3cret" not in text
    assert "czNjcmV0" not in text  # base64 of "s3cret" at the start of the value
    basic = [
        request.headers["authorization"].removeprefix("Basic ")
        for request in server.requests
        if "authorization" in request.headers
    ]
    assert not any(encoded in text for encoded in basic)
    assert pickle.loads(pickle.dumps(error)).args == error.args  # noqa: S301 - our own


def test_a_fetched_token_is_masked(
    harness: ClientHarness, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "webhooks_sdk")
    server.add(respond(200, token(TOKEN)), fs.echo(400))
    client = harness.client(**credentials_for(server), retry=FAST)
    with pytest.raises(APIError) as caught:
        client.hooks.get(HOOK_ID)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert "s3cret" not in text + caplog.text


def test_secrets_in_undecodable_responses_are_masked(
    harness: ClientHarness, server: FaultServer
) -> None:
    config = {"url": "https://x.example", "secret": "s3cret", "header": "X-Key: s3cret"}
    server.add(respond(200, [subscription(config=config, active="yes")]))
    with pytest.raises(ResponseDecodeError, match=r"\$\[0\]\.active") as caught:
        harness.client("token", base_url=server.url).hooks.list()
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert "s3cret" not in text


def test_attempts_and_retries_are_logged(
    harness: ClientHarness, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "webhooks_sdk")
    server.add(respond(500))
    harness.client("token", base_url=server.url, retry=FAST).hooks.list()
    ours = [record for record in caplog.records if record.name == "webhooks_sdk"]
    levels = [record.levelname for record in ours]
    assert levels.count("WARNING") == 1
    assert levels.count("DEBUG") >= 2
    assert "list" in caplog.text
