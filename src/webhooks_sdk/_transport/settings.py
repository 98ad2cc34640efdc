"""Validation of a client's arguments, and the driver settings built from them."""

from __future__ import annotations

import logging
import platform
import ssl
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import httpx
from attrs import field, frozen

from webhooks_sdk._core.call import Call, Timeouts
from webhooks_sdk._core.clock import SYSTEM_CLOCK
from webhooks_sdk._core.environments import Endpoints, resolve_endpoints
from webhooks_sdk._core.retries import RetryEvent, RetryPolicy, describe_retry
from webhooks_sdk._core.tokens import ClientCredentials, check_token, token_operation
from webhooks_sdk._core.validation import MAX_BYTES, check_count, check_seconds
from webhooks_sdk._version import __version__
from webhooks_sdk._wire.bodies import ACCEPT_ENCODING
from webhooks_sdk._wire.redaction import short_repr
from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from webhooks_sdk._core.environments import Endpoint, EnvironmentLike
    from webhooks_sdk._models import AccessToken
    from webhooks_sdk.operations import Operation

AuthT = TypeVar("AuthT")
ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)
TransportT = TypeVar("TransportT", httpx.BaseTransport, httpx.AsyncBaseTransport)
T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk")

_CONNECT_TIMEOUT = 5.0
# The subscriber has 5 s to accept a connection and 60 s to respond, plus time for the service.
_READ_TIMEOUT = 75.0
DEFAULT_TIMEOUT = httpx.Timeout(_READ_TIMEOUT, connect=_CONNECT_TIMEOUT, pool=None)
DEFAULT_RETRY = RetryPolicy()
DEFAULT_MAX_CONNECTIONS = 100
DEFAULT_MAX_RESPONSE_BYTES = 32 * 1024 * 1024


COMMON_HEADERS = (
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", ACCEPT_ENCODING.encode()),
    (
        b"User-Agent",
        f"webhooks-sdk/{__version__} python/{platform.python_version()}"
        f" httpx/{httpx.__version__}".encode(),
    ),
)


@frozen(eq=False)
class Options:
    """The options that `with_options` can change: the timeouts of an attempt, and the retries."""

    timeouts: Timeouts
    retry: RetryPolicy


@frozen(eq=False, kw_only=True)
class Settings(Generic[AuthT, ClientT, TransportT]):
    """The settings of a driver."""

    endpoints: Endpoints
    auth: AuthT = field(repr=False)
    on_retry: Callable[[RetryEvent], object] | None
    max_connections: int
    max_response_bytes: int
    http_client: ClientT | None
    transport: TransportT | None
    ssl_context: ssl.SSLContext | None

    def endpoint(self, operation: Operation[T]) -> Endpoint:
        """Return the endpoint that an operation is sent to.

        Raises:
            ConfigurationError: It is the token endpoint, and the client has none.
        """
        if operation.endpoint == "api":
            return self.endpoints.base
        if self.endpoints.token is None:
            raise ConfigurationError(
                f"The operation {operation.name!r} is sent to the token endpoint, but this client"
                " has none. Create the client with ClientCredentials."
            )
        return self.endpoints.token

    def call(
        self, operation: Operation[T], options: Options, *, deadline: float | None = None
    ) -> Call[T]:
        """Create a call.

        Args:
            operation: The operation to send.
            options: The timeouts and the retry policy.
            deadline: The deadline of the enclosing call, in monotonic seconds; None for none.
        """
        endpoint = self.endpoint(operation)
        return Call(
            operation,
            url=endpoint.url + operation.path,
            headers=((b"Host", endpoint.authority.encode()), *COMMON_HEADERS),
            policy=options.retry,
            timeouts=options.timeouts,
            clock=SYSTEM_CLOCK,
            on_retry=self._announce,
            deadline=deadline,
        )

    def token_call(
        self, credentials: ClientCredentials, options: Options, *, deadline: float | None
    ) -> Call[AccessToken]:
        """Create the call that requests a token for another call."""
        return self.call(token_operation(credentials), options, deadline=deadline)

    @property
    def owns_connections(self) -> bool:
        """Whether the SDK opens its own connections: no `http_client` or `transport` was passed."""
        return self.http_client is None and self.transport is None

    @property
    def may_use_proxy(self) -> bool:
        """Whether any request may go through a proxy named by environment variables."""
        endpoints = (self.endpoints.base, self.endpoints.token)
        return any(endpoint is not None and not endpoint.plain_loopback for endpoint in endpoints)

    def _announce(self, event: RetryEvent) -> None:
        _logger.warning("%s", describe_retry(event))
        if self.on_retry is not None:
            self.on_retry(event)


