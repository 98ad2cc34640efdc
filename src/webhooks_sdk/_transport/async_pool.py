"""A connection pool for the tasks of one event loop. Each connection serves one request at a time.

It mirrors `sync_pool`, without locks: no other task runs between two `await`s. httpcore's own pool
is safe for tasks, but it examines every connection for every request, some of them repeatedly: with
32 requests in flight, that is half of the time that they take.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import AsyncExitStack, suppress
from traceback import walk_tb
from typing import TYPE_CHECKING, TypeAlias

import anyio
import httpx
from attrs import define, field, frozen

from webhooks_sdk._core.retries import ConnectionFailure, NothingSentError
from webhooks_sdk._transport.sync_pool import Origin, PoolClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

AsyncConnection: TypeAlias = httpx.AsyncBaseTransport

_logger = logging.getLogger("webhooks_sdk")


class AsyncConnectionPool(httpx.AsyncBaseTransport):
    """Sends the requests of many tasks over a bounded number of connections.

    Args:
        create_connection: Returns a transport limited to one connection.
        max_connections: The maximum number of open connections.
        keepalive_expiry: Seconds after which an idle connection is closed, the next time the pool
            is used; None to keep it.
        monotonic: Returns the current time in monotonic seconds.
    """

    def __init__(
        self,
        create_connection: Callable[[], AsyncConnection],
        *,
        max_connections: int,
        keepalive_expiry: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._create_connection = create_connection
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._monotonic = monotonic
        self._idle: list[_IdleConnection] = []  # the most recently used one is last
        self._free_slots = max_connections
        self._open = 0  # idle and in-use connections
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request as soon as a connection is free. Requests are served in order of arrival.

        Returns:
            The response, with its body unread. Closing it releases the connection.

        Raises:
            httpx.PoolTimeout: No connection became free in time. Nothing was sent.
            PoolClosedError: The pool is closed. Nothing was sent.
            httpx.TransportError: The connection failed.
        """
        url = request.url
        origin = (url.raw_scheme, url.raw_host, url.port)
        await self._acquire_slot(request)
        connection: AsyncConnection | None = None
        to_close: list[AsyncConnection] = []
        try:
            try:
                # Assigned before anything is closed, so that an interrupted close leaks nothing.
                connection = self._connection_to(origin, to_close)
            finally:
                await _close_all(to_close)
            response = await connection.handle_async_request(request)
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = _PooledStream(
                response.stream, lambda: self._release(connection, origin)
            )
        except BaseException as error:
            await self._release(connection, origin)
            if isinstance(error, RuntimeError) and _raised_while_connecting(error):
                unsent = NothingSentError(str(error), ConnectionFailure.NO_THREAD)
                unsent.__cause__ = error
                raise httpx.ConnectError(str(error), request=request) from unsent
            raise
        return response

    async def aclose(self) -> None:
        """Close idle connections now, and those in use as soon as they are released."""
        self._closed = True
        idle, self._idle = self._idle, []
        for waiter in self._waiting:
            waiter.ready.set()
        self._waiting.clear()
        await _close_all([entry.connection for entry in idle])

    async def _acquire_slot(self, request: httpx.Request) -> None:
        if self._closed:
            raise PoolClosedError
        if self._free_slots:
            self._free_slots -= 1
            return
        waiter = _Waiter()
        self._waiting.append(waiter)
        await self._wait_for_slot(waiter, request)

    async def _wait_for_slot(self, waiter: _Waiter, request: httpx.Request) -> None:
        try:
            with anyio.move_on_after(request.extensions.get("timeout", {}).get("pool")):
                await waiter.ready.wait()
        except BaseException:
            if self._leave_queue(waiter):
                self._release_slot()
            raise
        if self._leave_queue(waiter):
            return
        if self._closed:
            raise PoolClosedError
        problem = f"every connection was in use (max_connections={self._max_connections})"
        raise httpx.PoolTimeout(problem, request=request) from NothingSentError(
            problem, ConnectionFailure.NO_FREE_CONNECTION
        )

    def _leave_queue(self, waiter: _Waiter) -> bool:
        """Stop waiting and return whether the waiter has been assigned a slot."""
        with suppress(ValueError):
            self._waiting.remove(waiter)
        return waiter.has_slot

    def _connection_to(self, origin: Origin, to_close: list[AsyncConnection]) -> AsyncConnection:
        """Return an idle connection, or make room for a new one and return that."""
        if self._closed:
            raise PoolClosedError
        self._drop_expired(to_close)
        for entry in reversed(self._idle):
            if entry.origin == origin:
                self._idle.remove(entry)
                return entry.connection
        if self._open == self._max_connections:
            to_close.append(self._idle.pop(0).connection)
            self._open -= 1
        connection = self._create_connection()
        self._open += 1
        return connection

    def _drop_expired(self, to_close: list[AsyncConnection]) -> None:
        if self._keepalive_expiry is None:
            return
        oldest = self._monotonic() - self._keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            to_close.append(self._idle.pop(0).connection)
            self._open -= 1

    async def _release(self, connection: AsyncConnection | None, origin: Origin) -> None:
        to_close: list[AsyncConnection] = []
        if connection is not None and self._closed:
            to_close.append(connection)
            self._open -= 1
        elif connection is not None:
            self._idle.append(_IdleConnection(connection, origin, self._monotonic()))
        self._drop_expired(to_close)
        self._release_slot()
        await _close_all(to_close)

    def _release_slot(self) -> None:
        if self._waiting:
            waiter = self._waiting.popleft()
            waiter.has_slot = True
            waiter.ready.set()
        else:
            self._free_slots += 1


@frozen(eq=False)
class _IdleConnection:
    connection: AsyncConnection
    origin: Origin
    idle_since: float


@define(eq=False)
class _Waiter:
    ready: anyio.Event = field(factory=anyio.Event)
    has_slot: bool = False


# Private names of httpcore: a test fails if a new version renames them.
_CONNECT, _HTTPCORE = "connect_tcp", "httpcore"


def _raised_while_connecting(error: RuntimeError) -> bool:
    """Return whether httpcore was still opening the connection.

    To look up a host name, asyncio and trio start a thread. That fails with a RuntimeError if the
    system has no more threads or the interpreter is exiting.
    """
    return any(
        frame.f_code.co_name == _CONNECT
        and frame.f_globals.get("__name__", "").startswith(_HTTPCORE)
        for frame, _ in walk_tb(error.__traceback__)
    )


class _PooledStream(httpx.AsyncByteStream):
    """A response body that releases its connection when it is closed."""

    def __init__(
        self, stream: httpx.AsyncByteStream, release: Callable[[], Awaitable[None]]
    ) -> None:
        self._stream = stream
        self._release: Callable[[], Awaitable[None]] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        release, self._release = self._release, None
        if release is None:
            return
        try:
            await self._stream.aclose()
        finally:
            await release()


async def _close_all(connections: Sequence[AsyncConnection]) -> None:
    if not connections:
        return
    # The stack closes the other connections even if one is interrupted.
    async with AsyncExitStack() as stack:
        for connection in connections:
            stack.push_async_callback(_close, connection)


async def _close(connection: AsyncConnection) -> None:
    # Shielded, so that a cancelled task leaves no connection open.
    with anyio.CancelScope(shield=True):
        try:
            await connection.aclose()
        except Exception:
            # No call depends on a connection that is discarded.
            _logger.debug("closing a connection failed", exc_info=True)
