"""A harness that runs a test with `Client`, and with `AsyncClient` on asyncio and on trio.

An `AsyncClient` lives in an event loop in another thread, which runs each call.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import httpx
from anyio.from_thread import start_blocking_portal

from webhooks_sdk import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from anyio.from_thread import BlockingPortal

Backend: TypeAlias = Literal["asyncio", "trio"]
ClientKind: TypeAlias = Literal["sync", "asyncio", "trio"]

BACKENDS: tuple[Backend, ...] = ("asyncio", "trio")
CLIENT_KINDS: tuple[ClientKind, ...] = ("sync", *BACKENDS)


class ClientHarness:
    """Creates clients of one kind, all with the interface of `Client`, and closes them at exit."""

    def __init__(self, name: ClientKind) -> None:
        self.name: ClientKind = name
        self._portal: BlockingPortal | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self.name != "sync":
            self._portal = self._stack.enter_context(start_blocking_portal(self.name))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def client_class(self) -> type[Client | AsyncClient]:
        return Client if self.name == "sync" else AsyncClient

    def client(self, auth: Any, **options: Any) -> Client:
        return self._register(self.client_class(auth, **options))

    def client_from_env(self, **options: Any) -> Client:
        return self._register(self.client_class.from_env(**options))

    def _register(self, client: Client | AsyncClient) -> Client:
        if self._portal is None:
            sync_client = cast("Client", client)
        else:
            blocking_client = _BlockingClient(cast("AsyncClient", client), self._portal)
            sync_client = cast("Client", blocking_client)
        self._stack.callback(sync_client.close)
        return sync_client

    def http_client(self, **options: Any) -> Any:
        if self._portal is None:
            return self._stack.enter_context(httpx.Client(**options))
        client = httpx.AsyncClient(**options)
        self._stack.callback(self._portal.call, client.aclose)
        return client

    def event_hook(self, function: Callable[[Any], None]) -> Any:
        """Return the function as an event hook for an HTTP client of this kind."""
        if self._portal is None:
            return function

        async def hook(argument: Any) -> None:
            function(argument)

        return hook

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function, which must be async for an async kind, and return its result."""
        return function() if self._portal is None else self._portal.call(function)


class _BlockingClient:
    """An `AsyncClient` with the interface of a `Client`."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client = client
        self._portal = portal
        self.hooks = _BlockingHooks(client, portal)

    def send(self, operation: Any) -> Any:
        return self._portal.call(self._client.send, operation)

    def with_options(self, **options: Any) -> _BlockingClient:
        return _BlockingClient(self._client.with_options(**options), self._portal)

    def close(self) -> None:
        self._portal.call(self._client.aclose)

    def __enter__(self) -> Self:
        self._portal.call(self._client.__aenter__)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._portal.call(self._client.__aexit__, None, None, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return repr(self._client)

    def __reduce__(self) -> Any:
        return self._client.__reduce__()


class _BlockingHooks:
    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._hooks = client.hooks
        self._portal = portal

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._hooks, name)
        return lambda *args, **kwargs: self._portal.call(partial(method, *args, **kwargs))