def build_settings(
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
    """Validate a client's arguments and return the settings of its driver.

    Raises:
        ConfigurationError: The arguments are missing, contradictory or unsafe.
    """
    _check_auth(auth)
    check_count("max_connections", max_connections, allow_none=True)
    check_count("max_response_bytes", max_response_bytes, maximum=MAX_BYTES)
    _check_http_options(http_client, client_type, transport, transport_type, max_connections)
    _check_on_retry(on_retry)
    return Settings(
        endpoints=_resolve_endpoints(auth, environment, base_url, token_url, allow_insecure_http),
        auth=auth,
        on_retry=on_retry,
        max_connections=DEFAULT_MAX_CONNECTIONS if max_connections is None else max_connections,
        max_response_bytes=max_response_bytes,
        http_client=http_client,
        transport=transport,
        ssl_context=_create_ssl_context(http_client, transport),
    )


def _check_auth(auth: object) -> None:
    if isinstance(auth, str):
        check_token(auth)
    elif not isinstance(auth, ClientCredentials) and not callable(auth):
        # The value is not quoted: it may contain a credential.
        raise ConfigurationError(
            'auth must be an access token (str), ClientCredentials("id", "secret"), or a callable'
            f" that returns a token, got {type(auth).__name__}."
        )


def _resolve_endpoints(
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
            raise ConfigurationError(f"{name} cannot be used by httpx: {error}") from error
    return endpoints


def _check_http_options(
    http_client: object,
    client_type: type[Any],
    transport: object,
    transport_type: type[Any],
    max_connections: int | None,
) -> None:
    if http_client is not None and transport is not None:
        raise ConfigurationError("Pass either http_client or transport, not both.")
    arguments: tuple[tuple[str, object, type[Any]], ...] = (
        ("http_client", http_client, client_type),
        ("transport", transport, transport_type),
    )
    for name, value, expected_type in arguments:
        if value is None:
            continue
        if not isinstance(value, expected_type):
            raise ConfigurationError(
                f"{name} must be an httpx.{expected_type.__name__}, got {type(value).__name__}."
            )
        if max_connections is not None:
            raise ConfigurationError(f"max_connections cannot be combined with {name}.")


def resolve_timeouts(timeout: float | httpx.Timeout) -> Timeouts:
    """Return the timeouts of each step of an attempt, in seconds.

    Raises:
        ConfigurationError: A number of seconds is not in the documented range.
    """
    if isinstance(timeout, httpx.Timeout):
        steps = timeout.as_dict()
        for step, seconds in steps.items():
            # A pool timeout of 0 is useful: a call fails unless a connection is free.
            check_seconds(f"timeout.{step}", seconds, allow_zero=step == "pool", allow_none=True)
        return steps
    # Callers without a type checker can pass any object.
    if not isinstance(cast("object", timeout), int | float):
        raise ConfigurationError(
            f"timeout must be a number of seconds or an httpx.Timeout, got {short_repr(timeout)}."
        )
    check_seconds("timeout", timeout)
    connect = min(_CONNECT_TIMEOUT, timeout)
    return {"connect": connect, "read": timeout, "write": timeout, "pool": None}


def check_retry(retry: RetryPolicy) -> RetryPolicy:
    """Return the policy unchanged.

    Raises:
        ConfigurationError: `retry` is not a `RetryPolicy`.
    """
    # Callers without a type checker can pass any object.
    if not isinstance(cast("object", retry), RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy, got {type(retry).__name__}.")
    return retry


def _create_ssl_context(http_client: object, transport: object) -> ssl.SSLContext | None:
    if http_client is not None or transport is not None:
        return None
    try:
        # Created once per client: it takes longer than some calls.
        return httpx.create_ssl_context()
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read the certificates that SSL_CERT_FILE or SSL_CERT_DIR names: {error}"
        ) from error


def _check_on_retry(on_retry: object) -> None:
    if on_retry is None:
        return
    is_async = iscoroutinefunction(on_retry) or iscoroutinefunction(type(on_retry).__call__)
    if not callable(on_retry) or is_async:
        raise ConfigurationError("on_retry must be a synchronous function or None.")
