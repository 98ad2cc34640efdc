"""An HTTP server in a thread of its own, which starts and stops at once."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect
from uvicorn import Config, Server

from webhooks_sdk.sandbox._clock import RealTimeLoop
from webhooks_sdk.sandbox._http.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk.sandbox")


def bind(host: str, port: int) -> socket.socket:
    """Return a TCP socket that holds an address; until a server listens on it, it refuses.

    Args:
        host: An IP address or a host name.
        port: The port, 0 for any that is free.

    Raises:
        OSError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # A port whose old connections linger can be taken. On Windows this would steal ports.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


class _PromptServer(Server):
    """uvicorn's server without its polling: a test suite starts and stops hundreds of them."""

    def __init__(self, config: Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self._on_ready = on_ready

    async def main_loop(self) -> None:
        self._on_ready()
        ticks = 0
        while not self.stopping.is_set():
            # A tick of uvicorn is a tenth of a second; at every tenth it renews the Date header.
            await self.on_tick(ticks)
            ticks += 10
            try:
                async with asyncio.timeout(1):
                    await self.stopping.wait()
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A connection accepted just now needs so many turns of the loop to reach its protocol. If
        # asyncio's server is closed before that, nobody ever closes the connection's socket.
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        # Lets the protocols see that their connections are lost before their requests end.
        await asyncio.sleep(0)
        requests = tuple(self.server_state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


class ServerThread:
    """A server for one ASGI application, and the event loop that it runs on.

    Args:
        app: The application.
        listener: A bound socket, as `bind` returns it; the server closes it.

    Attributes:
        failures: What the application raised, or the loop reported, that it should not have, and
            that nobody was told of yet.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self.failures: list[Exception] = []
        self._app = app
        self._listener = listener
        self._ready = Future[None]()
        self._thread = threading.Thread(target=self._run, name="webhooks-sandbox", daemon=True)
        # Held while work is handed to the loop, so that none is handed to a loop that has ended.
        self._handing = threading.Lock()
        self._stopped = False

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return not self._stopped and self._thread.is_alive()

    @property
    def is_current_thread(self) -> bool:
        """Whether this is the thread of the server."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start the server; it listens when this returns."""
        self._thread.start()
        failure = self._ready.exception()
        if failure is not None:
            self._stopped = True
            self._thread.join()
            raise failure

    def stop(self) -> None:
        """Stop the server: connections are dropped, and what is under way is cancelled."""
        with self._handing:
            if not self._stopped and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._server.stopping.set)
            self._stopped = True
        self._thread.join()

    def close(self, during: BaseException | None) -> None:
        """Stop the server, and tell of its failures.

        Args:
            during: The exception on its way, if there is one. It is not hidden by a failure.

        Raises:
            ExceptionGroup: The failures.
        """
        self.stop()
        try:
            self.raise_failures()
        except ExceptionGroup as failed:
            if during is None:
                raise
            during.add_note(f"{failed}: {failed.exceptions!r}")

    def raise_failures(self) -> None:
        """Tell of the failures so far, once.

        Raises:
            ExceptionGroup: The failures.
        """
        failures = self.failures.copy()
        # The server may add to them meanwhile.
        del self.failures[: len(failures)]
        if failures:
            raise ExceptionGroup("The sandbox's own server failed", failures)

    def join(self) -> None:
        """Block until the server has ended."""
        while self._thread.is_alive():
            # Without a timeout, Ctrl-C would not get through on Windows.
            self._thread.join(1)

    def run(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the server's loop, from another thread, and return its result.

        Raises:
            RuntimeError: The server does not run, was stopped meanwhile, or this is its own thread.
        """
        if self.is_current_thread:
            raise RuntimeError("The server's own thread must not wait for itself.")
        with self._handing:
            if self._stopped or not self._thread.is_alive():
                raise RuntimeError("The server is not running.")
            future = asyncio.run_coroutine_threadsafe(function(), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("The server was stopped meanwhile.") from None
        except BaseException:
            future.cancel()
            raise

    def _run(self) -> None:
        try:
            # Not the loop of the policy, which may be one that behaves in other ways.
            with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the server
            self._tell(error)
        finally:
            self._listener.close()

    def _tell(self, error: BaseException) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
        else:
            self._fail(RuntimeError(f"The server ended: {error!r}"))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._record_loop_error)
        config = Config(
            self._guarded,
            loop="none",
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
        )
        self._server = _PromptServer(config, lambda: self._ready.set_result(None))
        await self._server.serve(sockets=[self._listener])

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # The connection is gone already. uvicorn would log this as an error.
            if not self._server.stopping.is_set():
                raise
        except ClientDisconnect:
            # It left before it had sent its whole request: no failure of the server.
            return
        except Exception as error:  # noqa: BLE001 - logged now, raised by close
            self._fail(error)

    def _record_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._fail(error if isinstance(error, Exception) else RuntimeError(str(context["message"])))

    def _fail(self, error: Exception) -> None:
        _logger.error("The sandbox's own server failed", exc_info=error)
        self.failures.append(error)
