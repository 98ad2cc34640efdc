"""Who owns the sockets of `Client`: one HTTP client for each process, made when needed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeAlias

import httpx

from webhooks_sdk._transport.messages import closed
from webhooks_sdk._transport.proxies import proxied_by_environment, usable_proxy
from webhooks_sdk._transport.sync_pool import ConnectionPool

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from webhooks_sdk._core.tokens import Auth
    from webhooks_sdk._transport.settings import Settings

SyncSettings: TypeAlias = "Settings[Auth, httpx.Client, httpx.BaseTransport]"


class SyncHTTP:
    """The HTTP client of one process, and the lock under which one thread fetches a token."""

    def __init__(self, settings: SyncSettings) -> None:
        self.token_lock = threading.Lock()
        self._client = settings.http_client
        self._transport = settings.transport
        self._own: ConnectionPool | None = None
        self._own_proxied: ConnectionPool | None = None
        if settings.owns_http:
            self._open(settings)

    def _open(self, settings: SyncSettings) -> None:
        tls = settings.ssl_context or httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

        def pool(make: Callable[[], httpx.BaseTransport]) -> ConnectionPool:
            return ConnectionPool(
                make,
                max_connections=settings.max_connections,
                keepalive_expiry=limits.keepalive_expiry,
            )

        self._own = pool(lambda: httpx.HTTPTransport(verify=tls, limits=limits))
        if settings.may_be_proxied and proxied_by_environment():
            with usable_proxy():
                _WholeClient(tls, limits).close()
            self._own_proxied = pool(lambda: _WholeClient(tls, limits))

    @property
    def closed(self) -> bool:
        """Whether the caller closed the HTTP client that is the caller's own."""
        return self._client is not None and self._client.is_closed

    def send(self, request: httpx.Request, *, direct: bool) -> httpx.Response:
        """Send a request and return its answer, the body still unread.

        Args:
            request: What to send.
            direct: Whether no proxy from the environment may see it.
        """
        if self._client is not None:
            return _send_with(self._client, request)
        own = self._own if direct else self._own_proxied or self._own
        transport = own or self._transport
        assert transport is not None
        # Straight to the transport: what a whole client adds is not wanted here, and is a quarter
        # of the CPU of a call.
        return transport.handle_request(request)

    def close(self) -> None:
        """Close what the SDK owns: not the caller's HTTP client."""
        for transport in (self._own, self._own_proxied, self._transport):
            if transport is not None:
                transport.close()

    def close_inherited(self) -> None:
        """Close a forked child's copies of the parent's sockets."""
        for pool in (self._own, self._own_proxied):
            if pool is not None:
                pool.close_inherited()


class _WholeClient(httpx.BaseTransport):
    """All of httpx's client, which knows the proxies of the environment."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._client = httpx.Client(verify=tls, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return _send_with(self._client, request)

    def close(self) -> None:
        self._client.close()


def _send_with(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    request.read()  # so that event hooks find its content
    return client.send(request, stream=True, auth=None, follow_redirects=False)


class SyncHTTPPool:
    """Gives each process an HTTP client of its own, so that a forked child shares no socket."""

    def __init__(self, settings: SyncSettings) -> None:
        self._settings = settings
        self._of_process: dict[int, SyncHTTP] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def get(self) -> SyncHTTP:
        """Return this process's HTTP client.

        Raises:
            ClientClosedError: It was closed, or the caller's HTTP client was.
        """
        if self._closed:
            raise closed()
        http = self._of_process.get(os.getpid()) or self._make()
        if http.closed:
            raise closed("http_client")
        return http

    def _make(self) -> SyncHTTP:
        # No lock, since a fork can copy a lock that is held: setdefault lets one thread win, and
        # what the others made has no socket yet.
        inherited = list(self._of_process.values())
        http = self._of_process.setdefault(os.getpid(), SyncHTTP(self._settings))
        if self._settings.owns_http:
            for parent in inherited:
                if parent is not http:
                    _close_inherited(parent)
        return http

    def sweep(self, http: SyncHTTP) -> None:
        """Close what a call opened that began while the client was being closed."""
        if self._closed and self._settings.owns_http:
            http.close()

    def close(self) -> None:
        """Close this process's HTTP client. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        http = self._of_process.pop(os.getpid(), None)
        if http is not None:
            http.close()
        elif self._settings.transport is not None:
            self._settings.transport.close()


def _close_inherited(http: SyncHTTP) -> None:
    # This closes the child's copies, which the parent does not notice. In a thread of its own: if
    # the fork came while another thread held a lock of the pool, whoever closes waits for ever.
    closing = threading.Thread(
        target=http.close_inherited, name="webhooks-sdk-after-fork", daemon=True
    )
    closing.start()
