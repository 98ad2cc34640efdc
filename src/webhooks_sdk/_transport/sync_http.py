"""The HTTP connections of `Client`: one set per process, opened on first use."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import httpx

from webhooks_sdk._transport.messages import client_closed_error
from webhooks_sdk._transport.proxies import proxied_by_environment, translate_proxy_errors
from webhooks_sdk._transport.sync_pool import ConnectionPool

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from webhooks_sdk._core.tokens import Auth
    from webhooks_sdk._transport.settings import Settings

SyncSettings: TypeAlias = "Settings[Auth, httpx.Client, httpx.BaseTransport]"


class ProcessHTTP:
    """The HTTP connections of one process."""

    def __init__(self, settings: SyncSettings) -> None:
        self._http_client = settings.http_client
        self._transport = settings.transport
        self._direct_pool: ConnectionPool | None = None
        self._proxied_pool: ConnectionPool | None = None
        if settings.owns_connections:
            self._open_pools(settings)

    def _open_pools(self, settings: SyncSettings) -> None:
        ssl_context = settings.ssl_context or httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)

        def pool(create_connection: Callable[[], httpx.BaseTransport]) -> ConnectionPool:
            return ConnectionPool(
                create_connection,
                max_connections=settings.max_connections,
                keepalive_expiry=limits.keepalive_expiry,
            )

        self._direct_pool = pool(lambda: httpx.HTTPTransport(verify=ssl_context, limits=limits))
        if settings.may_use_proxy and proxied_by_environment():
            with translate_proxy_errors():
                _ClientTransport(ssl_context, limits).close()
            self._proxied_pool = pool(lambda: _ClientTransport(ssl_context, limits))

    @property
    def closed(self) -> bool:
        """Whether the caller has closed the `http_client` that it passed."""
        return self._http_client is not None and self._http_client.is_closed

    def send(self, request: httpx.Request, *, bypass_proxy: bool) -> httpx.Response:
        """Send a request and return its response, with the body unread.

        Args:
            request: The request to send.
            bypass_proxy: Whether to ignore the proxies named by environment variables.
        """
        if self._http_client is not None:
            return _send_with(self._http_client, request)
        pool = self._direct_pool if bypass_proxy else self._proxied_pool or self._direct_pool
        transport = pool or self._transport
        assert transport is not None
        # httpx.Client adds nothing needed here and takes a quarter of the CPU of a call.
        return transport.handle_request(request)

    def close(self) -> None:
        """Close the pools and the transport, but not the caller's `http_client`."""
        for transport in (self._direct_pool, self._proxied_pool, self._transport):
            if transport is not None:
                transport.close()

    def close_inherited(self) -> None:
        """Close a forked child's copies of the parent's sockets."""
        for pool in (self._direct_pool, self._proxied_pool):
            if pool is not None:
                pool.close_inherited()


class _ClientTransport(httpx.BaseTransport):
    """Sends through an `httpx.Client`, which uses the proxies named by environment variables."""

    def __init__(self, ssl_context: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._client = httpx.Client(verify=ssl_context, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return _send_with(self._client, request)

    def close(self) -> None:
        self._client.close()


def _send_with(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    request.read()  # event hooks may use request.content
    return client.send(request, stream=True, auth=None, follow_redirects=False)


class PerProcessHTTP:
    """Gives each process its own connections, so that a forked child shares no socket."""

    def __init__(self, settings: SyncSettings) -> None:
        self._settings = settings
        self._by_pid: dict[int, ProcessHTTP] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def get(self) -> ProcessHTTP:
        """Return the connections of the current process.

        Raises:
            ClientClosedError: The client, or the caller's `http_client`, is closed.
        """
        if self._closed:
            raise client_closed_error()
        http = self._by_pid.get(os.getpid()) or self._create()
        if http.closed:
            raise client_closed_error("http_client")
        return http

    def _create(self) -> ProcessHTTP:
        # No lock, as a fork can copy a lock that is held. With setdefault, one thread wins; the
        # others discard what they created, which has no socket yet.
        inherited = list(self._by_pid.values())
        http = self._by_pid.setdefault(os.getpid(), ProcessHTTP(self._settings))
        if self._settings.owns_connections:
            for parent in inherited:
                if parent is not http:
                    _close_inherited(parent)
        return http

    def clean_up(self, http: ProcessHTTP) -> None:
        """Close connections that a call opened while the client was being closed."""
        if self._closed and self._settings.owns_connections:
            http.close()

    def close(self) -> None:
        """Close the connections of the current process. Idempotent."""
        if self._closed:
            return
        self._closed = True
        http = self._by_pid.pop(os.getpid(), None)
        if http is not None:
            http.close()
        elif self._settings.transport is not None:
            self._settings.transport.close()


def _close_inherited(http: ProcessHTTP) -> None:
    # This closes only the child's copies; the parent's sockets stay open. A daemon thread does it,
    # as it blocks forever if one of httpcore's locks was held at the time of the fork.
    thread = threading.Thread(
        target=http.close_inherited, name="webhooks-sdk-after-fork", daemon=True
    )
    # If the system cannot start more threads, the copies stay open until the child exits.
    with suppress(RuntimeError):
        thread.start()
