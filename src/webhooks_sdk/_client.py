"""`Client` and `AsyncClient`: thin public wrappers around the two drivers."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
)

import httpx

from webhooks_sdk._async_hooks import AsyncHooks
from webhooks_sdk._core.environments import EnvironmentLike, settings_from_variables
from webhooks_sdk._core.responses import APIResponse
from webhooks_sdk._core.retries import RetryEvent, RetryPolicy
from webhooks_sdk._core.tokens import AsyncAuth, Auth, ClientCredentials
from webhooks_sdk._hooks import Hooks
from webhooks_sdk._transport.async_driver import AsyncDriver, AsyncSingleAttemptSender
from webhooks_sdk._transport.settings import (
    DEFAULT_MAX_RESPONSE_BYTES,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    Options,
    build_settings,
    check_retry,
    resolve_timeouts,
)
from webhooks_sdk._transport.sync_driver import SyncDriver, SyncSingleAttemptSender
from webhooks_sdk.errors import ConfigurationError
from webhooks_sdk.operations import UNSET, Operation, Unset

if TYPE_CHECKING:
    from webhooks_sdk._core.environments import VariableSettings

T = TypeVar("T")


class CommonOptions(TypedDict, total=False):
    """The optional arguments that both clients share."""

    timeout: float | httpx.Timeout
    retry: RetryPolicy
    on_retry: Callable[[RetryEvent], object] | None
    max_connections: int | None
    max_response_bytes: int
    allow_insecure_http: bool


class ClientOptions(CommonOptions, total=False):
    """The optional arguments of `Client`, without the URLs."""

    http_client: httpx.Client | None
    transport: httpx.BaseTransport | None


class AsyncClientOptions(CommonOptions, total=False):
    """The optional arguments of `AsyncClient`, without the URLs."""

    http_client: httpx.AsyncClient | None
    transport: httpx.AsyncBaseTransport | None


DriverT = TypeVar("DriverT", SyncDriver, AsyncDriver)
P = ParamSpec("P")
S = TypeVar("S")


def _explain_credentials(
    init: Callable[Concatenate[S, P], None],
) -> Callable[Concatenate[S, P], None]:
    """Make a constructor say how to pass a client ID and a secret, which is not `auth, secret`."""

    @wraps(init)
    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if len(args) > 1 or not kwargs.keys().isdisjoint(("client_id", "client_secret")):
            # The values are not quoted: they may be credentials.
            raise TypeError(
                f"{type(self).__name__} takes one positional argument, auth, and the others by"
                ' name. For a client ID and a secret, pass ClientCredentials("id", "secret").'
            )
        init(self, *args, **kwargs)

    return wrapper


class _BaseClient(ABC, Generic[DriverT]):
    """Base class of both clients, without I/O."""

    _driver: DriverT
    _options: Options
    _is_view: bool = False

    @property
    def base_url(self) -> str:
        """The base URL of the API, without a trailing slash."""
        return self._driver.settings.endpoints.base.url

    @property
    def closed(self) -> bool:
        """Whether the client is closed."""
        return self._driver.closed

    @property
    def timeout(self) -> httpx.Timeout:
        """The timeouts of this client or view, in seconds for each step of an attempt."""
        return httpx.Timeout(**self._options.timeouts)

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of this client or view; `attrs.evolve` makes a changed copy."""
        return self._options.retry

    def with_options(
        self,
        *,
        timeout: float | httpx.Timeout | Unset = UNSET,
        retry: RetryPolicy | Unset = UNSET,
    ) -> Self:
        """Return a view of this client with other options, sharing its connections and token.

        Args:
            timeout: As in the constructor; unchanged by default.
            retry: As in the constructor; unchanged by default.

        Returns:
            A client. Closing the view does nothing; closing the original client closes both.

        Raises:
            ConfigurationError: An option is invalid.
        """
        view = type(self).__new__(type(self))
        vars(view).update(vars(self))
        view._options = Options(  # noqa: SLF001 - same class
            self._options.timeouts if isinstance(timeout, Unset) else resolve_timeouts(timeout),
            self._options.retry if isinstance(retry, Unset) else check_retry(retry),
        )
        view._is_view = True  # noqa: SLF001 - same class
        view._attach_hooks()  # noqa: SLF001 - same class
        return view

    @abstractmethod
    def _attach_hooks(self) -> None:
        """Create the `hooks` resource that sends through this client or view."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} base_url={self.base_url!r} closed={self.closed}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it holds connections and credentials."
        )


class Client(_BaseClient[SyncDriver]):
    """A synchronous client for the Hookshot webhook service; see also `AsyncClient`.

    One client serves a whole process and can be shared by many threads: it holds one connection
    pool and one access token. A forked child opens its own connections. Close the client, or use
    it in a `with` statement.

    Args:
        auth: An access token, `ClientCredentials` to request one with, or a function that returns
            one, called before each attempt. The function must not use the client.
        environment: `"production"` or `"staging"`. There is no default.
        base_url: The base URL of the API, instead of `environment`. It may have a path prefix.
        token_url: The URL to request access tokens from, with `base_url` and `ClientCredentials`.
        timeout: Seconds for each step of an attempt (connecting, which gets at most 5; sending;
            waiting for the next part of the response), greater than 0 and at most 1,000,000; or an
            `httpx.Timeout`, where None is no limit. The default is 75, since a redelivery lasts
            until the subscriber responds. Only `retry.deadline` limits the wait for a free
            connection.
        retry: When a call is retried, and how long it may take in total.
        on_retry: Called with a `RetryEvent` before each wait. If it raises, the call ends
            with that exception. It must not use the client: while an access token is requested,
            that raises a `ConfigurationError`.
        max_connections: The maximum number of open connections, from 1 to 1,000,000; 100 by
            default. A replay with a higher `concurrency` opens its own connections.
        max_response_bytes: The maximum size of a response body, both compressed and decompressed,
            from 1 to 2,147,483,647; 32 MiB by default.
        http_client: Your own `httpx.Client`. Its transports, proxies (also for loopback), TLS and
            event hooks apply; its auth, timeout and redirects do not. It is not closed. With many
            threads, the pool of `httpx.Client` occasionally closes a connection that is in use
            (encode/httpcore#1110); the SDK's own pool does not.
        transport: Your own httpx transport, which the client closes.
        allow_insecure_http: Whether plain `http://` is allowed to hosts other than loopback.

    Attributes:
        hooks: The operations on subscriptions and their events.

    Raises:
        ConfigurationError: The arguments are missing, contradictory or unsafe.
    """

    @_explain_credentials
    def __init__(
        self,
        auth: Auth,
        *,
        environment: EnvironmentLike | None = None,
        base_url: str | None = None,
        token_url: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_retry: Callable[[RetryEvent], object] | None = None,
        max_connections: int | None = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        http_client: httpx.Client | None = None,
        transport: httpx.BaseTransport | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        if iscoroutinefunction(auth):
            raise ConfigurationError(
                "auth is an async function: use AsyncClient, or pass a plain function."
            )
        self._options = Options(resolve_timeouts(timeout), check_retry(retry))
        self._driver = SyncDriver(
            build_settings(
                auth,
                environment=environment,
                base_url=base_url,
                token_url=token_url,
                on_retry=on_retry,
                max_connections=max_connections,
                max_response_bytes=max_response_bytes,
                http_client=http_client,
                client_type=httpx.Client,
                transport=transport,
                transport_type=httpx.BaseTransport,
                allow_insecure_http=allow_insecure_http,
            )
        )
        self._attach_hooks()

    def _attach_hooks(self) -> None:
        self.hooks: Hooks = Hooks(self, self._open_sender)

    def _open_sender(self, connections: int) -> SyncSingleAttemptSender:
        return SyncSingleAttemptSender(self._driver, self._options, connections)

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """Create a client from environment variables.

        Set `WEBHOOKS_ENVIRONMENT`, or `WEBHOOKS_BASE_URL` and `WEBHOOKS_TOKEN_URL`; and
        `WEBHOOKS_CLIENT_ID` and `WEBHOOKS_CLIENT_SECRET`, or `WEBHOOKS_ACCESS_TOKEN`, which needs
        no token URL. Empty variables count as unset.

        Args:
            **options: The other arguments of `Client`.

        Raises:
            ConfigurationError: A variable is missing, invalid, or contradicts another.
        """
        settings = settings_from_variables(os.environ)
        return cls(
            _auth_from_settings(settings),
            environment=settings.environment,
            base_url=settings.base_url,
            token_url=settings.token_url,
            **options,
        )

    def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation and return its value with the response metadata.

        Args:
            operation: An operation from `webhooks_sdk.operations`.

        Returns:
            The decoded value, with the status, headers, attempts and elapsed seconds.

        Raises:
            APIError: The call failed; see `webhooks_sdk.errors` for its subclasses.
            ClientClosedError: The client is closed.
        """
        return self._driver.send(operation, self._options)

    def close(self) -> None:
        """Close the connections. Idempotent.

        A call that already has a connection can finish, and its connection is closed afterwards. A
        call that is waiting for a connection or for a retry fails with an `APIConnectionError`.
        If you pass your own HTTP client or transport, it determines what happens to calls in
        flight.
        """
        if not self._is_view:
            self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_BaseClient[AsyncDriver]):
    """An asynchronous client for the service, on asyncio or trio; see also `Client`.

    One client serves a whole process: it holds one access token, and one connection pool for each
    event loop, closed when the loop ends. Close the client, or use it in an `async with` statement.

    Args:
        auth: An access token, `ClientCredentials` to request one with, or a function, sync or
            async, that returns one, called before each attempt. The function must not use the
            client.
        environment: `"production"` or `"staging"`. There is no default.
        base_url: The base URL of the API, instead of `environment`. It may have a path prefix.
        token_url: The URL to request access tokens from, with `base_url` and `ClientCredentials`.
        timeout: Seconds for each step of an attempt (connecting, which gets at most 5; sending;
            waiting for the next part of the response), greater than 0 and at most 1,000,000; or an
            `httpx.Timeout`, where None is no limit. The default is 75, since a redelivery lasts
            until the subscriber responds. Only `retry.deadline` limits the wait for a free
            connection.
        retry: When a call is retried, and how long it may take in total.
        on_retry: A plain function called with a `RetryEvent` before each wait. If it raises,
            the call ends with that exception. It cannot await the client, but may start a task
            that does.
        max_connections: The maximum number of open connections, from 1 to 1,000,000; 100 by
            default. A replay with a higher `concurrency` opens its own connections.
        max_response_bytes: The maximum size of a response body, both compressed and decompressed,
            from 1 to 2,147,483,647; 32 MiB by default.
        http_client: Your own `httpx.AsyncClient`. Its transports, proxies (also for loopback), TLS
            and event hooks apply; its auth, timeout and redirects do not. It is not closed.
        transport: Your own httpx transport, which the client closes.
        allow_insecure_http: Whether plain `http://` is allowed to hosts other than loopback.

    Attributes:
        hooks: The operations on subscriptions and their events.

    Raises:
        ConfigurationError: The arguments are missing, contradictory or unsafe.
    """

    @_explain_credentials
    def __init__(
        self,
        auth: AsyncAuth,
        *,
        environment: EnvironmentLike | None = None,
        base_url: str | None = None,
        token_url: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_retry: Callable[[RetryEvent], object] | None = None,
        max_connections: int | None = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        self._options = Options(resolve_timeouts(timeout), check_retry(retry))
        self._driver = AsyncDriver(
            build_settings(
                auth,
                environment=environment,
                base_url=base_url,
                token_url=token_url,
                on_retry=on_retry,
                max_connections=max_connections,
                max_response_bytes=max_response_bytes,
                http_client=http_client,
                client_type=httpx.AsyncClient,
                transport=transport,
                transport_type=httpx.AsyncBaseTransport,
                allow_insecure_http=allow_insecure_http,
            )
        )
        self._attach_hooks()

    def _attach_hooks(self) -> None:
        self.hooks: AsyncHooks = AsyncHooks(self, self._open_sender)

    def _open_sender(self, connections: int) -> AsyncSingleAttemptSender:
        return AsyncSingleAttemptSender(self._driver, self._options, connections)

    @classmethod
    def from_env(cls, **options: Unpack[AsyncClientOptions]) -> Self:
        """Create a client from environment variables.

        Set `WEBHOOKS_ENVIRONMENT`, or `WEBHOOKS_BASE_URL` and `WEBHOOKS_TOKEN_URL`; and
        `WEBHOOKS_CLIENT_ID` and `WEBHOOKS_CLIENT_SECRET`, or `WEBHOOKS_ACCESS_TOKEN`, which needs
        no token URL. Empty variables count as unset.

        Args:
            **options: The other arguments of `AsyncClient`.

        Raises:
            ConfigurationError: A variable is missing, invalid, or contradicts another.
        """
        settings = settings_from_variables(os.environ)
        return cls(
            _auth_from_settings(settings),
            environment=settings.environment,
            base_url=settings.base_url,
            token_url=settings.token_url,
            **options,
        )

    async def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation and return its value with the response metadata.

        Args:
            operation: An operation from `webhooks_sdk.operations`.

        Returns:
            The decoded value, with the status, headers, attempts and elapsed seconds.

        Raises:
            APIError: The call failed; see `webhooks_sdk.errors` for its subclasses.
            ClientClosedError: The client is closed.
        """
        return await self._driver.send(operation, self._options)

    async def aclose(self) -> None:
        """Close the connections. Idempotent.

        A call that already has a connection can finish, and its connection is closed afterwards. A
        call that is waiting for a connection or for a retry fails with an `APIConnectionError`.
        If you pass your own HTTP client or transport, it determines what happens to calls in
        flight.
        """
        if not self._is_view:
            await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _auth_from_settings(settings: VariableSettings) -> str | ClientCredentials:
    if settings.access_token is not None:
        return settings.access_token
    return ClientCredentials(settings.client_id or "", settings.client_secret or "")
