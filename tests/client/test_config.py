"""Settings passed to the constructor or by environment variables, for all kinds of client."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from attrs import evolve
from support import fault_server as fs
from support.fault_server import respond
from support.samples import FAST, HOOK_ID, subscription

from webhooks_sdk import (
    AsyncClient,
    Client,
    ClientCredentials,
    ConfigurationError,
    Environment,
    RetryPolicy,
    WebhooksError,
)
from webhooks_sdk._core.tokens import token_operation

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock
    from support.fault_server import FaultServer
    from support.harness import ClientHarness

CREDENTIALS = ClientCredentials("an-id", "s3cret")
BASE = "https://service.example"
TOKEN_URL = "https://tokens.example/token"
PRODUCTION = "https://hookshot.boldpenguin.com"
STAGING = "https://hookshot-uat.beta.boldpenguin.com"
PRODUCTION_TOKENS = "https://boldpenguin-auth.boldpenguin.com/auth/token"
STAGING_TOKENS = "https://boldpenguin-auth-uat.beta.boldpenguin.com/auth/token"


def sent_to(client: Client, httpx_mock: HTTPXMock) -> list[str]:
    """Make a call and return the URLs of its requests."""
    httpx_mock.add_response(method="GET", json=[subscription()])
    httpx_mock.add_response(method="POST", json={"access_token": "t"}, is_optional=True)
    client.hooks.list()
    return [str(request.url) for request in httpx_mock.get_requests()]


# Endpoints


@pytest.mark.parametrize(
    ("environment", "urls"),
    [
        ("production", [PRODUCTION_TOKENS, f"{PRODUCTION}/hooks"]),
        (Environment.PRODUCTION, [PRODUCTION_TOKENS, f"{PRODUCTION}/hooks"]),
        ("staging", [STAGING_TOKENS, f"{STAGING}/hooks"]),
        (Environment.STAGING, [STAGING_TOKENS, f"{STAGING}/hooks"]),
    ],
)
def test_an_environment_names_both_urls(
    harness: ClientHarness, environment: Any, urls: list[str], httpx_mock: HTTPXMock
) -> None:
    client = harness.client(CREDENTIALS, environment=environment)
    assert client.base_url == urls[1].removesuffix("/hooks")
    assert sent_to(client, httpx_mock) == urls


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (BASE, BASE),
        (f"{BASE}/", BASE),
        (f"{BASE}/a/b/", f"{BASE}/a/b"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_a_trailing_slash_of_the_base_url_is_removed(
    harness: ClientHarness, base_url: str, expected: str, httpx_mock: HTTPXMock
) -> None:
    client = harness.client("token", base_url=base_url)
    assert client.base_url == expected
    assert expected in repr(client)
    assert sent_to(client, httpx_mock) == [f"{expected}/hooks"]


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("no default", {}),
    ("either", {"environment": "staging", "base_url": BASE}),
    ("either", {"environment": "staging", "token_url": TOKEN_URL}),
    ("'production' or 'staging'", {"environment": "prod"}),
    ("token_url", {"auth": CREDENTIALS, "base_url": BASE}),
    ("token_url", {"base_url": BASE, "token_url": TOKEN_URL}),
    ("base_url", {"token_url": TOKEN_URL}),
    ("https", {"base_url": "http://service.example"}),
    ("https", {"auth": CREDENTIALS, "base_url": BASE, "token_url": "http://tokens.example"}),
    ("https", {"base_url": "ftp://service.example"}),
    ("base_url", {"base_url": ""}),
    ("base_url", {"base_url": "service.example"}),
    ("base_url", {"base_url": f"{BASE}?a=b"}),
    ("base_url", {"base_url": f"{BASE}#a"}),
    ("URL", {"base_url": "https://999.1.1.1"}),
    ("base_url", {"base_url": f"{BASE}:99999"}),
    ("base_url", {"base_url": f"{BASE}\\@elsewhere.example"}),
    ("user name", {"base_url": "https://someone:s3cret@service.example"}),
    ("auth", {"auth": None, "base_url": BASE}),
    ("auth", {"auth": {"token": "s3cret"}, "base_url": BASE}),
    (r'ClientCredentials\("id", "secret"\)', {"auth": {"an-id": "s3cret"}, "base_url": BASE}),
    (r'ClientCredentials\("id", "secret"\)', {"auth": ("an-id", "s3cret"), "base_url": BASE}),
    ("access token", {"auth": "", "base_url": BASE}),
    ("access token", {"auth": "s3cret\n", "base_url": BASE}),
    ("retry", {"base_url": BASE, "retry": 3}),
    ("retry", {"base_url": BASE, "retry": None}),
    ("http_client", {"base_url": BASE, "http_client": object()}),
    ("transport", {"base_url": BASE, "transport": object()}),
    (
        "max_connections",
        {"base_url": BASE, "transport": httpx.MockTransport(lambda _: httpx.Response(200))}
        | {"max_connections": 3},
    ),
]


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize(("match", "options"), INVALID)
def test_an_invalid_argument_is_named(
    client_class: type[Client | AsyncClient], match: str, options: dict[str, Any]
) -> None:
    arguments: dict[str, Any] = {"auth": "token"} | options
    with pytest.raises(ConfigurationError, match=match) as caught:
        client_class(**arguments)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, WebhooksError)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("an-id", "s3cret"), {}),
        ((), {"client_id": "an-id", "client_secret": "s3cret"}),
        (("an-id",), {"client_secret": "s3cret"}),
    ],
)
def test_an_id_and_a_secret_are_passed_as_client_credentials(
    client_class: type[Client | AsyncClient],
    arguments: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    untyped: Any = client_class
    with pytest.raises(TypeError, match=r'ClientCredentials\("id", "secret"\)') as caught:
        untyped(*arguments, environment="staging", **options)
    assert client_class.__name__ in str(caught.value)
    assert "s3cret" not in str(caught.value)


# Numbers

NAN, INF = float("nan"), float("inf")
# An integer of more than 4,300 digits has no repr.
NO_NUMBERS = (NAN, INF, -INF, -1, True, False, "5", (), 10**400, -(10**5000))


def shown(value: object) -> str:
    return "an integer" if isinstance(value, int) and abs(value) > 2**40 else repr(value)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("timeout", value) for value in (*NO_NUMBERS, None, 0, 0.0, 1e10, 1_000_001)],
        *[("max_connections", value) for value in (*NO_NUMBERS, 0, 1.0, 1e10, 1_000_001)],
        *[("max_response_bytes", value) for value in (*NO_NUMBERS, None, 0, 1.0, 1e10, 2**31)],
    ],
    ids=shown,
)
def test_a_number_out_of_range_is_rejected(
    client_class: type[Client | AsyncClient], name: str, value: Any
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=f"^{name} must be an? (number|integer)"):
        client_class("token", base_url=BASE, **options)


@pytest.mark.parametrize("step", ["connect", "read", "write", "pool"])
@pytest.mark.parametrize("seconds", [*NO_NUMBERS, 1e10, 1_000_001], ids=shown)
def test_seconds_out_of_range_in_an_httpx_timeout_are_rejected(
    harness: ClientHarness, step: str, seconds: Any
) -> None:
    steps: dict[str, Any] = {"connect": 1, "read": 1, "write": 1, "pool": 1} | {step: seconds}
    with pytest.raises(ConfigurationError, match=rf"^timeout\.{step} must be a number of seconds"):
        harness.client("token", base_url=BASE, timeout=httpx.Timeout(**steps))
    view = harness.client("token", base_url=BASE)
    with pytest.raises(ConfigurationError, match=rf"^timeout\.{step} must be a number of seconds"):
        view.with_options(timeout=httpx.Timeout(**steps))


@pytest.mark.parametrize("step", ["connect", "read", "write"])
def test_only_the_pool_timeout_may_be_0(harness: ClientHarness, step: str) -> None:
    steps: dict[str, float] = {"connect": 1, "read": 1, "write": 1, "pool": 0}
    client = harness.client("token", base_url=BASE, timeout=httpx.Timeout(**steps))
    assert client.timeout.pool == 0
    with pytest.raises(ConfigurationError, match=step):
        harness.client("token", base_url=BASE, timeout=httpx.Timeout(**(steps | {step: 0})))


def test_the_largest_numbers_work(harness: ClientHarness, server: FaultServer) -> None:
    client = harness.client(
        CREDENTIALS,
        base_url=server.url,
        token_url=f"{server.url}/token",
        timeout=httpx.Timeout(1_000_000),
        max_connections=1_000_000,
        max_response_bytes=2**31 - 1,
        retry=RetryPolicy(
            deadline=1_000_000,
            max_attempts=1_000_000,
            initial_backoff=0.001,
            max_backoff=0.001,
            max_retry_after=1_000_000,
        ),
    )
    compressed = gzip.compress(b"[]")
    server.add(respond(503), fs.default_response(), respond(503))
    server.add(respond(200, compressed, [("Content-Encoding", "gzip")]))
    assert client.hooks.list() == []


def test_the_http_client_of_the_other_kind_is_rejected(harness: ClientHarness) -> None:
    other = httpx.AsyncClient() if harness.client_class is Client else httpx.Client()
    with pytest.raises(ConfigurationError, match="http_client"):
        harness.client("token", base_url=BASE, http_client=other)
    if isinstance(other, httpx.Client):
        other.close()


@pytest.mark.parametrize(
    ("base_url", "token_url"),
    [
        (BASE, PRODUCTION_TOKENS),
        (BASE, STAGING_TOKENS),
        (PRODUCTION, STAGING_TOKENS),
        (STAGING, PRODUCTION_TOKENS),
        (PRODUCTION, TOKEN_URL),
        ("https://HOOKSHOT.boldpenguin.com", TOKEN_URL),
    ],
)
def test_credentials_are_not_sent_outside_their_environment(
    harness: ClientHarness, base_url: str, token_url: str
) -> None:
    with pytest.raises(ConfigurationError, match="never sent to other hosts"):
        harness.client(CREDENTIALS, base_url=base_url, token_url=token_url)


def test_plain_http_can_be_allowed(harness: ClientHarness, httpx_mock: HTTPXMock) -> None:
    client = harness.client("token", base_url="http://service.example", allow_insecure_http=True)
    assert sent_to(client, httpx_mock) == ["http://service.example/hooks"]


# Timeouts


def timeouts_sent(client: Client, httpx_mock: HTTPXMock) -> dict[str, float | None]:
    sent_to(client, httpx_mock)
    timeouts: dict[str, float | None] = httpx_mock.get_requests()[0].extensions["timeout"]
    return timeouts


def test_the_default_timeouts(harness: ClientHarness, httpx_mock: HTTPXMock) -> None:
    client = harness.client("token", base_url=BASE, retry=RetryPolicy(deadline=None))
    assert timeouts_sent(client, httpx_mock) == {
        "connect": 5.0,
        "read": 75.0,
        "write": 75.0,
        "pool": None,
    }


@pytest.mark.parametrize(
    ("timeout", "sent"),
    [
        (2, {"connect": 2, "read": 2, "write": 2, "pool": None}),
        (20.5, {"connect": 5.0, "read": 20.5, "write": 20.5, "pool": None}),
        (
            httpx.Timeout(1, read=None, pool=4),
            {"connect": 1, "read": None, "write": 1, "pool": 4},
        ),
    ],
)
def test_a_timeout_applies_to_each_step_of_an_attempt(
    harness: ClientHarness, timeout: Any, sent: dict[str, float | None], httpx_mock: HTTPXMock
) -> None:
    client = harness.client(
        "token", base_url=BASE, timeout=timeout, retry=RetryPolicy(deadline=None)
    )
    assert timeouts_sent(client, httpx_mock) == sent


def test_the_options_in_force_can_be_read(harness: ClientHarness) -> None:
    client = harness.client("token", base_url=BASE)
    assert client.retry == RetryPolicy()
    assert client.timeout == httpx.Timeout(75, connect=5, pool=None)
    view = client.with_options(retry=evolve(client.retry, max_attempts=5), timeout=3)
    assert view.retry == RetryPolicy(max_attempts=5)
    assert view.timeout == httpx.Timeout(3, pool=None)
    same = view.with_options(retry=view.retry, timeout=view.timeout)
    assert (same.retry, same.timeout) == (view.retry, view.timeout)
    assert client.retry == RetryPolicy()


def test_timeouts_are_limited_to_the_deadline(
    harness: ClientHarness, httpx_mock: HTTPXMock
) -> None:
    client = harness.client("token", base_url=BASE, retry=RetryPolicy(deadline=30))
    timeouts = timeouts_sent(client, httpx_mock)
    assert timeouts["connect"] == 5.0
    for step in ("read", "write", "pool"):
        seconds = timeouts[step]
        assert seconds is not None
        assert 10 < seconds <= 30


# Environment variables


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"WEBHOOKS_{name}", value)


ID_AND_SECRET = {"CLIENT_ID": "an-id", "CLIENT_SECRET": "s3cret"}


@pytest.mark.parametrize(
    ("variables", "urls"),
    [
        (
            {"ENVIRONMENT": "staging"} | ID_AND_SECRET,
            [STAGING_TOKENS, f"{STAGING}/hooks"],
        ),
        ({"ENVIRONMENT": "production", "ACCESS_TOKEN": "t"}, [f"{PRODUCTION}/hooks"]),
        ({"BASE_URL": f"{BASE}/x/", "ACCESS_TOKEN": "t"}, [f"{BASE}/x/hooks"]),
        (
            {"BASE_URL": BASE, "TOKEN_URL": TOKEN_URL} | ID_AND_SECRET,
            [TOKEN_URL, f"{BASE}/hooks"],
        ),
        (
            {"BASE_URL": BASE, "ACCESS_TOKEN": "t", "CLIENT_ID": "", "ENVIRONMENT": ""},
            [f"{BASE}/hooks"],
        ),
    ],
)
def test_from_env(
    harness: ClientHarness,
    variables: dict[str, str],
    urls: list[str],
    httpx_mock: HTTPXMock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, variables)
    assert sent_to(harness.client_from_env(), httpx_mock) == urls
    assert httpx_mock.get_requests()[-1].headers["authorization"] == "Bearer t"


def test_from_env_reads_the_environment_once(
    harness: ClientHarness, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(
        monkeypatch,
        {"BASE_URL": server.url, "TOKEN_URL": f"{server.url}/token"} | ID_AND_SECRET,
    )
    client = harness.client_from_env(retry=FAST, timeout=5, max_connections=1)
    monkeypatch.delenv("WEBHOOKS_BASE_URL")
    assert client.hooks.get(HOOK_ID).id == HOOK_ID
    assert b"client_secret=s3cret" in server.requests[0].body


@pytest.mark.parametrize(
    ("names", "variables"),
    [
        (["ENVIRONMENT", "BASE_URL"], {}),
        (["ENVIRONMENT", "BASE_URL"], ID_AND_SECRET),
        (["ENVIRONMENT"], {"ENVIRONMENT": "prod"} | ID_AND_SECRET),
        (["ENVIRONMENT", "BASE_URL"], {"ENVIRONMENT": "staging", "BASE_URL": BASE}),
        (["ENVIRONMENT", "TOKEN_URL"], {"ENVIRONMENT": "staging", "TOKEN_URL": TOKEN_URL}),
        (["CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN"], {"ENVIRONMENT": "staging"}),
        (["CLIENT_SECRET"], {"ENVIRONMENT": "staging", "CLIENT_ID": "an-id"}),
        (["CLIENT_ID"], {"ENVIRONMENT": "staging", "CLIENT_SECRET": "s3cret"}),
        (["TOKEN_URL"], {"BASE_URL": BASE} | ID_AND_SECRET),
        (["ACCESS_TOKEN"], {"BASE_URL": BASE}),
        (
            ["ACCESS_TOKEN", "CLIENT_ID"],
            {"ENVIRONMENT": "staging", "ACCESS_TOKEN": "s3cret"} | ID_AND_SECRET,
        ),
        (
            ["ACCESS_TOKEN", "TOKEN_URL"],
            {"BASE_URL": BASE, "ACCESS_TOKEN": "s3cret", "TOKEN_URL": TOKEN_URL},
        ),
    ],
)
def test_missing_or_contradictory_variables_are_named(
    harness: ClientHarness,
    names: list[str],
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, variables)
    with pytest.raises(ConfigurationError) as caught:
        harness.client_from_env()
    for name in names:
        assert f"WEBHOOKS_{name}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_url_too_long_for_httpx_is_rejected_by_the_constructor(harness: ClientHarness) -> None:
    with pytest.raises(ConfigurationError, match="httpx") as caught:
        harness.client("token", base_url="https://host.example/" + "a" * 70_000)
    assert isinstance(caught.value.__cause__, httpx.InvalidURL)


@pytest.mark.parametrize("auth", ["token", lambda: "token"], ids=["token", "callable"])
def test_a_token_operation_needs_a_client_with_a_token_endpoint(
    harness: ClientHarness, auth: Any
) -> None:
    client = harness.client(auth, base_url="https://service.example")
    operation = token_operation(CREDENTIALS)
    with pytest.raises(
        ConfigurationError, match="Create the client with ClientCredentials"
    ) as caught:
        client.send(operation)
    assert str(caught.value).startswith("The operation 'token' ")
