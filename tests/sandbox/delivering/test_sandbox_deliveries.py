"""Deliveries over real sockets, to working and broken subscribers."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest
import trustme
from support.sandbox_helpers import (
    EVENT,
    SandboxClient,
    address_that_never_accepts,
    subscriber_that_sends,
)

from webhooks_sdk import sign
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


def test_a_delivery_is_a_post_of_json_with_the_documented_headers(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(f"{subscriber.url}in?x=1", secret="hush", header="X-Key: a b")
    payload = {"owner": {"first_name": "Zoë"}, "n": [1, None, True]}
    (attempt,) = sandbox.publish(EVENT, payload)
    (delivery,) = subscriber.deliveries
    assert (delivery.method, delivery.path) == ("POST", "/in")
    assert delivery.json() == payload
    assert dict(delivery.headers) == {
        "host": subscriber.url.removeprefix("http://").rstrip("/"),
        "user-agent": "Hookshot",
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(delivery.body)),
        "x-emperor-event": EVENT,
        "x-emperor-delivery": str(attempt.delivery_id),
        "x-signature": sign(delivery.body, "hush"),
        "x-key": "a b",
    }
    assert (attempt.status, attempt.error, attempt.delivered) == (200, None, True)
    assert attempt.duration_ms is not None
    assert sandbox.attempts == (attempt,)


def test_a_static_header_can_be_latin_1(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url, header="X-Team: Zürich")
    (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.delivered
    (delivery,) = subscriber.deliveries
    assert delivery.headers["x-team"] == "Zürich"


def test_a_subscriber_that_closes_the_connection_is_an_error(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    with subscriber_that_sends(b"") as url:
        client.subscribe(url)
        (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.error == "the subscriber closed the connection without responding"


def test_a_subscription_without_secret_and_header_adds_no_headers(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    sandbox.publish("carrier", {})
    (delivery,) = subscriber.deliveries
    assert "X-Signature" not in delivery.headers
    assert delivery.headers["X-Emperor-Event"] == "carrier"
    assert len(delivery.headers) == 7


def test_only_matching_active_subscriptions_receive(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    url = subscriber.url
    wanted = [
        client.subscribe(url, events=["*"]),
        client.subscribe(url, events=["application_form"]),
        client.subscribe(url, events=["carrier", EVENT]),
    ]
    client.subscribe(url, events=["application_form:inactive"])
    client.subscribe(url, active=False)
    client.subscribe("nowhere")
    attempts = sandbox.publish(EVENT, {})
    assert [str(attempt.hook_id) for attempt in attempts] == [row["id"] for row in wanted]
    assert len(subscriber.deliveries) == 3
    assert len({attempt.event_id for attempt in attempts}) == 3


def test_an_event_without_matching_subscriptions_makes_no_attempt(sandbox: Sandbox) -> None:
    assert sandbox.publish(EVENT, {}) == sandbox.attempts == ()


@pytest.mark.parametrize("event", ["", "*", "a b", "a:", "a:b:c", "a\r\nX: y", "a,b", 5])
def test_invalid_event_names_are_rejected(sandbox: Sandbox, event: Any) -> None:
    with pytest.raises(ValueError, match="event must be a subject:action or a subject"):
        sandbox.publish(event, {})


def test_a_dot_in_place_of_the_colon_is_rejected_with_the_right_name(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="did you mean 'application_form:quoted'"):
        sandbox.publish("application_form.quoted", {})


def test_the_api_accepts_any_case_and_dots_in_event_names(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    row = client.subscribe(subscriber.url, events=["Application_Form", "a.b"])
    assert row["events"] == ["Application_Form", "a.b"]
    (attempt,) = sandbox.publish("Application_Form:Quoted", {})
    assert attempt.delivered


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object()])
def test_a_payload_must_be_json(sandbox: Sandbox, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        sandbox.publish(EVENT, {"value": value})


@pytest.mark.parametrize("status", [200, 204, 299, 301, 400, 410, 500, 503])
def test_only_2xx_is_success(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber, status: int
) -> None:
    client.subscribe(subscriber.url)
    subscriber.status = status
    (attempt,) = sandbox.publish(EVENT, {})
    assert (attempt.status, attempt.delivered) == (status, status < 300)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_failures(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber, status: str
) -> None:
    response = f"HTTP/1.1 {status}\r\nLocation: {subscriber.url}\r\nContent-Length: 0\r\n\r\n"
    with subscriber_that_sends(response.encode()) as url:
        client.subscribe(url)
        (attempt,) = sandbox.publish(EVENT, {})
    assert (attempt.status, attempt.delivered) == (int(status[:3]), False)
    assert subscriber.deliveries == ()


def test_interim_responses_are_ignored(sandbox: Sandbox, client: SandboxClient) -> None:
    with subscriber_that_sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK) as url:
        client.subscribe(url)
        (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.status == 200


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_a_malformed_response_is_an_error(
    sandbox: Sandbox, client: SandboxClient, response: bytes
) -> None:
    with subscriber_that_sends(response) as url:
        client.subscribe(url)
        (attempt,) = sandbox.publish(EVENT, {})
        row = client.redeliver(attempt)
    assert (attempt.status, attempt.duration_ms, attempt.delivered) == (None, None, False)
    assert attempt.error
    assert (row["response_status"], row["response_duration_ms"]) == (None, None)


def test_a_subscriber_that_is_down_is_an_error(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    subscriber.stop()
    (attempt,) = sandbox.publish(EVENT, {})
    assert (attempt.status, attempt.duration_ms) == (None, None)
    assert attempt.error
    subscriber.start()
    assert client.redeliver(attempt)["response_status"] == 200


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid"])
def test_a_host_that_does_not_resolve_is_an_error(
    sandbox: Sandbox, client: SandboxClient, host: str
) -> None:
    client.subscribe(f"http://{host}/")
    (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.status is None
    assert attempt.error


def test_response_timeout() -> None:
    with (
        Sandbox(response_timeout=0.05) as sandbox,
        SandboxClient(sandbox) as client,
        Subscriber(delay=600) as subscriber,
    ):
        client.subscribe(subscriber.url)
        (attempt,) = sandbox.publish(EVENT, {})
    assert (attempt.status, attempt.duration_ms) == (None, None)
    assert attempt.error == "no response within 0.05 s"


def test_connect_timeout() -> None:
    with (
        address_that_never_accepts() as url,
        Sandbox(connect_timeout=0.05) as sandbox,
        SandboxClient(sandbox) as client,
    ):
        client.subscribe(url)
        (attempt,) = sandbox.publish(EVENT, {})
    assert attempt.status is None
    assert attempt.error == "the connection did not open within 0.05 s"


def test_a_redelivery_sends_the_same_event_again(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    subscriber.status = 500
    client.subscribe(subscriber.url, secret="s")
    (attempt,) = sandbox.publish(EVENT, {"n": 1})
    subscriber.status = 202
    row = client.redeliver(attempt)
    assert row["id"] == str(attempt.event_id)
    assert row["hook_id"] == str(attempt.hook_id)
    assert row["event"] == EVENT
    assert row["redelivery"] is True
    assert row["response_status"] == 202
    assert isinstance(row["response_duration_ms"], int)
    first, second = subscriber.deliveries
    assert second.body == first.body
    assert second.headers["X-Signature"] == first.headers["X-Signature"]
    assert second.headers["X-Emperor-Delivery"] == row["delivery_id"]
    assert row["delivery_id"] != str(attempt.delivery_id)
    again = sandbox.attempts[1]
    assert again.delivery_id == UUID(row["delivery_id"])
    assert (again.event_id, again.redelivery) == (attempt.event_id, True)


def test_redeliveries_to_an_inactive_subscription_are_not_sent(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    (attempt,) = sandbox.publish(EVENT, {})
    client.patch(f"/hooks/{attempt.hook_id}", json={"active": False})
    row = client.redeliver(attempt)
    assert (row["redelivery"], row["response_status"]) == (True, None)
    assert len(subscriber.deliveries) == 1


def test_large_bodies_are_delivered_completely(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url, secret="s")
    payload = {"text": "ü" * 2_000_000}
    (attempt,) = sandbox.publish(EVENT, payload)
    assert attempt.delivered
    (delivery,) = subscriber.deliveries
    assert delivery.json() == payload
    assert delivery.headers["X-Signature"] == sign(delivery.body, "s")


def test_an_attempt_is_listed_while_in_progress(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)
    (attempt,) = sandbox.publish(EVENT, {})
    subscriber.delay = 600
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            f"/hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver",
            timeout=httpx.Timeout(30, read=0.05),
        )
    subscriber.wait_for(2)
    row = client.get(f"/hooks/{attempt.hook_id}/requests").json()[0]
    assert (row["redelivery"], row["response_status"]) == (True, None)
    assert sandbox.attempts[1].finished_at is None
    # It continues although its client has disconnected.
    subscriber.stop()
    while sandbox.attempts[1].finished_at is None:
        client.get("/hooks")
    assert sandbox.attempts[1].error


def test_redeliveries_run_concurrently(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    many = 64
    all_connected = threading.Barrier(many, timeout=30)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            all_connected.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

    hook_id = client.subscribe(subscriber.url)["id"]
    attempts = [sandbox.publish(EVENT, {})[0] for _ in range(many)]
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        client.patch(f"/hooks/{hook_id}", json={"url": url}).raise_for_status()
        with ThreadPoolExecutor(many) as pool:
            rows = list(pool.map(client.redeliver, attempts))
        server.shutdown()
        thread.join()
    assert [row["response_status"] for row in rows] == [200] * many
    assert len(sandbox.attempts) == 2 * many


def test_publish_can_be_called_from_threads_of_async_code(
    sandbox: Sandbox, client: SandboxClient, subscriber: Subscriber
) -> None:
    client.subscribe(subscriber.url)

    async def publish_all() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(sandbox.publish, EVENT, {"n": n}) for n in range(20))
        )

    asyncio.run(publish_all())
    bodies = [json.loads(delivery.body)["n"] for delivery in subscriber.deliveries]
    assert sorted(bodies) == list(range(20))
    assert all(attempt.delivered for attempt in sandbox.attempts)


def test_deliveries_over_tls(
    sandbox: Sandbox,
    client: SandboxClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    context.load_cert_chain(tmp_path / "server.pem")
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        client.subscribe(f"https://localhost:{server.server_port}/")
        client.subscribe(f"https://127.0.0.1:{server.server_port}/")
        trusted, untrusted = sandbox.publish(EVENT, {"n": 1})
        server.shutdown()
        thread.join()
    assert trusted.status == 200
    assert bodies == [b'{"n": 1}']
    assert untrusted.status is None
    assert untrusted.error is not None
    assert "certificate" in untrusted.error
