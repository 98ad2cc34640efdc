"""A thread-safe connection pool. Each connection serves one request at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, TypeAlias

import httpx
from attrs import define, field, frozen

from webhooks_sdk._core.retries import ConnectionFailure, NothingSentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Origin: TypeAlias = tuple[bytes, bytes, int | None]
Connection: TypeAlias = httpx.BaseTransport

_logger = logging.getLogger("webhooks_sdk")


class PoolClosedError(Exception):
    """The pool was closed before the request got a connection. Nothing was sent."""


class ConnectionPool(httpx.BaseTransport):
    """Sends the requests of many threads over a bounded number of connections.

    In httpcore's own pool, a connection counts as idle until its thread begins to send. Another
    thread that looks for a connection in that time can find it readable, take it for expired and
    close it while the first one reads its response (encode/httpcore#1110). In this pool, only the
    thread that holds a connection checks whether it is still usable.

    Args:
        create_connection: Returns a transport limited to one connection.
        max_connections: The maximum number of open connections.
        keepalive_expiry: Seconds after which an idle connection is closed, the next time the pool
            is used; None to keep it.
        monotonic: Returns the current time in monotonic seconds.
    """

    def __init__(
        self,
        create_connection: Callable[[], Connection],
        *,
        max_connections: int,
        keepalive_expiry: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._create_connection = create_connection
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: list[_IdleConnection] = []  # the most recently used one is last
        self._in_use: dict[Connection, Origin] = {}
        self._free_slots = max_connections
        self._open = 0  # idle and in-use connections
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
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
        self._acquire_slot(request)
        connection: Connection | None = None
        to_close: list[Connection] = []
        try:
            try:
                # Assigned before anything is closed, so that an interrupted close leaks nothing.
                connection = self._connection_to(origin, to_close)
            finally:
                _close_all(to_close)
            response = connection.handle_request(request)
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = _PooledStream(response.stream, lambda: self._release(connection))
        except BaseException:
            self._release(connection)
            raise
        return response

    def close(self) -> None:
        """Close idle connections now, and those in use as soon as they are released."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for waiter in self._waiting:
                waiter.ready.set()
            self._waiting.clear()
        _close_all([entry.connection for entry in idle])

    def close_inherited(self) -> None:
        """Close a forked child's copies of all connections.

        The lock is not acquired: a thread that exists only in the parent may hold it.
        """
        _close_all([*(entry.connection for entry in self._idle), *self._in_use])

    def _acquire_slot(self, request: httpx.Request) -> None:
        with self._lock:
            if self._closed:
                raise PoolClosedError
            if self._free_slots:
                self._free_slots -= 1
                return
            waiter = _Waiter()
            self._waiting.append(waiter)
        self._wait_for_slot(waiter, request)

    def _wait_for_slot(self, waiter: _Waiter, request: httpx.Request) -> None:
        try:
            waiter.ready.wait(request.extensions.get("timeout", {}).get("pool"))
        except BaseException:
            if self._leave_queue(waiter):
                self._release(None)
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
        with self._lock:
            with suppress(ValueError):
                self._waiting.remove(waiter)
            return waiter.has_slot

    def _connection_to(self, origin: Origin, to_close: list[Connection]) -> Connection:
        """Return an idle connection, or make room for a new one and return that."""
        with self._lock:
            if self._closed:
                raise PoolClosedError
            self._drop_expired(to_close)
            for entry in reversed(self._idle):
                if entry.origin == origin:
                    self._idle.remove(entry)
                    self._in_use[entry.connection] = origin
                    return entry.connection
            if self._open == self._max_connections:
                to_close.append(self._idle.pop(0).connection)
            else:
                self._open += 1
        return self._new_connection(origin)

    def _new_connection(self, origin: Origin) -> Connection:
        try:
            connection = self._create_connection()
        except BaseException:
            with self._lock:
                self._open -= 1
            raise
        with self._lock:
            self._in_use[connection] = origin
        return connection

    def _drop_expired(self, to_close: list[Connection]) -> None:
        if self._keepalive_expiry is None:
            return
        oldest = self._monotonic() - self._keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            to_close.append(self._idle.pop(0).connection)
            self._open -= 1

    def _release(self, connection: Connection | None) -> None:
        to_close: list[Connection] = []
        with self._lock:
            if connection is not None:
                origin = self._in_use.pop(connection)
                if self._closed:
                    to_close.append(connection)
                else:
                    self._idle.append(_IdleConnection(connection, origin, self._monotonic()))
            self._drop_expired(to_close)
            self._release_slot()
        _close_all(to_close)

    def _release_slot(self) -> None:
        if self._waiting:
            waiter = self._waiting.popleft()
            waiter.has_slot = True
            waiter.ready.set()
        else:
            self._free_slots += 1


@frozen(eq=False)
class _IdleConnection:
    connection: Connection
    origin: Origin
    idle_since: float


@define(eq=False)
class _Waiter:
    ready: threading.Event = field(factory=threading.Event)
    has_slot: bool = False


class _PooledStream(httpx.SyncByteStream):
    """A response body that releases its connection when it is closed."""

    def __init__(self, stream: httpx.SyncByteStream, release: Callable[[], None]) -> None:
        self._stream = stream
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        release, self._release = self._release, None
        if release is None:
            return
        try:
            self._stream.close()
        finally:
            release()


def _close_all(connections: Sequence[Connection]) -> None:
    if not connections:
        return
    # The stack closes the other connections even if one is interrupted.
    with ExitStack() as stack:
        for connection in connections:
            stack.callback(_close, connection)


def _close(connection: Connection) -> None:
    try:
        connection.close()
    except Exception:
        # No call depends on a connection that is discarded.
        _logger.debug("closing a connection failed", exc_info=True)
