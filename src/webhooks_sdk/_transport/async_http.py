"""Who owns the sockets of `AsyncClient`: one HTTP client for each event loop, made when needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary

import anyio
import httpx
from anyio.lowlevel import current_token
from attrs import define

from webhooks_sdk._transport.async_pool import AsyncConnectionPool
from webhooks_sdk._transport.messages import closed
from webhooks_sdk._transport.proxies import proxied_by_environment, usable_proxy

if TYPE_CHECKING:
    import ssl

    from webhooks_sdk._core.tokens import AsyncAuth
    from webhooks_sdk._transport.settings import Settings

AsyncSettings: TypeAlias = "Settings[AsyncAuth, httpx.AsyncClient, httpx.AsyncBaseTransport]"


class AsyncHTTP:
    """The HTTP client of one event loop, and the lock under which one task fetches a token."""

    def __init__(self, settings: AsyncSettings) -> None:
        self.token_lock = anyio.Lock()
        self._client = settings.http_client
        self._transport = settings.transport
        self._own: AsyncConnectionPool | None = None
        self._own_proxied: AsyncConnectionPool | None = None
        if settings.owns_http:
            self._open(settings)

    def _open(self, settings: AsyncSettings) -> None:
        tls = settings.ssl_context or httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

        def pool(make: Callable[[], httpx.AsyncBaseTransport]) -> AsyncConnectionPool:
            return AsyncConnectionPool(
                make,
                max_connections=settings.max_connections,
                keepalive_expiry=limits.keepalive_expiry,
            )

        self._own = pool(lambda: httpx.AsyncHTTPTransport(verify=tls, limits=limits))
        if settings.may_be_proxied and proxied_by_environment():
            with usable_proxy():
                _WholeClient(tls, limits)
            self._own_proxied = pool(lambda: _WholeClient(tls, limits))

    @property
    def closed(self) -> bool:
        """Whether the caller closed the HTTP client that is the caller's own."""
        return self._client is not None and self._client.is_closed

    async def send(self, request: httpx.Request, *, direct: bool) -> httpx.Response:
        """Send a request and return its answer, the body still unread.

        Args:
            request: What to send.
            direct: Whether no proxy from the environment may see it.
        """
        if self._client is not None:
            return await _send_with(self._client, request)
        own = self._own if direct else self._own_proxied or self._own
        transport = own or self._transport
        assert transport is not None
        # Straight to the transport: what a whole client adds is not wanted here, and is a quarter
        # of the CPU of a call.
        return await transport.handle_async_request(request)

    async def close(self) -> None:
        """Close what the SDK owns: not the caller's HTTP client."""
        for transport in (self._own, self._own_proxied, self._transport):
            if transport is not None:
                await transport.aclose()


class _WholeClient(httpx.AsyncBaseTransport):
    """All of httpx's client, which knows the proxies of the environment."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(verify=tls, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await _send_with(self._client, request)

    async def aclose(self) -> None:
        await self._client.aclose()


async def _send_with(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    request.read()  # so that event hooks find its content
    return await client.send(request, stream=True, auth=None, follow_redirects=False)


class AsyncHTTPPool:
    """Gives each event loop an HTTP client of its own, closed when the loop ends.

    A loop closes its asynchronous generators when it ends (PEP 525; asyncio.run and trio.run both
    do), so one that waits for that closes the sockets of a client that nobody closed.
    """

    def __init__(self, settings: AsyncSettings) -> None:
        self._settings = settings
        self._of_loop: WeakKeyDictionary[object, _Tenancy] = WeakKeyDictionary()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def get(self) -> AsyncHTTP:
        """Return the running loop's HTTP client.

        Raises:
            ClientClosedError: It was closed, or the caller's HTTP client was.
        """
        if self._closed:
            raise closed()
        loop = current_token().native_token
        tenancy = self._of_loop.get(loop)
        if tenancy is None:
            self._forget_closed_loops()
            tenancy = _Tenancy(AsyncHTTP(self._settings))
            self._of_loop[loop] = tenancy
            if self._settings.transport is None:
                # One that was passed in may serve the next loop too.
                tenancy.until_the_end = self._stay(loop, tenancy.http)
                await anext(tenancy.until_the_end)
        if tenancy.http.closed:
            raise closed("http_client")
        return tenancy.http

    def _forget_closed_loops(self) -> None:
        # Those that were closed by hand, and did not end their generators: nobody can, any more.
        for loop in list(self._of_loop):
            is_closed = getattr(loop, "is_closed", None)
            if is_closed is not None and is_closed():
                self._of_loop.pop(loop, None)

    async def _stay(self, loop: object, http: AsyncHTTP) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            # This generator holds the loop, and would keep it alive from the dictionary.
            self._of_loop.pop(loop, None)
            with anyio.CancelScope(shield=True):
                await http.close()

    async def sweep(self, http: AsyncHTTP) -> None:
        """Close what a call opened that began while the client was being closed."""
        if self._closed and self._settings.owns_http:
            with anyio.CancelScope(shield=True):
                await http.close()

    async def close(self) -> None:
        """Close the running loop's HTTP client. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        tenancy = self._of_loop.pop(current_token().native_token, None)
        if tenancy is not None and tenancy.until_the_end is not None:
            await tenancy.until_the_end.aclose()
        elif self._settings.transport is not None:
            await self._settings.transport.aclose()


@define(eq=False)
class _Tenancy:
    """An HTTP client in its loop, and the generator that ends with the loop."""

    http: AsyncHTTP
    until_the_end: AsyncGenerator[None, None] | None = None
