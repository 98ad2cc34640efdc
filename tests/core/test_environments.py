"""Resolution and validation of endpoints. Messages contain no credential."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_sdk import ConfigurationError, Environment
from webhooks_sdk._core.environments import Endpoints, resolve_endpoints, settings_from_variables

PRODUCTION = "https://hookshot.boldpenguin.com"
PRODUCTION_TOKEN = "https://boldpenguin-auth.boldpenguin.com/auth/token"
STAGING = "https://hookshot-uat.beta.boldpenguin.com"
STAGING_TOKEN = "https://boldpenguin-auth-uat.beta.boldpenguin.com/auth/token"


def resolve(
    base_url: Any = None,
    token_url: Any = None,
    *,
    environment: Any = None,
    needs_token_url: bool | None = None,
    allow_insecure_http: bool = False,
) -> Endpoints:
    needs = token_url is not None if needs_token_url is None else needs_token_url
    return resolve_endpoints(
        environment=environment,
        base_url=base_url,
        token_url=token_url,
        needs_token_url=needs,
        allow_insecure_http=allow_insecure_http,
    )


@pytest.mark.parametrize(
    ("environment", "base_url", "token_url"),
    [
        ("production", PRODUCTION, PRODUCTION_TOKEN),
        (Environment.PRODUCTION, PRODUCTION, PRODUCTION_TOKEN),
        ("staging", STAGING, STAGING_TOKEN),
        (Environment.STAGING, STAGING, STAGING_TOKEN),
    ],
)
def test_environment_sets_both_urls(environment: Any, base_url: str, token_url: str) -> None:
    endpoints = resolve(environment=environment, needs_token_url=True)
    assert endpoints.token is not None
    assert (endpoints.base.url, endpoints.token.url) == (base_url, token_url)
    assert not endpoints.base.plain_loopback
    assert resolve(environment=environment, needs_token_url=False).token is None


def test_environment_or_base_url_is_required() -> None:
    with pytest.raises(ConfigurationError, match="there is no default"):
        resolve()
    with pytest.raises(ConfigurationError, match="there is no default"):
        resolve(token_url="https://auth.example/token")


@pytest.mark.parametrize(
    ("base_url", "token_url"),
    [(PRODUCTION, None), (None, PRODUCTION_TOKEN), (STAGING, STAGING_TOKEN)],
)
def test_environment_conflicts_with_urls(base_url: str | None, token_url: str | None) -> None:
    with pytest.raises(ConfigurationError, match="pass either environment, or base_url"):
        resolve(base_url, token_url, environment="staging")


@pytest.mark.parametrize("environment", ["", "Production", "uat", "prod", 1, ["staging"], True])
def test_unknown_environment_raises(environment: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be 'production' or 'staging', got"):
        resolve(environment=environment)


def test_client_credentials_require_token_url() -> None:
    with pytest.raises(ConfigurationError, match="require token_url"):
        resolve("https://api.example", needs_token_url=True)


def test_token_url_is_rejected_without_client_credentials() -> None:
    with pytest.raises(ConfigurationError, match="token_url is only for ClientCredentials"):
        resolve("https://api.example", "https://auth.example/token", needs_token_url=False)


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("https://api.example", "https://api.example"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example//", "https://api.example"),
        ("https://api.example/prefix/v1", "https://api.example/prefix/v1"),
        ("https://api.example/prefix/", "https://api.example/prefix"),
        ("https://api.example:8443/p", "https://api.example:8443/p"),
        ("https://api.example:65535", "https://api.example:65535"),
        ("https://192.0.2.7/p", "https://192.0.2.7/p"),
        ("https://[2001:db8::1]:8443/p", "https://[2001:db8::1]:8443/p"),
        ("https://[::1]", "https://[::1]"),
        ("https://a_b-c.example/x~y;z=1,(2)%20", "https://a_b-c.example/x~y;z=1,(2)%20"),
    ],
)
def test_base_url_normalisation(given_url: str, url: str) -> None:
    assert resolve(given_url).base.url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.example/p", "api.example"),
        ("https://api.example:443", "api.example"),
        ("https://api.example:80", "api.example:80"),
        ("http://localhost:80", "localhost"),
        ("http://localhost:8080/p", "localhost:8080"),
        ("https://[2001:DB8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_authority_omits_the_default_port(url: str, expected: str) -> None:
    assert resolve(url).base.authority == expected


def test_token_url_keeps_its_trailing_slash() -> None:
    endpoints = resolve("https://api.example/", "https://auth.example/token/")
    assert endpoints.token is not None
    assert endpoints.token.url == "https://auth.example/token/"


WRONG_URLS = [
    "",
    "api.example",
    "//api.example",
    "https://",
    "https:///path",
    "https:/api.example",
    "https:api.example",
    "ftp://api.example",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://api.example?x=1",
    "https://api.example/?",
    "https://api.example/p#f",
    "https://api.example#",
    "https://api.example\\@evil.example",
    "https://api.example/p\\q",
    "https:\\\\api.example",
    "https://api.example/a b",
    "https://api.example/\n",
    "https://api.example\r\nX: y",
    " https://api.example",
    "https://api.example ",
    "https://api.example\t/",
    "https://bücher.example",
    "https://api.example/ü",
    "https://api.example:",
    "https://api.example:65536",
    "https://api.example:99999",
    "https://api.example:-1",
    "https://api.example:8O",
    "https://[::1",
    "https://::1]",
    "https://[]",
    "https://[fe80::1%25eth0]",
    "https://[api.example]",
    "https://[1::2::3]",
    "https://[12345::]",
    "https://[127.0.0.1]",
    "https://300.1.1.1",
    "https://1.2.3.999/p",
]


@pytest.mark.parametrize("url", WRONG_URLS)
@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_ambiguous_urls_are_rejected(url: str, name: str) -> None:
    urls: dict[str, Any] = {
        "base_url": "https://api.example",
        "token_url": "https://auth.example/t",
        name: url,
    }
    with pytest.raises(ConfigurationError, match=rf"^{name} ") as caught:
        resolve(**urls)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@api.example",
        "https://hunter2@api.example/p",
        "https://:hunter2@api.example",
        "https://user:hunter2@[::1]/p",
        "https://user:hunter2@@api.example",
        "http://user:hunter2@127.0.0.1:8080",
        "https://user:hunter2?@api.example",
        "https://user:hunter2#@api.example",
        "https://user:hunter2\\@api.example",
        "https://user:hunter2/x@api.example",
        "https:/user:hunter2@api.example",
        "https:\\\\user:hunter2@api.example",
        "user:hunter2@api.example",
    ],
)
@pytest.mark.parametrize("insecure", [True, False])
def test_url_with_userinfo_is_rejected_and_not_quoted(url: str, insecure: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"^base_url ") as caught:
        resolve(url, allow_insecure_http=insecure)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:8080",
        "http://127.0.0.1:1",
        "http://127.8.9.10/p",
        "http://[::1]:8080/p",
        "http://[0:0:0:0:0:0:0:1]",
    ],
)
def test_http_to_loopback_is_allowed(url: str) -> None:
    endpoint = resolve(url).base
    assert endpoint.plain_loopback
    assert endpoint.url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.0.0.1x",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
        "http://[::]",
        "http://hookshot.boldpenguin.com",
    ],
)
def test_http_to_other_hosts_requires_opt_in(url: str) -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        resolve(url)
    allowed = resolve(url, allow_insecure_http=True).base
    assert allowed.url == url
    assert not allowed.plain_loopback


def test_token_url_requires_https_too() -> None:
    with pytest.raises(ConfigurationError, match=r"^token_url .* unencrypted"):
        resolve("https://api.example", "http://auth.example/token")


def test_https_to_loopback_is_not_plain_loopback() -> None:
    assert not resolve("https://localhost").base.plain_loopback


@pytest.mark.parametrize(
    ("base_url", "token_url"),
    [
        (PRODUCTION, STAGING_TOKEN),
        (STAGING, PRODUCTION_TOKEN),
        (PRODUCTION, "https://auth.example/token"),
        ("https://api.example", PRODUCTION_TOKEN),
        ("https://api.example", STAGING_TOKEN),
        ("http://127.0.0.1:8000", PRODUCTION_TOKEN),
        (PRODUCTION.upper().replace("HTTPS", "https"), "https://auth.example/token"),
        (PRODUCTION + ":8443/p", "https://auth.example/token"),
        ("https://api.example", PRODUCTION_TOKEN.replace(".com/", ".com./")),
        (PRODUCTION + ".", "https://auth.example/token"),
    ],
)
def test_mixed_environments_are_rejected(base_url: str, token_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"or neither"):
        resolve(base_url, token_url)


@pytest.mark.parametrize(
    ("base_url", "token_url"),
    [
        (PRODUCTION, PRODUCTION_TOKEN),
        (STAGING + "/prefix", STAGING_TOKEN),
        ("https://api.example", "https://auth.example/token"),
    ],
)
def test_matching_urls_are_accepted(base_url: str, token_url: str) -> None:
    endpoints = resolve(base_url, token_url)
    assert endpoints.token is not None
    assert (endpoints.base.url, endpoints.token.url) == (base_url, token_url)


@given(st.text(max_size=40) | st.text(max_size=30).map("https://{}".format))
@settings(deadline=None, max_examples=300)
def test_url_parsing_raises_only_configuration_error(text: str) -> None:
    try:
        endpoint = resolve(text).base
    except ConfigurationError:
        return
    assert endpoint.url.isascii()
    assert not set(endpoint.url) & set("\\?# \t\r\n")
    assert "@" not in endpoint.url.split("/")[2]
    assert not endpoint.url.endswith("/")


CREDENTIALS = {"WEBHOOKS_CLIENT_ID": "id-1", "WEBHOOKS_CLIENT_SECRET": "hunter2"}
TOKEN = {"WEBHOOKS_ACCESS_TOKEN": "hunter2"}
URLS = {
    "WEBHOOKS_BASE_URL": "https://api.example",
    "WEBHOOKS_TOKEN_URL": "https://auth.example/token",
}
BASE = {"WEBHOOKS_BASE_URL": "https://api.example"}
STAGE = {"WEBHOOKS_ENVIRONMENT": "staging"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({**STAGE, **TOKEN}, (Environment.STAGING, None, None, "hunter2", None, None)),
        ({**STAGE, **CREDENTIALS}, (Environment.STAGING, None, None, None, "id-1", "hunter2")),
        ({**BASE, **TOKEN}, (None, "https://api.example", None, "hunter2", None, None)),
        ({**URLS, **CREDENTIALS}, (None, *URLS.values(), None, "id-1", "hunter2")),
        (
            {**STAGE, **TOKEN, "WEBHOOKS_BASE_URL": "", "WEBHOOKS_CLIENT_ID": "", "PATH": "x"},
            (Environment.STAGING, None, None, "hunter2", None, None),
        ),
    ],
)
def test_valid_environment_variables(variables: dict[str, str], expected: tuple[Any, ...]) -> None:
    read = settings_from_variables(variables)
    assert (
        read.environment,
        read.base_url,
        read.token_url,
        read.access_token,
        read.client_id,
        read.client_secret,
    ) == expected
    assert "hunter2" not in repr(read)


WRONG_VARIABLES: list[tuple[dict[str, str], set[str]]] = [
    ({}, {"ENVIRONMENT", "BASE_URL"}),
    (TOKEN, {"ENVIRONMENT", "BASE_URL"}),
    ({**CREDENTIALS, "WEBHOOKS_TOKEN_URL": "https://a.example"}, {"ENVIRONMENT", "BASE_URL"}),
    ({**TOKEN, "WEBHOOKS_ENVIRONMENT": "Staging"}, {"ENVIRONMENT"}),
    ({**STAGE, **BASE, **TOKEN}, {"ENVIRONMENT", "BASE_URL"}),
    (
        {**STAGE, "WEBHOOKS_TOKEN_URL": "https://a.example", **CREDENTIALS},
        {"ENVIRONMENT", "TOKEN_URL"},
    ),
    ({**BASE, **CREDENTIALS}, {"BASE_URL", "TOKEN_URL"}),
    ({**BASE, "WEBHOOKS_CLIENT_ID": "id-1"}, {"BASE_URL", "TOKEN_URL"}),
    ({**BASE, "WEBHOOKS_CLIENT_SECRET": "hunter2"}, {"BASE_URL", "TOKEN_URL"}),
    (BASE, {"BASE_URL", "ACCESS_TOKEN", "TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"}),
    (STAGE, {"CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN"}),
    (URLS, {"CLIENT_ID", "CLIENT_SECRET", "ACCESS_TOKEN"}),
    ({**STAGE, "WEBHOOKS_CLIENT_ID": "id-1"}, {"CLIENT_SECRET"}),
    ({**STAGE, "WEBHOOKS_CLIENT_SECRET": "hunter2"}, {"CLIENT_ID"}),
    ({**STAGE, **TOKEN, "WEBHOOKS_CLIENT_ID": "id-1"}, {"ACCESS_TOKEN", "CLIENT_ID"}),
    ({**STAGE, **TOKEN, "WEBHOOKS_CLIENT_SECRET": "hunter2"}, {"ACCESS_TOKEN", "CLIENT_SECRET"}),
    ({**URLS, **TOKEN}, {"ACCESS_TOKEN", "TOKEN_URL"}),
]


@pytest.mark.parametrize(("variables", "named"), WRONG_VARIABLES)
def test_missing_and_conflicting_variables_are_named(
    variables: dict[str, str], named: set[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings_from_variables(variables)
    message = str(caught.value)
    words = {word.strip(".,():;") for word in message.split()}
    assert {word for word in words if word.startswith("WEBHOOKS_")} == {
        f"WEBHOOKS_{name}" for name in named
    }
    assert "hunter2" not in message
