"""A pool of connections for the tasks of one event loop: the twin of `_connection_pool`.

In a loop nothing comes between a look and a decision, so it needs no lock. httpcore's own pool is
safe for tasks; but it asks each of its connections about each request, and some of them more than
once, which with 32 requests under way takes half of the time that they take.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import anyio
import httpx
from attrs import define, field, frozen

from webhooks_sdk._core.retries import NothingSentError
from webhooks_sdk._transport.sync_pool import Origin, PoolClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

AsyncLink: TypeAlias = httpx.AsyncBaseTransport


class AsyncConnectionPool(httpx.AsyncBaseTransport):
    """Sends requests of many tasks over a bounded number of connections.

    Args:
        make: Makes a link: a transport with room for one connection.
        max_connections: How many connections may be open at once.
        keepalive_expiry: Seconds after which a link that nobody used is closed, when the pool is
            used next; None to keep it.
        monotonic: Where the time comes from.
    """

    def __init__(
        self,
        make: Callable[[], AsyncLink],
        *,
        max_connections: int,
        keepalive_expiry: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._monotonic = monotonic
        self._idle: list[_Idle] = []  # the one that was used last is last
        self._places = max_connections  # for calls
        self._open = 0  # links, idle and taken
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request when a connection is free for it; first come, first served.

        Returns:
            The answer, the body still unread. The connection is free again once it is closed.

        Raises:
            httpx.PoolTimeout: No connection became free in time; nothing was sent.
            PoolClosedError: The pool is closed; nothing was sent.
            httpx.TransportError: What the link raises.
        """
        url = request.url
        origin = (url.raw_scheme, url.raw_host, url.port)
        await self._take_place(request)
        link: AsyncLink | None = None
        surplus: list[AsyncLink] = []
        try:
            link = self._link_to(origin, surplus)
            await _close(surplus)
            response = await link.handle_async_request(request)
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = _Lent(response.stream, lambda: self._give_back(link, origin))
        except BaseException:
            await self._give_back(link, origin)
            raise
        return response

    async def aclose(self) -> None:
        """Close the connections: those of calls that are under way, when these have ended."""
        self._closed = True
        idle, self._idle = self._idle, []
        for waiter in self._waiting:
            waiter.go.set()
        self._waiting.clear()
        await _close(entry.link for entry in idle)

    async def _take_place(self, request: httpx.Request) -> None:
        if self._closed:
            raise PoolClosedError
        if self._places:
            self._places -= 1
            return
        waiter = _Waiter()
        self._waiting.append(waiter)
        await self._wait_for_place(waiter, request)

    async def _wait_for_place(self, waiter: _Waiter, request: httpx.Request) -> None:
        try:
            with anyio.move_on_after(request.extensions.get("timeout", {}).get("pool")):
                await waiter.go.wait()
        except BaseException:
            if self._leave_queue(waiter):
                self._pass_place_on()
            raise
        if self._leave_queue(waiter):
            return
        if self._closed:
            raise PoolClosedError
        problem = f"all {self._max_connections} connections were in use"
        raise httpx.PoolTimeout(problem, request=request) from NothingSentError(problem)

    def _leave_queue(self, waiter: _Waiter) -> bool:
        """Return whether the waiter has been given a place, be it in the last moment."""
        with suppress(ValueError):
            self._waiting.remove(waiter)
        return waiter.has_place

    def _link_to(self, origin: Origin, surplus: list[AsyncLink]) -> AsyncLink:
        """Return a link that was used before, or else a new one, for which room is made."""
        if self._closed:
            raise PoolClosedError
        self._drop_expired(surplus)
        for entry in reversed(self._idle):
            if entry.origin == origin:
                self._idle.remove(entry)
                return entry.link
        if self._open == self._max_connections:
            surplus.append(self._idle.pop(0).link)
            self._open -= 1
        link = self._make()
        self._open += 1
        return link

    def _drop_expired(self, surplus: list[AsyncLink]) -> None:
        if self._keepalive_expiry is None:
            return
        oldest = self._monotonic() - self._keepalive_expiry
        while self._idle and self._idle[0].since < oldest:
            surplus.append(self._idle.pop(0).link)
            self._open -= 1

    async def _give_back(self, link: AsyncLink | None, origin: Origin) -> None:
        surplus: list[AsyncLink] = []
        if link is not None and self._closed:
            surplus.append(link)
            self._open -= 1
        elif link is not None:
            self._idle.append(_Idle(link, origin, self._monotonic()))
        self._drop_expired(surplus)
        self._pass_place_on()
        await _close(surplus)

    def _pass_place_on(self) -> None:
        if self._waiting:
            waiter = self._waiting.popleft()
            waiter.has_place = True
            waiter.go.set()
        else:
            self._places += 1


@frozen(eq=False)
class _Idle:
    link: AsyncLink
    origin: Origin
    since: float


@define(eq=False)
class _Waiter:
    go: anyio.Event = field(factory=anyio.Event)
    has_place: bool = False


class _Lent(httpx.AsyncByteStream):
    """The body of an answer, whose end gives the connection back."""

    def __init__(
        self, stream: httpx.AsyncByteStream, give_back: Callable[[], Awaitable[None]]
    ) -> None:
        self._stream = stream
        self._give_back: Callable[[], Awaitable[None]] | None = give_back

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        try:
            await self._stream.aclose()
        finally:
            await give_back()


async def _close(links: Iterable[AsyncLink]) -> None:
    for link in links:
        # Whoever is cancelled leaves no connection open behind.
        with anyio.CancelScope(shield=True):
            await link.aclose()
