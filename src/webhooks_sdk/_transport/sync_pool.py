"""A pool of connections for threads, each connection lent to one call at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import httpx
from attrs import define, field, frozen

from webhooks_sdk._core.retries import NothingSentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Origin: TypeAlias = tuple[bytes, bytes, int | None]
Link: TypeAlias = httpx.BaseTransport


class PoolClosedError(Exception):
    """The pool was closed before it had a connection for a request, of which nothing was sent."""


class ConnectionPool(httpx.BaseTransport):
    """Sends requests of many threads over a bounded number of connections.

    httpcore's own pool hands out a connection that still counts as idle until its thread has begun
    to send. A second thread that looks for a connection meanwhile can find it expired, since the
    answer to the first makes it readable, and closes it under the one who reads
    (encode/httpcore#1110). Here a connection is either idle or somebody's, and only who has it asks
    whether it is still good.

    Args:
        make: Makes a link: a transport with room for one connection.
        max_connections: How many connections may be open at once.
        keepalive_expiry: Seconds after which a link that nobody used is closed, when the pool is
            used next; None to keep it.
        monotonic: Where the time comes from.
    """

    def __init__(
        self,
        make: Callable[[], Link],
        *,
        max_connections: int,
        keepalive_expiry: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []  # the one that was used last is last
        self._taken: dict[Link, Origin] = {}
        self._places = max_connections  # for calls
        self._open = 0  # links, idle and taken
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
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
        self._take_place(request)
        link: Link | None = None
        try:
            link = self._link_to(origin)
            response = link.handle_request(request)
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = _Lent(response.stream, lambda: self._give_back(link))
        except BaseException:
            self._give_back(link)
            raise
        return response

    def close(self) -> None:
        """Close the connections: those of calls that are under way, when these have ended."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for waiter in self._waiting:
                waiter.go.set()
            self._waiting.clear()
        _close(entry.link for entry in idle)

    def close_inherited(self) -> None:
        """Close, after a fork, the child's copies of all connections.

        The threads that could give theirs back are the parent's, and so is whoever held the lock.
        """
        _close([*(entry.link for entry in self._idle), *self._taken])

    def _take_place(self, request: httpx.Request) -> None:
        with self._lock:
            if self._closed:
                raise PoolClosedError
            if self._places:
                self._places -= 1
                return
            waiter = _Waiter()
            self._waiting.append(waiter)
        self._wait_for_place(waiter, request)

    def _wait_for_place(self, waiter: _Waiter, request: httpx.Request) -> None:
        try:
            waiter.go.wait(request.extensions.get("timeout", {}).get("pool"))
        except BaseException:
            if self._leave_queue(waiter):
                self._give_back(None)
            raise
        if self._leave_queue(waiter):
            return
        if self._closed:
            raise PoolClosedError
        problem = f"all {self._max_connections} connections were in use"
        raise httpx.PoolTimeout(problem, request=request) from NothingSentError(problem)

    def _leave_queue(self, waiter: _Waiter) -> bool:
        """Return whether the waiter has been given a place, be it in the last moment."""
        with self._lock:
            with suppress(ValueError):
                self._waiting.remove(waiter)
            return waiter.has_place

    def _link_to(self, origin: Origin) -> Link:
        surplus: list[Link] = []
        try:
            link = self._idle_link_to(origin, surplus)
        finally:
            _close(surplus)
        return link or self._new_link(origin)

    def _idle_link_to(self, origin: Origin, surplus: list[Link]) -> Link | None:
        """Return a link that was used before, or else make room for a new one."""
        with self._lock:
            if self._closed:
                raise PoolClosedError
            self._drop_expired(surplus)
            for entry in reversed(self._idle):
                if entry.origin == origin:
                    self._idle.remove(entry)
                    self._taken[entry.link] = origin
                    return entry.link
            if self._open == self._max_connections:
                surplus.append(self._idle.pop(0).link)
            else:
                self._open += 1
            return None

    def _new_link(self, origin: Origin) -> Link:
        try:
            link = self._make()
        except BaseException:
            with self._lock:
                self._open -= 1
            raise
        with self._lock:
            self._taken[link] = origin
        return link

    def _drop_expired(self, surplus: list[Link]) -> None:
        if self._keepalive_expiry is None:
            return
        oldest = self._monotonic() - self._keepalive_expiry
        while self._idle and self._idle[0].since < oldest:
            surplus.append(self._idle.pop(0).link)
            self._open -= 1

    def _give_back(self, link: Link | None) -> None:
        surplus: list[Link] = []
        with self._lock:
            if link is not None:
                origin = self._taken.pop(link)
                if self._closed:
                    surplus.append(link)
                else:
                    self._idle.append(_Idle(link, origin, self._monotonic()))
            self._drop_expired(surplus)
            self._pass_place_on()
        _close(surplus)

    def _pass_place_on(self) -> None:
        if self._waiting:
            waiter = self._waiting.popleft()
            waiter.has_place = True
            waiter.go.set()
        else:
            self._places += 1


@frozen(eq=False)
class _Idle:
    link: Link
    origin: Origin
    since: float


@define(eq=False)
class _Waiter:
    go: threading.Event = field(factory=threading.Event)
    has_place: bool = False


class _Lent(httpx.SyncByteStream):
    """The body of an answer, whose end gives the connection back."""

    def __init__(self, stream: httpx.SyncByteStream, give_back: Callable[[], None]) -> None:
        self._stream = stream
        self._give_back: Callable[[], None] | None = give_back

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        try:
            self._stream.close()
        finally:
            give_back()


def _close(links: Iterable[Link]) -> None:
    for link in links:
        link.close()
