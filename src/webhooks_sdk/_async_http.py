"""Who owns the sockets of `AsyncClient`: one HTTP client for each event loop, made when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import anyio
import httpx
from anyio.lowlevel import RunVar

from webhooks_sdk._driver import Settings, closed, proxied_by_environment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.lowlevel import RunvarToken

    from webhooks_sdk._auth import AsyncAuth

AsyncSettings: TypeAlias = "Settings[AsyncAuth, httpx.AsyncClient, httpx.AsyncBaseTransport]"


class AsyncHTTP:
    """The HTTP client of one event loop, and the lock under which one task fetches a token."""

    def __init__(self, settings: AsyncSettings) -> None:
        self.token_lock = anyio.Lock()
        self._client = settings.http_client
        self._transport = settings.transport
        self._owned_client: httpx.AsyncClient | None = None
        if self._client is None and self._transport is None:
            self._open(settings)

    def _open(self, settings: AsyncSettings) -> None:
        tls, limits = settings.ssl_context or True, settings.limits()
        self._transport = httpx.AsyncHTTPTransport(verify=tls, limits=limits)
        if proxied_by_environment():
            self._owned_client = httpx.AsyncClient(verify=tls, limits=limits)

    async def send(self, request: httpx.Request, *, direct: bool) -> httpx.Response:
        """Send a request and return its answer, the body still unread.

        Args:
            request: What to send.
            direct: Whether no proxy from the environment may see it.
        """
        client = self._client or (None if direct else self._owned_client)
        if client is None:
            assert self._transport is not None
            # Straight to the transport: what a whole client adds is not wanted here, and is a
            # quarter of the CPU of a call.
            return await self._transport.handle_async_request(request)
        request.read()  # so that event hooks find its content
        return await client.send(request, stream=True, auth=None, follow_redirects=False)

    async def close(self) -> None:
        """Close what the SDK owns: not the caller's HTTP client."""
        if self._owned_client is not None:
            await self._owned_client.aclose()
        if self._transport is not None:
            await self._transport.aclose()


class AsyncHTTPPool:
    """Gives each event loop an HTTP client of its own, closed when the loop ends."""

    def __init__(self, settings: AsyncSettings) -> None:
        self._settings = settings
        self._of_loop: RunVar[_Lifetime | None] = RunVar("webhooks_sdk", None)
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def get(self) -> AsyncHTTP:
        """Return the running loop's HTTP client.

        Raises:
            ClientClosedError: It was closed.
        """
        if self._closed:
            raise closed()
        lifetime = self._of_loop.get()
        return lifetime.http if lifetime is not None else await self._make()

    async def _make(self) -> AsyncHTTP:
        lifetime = _Lifetime(AsyncHTTP(self._settings), self._settings)
        lifetime.slot = self._of_loop.set(lifetime)
        await lifetime.begin()
        return lifetime.http

    async def close(self) -> None:
        """Close the running loop's HTTP client. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        lifetime = self._of_loop.get()
        if lifetime is not None:
            assert lifetime.slot is not None
            self._of_loop.reset(lifetime.slot)
            await lifetime.end()
        elif self._settings.transport is not None:
            await self._settings.transport.aclose()


class _Lifetime:
    """Ties an HTTP client to the loop in which it was made.

    A loop closes its asynchronous generators when it ends (PEP 525; asyncio.run and trio.run both
    do), so one that waits for that closes the sockets of a client that nobody closed.
    """

    def __init__(self, http: AsyncHTTP, settings: AsyncSettings) -> None:
        self.http = http
        self.slot: RunvarToken[_Lifetime | None] | None = None
        # A transport that was passed in may serve the next loop too.
        self._generator = None if settings.transport is not None else _close_at_the_end(http)

    async def begin(self) -> None:
        if self._generator is not None:
            await anext(self._generator)

    async def end(self) -> None:
        if self._generator is None:
            await self.http.close()
        else:
            await self._generator.aclose()


async def _close_at_the_end(http: AsyncHTTP) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await http.close()
