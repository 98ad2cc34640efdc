"""Faults over real sockets: the bytes on the wire, and the errors of the SDK's clients."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    ClientCredentials,
    InternalServerError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
)
from webhooks_sdk.sandbox import Fault, Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.harness import ClientHarness

    from webhooks_sdk import Client

URL = "http://127.0.0.1:9/"
NEW = {"url": URL, "events": ["*"], "active": True}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def raw(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def exchange(sandbox: Sandbox, raw: SandboxClient, method: str, path: str, body: str = "") -> bytes:
    """Send a request, and return all bytes received until the connection is closed."""
    parts = urlsplit(sandbox.base_url)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Authorization: {raw.headers['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    received = b""
    with socket.create_connection((parts.hostname, parts.port), 30) as connection:
        connection.sendall((head + body).encode())
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def sdk(harness: ClientHarness, sandbox: Sandbox, **options: Any) -> Client:
    return harness.client(
        ClientCredentials(sandbox.client_id, sandbox.client_secret),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
        **{"retry": RetryPolicy.none(), **options},
    )


# On the wire


@pytest.mark.parametrize("fault", ["latency", None, {"kind": "latency"}])
def test_inject_rejects_other_types(sandbox: Sandbox, fault: Any) -> None:
    with pytest.raises(TypeError, match="must be Fault objects"):
        sandbox.inject(Fault("reset_after"), fault)
    assert sandbox.faults == ()


def test_reset_before_does_not_process_the_request(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("reset_before", times=1))
    with pytest.raises(ConnectionResetError):
        exchange(sandbox, raw, "POST", "/hooks", json.dumps(NEW))
    assert sandbox.subscriptions == ()
    assert sandbox.requests[-1].status is None
    assert sandbox.faults == ()


def test_reset_after_processes_the_request_first(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("reset_after", operation="create", times=1))
    with pytest.raises(ConnectionResetError):
        exchange(sandbox, raw, "POST", "/hooks", json.dumps(NEW))
    assert [subscription.url for subscription in sandbox.subscriptions] == [URL]
    assert len(raw.get("/hooks").json()) == 1


def test_truncated_closes_the_connection_within_the_body(
    sandbox: Sandbox, raw: SandboxClient
) -> None:
    sandbox.inject(Fault("truncated", times=1))
    head, _, body = exchange(sandbox, raw, "POST", "/hooks", json.dumps(NEW)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 Created\r\n")
    (length,) = (int(line[16:]) for line in head.lower().split(b"\r\n") if b"-length" in line)
    assert 0 < len(body) < length
    assert len(sandbox.subscriptions) == 1


def test_truncated_closes_the_connection_within_the_head_if_there_is_no_body(
    sandbox: Sandbox, raw: SandboxClient
) -> None:
    row = raw.subscribe(URL)
    sandbox.inject(Fault("truncated", operation="delete", times=1))
    assert exchange(sandbox, raw, "DELETE", f"/hooks/{row['id']}") == b"HTTP/1.1 "
    assert sandbox.subscriptions == ()


def test_malformed_json_has_a_complete_response(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("malformed_json", times=3))
    response = raw.post("/hooks", json=NEW)
    assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
    with pytest.raises(ValueError, match="Expecting"):
        response.json()
    (subscription,) = sandbox.subscriptions
    for method, path in (("GET", "/hooks"), ("DELETE", f"/hooks/{subscription.id}")):
        response = raw.request(method, path)
        assert response.status_code == 200
        with pytest.raises(ValueError, match="Expecting"):
            response.json()
    assert sandbox.subscriptions == ()


def test_slow_drip_sends_the_whole_body_in_chunks(sandbox: Sandbox, raw: SandboxClient) -> None:
    row = raw.subscribe(URL)
    sandbox.inject(Fault("slow_drip", seconds=0.1, times=2))
    with raw.stream("GET", "/hooks") as response:
        chunks = list(response.iter_raw())
    assert len(chunks) > 1
    assert json.loads(b"".join(chunks)) == [row]
    assert raw.delete(f"/hooks/{row['id']}").status_code == 204


def test_slow_drip_ends_when_the_client_disconnects(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("slow_drip", seconds=2, times=1))
    with raw.stream("GET", "/hooks") as response:
        next(response.iter_raw())
    assert raw.get("/hooks").status_code == 200


def test_huge_body_has_its_size_and_is_valid_json(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("huge_body", size=300_000, times=1))
    response = raw.get("/hooks")
    assert len(response.content) == 300_000
    assert response.json() == []


def test_huge_body_ends_when_the_client_disconnects(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("huge_body", times=1))
    with raw.stream("GET", "/hooks") as response:
        next(response.iter_raw())
    assert raw.get("/hooks").json() == []


def test_request_is_processed_if_the_client_disconnects_during_latency(
    sandbox: Sandbox, raw: SandboxClient
) -> None:
    sandbox.inject(Fault("latency", seconds=0.5, times=1))
    version = sandbox.changes.version
    with pytest.raises(httpx.ReadTimeout):
        raw.post("/hooks", json=NEW, timeout=0.1)
    asyncio.run(sandbox.changes.wait(version))
    assert [subscription.url for subscription in sandbox.subscriptions] == [URL]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (Fault("unauthorized"), 401, "unauthorized"),
        (Fault("rate_limited", retry_after=7), 429, "too_many_requests"),
        (Fault("server_error"), 500, "internal_server_error"),
        (Fault("server_error", status=503, retry_after=7), 503, "service_unavailable"),
        (Fault("server_error", status=599), 599, "server_error"),
    ],
)
def test_error_response_is_json_and_the_request_is_not_processed(
    sandbox: Sandbox, raw: SandboxClient, fault: Fault, status: int, error: str
) -> None:
    sandbox.inject(fault)
    response = raw.post("/hooks", json=NEW)
    assert (response.status_code, response.json()["error"]) == (status, error)
    expected = None if fault.retry_after is None else str(fault.retry_after)
    assert response.headers.get("retry-after") == expected
    assert sandbox.subscriptions == ()
    assert sandbox.requests[-1].status == status
    sandbox.clear_faults()
    assert raw.post("/hooks", json=NEW).status_code == 201


def test_server_error_can_be_sent_after_processing(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("server_error", status=502, processed=True))
    assert raw.post("/hooks", json=NEW).status_code == 502
    assert len(sandbox.subscriptions) == 1


def test_token_request_gets_an_oauth_error(sandbox: Sandbox) -> None:
    sandbox.inject(Fault("unauthorized", operation="token"))
    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.client_id,
        "client_secret": sandbox.client_secret,
    }
    response = httpx.post(sandbox.token_url, data=form)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_unknown_operations_are_not_affected(sandbox: Sandbox, raw: SandboxClient) -> None:
    sandbox.inject(Fault("server_error"))
    assert raw.get("/nowhere").status_code == 404
    assert raw.patch("/hooks").status_code == 405


def test_faults_are_per_tenant(sandbox: Sandbox, raw: SandboxClient) -> None:
    with sandbox.add_tenant() as other, SandboxClient(other) as theirs:
        other.inject(Fault("server_error"))
        assert raw.get("/hooks").status_code == 200
        assert theirs.get("/hooks").status_code == 500
        other.reset()
        assert other.faults == ()
        assert theirs.get("/hooks").status_code == 200
    with pytest.raises(RuntimeError, match="closed"):
        other.inject(Fault("server_error"))


def test_faults_can_be_injected_before_start_and_are_reproducible() -> None:
    def statuses(seed: int) -> list[int]:
        sandbox = Sandbox(seed=seed)
        sandbox.inject(Fault("server_error", operation="list", probability=0.5))
        with sandbox, SandboxClient(sandbox) as client:
            return [client.get("/hooks").status_code for _ in range(30)]

    assert statuses(5) == statuses(5)
    assert statuses(5) != statuses(6)
    assert set(statuses(5)) == {200, 500}


def test_seed_makes_ids_reproducible_but_not_secrets() -> None:
    def ids(database: str | None = None) -> list[object]:
        with Sandbox(seed=5, database=database) as sandbox, SandboxClient(sandbox) as client:
            return [sandbox.tenant_id, client.subscribe(URL)["id"], sandbox.client_secret]

    first, second = ids(), ids()
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_seed_gives_new_ids_in_an_existing_database(tmp_path: Any) -> None:
    path = tmp_path / "sandbox.sqlite"
    found: set[str] = set()
    for _ in range(3):
        with Sandbox(seed=5, database=path) as sandbox, SandboxClient(sandbox) as client:
            found.add(client.subscribe(URL)["id"])
    assert len(found) == 3


def test_stopping_cancels_delayed_requests() -> None:
    with Subscriber() as subscriber, ThreadPoolExecutor(2) as pool, ExitStack() as later:
        with Sandbox() as sandbox:
            # Closed after its calls: a socket that is closed under a reader can leave it waiting.
            client = later.enter_context(SandboxClient(sandbox))
            client.subscribe(subscriber.url)
            (attempt,) = sandbox.publish(EVENT, {})
            subscriber.delay = 600
            sandbox.inject(Fault("slow_drip", operation="redeliver", seconds=600))
            sandbox.inject(Fault("latency", operation="list", seconds=600))
            calls: list[Future[Any]] = [
                pool.submit(client.redeliver, attempt),
                pool.submit(client.get, "/hooks"),
            ]
            subscriber.wait_for(2)
        for call in calls:
            assert isinstance(call.exception(30), httpx.TransportError)


# Errors of the SDK's clients


@pytest.mark.parametrize(
    ("fault", "error", "is_unknown"),
    [
        (Fault("unauthorized"), AuthenticationError, False),
        (Fault("rate_limited", retry_after=99), RateLimitError, False),
        (Fault("server_error", status=503, retry_after=99), InternalServerError, False),
        (Fault("server_error", processed=True), InternalServerError, True),
        (Fault("reset_before"), APIConnectionError, True),
        (Fault("reset_after"), APIConnectionError, True),
        (Fault("truncated"), ResponseDecodeError, True),
        (Fault("malformed_json"), ResponseDecodeError, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_failed_redelivery_reports_whether_its_outcome_is_known(
    harness: ClientHarness, sandbox: Sandbox, fault: Fault, error: type[APIError], is_unknown: bool
) -> None:
    with Subscriber() as subscriber:
        client = sdk(harness, sandbox)
        client.hooks.create(url=subscriber.url, events=["*"], active=True)
        (attempt,) = sandbox.publish(EVENT, {})
        sandbox.inject(Fault(**{**fault.to_dict(), "operation": "redeliver"}))  # type: ignore[arg-type]  # as from JSON
        with pytest.raises(error) as caught:
            client.hooks.redeliver(attempt.hook_id, attempt.event_id)
        assert isinstance(caught.value, APIError)
        assert caught.value.outcome_unknown is is_unknown
        assert caught.value.retry_after == fault.retry_after
        processed = fault.processed or fault.kind in {"reset_after", "truncated", "malformed_json"}
        assert len(subscriber.deliveries) == (2 if processed else 1)


@pytest.mark.parametrize("kind", ["latency", "slow_drip"])
def test_slow_response_is_a_timeout(harness: ClientHarness, sandbox: Sandbox, kind: Any) -> None:
    client = sdk(harness, sandbox, timeout=0.3)
    client.hooks.list()
    sandbox.inject(Fault(kind, seconds=60, operation="list"))
    with pytest.raises(APITimeoutError):
        client.hooks.list()


def test_body_beyond_the_limit_is_rejected(harness: ClientHarness, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("huge_body", size=2_000_000, operation="list"))
    with pytest.raises(ResponseDecodeError, match="1,000,000 bytes"):
        sdk(harness, sandbox, max_response_bytes=1_000_000).hooks.list()


def test_retries_succeed_when_the_faults_are_used_up(
    harness: ClientHarness, sandbox: Sandbox
) -> None:
    sandbox.inject(
        Fault("reset_after", operation="token", times=1),
        Fault("server_error", operation="list", times=1),
        Fault("rate_limited", operation="list", times=1, retry_after=0),
    )
    with closing(sdk(harness, sandbox, retry=RetryPolicy(initial_backoff=0.01))) as client:
        assert client.hooks.list() == []
    assert sandbox.faults == ()
