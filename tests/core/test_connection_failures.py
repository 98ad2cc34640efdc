"""What errors say about failed connections, with real sockets and with transports of the caller."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.fault_server import Behaviour, Exchange, FaultServer, held, respond
from support.samples import FAST, HOOK_ID, REQUEST_ID

from webhooks_sdk import (
    APIConnectionError,
    APITimeoutError,
    BadRequestError,
    ClientCredentials,
    ResponseDecodeError,
    RetryPolicy,
    UnprocessableEntityError,
)

if TYPE_CHECKING:
    from support.harness import ClientHarness

ONCE = RetryPolicy.none(deadline=20)


def raising_transport(error: Exception) -> httpx.MockTransport:
    """Return a transport of the caller that raises, as one might that fails after it has sent."""

    def handle(_: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(handle)


@pytest.mark.parametrize(
    "error", [httpx.PoolTimeout("busy"), httpx.ConnectTimeout("x"), httpx.ConnectError("x")]
)
def test_exception_of_a_transport_proves_nothing(harness: ClientHarness, error: Exception) -> None:
    client = harness.client(
        "token", base_url="https://api.example", transport=raising_transport(error)
    )
    with pytest.raises(APIConnectionError) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert caught.value.outcome_unknown
    assert "Nothing was sent" not in str(caught.value)
    assert "The event may have been delivered" in str(caught.value)


@pytest.mark.parametrize("own_http_client", [False, True])
def test_no_free_connection_is_proof(
    harness: ClientHarness, server: FaultServer, own_http_client: bool
) -> None:
    arrived, release = threading.Event(), threading.Event()
    server.add(held(arrived, release, respond(200, [])))
    options: dict[str, Any] = {"max_connections": 1}
    expected = "Increase max_connections."
    if own_http_client:
        limits = httpx.Limits(max_connections=1)
        options = {"http_client": harness.http_client(limits=limits)}
        expected = "Increase the limits of your http_client or transport."
    timeout = httpx.Timeout(20, pool=0.05)
    client = harness.client("token", base_url=server.url, retry=ONCE, timeout=timeout, **options)
    other = threading.Thread(target=client.hooks.list)
    other.start()
    try:
        assert arrived.wait(20)
        with pytest.raises(APITimeoutError, match="Nothing was sent") as caught:
            client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    finally:
        release.set()
        other.join()
    assert not caught.value.outcome_unknown
    assert str(caught.value).endswith(f"no connection became available. {expected}")


def respond_to_handshake() -> Behaviour:
    """Respond to a TLS handshake as a server of plain HTTP does."""

    def run(exchange: Exchange) -> bool:
        exchange.connection.recv(65536)
        exchange.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        exchange.wait_for_disconnect()
        return False

    return Behaviour(run, on_connect=True)


@pytest.mark.parametrize("setting", ["base_url", "token_url"])
def test_https_to_a_port_of_plain_http(
    harness: ClientHarness, server: FaultServer, setting: str
) -> None:
    with FaultServer(*[respond_to_handshake()] * 3) as plain:
        https = f"https://127.0.0.1:{plain.port}"
        auth: Any = "token"
        urls = {"base_url": https}
        if setting == "token_url":
            auth = ClientCredentials("an-id", "a-secret")
            urls = {"base_url": server.url, "token_url": f"{https}/token"}
        client = harness.client(auth, **urls, retry=FAST)
        with pytest.raises(APIConnectionError) as caught:
            client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown
    assert "Nothing was sent" in str(caught.value)
    assert str(caught.value).endswith(f" Check {setting} ({urls[setting]}): is it http?")


def test_http_to_a_port_of_tls(harness: ClientHarness, server: FaultServer) -> None:
    page = b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"
    server.add(respond(400, page, [("Content-Type", "text/html")]))
    client = harness.client("token", base_url=server.url)
    with pytest.raises(
        BadRequestError, match="check base_url, which must begin with https"
    ) as caught:
        client.hooks.redeliver(HOOK_ID, REQUEST_ID)
    assert not caught.value.outcome_unknown


def test_response_over_the_size_limit(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(200, b"[" + b" " * 1000 + b"]"))
    client = harness.client("token", base_url=server.url, max_response_bytes=100)
    with pytest.raises(ResponseDecodeError, match=r"Increase max_response_bytes") as caught:
        client.hooks.list()
    assert "update the SDK" not in str(caught.value)


def test_message_of_the_service_is_quoted(harness: ClientHarness, server: FaultServer) -> None:
    server.add(respond(422, {"error": "invalid", "message": "key a-secret-key is too weak."}))
    client = harness.client("token", base_url=server.url)
    with pytest.raises(UnprocessableEntityError) as caught:
        client.hooks.create(url="https://subscriber.example", secret="a-secret-key")
    assert " (key *** is too weak). " in str(caught.value)
