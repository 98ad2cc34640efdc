"""What the tenants of a sandbox share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import define

from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
from webhooks_sdk.sandbox._http.fault_injection import FaultPlans
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
    """The parts of a sandbox.

    Attributes:
        database: Where everything is kept.
        tenants: The tenants of the sandbox.
        tokens: Who issues access tokens.
        log: Where requests are recorded.
        dispatcher: Who carries deliveries out.
        faults: What is to go wrong.
        server: The server; None until the sandbox is entered.
        root_url: Where it listens.
        has_ended: Whether it is over.
    """

    database: Database
    tenants: TenantRegistry
    tokens: TokenIssuer
    log: RequestLog
    dispatcher: DeliveryDispatcher
    faults: FaultPlans
    server: ServerThread | None = None
    root_url: str = ""
    has_ended: bool = False

    def running(self) -> ServerThread:
        """Return the server.

        Raises:
            RuntimeError: The sandbox was not entered.
        """
        if self.server is None:
            raise RuntimeError("The sandbox is not running: use it as `with Sandbox() as sandbox`.")
        return self.server

    def run(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the server's loop, from another thread, and return its result.

        Raises:
            RuntimeError: The sandbox does not run, or was stopped meanwhile.
        """
        return self.running().run(function)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the server's loop if it runs, and here if it does not."""

        async def call() -> None:
            function()

        server = self.server
        if server is None or not server.is_running or server.is_current_thread:
            function()
        else:
            server.run(call)

    def end(self) -> None:
        """Write down what is to be found again, and let go of the database. Can be repeated."""
        if self.has_ended:
            return
        self.has_ended = True
        for service in self.tenants.services:
            service.end()
        self.database.close()
