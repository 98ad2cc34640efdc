"""The seven operations over HTTP: successful calls, and all documented errors."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

UNKNOWN = "29dd8606-4e01-46cb-aca2-dd6022e74865"
URL = "http://127.0.0.1:9/"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SandboxClient]:
    with SandboxClient(sandbox) as client:
        yield client


def assert_error(response: httpx.Response, status: int, error: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error", "message"}
    assert response.json()["error"] == error


def test_create_get_list_update_delete(client: SandboxClient) -> None:
    assert client.get("/hooks").json() == []
    created = client.post("/hooks", json={"url": URL, "secret": "s", "header": "A: b"})
    assert created.status_code == 201
    row: dict[str, Any] = created.json()
    assert (row["active"], row["confirmed"], row["events"]) == (False, False, [])
    assert row["config"] == {"url": URL, "secret": "s", "header": "A: b"}
    path = f"/hooks/{row['id']}"
    assert client.get(path).json() == row
    assert client.get(path.upper().replace("HOOKS", "hooks")).json() == row
    assert client.get("/hooks").json() == [row]

    for method, change in (("PUT", {"events": ["*"]}), ("PATCH", {"active": True})):
        changed = client.request(method, path, json=change)
        assert changed.status_code == 200
        row = row | change | {"updated_at": changed.json()["updated_at"]}
        assert changed.json() == client.get(path).json() == row

    deleted = client.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_error(client.get(path), 404, "not_found")
    assert client.get("/hooks").json() == []


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_null_clears_secret_and_header(client: SandboxClient, method: str) -> None:
    row = client.subscribe(URL, secret="s", header="A: b")
    changed = client.request(method, f"/hooks/{row['id']}", json={"secret": None})
    assert changed.json()["config"] == {"url": URL, "secret": None, "header": "A: b"}
    changed = client.request(method, f"/hooks/{row['id']}", json={"header": None})
    assert changed.json()["config"] == {"url": URL, "secret": None, "header": None}


def test_status_of_create_is_a_variant() -> None:
    with Sandbox(variants="create_200") as sandbox, SandboxClient(sandbox) as client:
        assert client.post("/hooks", json={"url": URL}).status_code == 200


def test_unknown_ids_are_not_found(client: SandboxClient) -> None:
    hook_id = client.subscribe(URL)["id"]
    for method, path in (
        ("GET", f"/hooks/{UNKNOWN}"),
        ("PUT", f"/hooks/{UNKNOWN}"),
        ("PATCH", f"/hooks/{UNKNOWN}"),
        ("DELETE", f"/hooks/{UNKNOWN}"),
        ("GET", f"/hooks/{UNKNOWN}/requests"),
        ("POST", f"/hooks/{UNKNOWN}/requests/{UNKNOWN}/redeliver"),
        ("POST", f"/hooks/{hook_id}/requests/{UNKNOWN}/redeliver"),
    ):
        assert_error(client.request(method, path), 404, "not_found")


@pytest.mark.parametrize(
    "text", ["1", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}", UNKNOWN + "0", "%20", "%F0%9F%92%A9"]
)
def test_invalid_uuids_are_not_found(client: SandboxClient, text: str) -> None:
    hook_id = client.subscribe(URL)["id"]
    for method, path in (
        ("GET", f"/hooks/{text}"),
        ("GET", f"/hooks/{text}/requests"),
        ("POST", f"/hooks/{text}/requests/{UNKNOWN}/redeliver"),
        ("POST", f"/hooks/{hook_id}/requests/{text}/redeliver"),
    ):
        assert_error(client.request(method, path), 404, "not_found")


@pytest.mark.parametrize("path", ["/hooks/", "/nothing", f"/hooks/{UNKNOWN}/requests/1"])
def test_unknown_paths_are_not_found(client: SandboxClient, path: str) -> None:
    assert_error(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/hooks", {"GET", "HEAD", "POST"}),
        ("POST", f"/hooks/{UNKNOWN}", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        ("POST", f"/hooks/{UNKNOWN}/requests", {"GET", "HEAD"}),
        ("GET", f"/hooks/{UNKNOWN}/requests/{UNKNOWN}/redeliver", {"POST"}),
    ],
)
def test_other_methods_are_not_allowed(
    client: SandboxClient, method: str, path: str, allowed: set[str]
) -> None:
    response = client.request(method, path)
    assert_error(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == allowed


def test_head_is_get_without_a_body(client: SandboxClient) -> None:
    response = client.head("/hooks")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_body_that_is_not_a_json_object_is_a_bad_request(
    client: SandboxClient, body: bytes
) -> None:
    hook_id = client.subscribe(URL)["id"]
    assert_error(client.post("/hooks", content=body), 400, "bad_request")
    assert_error(client.put(f"/hooks/{hook_id}", content=body), 400, "bad_request")
    assert_error(client.patch(f"/hooks/{hook_id}", content=body), 400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": " "},
        {"url": None},
        {"url": URL, "active": "yes"},
        {"url": URL, "active": True},
        {"url": URL, "events": ["a b"]},
        {"url": URL, "colour": "blue"},
    ],
)
def test_invalid_create_is_unprocessable(client: SandboxClient, body: dict[str, object]) -> None:
    assert_error(client.post("/hooks", json=body), 422, "unprocessable_entity")
    assert client.get("/hooks").json() == []


@pytest.mark.parametrize("body", [{"url": ""}, {"events": []}, {"active": None}, {"id": UNKNOWN}])
def test_invalid_update_is_unprocessable(client: SandboxClient, body: dict[str, object]) -> None:
    row = client.subscribe(URL)
    path = f"/hooks/{row['id']}"
    assert_error(client.patch(path, json=body), 422, "unprocessable_entity")
    assert client.get(path).json() == row


def test_eleventh_active_subscription_is_refused(client: SandboxClient) -> None:
    for _ in range(10):
        client.subscribe(URL)
    fields = {"url": URL, "events": ["*"]}
    refused = client.post("/hooks", json={**fields, "active": True})
    assert_error(refused, 422, "unprocessable_entity")
    inactive = client.post("/hooks", json=fields).json()["id"]
    refused = client.patch(f"/hooks/{inactive}", json={"active": True})
    assert_error(refused, 422, "unprocessable_entity")


def test_recent_events_are_listed_with_a_row_per_attempt(
    sandbox: Sandbox, client: SandboxClient
) -> None:
    with Subscriber() as subscriber:
        hook_id = client.subscribe(subscriber.url)["id"]
        assert client.get(f"/hooks/{hook_id}/requests").json() == []
        (first,) = sandbox.publish(EVENT, {})
        subscriber.stop()
        (second,) = sandbox.publish(EVENT, {})
        subscriber.start()
        redelivery = client.redeliver(second)
    items = client.get(f"/hooks/{hook_id}/requests").json()
    assert items[0] == redelivery
    assert [item["id"] for item in items] == [
        str(attempt.event_id) for attempt in (second, second, first)
    ]
    assert [item["redelivery"] for item in items] == [True, False, False]
    assert [item["response_status"] for item in items] == [200, None, 200]
    assert items[1]["response_duration_ms"] is None


def test_requests_are_logged_without_their_query(sandbox: Sandbox, client: SandboxClient) -> None:
    client.get("/hooks?secret=1")
    client.get(f"/hooks/{UNKNOWN}")
    assert [(entry.method, entry.path, entry.status) for entry in sandbox.requests] == [
        ("POST", "/auth/token", 200),
        ("GET", "/hooks", 200),
        ("GET", f"/hooks/{UNKNOWN}", 404),
    ]
    assert sandbox.token_request_count == 1


def test_connection_is_kept_alive(sandbox: Sandbox) -> None:
    address = urlsplit(sandbox.base_url).netloc
    connection = http.client.HTTPConnection(address)
    try:
        connection.connect()
        local_address = connection.sock.getsockname()
        for _ in range(3):
            connection.request("GET", "/hooks")
            response = connection.getresponse()
            response.read()
            assert response.status == 401
        assert connection.sock.getsockname() == local_address
    finally:
        connection.close()


def test_disconnect_during_the_body_is_not_a_failure(
    client: SandboxClient, sandbox: Sandbox
) -> None:
    head = (
        "POST /hooks HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n"
        f"Authorization: {client.headers['authorization']}\r\n\r\n{{"
    )
    parts = urlsplit(sandbox.base_url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode())
    assert client.get("/hooks").json() == []


def test_invalid_http_is_not_a_failure(client: SandboxClient, sandbox: Sandbox) -> None:
    parts = urlsplit(sandbox.base_url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(b"\x16\x03\x01\x00 hello\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 400"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        host = parts.netloc.encode()
        connection.sendall(
            b"POST /auth/token?%ff HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 0\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 400"
    assert client.get("/hooks").status_code == 200
