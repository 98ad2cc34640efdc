"""What a deadline bounds, and whether the outcome is unknown after it has passed."""

from __future__ import annotations

import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from anyio import get_cancelled_exc_class
from support import fault_server as fs
from support.fault_server import FaultServer, FullBacklogPort
from support.harness import BACKENDS
from support.samples import FAST, HOOK_ID, OPERATIONS, REQUEST_ID

from webhooks_sdk import (
    APITimeoutError,
    AsyncClient,
    Client,
    NotFoundError,
    RetryPolicy,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import trustme
    from support.harness import Backend, ClientHarness

SHORT = 0.5
RETRIED = RetryPolicy(deadline=SHORT, initial_backoff=0.001, max_backoff=0.001)
ONCE = RetryPolicy(deadline=SHORT, max_attempts=1)


# Before anything is sent


@pytest.fixture
def tls(tls_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = tls_authority.issue_cert("localhost")
    with certificate.private_key_and_cert_chain_pem.tempfile() as file:
        context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("policy", [ONCE, RETRIED], ids=["once", "retried"])
@pytest.mark.parametrize("called", ["create", "redeliver", "update"])
def test_a_deadline_during_the_handshake_does_not_set_outcome_unknown(
    harness: ClientHarness, called: str, policy: RetryPolicy, tls: ssl.SSLContext
) -> None:
    with FaultServer(*[fs.never_read()] * 3, tls=tls) as server:
        client = harness.client("token", base_url=server.url, retry=policy)
        with pytest.raises(APITimeoutError) as caught:
            client.send(OPERATIONS[called]())
        assert server.connections >= 1
        assert server.requests == []
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("policy", [ONCE, RETRIED], ids=["once", "retried"])
def test_a_deadline_while_connecting_does_not_set_outcome_unknown(
    harness: ClientHarness, policy: RetryPolicy
) -> None:
    with FullBacklogPort() as url:
        client = harness.client("token", base_url=url, retry=policy)
        with pytest.raises(APITimeoutError) as caught:
            client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown


def test_a_deadline_after_sending_sets_outcome_unknown(
    harness: ClientHarness, tls: ssl.SSLContext
) -> None:
    with FaultServer(fs.never_respond(), tls=tls) as server:
        client = harness.client("token", base_url=server.url, retry=RETRIED)
        with pytest.raises(APITimeoutError) as caught:
            client.hooks.redeliver(HOOK_ID, REQUEST_ID)
        assert len(server.requests) == caught.value.attempts == 1
    assert caught.value.outcome_unknown


# All steps of one attempt


def test_waiting_for_a_connection_and_reading_share_one_deadline(
    harness: ClientHarness, server: FaultServer
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(fs.held(arrived, release, fs.default_response()), fs.never_respond())
    client = harness.client("token", base_url=server.url, max_connections=1, retry=FAST)
    with_short_deadline = client.with_options(retry=RetryPolicy(deadline=1))
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(client.hooks.list)
        assert arrived.wait(30)
        timer = threading.Timer(0.9, release.set)
        timer.start()
        began = time.monotonic()
        with pytest.raises(APITimeoutError):
            with_short_deadline.hooks.redeliver(HOOK_ID, REQUEST_ID)
        elapsed = time.monotonic() - began
        timer.join()
        assert holding.result(30)
    # 0.9 s to wait and then 1 s to read would be 1.9 s.
    assert elapsed < 1.7


# Custom streams


class Endless(httpx.AsyncByteStream):
    """Yields more than max_response_bytes, then blocks until it is cancelled."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"[" + b" " * 2000
        try:
            with anyio.move_on_after(20):
                await anyio.sleep_forever()
            self.ended.append("by itself")
        except get_cancelled_exc_class():
            self.ended.append("cancelled")
            raise


class EndlessTransport(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.stream = Endless()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(200, stream=self.stream)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_that_never_ends_does_not_outlast_the_deadline(backend: Backend) -> None:
    transport = EndlessTransport()

    async def main() -> APITimeoutError:
        async with AsyncClient(
            "token",
            base_url="https://service.example",
            transport=transport,
            max_response_bytes=1000,
            retry=RetryPolicy(deadline=0.3),
        ) as client:
            with pytest.raises(APITimeoutError) as caught:
                await client.hooks.redeliver(HOOK_ID, REQUEST_ID)
            return caught.value

    assert anyio.run(main, backend=backend).outcome_unknown
    assert transport.stream.ended == ["cancelled"]


# Error responses in progress


@pytest.mark.parametrize("called", ["redeliver", "delete", "update"])
def test_a_404_with_a_slow_body_raises_not_found(
    harness: ClientHarness, called: str, server: FaultServer
) -> None:
    server.add(
        fs.drip(b"HTTP/1.1 404 X\r\nX-Request-Id: r-1\r\nContent-Length: 900\r\n\r\n", b" ", 0.05)
    )
    client = harness.client("token", base_url=server.url, retry=RetryPolicy(deadline=0.4))
    with pytest.raises(NotFoundError) as caught:
        client.send(OPERATIONS[called]())
    error = caught.value
    assert (error.status, error.correlation_id, error.attempts) == (404, "r-1", 1)
    assert not error.outcome_unknown
    assert len(server.requests) == 1


def test_each_step_reads_the_time_left_until_the_deadline() -> None:
    """A transport that reads a timeout gets the time left at that moment."""
    timeouts_read: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        timeouts = request.extensions["timeout"]
        timeouts_read.append(timeouts.get("read"))
        while (left := timeouts.get("read")) == timeouts_read[0]:
            pass
        timeouts_read.append(left)
        return httpx.Response(200, json=[])

    transport = httpx.MockTransport(handle)
    with Client("token", base_url="https://service.example", transport=transport) as client:
        client.with_options(retry=RetryPolicy(deadline=30)).hooks.list()
    assert 0 < timeouts_read[1] < timeouts_read[0] <= 30
