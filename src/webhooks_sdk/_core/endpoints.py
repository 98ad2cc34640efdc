"""Where the service is: its environments, and the rules for addresses and settings."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Environment(StrEnum):
    """An environment of the service. A token of one is not valid in the other.

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
    """An address that requests may be sent to.

    Attributes:
        url: Its URL; that of the API has no trailing slash.
        host: Its host, in lower case.
        authority: Its host and, unless it is the scheme's own, its port: the Host header.
        plain_loopback: Whether it is plain http to this machine, which no proxy may see.
    """

    url: str
    host: str
    authority: str
    plain_loopback: bool


@frozen
class Endpoints:
    """Where the API and, for client credentials, the token endpoint are."""

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
    """Decide where a client's requests go, or say what is missing or contradictory.

    Raises:
        ConfigurationError: The settings do not name exactly one place, or name an unsafe one.
    """
    if environment is not None:
        if base_url is not None or token_url is not None:
            raise ConfigurationError(
                "environment names both URLs: pass either environment, or base_url and token_url."
            )
        known = _environment(environment)
        base_url = known.base_url
        token_url = known.token_url if needs_token_url else None
    if not isinstance(cast("object", allow_insecure_http), bool):
        raise ConfigurationError("allow_insecure_http must be True or False.")
    if base_url is None:
        raise ConfigurationError(
            "Pass environment='staging' or 'production', or base_url: there is no default."
        )
    if needs_token_url and token_url is None:
        raise ConfigurationError("Client credentials with a base_url need token_url as well.")
    if not needs_token_url and token_url is not None:
        raise ConfigurationError(
            "token_url is only for ClientCredentials: leave it out with a token or a callable."
        )
    base = _endpoint("base_url", base_url, allow_insecure_http=allow_insecure_http)
    base = evolve(base, url=base.url.rstrip("/"))
    if token_url is None:
        return Endpoints(base, None)
    token = _endpoint("token_url", token_url, allow_insecure_http=allow_insecure_http)
    _check_same_environment(base, token)
    return Endpoints(base, token)


def _environment(value: EnvironmentLike) -> Environment:
    try:
        return Environment(value)
    except ValueError:
        raise ConfigurationError(
            f"environment must be 'production' or 'staging', not {value!r}."
        ) from None


def _check_same_environment(base: Endpoint, token: Endpoint) -> None:
    for environment in Environment:
        hosts = urlsplit(environment.base_url).hostname, urlsplit(environment.token_url).hostname
        if (base.host == hosts[0]) != (token.host == hosts[1]):
            raise ConfigurationError(
                f"base_url and token_url must both be those of {environment}, or neither: its"
                " credentials and tokens go to no other host."
            )


# Only what every URL parser reads alike: no backslash, white space, userinfo, query or fragment.
_URL = re.compile(
    r"https?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)"
).fullmatch
_MAX_PORT = 65_535


def _endpoint(name: str, url: str, *, allow_insecure_http: bool) -> Endpoint:
    if not isinstance(cast("object", url), str):
        raise ConfigurationError(f"{name} must be a string, not {type(url).__name__}.")
    scheme, colon, rest = url.partition(":")
    url = scheme.lower() + colon + rest
    match = _URL(url)
    if "@" in (url if match is None else match["host"]):
        # The URL is not quoted: what stands before the @ may be a password.
        raise ConfigurationError(f"{name} must not hold a user name or password.")
    if match is None or int(match["port"] or 0) > _MAX_PORT or not _is_host(match["host"]):
        raise ConfigurationError(
            f"{name} must be an http or https URL in ASCII without query or fragment, such as"
            f" 'https://host.example/prefix', not {url!r}."
        )
    host = match["host"].lower().rstrip(".")
    plain = url.startswith("http:")
    loopback = _is_loopback(host)
    if plain and not loopback and not allow_insecure_http:
        raise ConfigurationError(
            f"{name} {url!r} would send credentials unencrypted: use https, or say"
            " allow_insecure_http=True."
        )
    own_port = "80" if plain else "443"
    authority = host if match["port"] in (None, own_port) else f"{host}:{match['port']}"
    return Endpoint(url, host, authority, plain_loopback=plain and loopback)


_MAX_LABEL = 63
_LOOKS_NUMERIC = re.compile(r"[0-9.]+").fullmatch


def _is_host(host: str) -> bool:
    if any(not 0 < len(label) <= _MAX_LABEL for label in host.rstrip(".").split(".")):
        return False
    try:
        if host.startswith("["):
            IPv6Address(host.strip("[]"))
        elif _LOOKS_NUMERIC(host):
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
class EnvironmentSettings:
    """What the `WEBHOOKS_*` environment variables say."""

    environment: Environment | None
    base_url: str | None
    token_url: str | None
    access_token: str | None = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)


def settings_from_variables(variables: Mapping[str, str]) -> EnvironmentSettings:
    """Read the client's settings from environment variables. An empty one counts as unset.

    Raises:
        ConfigurationError: One is missing, or two contradict each other; both are named.
    """

    def read(name: str) -> str | None:
        return variables.get(f"WEBHOOKS_{name}") or None

    settings = EnvironmentSettings(
        environment=_environment_variable(read("ENVIRONMENT")),
        base_url=read("BASE_URL"),
        token_url=read("TOKEN_URL"),
        access_token=read("ACCESS_TOKEN"),
        client_id=read("CLIENT_ID"),
        client_secret=read("CLIENT_SECRET"),
    )
    _check_place(settings)
    _check_credentials(settings)
    return settings


def _environment_variable(value: str | None) -> Environment | None:
    try:
        return None if value is None else Environment(value)
    except ValueError:
        raise ConfigurationError(
            f"WEBHOOKS_ENVIRONMENT must be 'production' or 'staging', not {value!r}."
        ) from None


def _check_place(settings: EnvironmentSettings) -> None:
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
            "WEBHOOKS_BASE_URL with client credentials needs WEBHOOKS_TOKEN_URL as well."
            if settings.client_id or settings.client_secret
            else "WEBHOOKS_BASE_URL needs WEBHOOKS_ACCESS_TOKEN, or WEBHOOKS_TOKEN_URL with"
            " WEBHOOKS_CLIENT_ID and WEBHOOKS_CLIENT_SECRET."
        )


def _check_credentials(settings: EnvironmentSettings) -> None:
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
