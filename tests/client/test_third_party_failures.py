"""Failing transports, HTTP clients, event hooks and proxies, and arguments of the wrong type."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from attrs import evolve
from support.fault_server import respond
from support.samples import FAST, HOOK_ID, OPERATIONS, REQUEST_ID

from webhooks_sdk import (
    APIConnectionError,
    AsyncClient,
    Client,
    ClientCredentials,
    ConfigurationError,
    RateLimitError,
    RetryEvent,
    operations,
)

if TYPE_CHECKING:
    from support.fault_server import FaultServer
    from support.harness import ClientHarness

CREDENTIALS = ClientCredentials("an-id", "a-client-secret")
BASE = "https://service.example"


# Exceptions of transports and event hooks


@pytest.mark.parametrize("called", OPERATIONS)
def test_an_exception_of_a_transport_sets_outcome_unknown_of_unsafe_operations(
    harness: ClientHarness, called: str
) -> None:
    attempts: list[str] = []
    problem = RuntimeError("a bug of the transport")

    def fail(request: httpx.Request) -> httpx.Response:
        attempts.append(request.method)
        raise problem

    client = harness.client("token", base_url=BASE, transport=httpx.MockTransport(fail), retry=FAST)
    with pytest.raises(APIConnectionError, match="RuntimeError") as caught:
        client.send(OPERATIONS[called]())
    assert caught.value.outcome_unknown is (called in {"create", "update", "delete", "redeliver"})
    assert caught.value.__cause__ is problem
    assert len(attempts) == 1


@pytest.mark.parametrize("kind", ["request", "response"])
def test_an_api_error_raised_by_an_event_hook_is_not_retried(
    harness: ClientHarness, kind: str, server: FaultServer
) -> None:
    # As raised by a hook that calls the service itself and fails.
    def fail(_: object) -> None:
        raise APIConnectionError("list: lost.", operation="list")

    http_client = harness.http_client(event_hooks={kind: [harness.event_hook(fail)]})
    client = harness.client("token", base_url=server.url, http_client=http_client, retry=FAST)
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.operation == "redeliver"
    assert caught.value.outcome_unknown
    assert len(server.requests) == (kind == "response")


# Secrets in a request do not change how its response is read


@pytest.mark.parametrize("header", ["X-Flag: 1", "X-Flag: 0", "X-Flag: 10"])
def test_a_short_secret_does_not_change_retry_after(
    harness: ClientHarness, header: str, server: FaultServer
) -> None:
    server.add(respond(503, headers=[("Retry-After", "10")]))
    events: list[RetryEvent] = []

    class StopError(Exception):
        pass

    def record(event: RetryEvent) -> None:
        events.append(event)
        raise StopError

    client = harness.client("token", base_url=server.url, retry=FAST, on_retry=record)
    with pytest.raises(StopError):
        client.hooks.create(url="https://x.example", header=header)
    assert [(event.wait, event.error.retry_after) for event in events] == [(10, 10)]
    assert not events[0].error.outcome_unknown


def test_a_secret_equal_to_retry_after_does_not_change_retry_after(
    harness: ClientHarness, server: FaultServer
) -> None:
    server.add(respond(429, headers=[("Retry-After", "1000")]))
    client = harness.client("token", base_url=server.url, retry=FAST)
    with pytest.raises(RateLimitError) as caught:
        client.hooks.create(url="https://x.example", secret="1000")
    assert caught.value.retry_after == 1000
    assert caught.value.headers["retry-after"] == "***"


# Proxies and certificates


def set_proxy(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    monkeypatch.setenv(name.lower(), url)


PROXIES = [
    ("HTTP_PROXY", "foo://someone:s3cret@proxy.example"),
    ("ALL_PROXY", "foo://someone:s3cret@proxy.example"),
    ("ALL_PROXY", "socks5://someone:s3cret@proxy.example:1080"),
    ("HTTP_PROXY", "http://someone:s3cret@proxy.example:port"),
]


@pytest.mark.parametrize(("name", "url"), PROXIES)
def test_an_unusable_proxy_is_a_configuration_error(
    harness: ClientHarness, name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxy(monkeypatch, name, url)
    client = harness.client("token", base_url="http://service.example", allow_insecure_http=True)
    with pytest.raises(ConfigurationError, match="proxy named by the environment") as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert "proxy.example" not in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("name", "url"), PROXIES)
def test_an_unusable_proxy_is_ignored_for_loopback(
    harness: ClientHarness,
    name: str,
    url: str,
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_proxy(monkeypatch, name, url)
    client = harness.client(CREDENTIALS, base_url=server.url, token_url=f"{server.url}/token")
    assert client.hooks.list()


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_missing_certificates_are_a_configuration_error(
    client_class: type[Client | AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        client_class("token", base_url=BASE)


# Arguments of the wrong type


async def on_retry_async(_: RetryEvent) -> None:
    raise AssertionError


class AsyncCallable:
    async def __call__(self, _: RetryEvent) -> None:
        raise AssertionError


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("on_retry", {"on_retry": on_retry_async}),
    ("on_retry", {"on_retry": AsyncCallable()}),
    ("on_retry", {"on_retry": 7}),
    ("on_retry", {"on_retry": "log"}),
    ("base_url", {"base_url": BASE.encode()}),
    ("base_url", {"base_url": httpx.URL(BASE)}),
    ("base_url", {"base_url": Path("/hooks")}),
    ("base_url", {"base_url": 7}),
    ("token_url", {"auth": CREDENTIALS, "token_url": BASE.encode()}),
    ("token_url", {"auth": CREDENTIALS, "token_url": 7}),
    ("timeout", {"timeout": httpx.Timeout(-1)}),
    ("timeout", {"timeout": httpx.Timeout(5, pool=-0.5)}),
    ("timeout", {"timeout": httpx.Timeout(5, read=float("nan"))}),
    ("allow_insecure_http", {"allow_insecure_http": 1}),
    ("allow_insecure_http", {"allow_insecure_http": "no"}),
    ("allow_insecure_http", {"allow_insecure_http": None}),
]


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize(("match", "options"), INVALID)
def test_an_argument_of_the_wrong_type_is_rejected(
    client_class: type[Client | AsyncClient], match: str, options: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"auth": "token", "base_url": BASE} | options
    with pytest.raises(ConfigurationError, match=match):
        client_class(**arguments)


@pytest.mark.parametrize("scheme", ["HTTPS", "Https", "https"])
def test_the_scheme_of_a_url_is_case_insensitive(harness: ClientHarness, scheme: str) -> None:
    urls: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return httpx.Response(200, json=[])

    client = harness.client(
        "token",
        base_url=f"{scheme}://service.example",
        transport=httpx.MockTransport(handle),
        retry=evolve(FAST, max_attempts=1),
    )
    assert client.send(operations.list()).value == []
    assert urls == ["https://service.example/hooks"]


def test_a_refused_connection_of_an_event_hook_sets_outcome_unknown(
    harness: ClientHarness, server: FaultServer
) -> None:
    def report(_: object) -> None:
        raise ConnectionRefusedError

    http_client = harness.http_client(event_hooks={"response": [harness.event_hook(report)]})
    client = harness.client("token", base_url=server.url, http_client=http_client, retry=FAST)
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert len(server.requests) == 1


def test_a_refused_request_of_an_event_hook_sets_outcome_unknown(
    harness: ClientHarness, server: FaultServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    def report(_: object) -> None:
        httpx.post(f"http://127.0.0.1:{port}", trust_env=False)

    http_client = harness.http_client(event_hooks={"response": [harness.event_hook(report)]})
    client = harness.client("token", base_url=server.url, http_client=http_client, retry=FAST)
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert len(server.requests) == 1
