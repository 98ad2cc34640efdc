"""The public face: `Client` and `AsyncClient`. A driver does the work."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypedDict, TypeVar, Unpack

import httpx

from webhooks_sdk._async_hooks import AsyncHooks
from webhooks_sdk._core.endpoints import EnvironmentLike, settings_from_variables
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
    from webhooks_sdk._core.endpoints import EnvironmentSettings

T = TypeVar("T")


class CommonOptions(TypedDict, total=False):
    """The options of a client that have a default and are the same for both clients."""

    timeout: float | httpx.Timeout
    retry: RetryPolicy
    on_retry: Callable[[RetryEvent], object] | None
    max_connections: int | None
    max_response_bytes: int
    allow_insecure_http: bool


class ClientOptions(CommonOptions, total=False):
    """The options of `Client` that have a default."""

    http_client: httpx.Client | None
    transport: httpx.BaseTransport | None


class AsyncClientOptions(CommonOptions, total=False):
    """The options of `AsyncClient` that have a default."""

    http_client: httpx.AsyncClient | None
    transport: httpx.AsyncBaseTransport | None


DriverT = TypeVar("DriverT", SyncDriver, AsyncDriver)


class _BaseClient(ABC, Generic[DriverT]):
    """What both clients have in common: all that neither sends nor waits."""

    _driver: DriverT
    _options: Options
    _is_view: bool = False

    @property
    def base_url(self) -> str:
        """The base URL of the API, without a trailing slash."""
        return self._driver.settings.endpoints.base.url

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self._driver.closed

    def with_options(
        self,
        *,
        timeout: float | httpx.Timeout | Unset = UNSET,
        retry: RetryPolicy | Unset = UNSET,
    ) -> Self:
        """Return a view of this client with other options, on the same connections and token.

        Args:
            timeout: As in the client's own arguments.
            retry: As in the client's own arguments.

        Returns:
            A client. Closing it closes nothing; it is closed with the client that it is a view of.

        Raises:
            ConfigurationError: An option is none that the client takes.
        """
        view = type(self).__new__(type(self))
        vars(view).update(vars(self))
        view._options = Options(  # noqa: SLF001 - of its own class
            self._options.timeouts if isinstance(timeout, Unset) else resolve_timeouts(timeout),
            self._options.retry if isinstance(retry, Unset) else check_retry(retry),
        )
        view._is_view = True  # noqa: SLF001 - of its own class
        view._attach_hooks()  # noqa: SLF001 - of its own class
        return view

    @abstractmethod
    def _attach_hooks(self) -> None:
        """Give the client, or a view of it, the resource that sends through it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} base_url={self.base_url!r} closed={self.closed}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it holds connections and credentials."
        )


