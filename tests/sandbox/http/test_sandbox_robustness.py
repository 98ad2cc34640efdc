"""Invalid input gets a JSON error and is never a failure of the sandbox.

The sandbox raises its failures on exit, so the tests also check that there are none.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sandbox_helpers import SandboxClient

from webhooks_sdk.sandbox import Fault, Sandbox
from webhooks_sdk.sandbox._http import api
from webhooks_sdk.sandbox._http.requests import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webhooks_sdk.sandbox._http.faults import FaultKind


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def exchange(sandbox: Sandbox, *parts: bytes) -> bytes:
    """Send bytes, shut down the sending side, and return all bytes received."""
    address = urlsplit(sandbox.base_url)
    received = b""
    with socket.create_connection((address.hostname, address.port), 30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except OSError:
            # The sandbox can close the connection after invalid input.
            pass
    return received


def host_header(sandbox: Sandbox) -> bytes:
    return b"Host: " + urlsplit(sandbox.base_url).netloc.encode() + b"\r\n"


def is_alive(sandbox: Sandbox) -> bool:
    return httpx.get(f"{sandbox.base_url}/_sandbox/state").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/x.y\r\n\r\n",
        b"GET /hooks HTTP/1.1\r\n\r\n",  # without Host
        b"GET /hooks HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /hooks HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET /h\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /hooks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /" + b"x" * 20_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_invalid_http_gets_a_json_error(sandbox: Sandbox, data: bytes) -> None:
    head, _, body = exchange(sandbox, data).partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 400 bad request"
    assert b"content-type: application/json" in lines
    assert b"connection: close" in lines
    assert json.loads(body)["error"] == "bad_request"
    assert is_alive(sandbox)


@pytest.mark.parametrize("host", [b"Host: evil.example\r\n", None])
def test_invalid_data_after_a_response_is_not_a_failure(
    sandbox: Sandbox, host: bytes | None
) -> None:
    # The response, 421 or 401, is sent before the invalid body arrives.
    head = b"POST /hooks HTTP/1.1\r\n" + (host or host_header(sandbox))
    exchange(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\n", b"nonsense\r\n\r\n")
    exchange(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n")
    exchange(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"zz\r\n\r\n")
    exchange(sandbox, head + b"Content-Length: 2\r\n\r\n{}nonsense\r\n\r\n")
    exchange(sandbox, head + b"Content-Length: 10\r\n\r\n{}")
    assert is_alive(sandbox)


def test_absolute_targets_and_unusual_methods_are_not_failures(sandbox: Sandbox) -> None:
    for start in (
        b"GET http://evil.example/hooks HTTP/1.1",
        b"CONNECT evil.example:80 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"BREW /hooks HTTP/1.1",
        b"GET /%00%ff%2e%2e/_sandbox/ HTTP/1.1",
        b"GET /_sandbox/ HTTP/1.1",
        b"GET //_sandbox/state HTTP/1.1",
    ):
        received = exchange(
            sandbox, start + b"\r\n" + host_header(sandbox) + b"Connection: close\r\n\r\n"
        )
        status = int(received.split(b" ", 2)[1])
        assert status in {404, 405}
        assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]


def test_requests_can_be_pipelined(sandbox: Sandbox) -> None:
    request = b"GET /hooks HTTP/1.1\r\n" + host_header(sandbox) + b"\r\n"
    assert exchange(sandbox, request * 3).count(b"HTTP/1.1 401 ") == 3


@pytest.mark.parametrize("path", ["/hooks", "/auth/token", "/nowhere", "/_sandbox/events"])
def test_body_that_is_too_long_gets_a_413(sandbox: Sandbox, path: str) -> None:
    url = sandbox.base_url + path
    headers = {"Content-Type": "application/json"}
    with SandboxClient(sandbox) as client:
        for body in (b" " * (MAX_BODY_BYTES + 1), iter([b" " * 600_000] * 2)):
            response = client.post(url, content=body, headers=headers)
            assert (response.status_code, response.json()["error"]) == (413, "body_too_large")
        assert client.post(url, content=b" " * MAX_BODY_BYTES).status_code != 413


def test_content_length_that_is_too_long_gets_a_413_before_the_body_is_sent(
    sandbox: Sandbox,
) -> None:
    head = b"POST /hooks HTTP/1.1\r\n" + host_header(sandbox) + b"Content-Length: 99999999999\r\n"
    received = exchange(sandbox, head + b"Expect: 100-continue\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 413 ")
    assert sandbox.requests[-1].status == 413


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    name=st.sampled_from(
        [
            *("state", "tenants", "events", "attempts", "retries", "advance", "faults"),
            *("variants", "tokens/expire", "nowhere", "tenants/x", "subscriber/999"),
        ]
    ),
    query=st.dictionaries(
        st.sampled_from(["tenant", "limit", "before", "hook_id", "state", "x"]), st.text()
    ),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just(1e308),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("event", "payload", "kind", "operation", "times", "seconds", "weeks"),
                        *("environment", "client_id", "name", "seed", "order", "max_listed"),
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
    ),
)
def test_control_api_handles_any_input(
    sandbox: Sandbox, method: str, name: str, query: dict[str, str], body: object
) -> None:
    url = f"{sandbox.base_url}/_sandbox/{name}"
    headers = {"Content-Type": "application/json"}
    content = json.dumps(body)
    response = httpx.request(method, url, params=query, content=content, headers=headers)
    assert response.status_code in {200, 201, 204, 400, 404, 405, 409, 422}
    if response.status_code >= 400:
        assert set(response.json()) == {"error", "message"}
    sandbox.clear_faults()


@pytest.mark.parametrize(
    "path",
    [
        "/_sandbox/reset",
        "/auth/token",
    ],
)
def test_failure_gets_a_500_and_is_raised_on_exit(tmp_path: Path, path: str) -> None:
    # Close the database while the server still accepts requests.
    sandbox = Sandbox(database=tmp_path / "sandbox.sqlite")
    sandbox.__enter__()
    sandbox._runtime.database.close()  # pyright: ignore[reportPrivateUsage]  # no public way to fail
    headers = {"Content-Type": "application/json"}
    response = httpx.post(sandbox.base_url + path, content="{}", headers=headers)
    assert (response.status_code, response.json()["error"]) == (500, "internal_server_error")
    with pytest.raises(ExceptionGroup, match="failed") as caught:
        sandbox.__exit__(None, None, None)
    assert [type(error) for error in caught.value.exceptions][:1] == [RuntimeError]


@pytest.mark.parametrize("fault", ["malformed_json", "server_error"])
def test_failure_hidden_by_a_fault_is_raised_on_exit(
    monkeypatch: pytest.MonkeyPatch, fault: FaultKind
) -> None:
    monkeypatch.delattr(api, "encode_subscription")
    sandbox = Sandbox()
    sandbox.__enter__()
    with SandboxClient(sandbox) as client:
        sandbox.inject(Fault(fault, processed=fault == "server_error"))
        response = client.post("/hooks", json={"url": "http://a.example/"})
    assert response.status_code == 500
    with pytest.raises(ExceptionGroup, match="failed"):
        sandbox.__exit__(None, None, None)
