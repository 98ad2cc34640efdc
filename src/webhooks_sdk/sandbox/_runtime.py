"""The parts of a sandbox that its tenants share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import define

from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
from webhooks_sdk.sandbox._http.fault_injection import FaultsByTenant
from webhooks_sdk.sandbox._http.server import ServerThread
from webhooks_sdk.sandbox._service.request_log import RequestLog
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._service.tokens import TokenIssuer
from webhooks_sdk.sandbox._storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


@define(kw_only=True)
class Runtime:
    """The shared parts of a sandbox.

    Attributes:
        database: The database.
        tenants: The registry of tenants.
        tokens: Issues access tokens.
        log: The request log.
        dispatcher: Sends deliveries.
        faults: The injected faults.
        server: The server; None until the sandbox is entered.
        root_url: The URL at which the server listens.
        is_closed: Whether the sandbox was closed.
    """

    database: Database
    tenants: TenantRegistry
    tokens: TokenIssuer
    log: RequestLog
    dispatcher: DeliveryDispatcher
    faults: FaultsByTenant
    server: ServerThread | None = None
    root_url: str = ""
    is_closed: bool = False

    def require_server(self) -> ServerThread:
        """Return the server.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        if self.server is None:
            raise RuntimeError(
                "The sandbox is not running. Use it as `with Sandbox() as sandbox:`."
            )
        return self.server

    def run(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the server's event loop, from another thread, and return its result.

        Raises:
            RuntimeError: The sandbox is not running, or stopped during the call.
        """
        return self.require_server().run(function)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the server's event loop, or directly if that is not running."""

        async def call() -> None:
            function()

        server = self.server
        if server is None or not server.is_running or server.is_current_thread:
            function()
        else:
            server.run(call)

    def close(self) -> None:
        """Save the state of all tenants, and close the database. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        for service in self.tenants.services:
            service.shut_down()
        self.database.close()
