"""The sandbox: the public API."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Self, cast

from starlette.types import ASGIApp

from webhooks_sdk._core.validation import check_bool, check_count
from webhooks_sdk.sandbox._clock import RealClock
from webhooks_sdk.sandbox._control.api import ControlAPI
from webhooks_sdk.sandbox._delivering.dispatcher import DeliveryDispatcher
from webhooks_sdk.sandbox._delivering.sender import Sender
from webhooks_sdk.sandbox._demo.seed import seed_demo_history
from webhooks_sdk.sandbox._http.api import API
from webhooks_sdk.sandbox._http.fault_injection import FaultInjector, FaultsByTenant
from webhooks_sdk.sandbox._http.guard import Guard, is_loopback, url_host
from webhooks_sdk.sandbox._http.openapi import OpenAPIMiddleware
from webhooks_sdk.sandbox._http.request_context import RequestContextMiddleware
from webhooks_sdk.sandbox._http.root import CONTROL_PATH, RootApp
from webhooks_sdk.sandbox._http.server import ServerThread, bind
from webhooks_sdk.sandbox._records import EnvironmentName, Timeouts
from webhooks_sdk.sandbox._runtime import Runtime
from webhooks_sdk.sandbox._service.ids import id_factory
from webhooks_sdk.sandbox._service.request_log import RequestLog
from webhooks_sdk.sandbox._service.tenants import TenantRegistry
from webhooks_sdk.sandbox._service.timeline import Timeline
from webhooks_sdk.sandbox._service.tokens import MAX_TOKEN_LIFETIME, TokenIssuer
from webhooks_sdk.sandbox._storage.database import Database
from webhooks_sdk.sandbox._tenant import Tenant
from webhooks_sdk.sandbox._variants import VariantsLike
from webhooks_sdk.sandbox.inspector import Inspector

_MAX_PORT = 65_535


class Sandbox(Tenant):
    """A local server for the webhook service, and the first of its tenants.

    The first tenant belongs to production, whose API is at the root of the server; staging is
    under `/staging`. A context manager that can be entered once; leaving it drops all connections.
    Recorded data can still be read afterwards. The methods can be called from any thread. `publish`
    and `advance` block; in async code, call them in a worker thread (`asyncio.to_thread`).

    Args:
        host: The host to listen on: an IP address or `"localhost"`. With `"0.0.0.0"`, all addresses
            of the machine, the sandbox's URLs have the loopback address.
        port: The port, up to 65,535; 0 for any free one.
        client_id: The client ID of the first tenant; None for the one in the database, or else a
            generated one.
        client_secret: The client secret of the first tenant; None as for `client_id`.
        database: An SQLite file to keep all state in, created if it does not exist. None keeps the
            state in memory.
        variants: How the sandbox behaves for the first tenant where the service's documentation is
            silent: `Variants`, one of `Variants.names()`, or a seed. None for those in the
            database.
        seed: Makes IDs and the requests affected by faults with a probability reproducible.
            Credentials and access tokens are always random. None for random values.
        seed_demo: Whether to fill the first tenant, if it is empty, with demo data on entry:
            subscriptions, and five days of events and attempts.
        real_time: Whether automatic retries also become due as real time passes, and not only in
            `advance`. False by default, since a test must not depend on how fast it runs. On the
            command line it is the other way round, for a person who watches, unless `--manual-time`
            is given.
        token_lifetime: Lifetime of access tokens in seconds of real time, an integer from 1 to
            1,000,000,000.
        connect_timeout: Seconds for a subscriber to accept a connection: the initial value for
            every tenant.
        response_timeout: Seconds for a connected subscriber to respond: the initial value for every
            tenant.
        allow_remote: Whether `host` may be reachable from other machines.
        allowed_hosts: Additional host names of the sandbox, such as `"sandbox"` or
            `"sandbox:8080"`. Requests to other hosts get a 421.

    Raises:
        ValueError: `host` is not a loopback address, `variants` are unknown, `port`,
            `token_lifetime` or a timeout is out of range, a credential is empty, or another tenant
            in the database has the client ID.
        SandboxDatabaseError: The file cannot be opened, is in use, or is not a sandbox database.
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
        response_timeout: float = 60.0,
        allow_remote: bool = False,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        _check_address(host, port, allow_remote=allow_remote)
        check_bool("seed_demo", seed_demo, error_class=ValueError)
        check_bool("real_time", real_time, error_class=ValueError)
        if seed is not None and not isinstance(cast("object", seed), int):
            raise ValueError(f"seed must be an integer or None, got {seed!r}.")
        check_count(
            "token_lifetime", token_lifetime, maximum=MAX_TOKEN_LIFETIME, error_class=ValueError
        )
        self._address = (host, port)
        self._allowed_hosts = frozenset(allowed_hosts)
        self._real_time = real_time
        self._seed = seed
        self._seed_demo = seed_demo
        timeouts = Timeouts(connect=connect_timeout, response=response_timeout)
        db, clock = Database(database), RealClock()
        try:
            tenants = TenantRegistry(
                db, timeouts=timeouts, clock=clock, new_id=id_factory(seed, db)
            )
            first = tenants.ensure_first(client_id, client_secret)
            runtime = Runtime(
                database=db,
                tenants=tenants,
                tokens=TokenIssuer(db, clock=clock, lifetime=token_lifetime),
                log=RequestLog(db),
                dispatcher=DeliveryDispatcher(Sender()),
                faults=FaultsByTenant(seed),
            )
            super().__init__(runtime, first)
            if variants is not None:
                self.variants = variants
        except BaseException:
            db.close()
            raise

    def __enter__(self) -> Self:
        runtime = self._runtime
        if runtime.server is not None or runtime.is_closed:
            raise RuntimeError("A Sandbox can be entered only once. Create a new one.")
        try:
            listener = bind(*self._address)
            host, port = self._address[0], listener.getsockname()[1]
            runtime.root_url = f"http://{url_host(host)}:{port}"
            guard = Guard(host=host, port=port, allowed=self._allowed_hosts)
            runtime.server = ServerThread(self._build_app(guard), listener, name="sandbox")
            if self._seed_demo:
                self._seed_demo_if_empty()
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
            runtime.require_server().close(active_exception=exc)
        finally:
            runtime.close()

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """All tenants, starting with the sandbox itself."""
        _, *others = self._runtime.tenants.services
        return (self, *(Tenant(self._runtime, service) for service in others))

    def add_tenant(
        self,
        environment: EnvironmentName = "production",
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> Tenant:
        """Add an isolated tenant.

        Args:
            environment: The environment: `"production"` or `"staging"`.
            client_id: The client ID; generated if None.
            client_secret: The client secret; generated if None.

        Returns:
            The new tenant.

        Raises:
            ValueError: The environment is unknown, another tenant of it has the client ID, or a
                credential is empty.
        """
        runtime = self._runtime
        return Tenant(runtime, runtime.tenants.add(environment, client_id, client_secret))

    def raise_failures(self) -> None:
        """Raise the unhandled exceptions of the sandbox itself since the last call.

        Exceptions that were not raised by this method are raised when the sandbox is left.

        Raises:
            ExceptionGroup: The unhandled exceptions.
            RuntimeError: The sandbox is not running.
        """
        server = self._runtime.require_server()
        # A client can get its response before the server has recorded the failure. Wait for it.
        self._runtime.call(lambda: None)
        server.raise_failures()

    def close(self) -> None:
        """Stop the sandbox, as leaving the `with` block does.

        If it was never entered, close its database.

        Raises:
            ExceptionGroup: Unhandled exceptions of the sandbox.
        """
        if self._runtime.server is None:
            self._runtime.close()
        else:
            self.__exit__(None, None, None)

    def join(self) -> None:
        """Block until the sandbox is stopped, by another thread or by a signal raised here."""
        self._runtime.require_server().join()

    def _build_app(self, guard: Guard) -> ASGIApp:
        """Build the ASGI application, from the inside out."""
        runtime = self._runtime
        api = FaultInjector(
            API(runtime.tenants, runtime.tokens, runtime.dispatcher), runtime.faults
        )
        request_context = RequestContextMiddleware(
            api, tenants=runtime.tenants, tokens=runtime.tokens, log=runtime.log
        )
        # Outside the request context: visitors of the inspector are not clients of the API.
        return RootApp(
            Inspector(OpenAPIMiddleware(request_context), runtime), ControlAPI(runtime), guard
        )

    def _seed_demo_if_empty(self) -> None:
        """Fill the first tenant with demo data, unless it has any data."""
        if self.subscriptions or self.attempts_page(limit=1).attempts:
            return
        database, service, clock = self._runtime.database, self._open_service, RealClock()
        elapsed = seed_demo_history(
            database,
            service.account,
            now=clock.now(),
            url=f"{self._runtime.root_url}{CONTROL_PATH}subscriber/",
            seed=self._seed or 0,
            new_id=id_factory(self._seed, database),
        )
        service.timeline = Timeline(clock, elapsed=elapsed)


def _check_address(host: str, port: int, *, allow_remote: bool) -> None:
    check_bool("allow_remote", allow_remote, error_class=ValueError)
    if not allow_remote and not is_loopback(host):
        raise ValueError(
            f"host {host!r} is not a loopback address, so other machines could reach the"
            " sandbox. Use 127.0.0.1, or allow it with allow_remote=True."
        )
    check_count("port", port, minimum=0, maximum=_MAX_PORT, error_class=ValueError)
