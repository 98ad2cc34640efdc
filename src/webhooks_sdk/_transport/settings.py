"""What the arguments of a client may be, and the settings of a driver that they make."""

from __future__ import annotations

from inspect import iscoroutinefunction
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import httpx

from webhooks_sdk._core.endpoints import resolve_endpoints
from webhooks_sdk._core.retries import RetryPolicy
from webhooks_sdk._core.tokens import ClientCredentials, check_token
from webhooks_sdk._transport.messages import Settings
from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from webhooks_sdk._core.call import Timeouts
    from webhooks_sdk._core.endpoints import Endpoints, EnvironmentLike
    from webhooks_sdk._core.retries import RetryEvent

AuthT = TypeVar("AuthT")
ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)
TransportT = TypeVar("TransportT", httpx.BaseTransport, httpx.AsyncBaseTransport)

_CONNECT_TIMEOUT = 5.0
# The subscriber has 5 s to be connected to and 60 s to answer; the service needs some of its own.
_READ_TIMEOUT = 75.0
DEFAULT_TIMEOUT = httpx.Timeout(_READ_TIMEOUT, connect=_CONNECT_TIMEOUT, pool=None)
DEFAULT_RETRY = RetryPolicy()
DEFAULT_MAX_CONNECTIONS = 100
DEFAULT_MAX_RESPONSE_BYTES = 32 * 1024 * 1024


def read_settings(
    auth: AuthT,
    *,
    environment: EnvironmentLike | None,
    base_url: str | None,
    token_url: str | None,
    on_retry: Callable[[RetryEvent], object] | None,
    max_connections: int | None,
    max_response_bytes: int,
    http_client: ClientT | None,
    client_type: type[ClientT],
    transport: TransportT | None,
    transport_type: type[TransportT],
    allow_insecure_http: bool,
) -> Settings[AuthT, ClientT, TransportT]:
    """Return the settings that a client's arguments make.

    Raises:
        ConfigurationError: They are missing, contradictory or unsafe.
    """
    _check_auth(auth)
    _check_own(http_client, client_type, transport, transport_type, max_connections)
    _check_callback(on_retry)
    return Settings(
        endpoints=_endpoints(auth, environment, base_url, token_url, allow_insecure_http),
        auth=auth,
        on_retry=on_retry,
        max_connections=_at_least_one("max_connections", max_connections),
        max_response_bytes=_at_least_one("max_response_bytes", max_response_bytes),
        http_client=http_client,
        transport=transport,
        ssl_context=_tls(http_client, transport),
    )


def _check_auth(auth: object) -> None:
    if isinstance(auth, str):
        check_token(auth)
    elif not isinstance(auth, ClientCredentials) and not callable(auth):
        # Not quoted: it may be a credential in the wrong wrapping.
        raise ConfigurationError(
            "auth must be an access token (str), ClientCredentials, or a callable that returns a"
            f" token, not {type(auth).__name__}."
        )


def _endpoints(
    auth: object,
    environment: EnvironmentLike | None,
    base_url: str | None,
    token_url: str | None,
    allow_insecure_http: bool,
) -> Endpoints:
    endpoints = resolve_endpoints(
        environment=environment,
        base_url=base_url,
        token_url=token_url,
        needs_token_url=isinstance(auth, ClientCredentials),
        allow_insecure_http=allow_insecure_http,
    )
    for name, endpoint in (("base_url", endpoints.base), ("token_url", endpoints.token)):
        try:
            httpx.URL("" if endpoint is None else endpoint.url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"{name} is none that httpx takes: {error}") from error
    return endpoints


def _check_own(
    http_client: object,
    client_type: type[Any],
    transport: object,
    transport_type: type[Any],
    max_connections: int | None,
) -> None:
    if http_client is not None and transport is not None:
        raise ConfigurationError("Pass either http_client or transport: the client has its own.")
    given: tuple[tuple[str, object, type[Any]], ...] = (
        ("http_client", http_client, client_type),
        ("transport", transport, transport_type),
    )
    for name, value, kind in given:
        if value is None:
            continue
        if not isinstance(value, kind):
            raise ConfigurationError(
                f"{name} must be an httpx.{kind.__name__}, not {type(value).__name__}."
            )
        if max_connections is not None:
            raise ConfigurationError(f"max_connections is for {name} to decide: leave it out.")


def _at_least_one(name: Literal["max_connections", "max_response_bytes"], value: int | None) -> int:
    if value is None and name == "max_connections":
        return DEFAULT_MAX_CONNECTIONS
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be an integer of at least 1, not {value!r}.")
    return value


def read_timeouts(timeout: float | httpx.Timeout) -> Timeouts:
    """Return the timeouts of an attempt.

    Raises:
        ConfigurationError: It is no positive number of seconds, or holds a negative one.
    """
    if isinstance(timeout, httpx.Timeout):
        steps = timeout.as_dict()
        if any(limit is not None and not limit >= 0 for limit in steps.values()):  # not: NaN
            raise ConfigurationError(f"timeout must hold no negative number: {timeout!r}.")
        return steps
    # Whoever has no type checker may pass anything.
    given = cast("object", timeout)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < inf:
        raise ConfigurationError(
            f"timeout must be a number of seconds greater than 0, or an httpx.Timeout, not"
            f" {timeout!r}."
        )
    connect = min(_CONNECT_TIMEOUT, timeout)
    return {"connect": connect, "read": timeout, "write": timeout, "pool": None}


def read_policy(retry: RetryPolicy) -> RetryPolicy:
    """Return the policy, if it is one.

    Raises:
        ConfigurationError: It is none.
    """
    # Whoever has no type checker may pass anything.
    if not isinstance(cast("object", retry), RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, not {type(retry).__name__}.")
    return retry


def _tls(http_client: object, transport: object) -> ssl.SSLContext | None:
    if http_client is not None or transport is not None:
        return None
    try:
        # One for the client's life: making it takes longer than some calls.
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read: {error}"
        ) from error


def _check_callback(on_retry: object) -> None:
    if on_retry is None:
        return
    is_async = iscoroutinefunction(on_retry) or iscoroutinefunction(type(on_retry).__call__)
    if not callable(on_retry) or is_async:
        raise ConfigurationError("on_retry must be a function that is not async, or None.")
