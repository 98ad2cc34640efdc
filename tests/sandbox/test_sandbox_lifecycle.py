"""Starting, stopping, releasing resources, and reporting failures."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.sandbox import Sandbox, Subscriber, Variants
from webhooks_sdk.sandbox._clock import RealClock
from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
from webhooks_sdk.sandbox._delivering.sender import Sender
from webhooks_sdk.sandbox._http import api
from webhooks_sdk.sandbox._http.server import ServerThread, bind
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from webhooks_sdk.sandbox._records import DeliveryResult

PROMPT = 2.0  # seconds; takes milliseconds on an idle machine


def refuses(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) != 0


def test_listens_only_inside_the_with_block() -> None:
    with Sandbox() as sandbox:
        assert not refuses(sandbox.base_url)
        assert sandbox.token_url == f"{sandbox.base_url}/auth/token"
        assert urlsplit(sandbox.base_url).hostname == "127.0.0.1"
    assert refuses(sandbox.base_url)


def test_sandboxes_have_separate_ports_credentials_and_state() -> None:
    with Sandbox() as first, Sandbox() as second, SandboxClient(first) as client:
        assert first.base_url != second.base_url
        assert first.client_id != second.client_id
        assert first.client_secret != second.client_secret
        client.subscribe("http://127.0.0.1:9/")
        with SandboxClient(second) as other_client:
            assert other_client.get("/hooks").json() == []
        token = client.headers["authorization"]
        response = httpx.get(f"{second.base_url}/hooks", headers={"Authorization": token})
        assert response.status_code == 401


def test_port_can_be_set() -> None:
    with Sandbox() as first:
        port = urlsplit(first.base_url).port or 0
        taken = Sandbox(port=port)
        with pytest.raises(OSError, match="in use"):
            taken.__enter__()
    with Sandbox(port=port) as second:
        assert second.base_url == first.base_url


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_remote_hosts_are_rejected(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_hosts_are_allowed(host: str) -> None:
    assert Sandbox(host=host).attempts == ()


def test_localhost_is_kept_in_the_url() -> None:
    with Sandbox(host="localhost") as sandbox, SandboxClient(sandbox):
        assert sandbox.base_url.startswith("http://localhost:")


@pytest.mark.parametrize(("host", "url_host"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
def test_remote_hosts_can_be_allowed(host: str, url_host: str) -> None:
    with Sandbox(host=host, allow_remote=True) as sandbox:
        assert urlsplit(sandbox.base_url).hostname == url_host
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            assert client.hooks.list() == []


def test_has_no_url_before_it_runs() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url
    with pytest.raises(RuntimeError, match="not running"):
        sandbox.publish(EVENT, {})


def test_records_can_be_read_after_it_stopped() -> None:
    with Sandbox() as sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
        client.subscribe(subscriber.url)
        published = sandbox.publish(EVENT, {})
    assert sandbox.attempts == published
    assert len(sandbox.requests) == 2
    assert len(subscriber.deliveries) == 1
    with pytest.raises(RuntimeError, match="has stopped"):
        sandbox.publish(EVENT, {})


def test_can_be_entered_only_once() -> None:
    sandbox = Sandbox()
    with sandbox, pytest.raises(RuntimeError, match="once"):
        sandbox.__enter__()


def test_stopping_does_not_wait_for_requests_or_deliveries() -> None:
    with Subscriber(delay=600) as subscriber, ThreadPoolExecutor(2) as pool:
        sandbox = Sandbox()
        with sandbox, SandboxClient(sandbox) as client:
            subscriber.delay = 0
            client.subscribe(subscriber.url)
            (attempt,) = sandbox.publish(EVENT, {})
            subscriber.delay = 600
            idle = SandboxClient(sandbox)
            redelivery = pool.submit(client.redeliver, attempt)
            publication = pool.submit(sandbox.publish, EVENT, {})
            subscriber.wait_for(3)
            started = time.monotonic()
            sandbox.__exit__(None, None, None)
            assert time.monotonic() - started < PROMPT
            with pytest.raises(httpx.TransportError):
                redelivery.result()
            with pytest.raises(RuntimeError, match="stopped"):
                publication.result()
            idle.close()
        started = time.monotonic()
        subscriber.stop()
        assert time.monotonic() - started < PROMPT
    assert [attempt.error is None for attempt in sandbox.attempts] == [True, False, False]
    assert all("cancelled" in (attempt.error or "") for attempt in sandbox.attempts[1:])


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_interrupted_publish_returns_at_once_and_keeps_the_sandbox_running() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            Sandbox() as sandbox,
            SandboxClient(sandbox) as client,
            Subscriber(delay=600) as subscriber,
        ):
            client.subscribe(subscriber.url)

            def interrupt() -> None:
                subscriber.wait_for(1)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                sandbox.publish(EVENT, {})
            thread.join()
            subscriber.delay = 0
            (attempt,) = sandbox.publish(EVENT, {})
            assert attempt.delivered
    finally:
        signal.signal(signal.SIGINT, before)


def test_join_blocks_until_the_sandbox_stops() -> None:
    with Sandbox() as sandbox:
        waiting = threading.Thread(target=sandbox.join)
        waiting.start()
        assert waiting.is_alive()
    waiting.join(30)
    assert not waiting.is_alive()


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="counts the entries of /dev/fd")  # noqa: PTH112
def test_releases_threads_and_file_descriptors() -> None:
    def use() -> None:
        with Sandbox() as sandbox, SandboxClient(sandbox) as client, Subscriber() as subscriber:
            client.subscribe(subscriber.url)
            sandbox.publish(EVENT, {})
            subscriber.stop()
            sandbox.publish(EVENT, {})

    use()
    gc.collect()
    threads, files = threading.active_count(), len(os.listdir("/dev/fd"))  # noqa: PTH208
    started = time.monotonic()
    for _ in range(10):
        use()
    assert time.monotonic() - started < 10 * PROMPT
    gc.collect()
    assert threading.active_count() == threads
    assert len(os.listdir("/dev/fd")) == files  # noqa: PTH208


def test_connection_accepted_while_stopping_is_closed() -> None:
    # An open socket raises a ResourceWarning when it is collected, which fails the test.
    for _ in range(50):
        with Sandbox() as sandbox:
            assert not refuses(sandbox.base_url)
    gc.collect()


def test_server_sockets_disable_nagles_algorithm() -> None:
    # Without an explicit protocol, asyncio keeps Nagle's algorithm: 40 ms per small request.
    with bind("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_unexpected_failure_gets_a_500_and_is_raised_on_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(api, "encode_subscription")
    sandbox = Sandbox()
    sandbox.__enter__()
    with SandboxClient(sandbox) as client:
        response = client.post("/hooks", json={"url": "http://a.example/"})
    assert response.status_code == 500
    assert response.json()["error"] == "internal_server_error"
    assert httpx.get(f"{sandbox.base_url}/hooks").status_code == 401
    with pytest.raises(ExceptionGroup, match="failed") as caught:
        sandbox.__exit__(None, None, None)
    assert [type(error) for error in caught.value.exceptions] == [NameError]


def test_raise_failures_raises_each_failure_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox, SandboxClient(sandbox) as client:
        sandbox.raise_failures()
        monkeypatch.delattr(api, "encode_subscription")
        assert client.post("/hooks", json={"url": "http://a.example/"}).status_code == 500
        with pytest.raises(ExceptionGroup, match="sandbox server failed") as caught:
            sandbox.raise_failures()
        assert [type(error) for error in caught.value.exceptions] == [NameError]
        sandbox.raise_failures()
    with pytest.raises(RuntimeError, match="not running"):
        Sandbox().raise_failures()


def test_failure_does_not_replace_an_active_exception() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise OverflowError

    listener = bind("127.0.0.1", 0)
    server = ServerThread(app, listener, name="sandbox")
    server.start()
    assert httpx.post("http://{}:{}/".format(*listener.getsockname())).status_code == 500
    error = LookupError()
    server.close(active_exception=error)
    assert any("failed" in note and "OverflowError" in note for note in error.__notes__)


def test_exception_in_a_loop_callback_is_a_failure() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    server = ServerThread(app, bind("127.0.0.1", 0), name="sandbox")
    server.start()

    async def break_something() -> None:
        import asyncio  # noqa: PLC0415

        def fail() -> None:
            raise LookupError

        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    server.run(break_something)
    with pytest.raises(ExceptionGroup) as caught:
        server.close(active_exception=None)
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


def test_failure_in_the_background_is_raised_on_exit() -> None:
    class FailingSender(Sender):
        def __init__(self) -> None:
            pass

        async def send(self, request: object, timeouts: object = None) -> DeliveryResult:
            raise LookupError((request, timeouts))

    database = Database()
    registry = TenantRegistry(database, clock=RealClock(), new_id=uuid4)
    service = registry.add("production", None, None)
    hook = service.create_subscription({"url": "http://h/", "active": True, "events": ("*",)})
    (delivery,) = service.publish(EVENT, b"{}")
    service.variants = Variants.named("responds_early")

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    server = ServerThread(app, bind("127.0.0.1", 0), name="sandbox")
    server.start()
    dispatcher = DeliveryDispatcher(FailingSender())
    server.run(lambda: dispatcher.redeliver(service, hook.id, delivery.attempt.event_id))
    server.run(lambda: dispatcher.advance(service, timedelta()))
    with pytest.raises(ExceptionGroup) as caught:
        server.close(active_exception=None)
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


def test_run_is_rejected_in_the_servers_own_thread() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    server = ServerThread(app, bind("127.0.0.1", 0), name="sandbox")
    server.start()

    async def nothing() -> None:
        pass

    async def wait() -> None:
        with pytest.raises(RuntimeError, match="own thread"):
            server.run(nothing)

    server.run(wait)
    server.close(active_exception=None)


def test_start_raises_if_the_server_cannot_start() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    listener = bind("127.0.0.1", 0)
    listener.close()
    with pytest.raises(OSError, match="descriptor"):
        ServerThread(app, listener, name="sandbox").start()


def test_import_without_the_extra_names_the_package_to_install() -> None:
    for missing in ("h11", "starlette", "uvicorn"):
        code = f"import sys; sys.modules[{missing!r}] = None; import webhooks_sdk.sandbox"
        completed = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
        assert completed.returncode == 1
        last = completed.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: ")
        assert "pip install 'webhooks-sdk[sandbox]'" in last


@pytest.mark.parametrize("name", ["allow_remote", "real_time", "seed_demo"])
def test_flags_must_be_booleans(name: str) -> None:
    flags: dict[str, Any] = {name: "no"}
    with pytest.raises(ValueError, match=f"{name} must be True or False, got 'no'"):
        Sandbox(host="127.0.0.1", **flags)


def test_the_seed_must_be_an_integer() -> None:
    seed: Any = [1]
    with pytest.raises(ValueError, match=r"seed must be an integer or None, got \[1\]"):
        Sandbox(seed=seed)
