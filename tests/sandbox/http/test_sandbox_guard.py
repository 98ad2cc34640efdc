"""Pages of other origins are rejected: protection against CSRF and DNS rebinding."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from support.sandbox_helpers import SandboxClient

from webhooks_sdk.sandbox import Fault, Sandbox
from webhooks_sdk.sandbox._http.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = ("/hooks", "/staging/hooks", "/_sandbox/state", "/", "/nowhere")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def status(guard: Guard, host: str | None, **headers: str) -> int | None:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    rejection = guard.check(sent if host is None else {"host": host, **sent})
    return None if rejection is None else rejection.status


LOCAL = Guard(host="127.0.0.1", port=8080)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "127.9.9.9:8080"]
)
def test_own_hosts_are_accepted(host: str) -> None:
    assert status(LOCAL, host) is None
    assert status(LOCAL, host, origin=f"http://{host.lower()}") is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.:8080"),
        *("localhost:8081", "localhost", "127.0.0.1", "192.0.2.1:8080", "0.0.0.0:8080"),
        *("[::]:8080", "[::1", "::1:8080", "a@localhost:8080", "localhost:8080:8080", "[]", ""),
        *("localhost:99999999", "localhost:", "localhost:8080, evil.example", "127.1:8080"),
        None,
    ],
)
def test_other_hosts_are_rejected(host: str | None) -> None:
    assert status(LOCAL, host) == 421


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "http://localhost:3000", "https://localhost:8080"),
        *("http://127.0.0.1:8080", "http://localhost:8080.evil.example", "http://localhost:8080/"),
    ],
)
def test_other_origins_are_rejected(origin: str) -> None:
    assert status(LOCAL, "localhost:8080", origin=origin) == 403


def test_other_sites_are_rejected() -> None:
    for site in ("cross-site", "same-site", "something-new"):
        assert status(LOCAL, "localhost:8080", sec_fetch_site=site) == 403
    for site in ("same-origin", "none"):
        assert status(LOCAL, "localhost:8080", sec_fetch_site=site) is None


def test_host_without_a_port_means_port_80() -> None:
    assert status(Guard(host="127.0.0.1", port=80), "localhost") is None


def test_allowed_hosts_match_any_port_or_one() -> None:
    guard = Guard(host="127.0.0.1", port=8080, allowed=("Sandbox", "tunnel:9000"))
    for host in ("sandbox", "SANDBOX:1234", "tunnel:9000"):
        assert status(guard, host) is None
    for host in ("tunnel", "tunnel:9001", "other"):
        assert status(guard, host) == 421


def test_allowed_hosts_can_have_https_origins() -> None:
    guard = Guard(host="127.0.0.1", port=8080, allowed=("tunnel.example",))
    for origin in ("https://tunnel.example", "http://tunnel.example"):
        assert status(guard, "tunnel.example", origin=origin) is None
    for origin in ("https://evil.example", "ftp://tunnel.example", "https://tunnel.example:444"):
        assert status(guard, "tunnel.example", origin=origin) == 403
    assert status(guard, "localhost:8080", origin="https://localhost:8080") == 403


def test_any_ip_address_is_accepted_when_listening_on_all() -> None:
    guard = Guard(host="0.0.0.0", port=8080)
    for host in ("192.0.2.1:8080", "[2001:db8::1]:8080", "localhost:8080"):
        assert status(guard, host) is None
    for host in ("192.0.2.1:8081", "evil.example:8080"):
        assert status(guard, host) == 421
    assert status(Guard(host="192.0.2.1", port=8080), "192.0.2.1:8080") is None
    assert status(Guard(host="192.0.2.1", port=8080), "192.0.2.2:8080") == 421


@pytest.mark.parametrize("path", PATHS)
def test_dns_rebinding_is_rejected(sandbox: Sandbox, path: str) -> None:
    port = urlsplit(sandbox.base_url).port
    response = httpx.get(sandbox.base_url + path, headers={"Host": f"evil.example:{port}"})
    assert (response.status_code, response.json()["error"]) == (421, "misdirected_request")
    assert "evil.example" in response.json()["message"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_page_of_another_origin_is_rejected(sandbox: Sandbox, path: str, method: str) -> None:
    # As a browser sends it: the Host header is correct, since the page addresses the sandbox.
    for headers in (
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        response = httpx.request(method, sandbox.base_url + path, headers=headers)
        assert (response.status_code, response.json()["error"]) == (403, "forbidden")
        assert [name for name in response.headers if name.startswith("access-control-")] == []
    assert sandbox.requests == ()


def test_page_with_an_access_token_is_rejected(sandbox: Sandbox) -> None:
    with SandboxClient(sandbox) as client:
        body = {"url": "http://127.0.0.1:9/"}
        headers = {"Origin": "https://evil.example"}
        assert client.post("/hooks", json=body, headers=headers).status_code == 403
    assert sandbox.subscriptions == ()


def test_form_without_an_origin_cannot_use_the_control_api(sandbox: Sandbox) -> None:
    # From an old browser, or with stripped headers. Forms cannot have a JSON content type.
    fault = '{"kind": "server_error"}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = httpx.post(
            f"{sandbox.base_url}/_sandbox/faults",
            content=fault,
            headers={"Content-Type": media_type},
        )
        assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    assert httpx.post(f"{sandbox.base_url}/_sandbox/reset").status_code == 415
    assert sandbox.faults == ()


def test_own_pages_are_accepted(sandbox: Sandbox) -> None:
    response = httpx.post(
        f"{sandbox.base_url}/_sandbox/faults",
        json={"kind": "reset_after"},
        headers={"Origin": sandbox.base_url, "Sec-Fetch-Site": "same-origin"},
    )
    assert response.status_code == 200
    assert sandbox.faults == (Fault("reset_after"),)


def test_allowed_host_is_accepted() -> None:
    with Sandbox(allowed_hosts=["sandbox"]) as sandbox:
        url = f"{sandbox.base_url}/_sandbox/state"
        assert httpx.get(url, headers={"Host": "sandbox:8080"}).status_code == 200
        assert httpx.get(url, headers={"Host": "other:8080"}).status_code == 421