class Client(_BaseClient[SyncDriver]):
    """A client of the service for threads; `AsyncClient` is its twin for tasks.

    One client serves a whole process, 32 threads and more: it holds one pool of connections and
    one access token. A forked child makes connections of its own. Close it, or use it in a `with`
    statement.

    Args:
        auth: An access token, `ClientCredentials` to get one with, or a function that returns one,
            called before each attempt.
        environment: `"production"` or `"staging"`. There is no default.
        base_url: Instead of `environment`, the base URL of the API. It may have a path prefix.
        token_url: With `base_url` and `ClientCredentials`, where to ask for an access token.
        timeout: Seconds for each step of one attempt (to connect, at most 5; to send; between two
            pieces of the answer), or an `httpx.Timeout`. By default 75 s, since a redelivery lasts
            as long as the subscriber takes. There is no limit but `retry.deadline` on waiting for
            a free connection.
        retry: How a call is tried again, and how long it may take in all.
        on_retry: Called with a `RetryEvent` before each wait. What it raises ends the call. It
            must not call the client, which may be waiting for a token.
        max_connections: How many connections may be open at once, 100 by default.
        max_response_bytes: The largest answer that is read, as sent and decoded; 32 MiB by
            default.
        http_client: An HTTP client of your own: its transports, proxies (also for loopback), TLS
            and event hooks apply, its auth, timeout and redirects do not, and it is not closed.
            Under many threads the pool of `httpx.Client` now and then closes a connection that is
            in use (encode/httpcore#1110), which the SDK's own never does.
        transport: An httpx transport of your own, which the client closes.
        allow_insecure_http: Whether plain `http://` may be spoken to other machines.

    Attributes:
        hooks: The operations.

    Raises:
        ConfigurationError: The arguments are missing, contradictory or unsafe.
    """

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
            raise ConfigurationError("auth is an async function: use AsyncClient, or a plain one.")
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
        self.hooks: Hooks = Hooks(self, self._single_attempt_sender)

    def _single_attempt_sender(self, connections: int) -> SyncSingleAttemptSender:
        return SyncSingleAttemptSender(self._driver, self._options, connections)

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """Make a client from environment variables; an empty one counts as unset.

        `WEBHOOKS_ENVIRONMENT`, or `WEBHOOKS_BASE_URL` and `WEBHOOKS_TOKEN_URL`; and
        `WEBHOOKS_CLIENT_ID` and `WEBHOOKS_CLIENT_SECRET`, or `WEBHOOKS_ACCESS_TOKEN`, which needs
        no token URL.

        Args:
            **options: The other arguments of `Client`.

        Raises:
            ConfigurationError: A variable is missing, wrong, or contradicts another.
        """
        found = settings_from_variables(os.environ)
        return cls(
            _auth_from(found),
            environment=found.environment,
            base_url=found.base_url,
            token_url=found.token_url,
            **options,
        )

    def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation of `webhooks_sdk.operations`, for who needs more than its value.

        Returns:
            The value, with the status, headers, attempts and elapsed seconds.

        Raises:
            APIError: The call failed; see `errors` for the kinds.
            ClientClosedError: The client is closed.
        """
        return self._driver.send(operation, self._options)

    def close(self) -> None:
        """Close the connections. Closing twice is closing once.

        A call that has a connection may still end, and its connection is closed then. One that
        waits for a connection, or to be tried again, fails with an `APIConnectionError`. With an
        HTTP client or transport of your own, these decide about calls that are under way.
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
    """A client of the service for tasks, on asyncio or trio; `Client` is its twin for threads.

    One client serves a whole process: it holds one pool of connections for each event loop, closed
    when the loop ends, and one access token. Close it, or use it in an `async with` statement.

    Args:
        auth: An access token, `ClientCredentials` to get one with, or a function, async or not,
            that returns one, called before each attempt.
        environment: `"production"` or `"staging"`. There is no default.
        base_url: Instead of `environment`, the base URL of the API. It may have a path prefix.
        token_url: With `base_url` and `ClientCredentials`, where to ask for an access token.
        timeout: Seconds for each step of one attempt (to connect, at most 5; to send; between two
            pieces of the answer), or an `httpx.Timeout`. By default 75 s, since a redelivery lasts
            as long as the subscriber takes. There is no limit but `retry.deadline` on waiting for
            a free connection.
        retry: How a call is tried again, and how long it may take in all.
        on_retry: Called, not awaited, with a `RetryEvent` before each wait. What it raises ends
            the call.
        max_connections: How many connections may be open at once, 100 by default.
        max_response_bytes: The largest answer that is read, as sent and decoded; 32 MiB by
            default.
        http_client: An HTTP client of your own: its transports, proxies (also for loopback), TLS
            and event hooks apply, its auth, timeout and redirects do not, and it is not closed.
        transport: An httpx transport of your own, which the client closes.
        allow_insecure_http: Whether plain `http://` may be spoken to other machines.

    Attributes:
        hooks: The operations.

    Raises:
        ConfigurationError: The arguments are missing, contradictory or unsafe.
    """

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
        self.hooks: AsyncHooks = AsyncHooks(self, self._single_attempt_sender)

    def _single_attempt_sender(self, connections: int) -> AsyncSingleAttemptSender:
        return AsyncSingleAttemptSender(self._driver, self._options, connections)

    @classmethod
    def from_env(cls, **options: Unpack[AsyncClientOptions]) -> Self:
        """Make a client from environment variables; an empty one counts as unset.

        `WEBHOOKS_ENVIRONMENT`, or `WEBHOOKS_BASE_URL` and `WEBHOOKS_TOKEN_URL`; and
        `WEBHOOKS_CLIENT_ID` and `WEBHOOKS_CLIENT_SECRET`, or `WEBHOOKS_ACCESS_TOKEN`, which needs
        no token URL.

        Args:
            **options: The other arguments of `AsyncClient`.

        Raises:
            ConfigurationError: A variable is missing, wrong, or contradicts another.
        """
        found = settings_from_variables(os.environ)
        return cls(
            _auth_from(found),
            environment=found.environment,
            base_url=found.base_url,
            token_url=found.token_url,
            **options,
        )

    async def send(self, operation: Operation[T]) -> APIResponse[T]:
        """Send an operation of `webhooks_sdk.operations`, for who needs more than its value.

        Returns:
            The value, with the status, headers, attempts and elapsed seconds.

        Raises:
            APIError: The call failed; see `errors` for the kinds.
            ClientClosedError: The client is closed.
        """
        return await self._driver.send(operation, self._options)

    async def aclose(self) -> None:
        """Close the connections. Closing twice is closing once.

        A call that has a connection may still end, and its connection is closed then. One that
        waits for a connection, or to be tried again, fails with an `APIConnectionError`. With an
        HTTP client or transport of your own, these decide about calls that are under way.
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


def _auth_from(found: EnvironmentSettings) -> str | ClientCredentials:
    if found.access_token is not None:
        return found.access_token
    return ClientCredentials(found.client_id or "", found.client_secret or "")
