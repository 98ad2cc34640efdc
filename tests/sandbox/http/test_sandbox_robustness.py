"""Whatever comes over a connection: a JSON error at worst, and never a failure of the sandbox.

The sandbox raises its own failures when it is left, so the tests also say that there were none.
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
from webhooks_sdk.sandbox._http.requests import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webhooks_sdk.sandbox._http.faults import FaultKind


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def talk(sandbox: Sandbox, *parts: bytes) -> bytes:
    """Send bytes, then nothing more, and return all that comes back."""
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
            # It may hang up on whom it cannot understand.
            pass
    return received


def own(sandbox: Sandbox) -> bytes:
    return b"Host: " + urlsplit(sandbox.base_url).netloc.encode() + b"\r\n"


def is_alive(sandbox: Sandbox) -> bool:
    return httpx.get(f"{sandbox.base_url}/_sandbox/state").status_code == 200


@pytest.mark.parametrize(
    "nonsense",
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
def test_what_is_no_http_gets_a_json_error(sandbox: Sandbox, nonsense: bytes) -> None:
    head, _, body = talk(sandbox, nonsense).partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 400 bad request"
    assert b"content-type: application/json" in lines
    assert b"connection: close" in lines
    assert json.loads(body)["error"] == "bad_request"
    assert is_alive(sandbox)


@pytest.mark.parametrize("host", [b"Host: evil.example\r\n", None])
def test_nonsense_after_an_answer_is_no_failure(sandbox: Sandbox, host: bytes | None) -> None:
    # 421, or 401, comes before the body has; then that turns out to be none.
    head = b"POST /hooks HTTP/1.1\r\n" + (host or own(sandbox))
    talk(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\n", b"nonsense\r\n\r\n")
    talk(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n")
    talk(sandbox, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"zz\r\n\r\n")
    talk(sandbox, head + b"Content-Length: 2\r\n\r\n{}nonsense\r\n\r\n")
    talk(sandbox, head + b"Content-Length: 10\r\n\r\n{}")
    assert is_alive(sandbox)


def test_absolute_targets_and_odd_methods_are_no_failure(sandbox: Sandbox) -> None:
    for start in (
        b"GET http://evil.example/hooks HTTP/1.1",
        b"CONNECT evil.example:80 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"BREW /hooks HTTP/1.1",
        b"GET /%00%ff%2e%2e/_sandbox/ HTTP/1.1",
        b"GET /_sandbox/ HTTP/1.1",
        b"GET //_sandbox/state HTTP/1.1",
    ):
        received = talk(sandbox, start + b"\r\n" + own(sandbox) + b"Connection: close\r\n\r\n")
        status = int(received.split(b" ", 2)[1])
        assert status in {404, 405}
        assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]


def test_requests_can_be_pipelined(sandbox: Sandbox) -> None:
    request = b"GET /hooks HTTP/1.1\r\n" + own(sandbox) + b"\r\n"
    assert talk(sandbox, request * 3).count(b"HTTP/1.1 401 ") == 3


@pytest.mark.parametrize("path", ["/hooks", "/auth/token", "/nowhere", "/_sandbox/events"])
def test_a_body_that_is_too_long_is_413(sandbox: Sandbox, path: str) -> None:
    url = sandbox.base_url + path
    headers = {"Content-Type": "application/json"}
    with SandboxClient(sandbox) as client:
        for body in (b" " * (MAX_BODY + 1), iter([b" " * 600_000] * 2)):
            answer = client.post(url, content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (413, "body_too_long")
        assert client.post(url, content=b" " * MAX_BODY).status_code != 413


def test_a_body_that_would_be_too_long_is_refused_before_it_is_sent(sandbox: Sandbox) -> None:
    head = b"POST /hooks HTTP/1.1\r\n" + own(sandbox) + b"Content-Length: 99999999999\r\n"
    received = talk(sandbox, head + b"Expect: 100-continue\r\n\r\n")
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
        st.sampled_from(["tenant", "limit", "before", "hook_id", "outcome", "x"]), st.text()
    ),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just(1e308),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("event", "payload", "kind", "operation", "times", "seconds", "weeks"),
                        *("environment", "client_id", "name", "seed", "order", "listed"),
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
    ),
)
def test_the_control_api_takes_anything(
    sandbox: Sandbox, method: str, name: str, query: dict[str, str], body: object
) -> None:
    url = f"{sandbox.base_url}/_sandbox/{name}"
    headers = {"Content-Type": "application/json"}
    content = json.dumps(body)
    answer = httpx.request(method, url, params=query, content=content, headers=headers)
    assert answer.status_code in {200, 201, 204, 400, 404, 405, 409, 422}
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "message"}
    sandbox.clear_faults()


@pytest.mark.parametrize(
    "path",
    [
        "/_sandbox/reset",
        "/auth/token",
    ],
)
def test_a_failure_of_its_own_is_answered_and_told(tmp_path: Path, path: str) -> None:
    # A database that is gone, while requests still come, is what it takes.
    sandbox = Sandbox(database=tmp_path / "sandbox.sqlite")
    sandbox.__enter__()
    sandbox._runtime.database.close()  # pyright: ignore[reportPrivateUsage]  # nothing public fails
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(sandbox.base_url + path, content="{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_server_error")
    with pytest.raises(ExceptionGroup, match="failed") as caught:
        sandbox.__exit__(None, None, None)
    assert [type(error) for error in caught.value.exceptions][:1] == [RuntimeError]


@pytest.mark.parametrize("fault", ["malformed_json", "server_error"])
def test_a_failure_is_told_also_where_a_fault_hides_it(
    monkeypatch: pytest.MonkeyPatch, fault: FaultKind
) -> None:
    monkeypatch.delattr(api, "encode_subscription")
    sandbox = Sandbox()
    sandbox.__enter__()
    with SandboxClient(sandbox) as client:
        sandbox.inject(Fault(fault, processed=fault == "server_error"))
        answer = client.post("/hooks", json={"url": "http://a.example/"})
    assert answer.status_code == 500
    with pytest.raises(ExceptionGroup, match="failed"):
        sandbox.__exit__(None, None, None)
