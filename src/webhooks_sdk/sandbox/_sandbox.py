"""The sandbox as its user sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhooks_sdk.sandbox._clock import RealClock
from webhooks_sdk.sandbox._control.api import Control
from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
from webhooks_sdk.sandbox._delivering.sender import Sender
from webhooks_sdk.sandbox._demo.seed import seed_demo_history
from webhooks_sdk.sandbox._http.api import API
from webhooks_sdk.sandbox._http.fault_injection import FaultInjector, FaultPlans
from webhooks_sdk.sandbox._http.guard import Guard, host_of_url, is_loopback
from webhooks_sdk.sandbox._http.openapi import DocumentServer
from webhooks_sdk.sandbox._http.request_context import RequestContextMiddleware
from webhooks_sdk.sandbox._http.root import CONTROL_PATH, RootApp
from webhooks_sdk.sandbox._http.server import ServerThread, bind
from webhooks_sdk.sandbox._records import Timeouts
from webhooks_sdk.sandbox._runtime import Runtime
from webhooks_sdk.sandbox._service.ids import id_factory
from webhooks_sdk.sandbox._service.request_log import RequestLog
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._service.timeline import Timeline
from webhooks_sdk.sandbox._service.tokens import MAX_TOKEN_LIFETIME, TokenIssuer
from webhooks_sdk.sandbox._storage.database import Database
from webhooks_sdk.sandbox._tenant import Tenant
from webhooks_sdk.sandbox.inspector import Inspector

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp

    from webhooks_sdk.sandbox._records import EnvironmentName
    from webhooks_sdk.sandbox._variants import VariantsLike


class Sandbox(Tenant):
    """The service, on this machine, and the first of its tenants, which is of production.

    A context manager that can be entered once; leaving it drops all connections. What it has
    recorded can be read after its end as well. Its methods can be called from any thread; in async
    code, call `publish` and `advance` in a worker thread (`asyncio.to_thread`), for they block.

    Production is at the root, staging under `/staging`.

    Args:
        host: Where it listens: an IP address, or `"localhost"`. For every address of the machine,
            `"0.0.0.0"`, its URLs have that of loopback.
        port: The port, 0 for any that is free.
        client_id: The client id of the first tenant; that of the database, or generated, if None.
        client_secret: The secret that belongs to it, likewise.
        database: A file where everything is kept, and found again by the next sandbox that is given
            it; made if it is not there. None keeps everything in memory.
        variants: How the first tenant is answered where the documentation leaves it open:
            `Variants`, one of `Variants.names()`, or a seed. None for what the database says.
        seed: What everything random follows from, so that it can be repeated: ids, and which
            requests a fault with a probability strikes. Credentials and access tokens never do.
            None for what nobody can repeat.
        seed_demo: Whether a first tenant that has nothing yet gets a story to look at, when the
            sandbox is entered: subscriptions, and five days of events and attempts.
        real_time: Whether automatic retries also come due as real time goes by, and not in
            `advance` alone.
        token_lifetime: Seconds of real time for which an access token is valid.
        connect_timeout: The attribute's first value, for every tenant.
        answer_timeout: The attribute's first value, for every tenant.
        allow_remote: Whether `host` may be one that other machines can reach.
        allowed_hosts: Names other than `host` and those of loopback under which it is addressed,
            such as `"sandbox"` or `"sandbox:8080"`; others are refused with 421.

    Raises:
        ValueError: `host` is not a loopback address, `variants` are not known, `token_lifetime` is
            not 1 to 1,000,000,000, a timeout is none, or a credential is empty or another tenant's
            of the database.
        SandboxDatabaseError: The file cannot be opened, is in use, or is something else.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        client_id: str | None = None,
        client_secret: str | None = None,
        database: str | os.PathLike[str] | None = None,
        variants: VariantsLike | None = None,
        seed: int | None = None,
        seed_demo: bool = False,
        real_time: bool = False,
        token_lifetime: int = 43_200,
        connect_timeout: float = 5.0,
        answer_timeout: float = 60.0,
        allow_remote: bool = False,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        if not allow_remote and not is_loopback(host):
            raise ValueError(
                f"{host!r} is no loopback address, so other machines could reach the sandbox:"
                " use 127.0.0.1, or allow_remote=True if that is meant."
            )
        if not 1 <= token_lifetime <= MAX_TOKEN_LIFETIME:
            raise ValueError(
                f"token_lifetime must be 1 to {MAX_TOKEN_LIFETIME} seconds, not {token_lifetime}."
            )
        self._address = (host, port)
        self._allowed_hosts = frozenset(allowed_hosts)
        self._real_time = real_time
        self._seed = seed
        self._seed_demo = seed_demo
        timeouts = Timeouts(connect=connect_timeout, answer=answer_timeout)
        opened, clock = Database(database), RealClock()
        try:
            tenants = TenantRegistry(
                opened, timeouts=timeouts, clock=clock, new_id=id_factory(seed, opened)
            )
            first = tenants.ensure_first(client_id, client_secret)
            runtime = Runtime(
                database=opened,
                tenants=tenants,
                tokens=TokenIssuer(opened, clock=clock, lifetime=token_lifetime),
                log=RequestLog(opened),
                dispatcher=DeliveryDispatcher(Sender()),
                faults=FaultPlans(seed),
            )
            super().__init__(runtime, first)
            if variants is not None:
                self.variants = variants
        except BaseException:
            opened.close()
            raise

    def __enter__(self) -> Self:
        runtime = self._runtime
        if runtime.server is not None or runtime.is_closed:
            raise RuntimeError("A Sandbox can be entered once: make a new one.")
        try:
            listener = bind(*self._address)
            host, port = self._address[0], listener.getsockname()[1]
            runtime.root_url = f"http://{host_of_url(host)}:{port}"
            guard = Guard(host=host, port=port, allowed=self._allowed_hosts)
            runtime.server = ServerThread(self._stack(guard), listener)
            if self._seed_demo:
                self._seed_demo_history()
            runtime.server.start()
        except BaseException:
            runtime.close()
            raise
        if self._real_time:
            runtime.run(
                lambda: runtime.dispatcher.start_real_time_retries(lambda: runtime.tenants.services)
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runtime = self._runtime
        try:
            runtime.require_server().close(during=exc)
        finally:
            runtime.close()

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """All tenants, the sandbox itself first."""
        _, *others = self._runtime.tenants.services
        return (self, *(Tenant(self._runtime, one) for one in others))

    def add_tenant(
        self,
        environment: EnvironmentName = "production",
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> Tenant:
        """Add a tenant with a state of its own.

        Args:
            environment: Where it is: `"production"` or `"staging"`.
            client_id: Its client id; generated if None.
            client_secret: The secret that belongs to it; generated if None.

        Raises:
            ValueError: There is no such environment, another tenant of it has the client id, or
                one of the credentials is empty.
        """
        runtime = self._runtime
        return Tenant(runtime, runtime.tenants.add(environment, client_id, client_secret))

    def raise_failures(self) -> None:
        """Tell whether the sandbox itself has failed: an exception in it that it did not handle.

        What was told once is not told again. What was not, is told when the sandbox is left.

        Raises:
            ExceptionGroup: What failed.
            RuntimeError: The sandbox is not running.
        """
        server = self._runtime.require_server()
        # Who has an answer may be quicker than the server is to tell that it failed.
        self._runtime.call(lambda: None)
        server.raise_failures()

    def close(self) -> None:
        """End the sandbox as leaving the `with` block does, or let go of its database unused."""
        if self._runtime.server is None:
            self._runtime.close()
        else:
            self.__exit__(None, None, None)

    def join(self) -> None:
        """Block until the sandbox ends: by a signal that is raised here, or by another thread."""
        self._runtime.require_server().join()

    def _stack(self, guard: Guard) -> ASGIApp:
        """Return what answers HTTP requests, from the inside out."""
        runtime = self._runtime
        api = FaultInjector(
            API(runtime.tenants, runtime.tokens, runtime.dispatcher), runtime.faults
        )
        request_context = RequestContextMiddleware(
            api, tenants=runtime.tenants, tokens=runtime.tokens, log=runtime.log
        )
        # Outside of the request_context: who looks at the sandbox is no client of the API.
        return RootApp(Inspector(DocumentServer(request_context), runtime), Control(runtime), guard)

    def _seed_demo_history(self) -> None:
        """Fill the first tenant, if there is nothing yet."""
        if self.subscriptions or self.attempts_page(limit=1).attempts:
            return
        database, service, clock = self._runtime.database, self._service, RealClock()
        elapsed = seed_demo_history(
            database,
            service.account,
            now=clock.now(),
            url=f"{self._runtime.root_url}{CONTROL_PATH}subscriber/",
            seed=self._seed or 0,
            new_id=id_factory(self._seed, database),
        )
        service.timeline = Timeline(clock, elapsed=elapsed)
