"""The HTTP connections of `AsyncClient`: one set per event loop, opened on first use."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

import anyio
import httpx
from attrs import define

from webhooks_sdk._transport.async_pool import AsyncConnectionPool
from webhooks_sdk._transport.event_loops import current_event_loop, remove_closed_loops
from webhooks_sdk._transport.messages import client_closed_error
from webhooks_sdk._transport.proxies import proxied_by_environment, translate_proxy_errors

if TYPE_CHECKING:
    import ssl

    from webhooks_sdk._core.tokens import AsyncAuth
    from webhooks_sdk._transport.settings import Settings

AsyncSettings: TypeAlias = "Settings[AsyncAuth, httpx.AsyncClient, httpx.AsyncBaseTransport]"


class LoopHTTP:
    """The HTTP connections of one event loop."""

    def __init__(self, settings: AsyncSettings) -> None:
        self._http_client = settings.http_client
        self._transport = settings.transport
        self._direct_pool: AsyncConnectionPool | None = None
        self._proxied_pool: AsyncConnectionPool | None = None
        if settings.owns_connections:
            self._open_pools(settings)

    def _open_pools(self, settings: AsyncSettings) -> None:
        ssl_context = settings.ssl_context or httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

        def pool(create_connection: Callable[[], httpx.AsyncBaseTransport]) -> AsyncConnectionPool:
            return AsyncConnectionPool(
                create_connection,
                max_connections=settings.max_connections,
                keepalive_expiry=limits.keepalive_expiry,
            )

        self._direct_pool = pool(
            lambda: httpx.AsyncHTTPTransport(verify=ssl_context, limits=limits)
        )
        if settings.may_use_proxy and proxied_by_environment():
            with translate_proxy_errors():
                _ClientTransport(ssl_context, limits)
            self._proxied_pool = pool(lambda: _ClientTransport(ssl_context, limits))

    @property
    def closed(self) -> bool:
        """Whether the caller has closed the `http_client` that it passed."""
        return self._http_client is not None and self._http_client.is_closed

    async def send(self, request: httpx.Request, *, bypass_proxy: bool) -> httpx.Response:
        """Send a request and return its response, with the body unread.

        Args:
            request: The request to send.
            bypass_proxy: Whether to ignore the proxies named by environment variables.
        """
        if self._http_client is not None:
            return await _send_with(self._http_client, request)
        pool = self._direct_pool if bypass_proxy else self._proxied_pool or self._direct_pool
        transport = pool or self._transport
        assert transport is not None
        # httpx.AsyncClient adds nothing needed here and takes a quarter of the CPU of a call.
        return await transport.handle_async_request(request)

    async def close(self) -> None:
        """Close the pools and the transport, but not the caller's `http_client`."""
        for transport in (self._direct_pool, self._proxied_pool, self._transport):
            if transport is not None:
                await transport.aclose()


class _ClientTransport(httpx.AsyncBaseTransport):
    """Sends through an `httpx.AsyncClient`, which uses the proxies of environment variables."""

    def __init__(self, ssl_context: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(verify=ssl_context, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await _send_with(self._client, request)

    async def aclose(self) -> None:
        await self._client.aclose()


async def _send_with(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    request.read()  # event hooks may use request.content
    return await client.send(request, stream=True, auth=None, follow_redirects=False)


class PerLoopHTTP:
    """Gives each event loop its own connections, closed when the loop ends.

    An event loop closes its asynchronous generators when it ends (PEP 525; asyncio.run and trio.run
    both do). For each loop, a suspended generator closes the connections of a client that is still
    open by then.
    """

    def __init__(self, settings: AsyncSettings) -> None:
        self._settings = settings
        self._by_loop: WeakKeyDictionary[object, _LoopEntry] = WeakKeyDictionary()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def get(self) -> LoopHTTP:
        """Return the connections of the running event loop.

        Raises:
            ClientClosedError: The client, or the caller's `http_client`, is closed.
        """
        if self._closed:
            raise client_closed_error()
        loop = current_event_loop()
        entry = self._by_loop.get(loop) or await self._create(loop)
        if entry.http.closed:
            raise client_closed_error("http_client")
        return entry.http

    async def _create(self, loop: object) -> _LoopEntry:
        # A loop closed without shutdown_asyncgens never runs its finalizer.
        remove_closed_loops(self._by_loop)
        entry = _LoopEntry(LoopHTTP(self._settings))
        self._by_loop[loop] = entry
        # A transport that the caller passed may serve the next loop as well.
        if self._settings.transport is None:
            entry.finalizer = self._close_with_loop(loop, entry.http)
            await anext(entry.finalizer)
        return entry

    async def _close_with_loop(self, loop: object, http: LoopHTTP) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            # This generator references the loop: leaving its entry would keep the loop alive.
            self._by_loop.pop(loop, None)
            with anyio.CancelScope(shield=True):
                await http.close()

    async def clean_up(self, http: LoopHTTP) -> None:
        """Close connections that a call opened while the client was being closed."""
        if self._closed and self._settings.owns_connections:
            with anyio.CancelScope(shield=True):
                await http.close()

    async def close(self) -> None:
        """Close the connections of the running event loop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        entry = self._by_loop.pop(current_event_loop(), None)
        if entry is not None and entry.finalizer is not None:
            await entry.finalizer.aclose()
        elif self._settings.transport is not None:
            await self._settings.transport.aclose()


@define(eq=False)
class _LoopEntry:
    """The connections of one event loop, and the generator that closes them when it ends."""

    http: LoopHTTP
    finalizer: AsyncGenerator[None, None] | None = None
