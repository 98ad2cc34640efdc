"""The service's environments, and validation of URLs and environment variables."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Environment(StrEnum):
    """An environment of the service. Tokens are valid in one environment only.

    Source: developers.boldpenguin.com/docs/api/authenticate.
    """

    PRODUCTION = "production"
    STAGING = "staging"

    @property
    def base_url(self) -> str:
        """The base URL of the API in this environment."""
        return _BASE_URLS[self]

    @property
    def token_url(self) -> str:
        """The token URL of this environment."""
        return _TOKEN_URLS[self]


EnvironmentLike: TypeAlias = Environment | Literal["production", "staging"]

_BASE_URLS = {
    Environment.PRODUCTION: "https://hookshot.boldpenguin.com",
    Environment.STAGING: "https://hookshot-uat.beta.boldpenguin.com",
}
_TOKEN_URLS = {
    Environment.PRODUCTION: "https://boldpenguin-auth.boldpenguin.com/auth/token",
    Environment.STAGING: "https://boldpenguin-auth-uat.beta.boldpenguin.com/auth/token",
}


@frozen
class Endpoint:
    """A validated base or token URL.

    Attributes:
        url: The URL; a base URL has no trailing slash.
        host: The host in lower case.
        authority: The Host header: the host, and the port unless it is the scheme's default.
        plain_loopback: Whether it is unencrypted HTTP to this machine, which must bypass proxies.
    """

    url: str
    host: str
    authority: str
    plain_loopback: bool


@frozen
class Endpoints:
    """The endpoints of the API and, for client credentials, of access tokens."""

    base: Endpoint
    token: Endpoint | None


def resolve_endpoints(
    *,
    environment: EnvironmentLike | None,
    base_url: str | None,
    token_url: str | None,
    needs_token_url: bool,
    allow_insecure_http: bool,
) -> Endpoints:
    """Return the endpoints that the settings of a client specify.

    Raises:
        ConfigurationError: A setting is missing, contradictory, invalid or unsafe.
    """
    if environment is not None:
        if base_url is not None or token_url is not None:
            raise ConfigurationError(
                "environment sets both URLs: pass either environment, or base_url and token_url."
            )
        known = _parse_environment(environment)
        base_url = known.base_url
        token_url = known.token_url if needs_token_url else None
    if not isinstance(cast("object", allow_insecure_http), bool):
        raise ConfigurationError("allow_insecure_http must be True or False.")
    if base_url is None:
        raise ConfigurationError(
            "Pass environment='staging' or 'production', or base_url: there is no default."
        )
    if needs_token_url and token_url is None:
        raise ConfigurationError(
            "ClientCredentials with base_url require token_url: pass both URLs."
        )
    if not needs_token_url and token_url is not None:
        raise ConfigurationError(
            "token_url is only for ClientCredentials: omit it with a token or a callable."
        )
    base = _parse_endpoint("base_url", base_url, allow_insecure_http=allow_insecure_http)
    base = evolve(base, url=base.url.rstrip("/"))
    if token_url is None:
        return Endpoints(base, None)
    token = _parse_endpoint("token_url", token_url, allow_insecure_http=allow_insecure_http)
    _check_same_environment(base, token)
    return Endpoints(base, token)


def _parse_environment(value: EnvironmentLike) -> Environment:
    try:
        return Environment(value)
    except ValueError:
        raise ConfigurationError(
            f"environment must be 'production' or 'staging', got {short_repr(value)}."
        ) from None


def _check_same_environment(base: Endpoint, token: Endpoint) -> None:
    for environment in Environment:
        hosts = urlsplit(environment.base_url).hostname, urlsplit(environment.token_url).hostname
        if (base.host == hosts[0]) != (token.host == hosts[1]):
            raise ConfigurationError(
                f"base_url and token_url must both be those of {environment}, or neither:"
                " credentials and tokens are never sent to other hosts."
            )


# Only what all URL parsers agree on: no backslash, whitespace, userinfo, query or fragment.
_match_url = re.compile(
    r"https?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)"
).fullmatch
_MAX_PORT = 65_535


def _parse_endpoint(name: str, url: str, *, allow_insecure_http: bool) -> Endpoint:
    if not isinstance(cast("object", url), str):
        raise ConfigurationError(f"{name} must be a string, got {type(url).__name__}.")
    scheme, colon, rest = url.partition(":")
    url = scheme.lower() + colon + rest
    match = _match_url(url)
    if "@" in (url if match is None else match["host"]):
        # Not quoted, because it may contain a password.
        raise ConfigurationError(f"{name} must not contain a user name or password.")
    if match is None or int(match["port"] or 0) > _MAX_PORT or not _is_host(match["host"]):
        raise ConfigurationError(
            f"{name} must be an http or https URL in ASCII without query or fragment, such as"
            f" 'https://host.example/prefix', got {url!r}."
        )
    host = match["host"].lower().rstrip(".")
    plain = url.startswith("http:")
    loopback = _is_loopback(host)
    if plain and not loopback and not allow_insecure_http:
        raise ConfigurationError(
            f"{name} {url!r} would send credentials unencrypted: use https, or pass"
            " allow_insecure_http=True."
        )
    default_port = "80" if plain else "443"
    authority = host if match["port"] in (None, default_port) else f"{host}:{match['port']}"
    return Endpoint(url, host, authority, plain_loopback=plain and loopback)


_MAX_LABEL_LENGTH = 63
_match_numeric_host = re.compile(r"[0-9.]+").fullmatch


def _is_host(host: str) -> bool:
    if any(not 0 < len(label) <= _MAX_LABEL_LENGTH for label in host.rstrip(".").split(".")):
        return False
    try:
        if host.startswith("["):
            IPv6Address(host.strip("[]"))
        elif _match_numeric_host(host):
            IPv4Address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@frozen
class VariableSettings:
    """The settings in the `WEBHOOKS_*` environment variables, None if unset."""

    environment: Environment | None
    base_url: str | None
    token_url: str | None
    access_token: str | None = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)


def settings_from_variables(variables: Mapping[str, str]) -> VariableSettings:
    """Read the client's settings from environment variables. An empty variable counts as unset.

    Raises:
        ConfigurationError: A variable is missing or invalid, or two contradict each other. The
            message names them.
    """

    def read(name: str) -> str | None:
        return variables.get(f"WEBHOOKS_{name}") or None

    settings = VariableSettings(
        environment=_parse_environment_variable(read("ENVIRONMENT")),
        base_url=read("BASE_URL"),
        token_url=read("TOKEN_URL"),
        access_token=read("ACCESS_TOKEN"),
        client_id=read("CLIENT_ID"),
        client_secret=read("CLIENT_SECRET"),
    )
    _check_urls(settings)
    _check_credentials(settings)
    return settings


def _parse_environment_variable(value: str | None) -> Environment | None:
    try:
        return None if value is None else Environment(value)
    except ValueError:
        raise ConfigurationError(
            f"WEBHOOKS_ENVIRONMENT must be 'production' or 'staging', got {value!r}."
        ) from None


def _check_urls(settings: VariableSettings) -> None:
    if settings.environment is not None:
        for name in ("base_url", "token_url"):
            if getattr(settings, name) is not None:
                raise ConfigurationError(
                    f"WEBHOOKS_ENVIRONMENT and WEBHOOKS_{name.upper()} contradict each other:"
                    " unset one of them."
                )
    elif settings.base_url is None:
        raise ConfigurationError(
            "Set WEBHOOKS_ENVIRONMENT ('staging' or 'production') or WEBHOOKS_BASE_URL."
        )
    elif settings.access_token is None and settings.token_url is None:
        raise ConfigurationError(
            "WEBHOOKS_BASE_URL with client credentials requires WEBHOOKS_TOKEN_URL."
            if settings.client_id or settings.client_secret
            else "WEBHOOKS_BASE_URL requires WEBHOOKS_ACCESS_TOKEN, or WEBHOOKS_TOKEN_URL with"
            " WEBHOOKS_CLIENT_ID and WEBHOOKS_CLIENT_SECRET."
        )


def _check_credentials(settings: VariableSettings) -> None:
    if settings.access_token is not None:
        for name in ("client_id", "client_secret", "token_url"):
            if getattr(settings, name) is not None:
                raise ConfigurationError(
                    f"WEBHOOKS_ACCESS_TOKEN and WEBHOOKS_{name.upper()} contradict each other:"
                    " unset one of them."
                )
        return
    missing = [
        f"WEBHOOKS_{name.upper()}"
        for name in ("client_id", "client_secret")
        if getattr(settings, name) is None
    ]
    if missing:
        raise ConfigurationError(
            f"Set {' and '.join(missing)}"
            f"{', or WEBHOOKS_ACCESS_TOKEN' if len(missing) > 1 else ''}."
        )
