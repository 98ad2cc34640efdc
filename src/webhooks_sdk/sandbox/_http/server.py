"""An HTTP server in a background thread that starts and stops without delay."""

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

from webhooks_sdk.sandbox._clock import RealClock, RealTimeLoop, from_microseconds, http_date
from webhooks_sdk.sandbox._http.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")

_logger = logging.getLogger("webhooks_sdk.sandbox")


def bind(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to an address. It refuses connections until a server listens on it.

    Args:
        host: An IP address or a host name.
        port: The port, 0 for any free one.

    Raises:
        OSError: The address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only for sockets with an explicit protocol.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # Accepts a port with old connections in TIME_WAIT; on Windows, also one that is in use.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


class _EventDrivenServer(Server):
    """uvicorn's server without polling: a test suite starts and stops hundreds of servers."""

    def __init__(self, config: Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()
        self._on_ready = on_ready

    async def main_loop(self) -> None:
        self._on_ready()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A newly accepted connection needs three iterations of the loop to get its protocol. If
        # asyncio's server is closed before that, the socket of the connection is never closed.
        for listener in sockets or ():
            asyncio.get_running_loop().remove_reader(listener)
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        # Let the protocols handle the lost connections before their requests are cancelled.
        await asyncio.sleep(0)
        requests = tuple(self.server_state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


class ServerThread:
    """A server for one ASGI application, with its own thread and event loop.

    Args:
        app: The application.
        listener: A bound socket, as returned by `bind`; the server closes it.
        name: What the server is, for messages: `"sandbox"` or `"subscriber"`.

    Attributes:
        failures: Unhandled exceptions of the application and of the event loop that have not been
            raised yet.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, *, name: str) -> None:
        self.failures: list[Exception] = []
        self._app = app
        self._listener = listener
        self._name = name
        self._ready = Future[None]()
        self._thread = threading.Thread(target=self._run, name="webhooks-sandbox", daemon=True)
        # Held while work is submitted, so that none is submitted to a closed loop.
        self._submit_lock = threading.Lock()
        self._stopped = False

    @property
    def is_running(self) -> bool:
        """Whether the server was started and not stopped."""
        return not self._stopped and self._thread.is_alive()

    @property
    def is_current_thread(self) -> bool:
        """Whether the current thread is the thread of the server."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start the server, and return once it accepts connections."""
        self._thread.start()
        failure = self._ready.exception()
        if failure is not None:
            self._stopped = True
            self._thread.join()
            raise failure

    def stop(self) -> None:
        """Stop the server: drop all connections, and cancel the requests in flight."""
        with self._submit_lock:
            if not self._stopped and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._server.stopping.set)
            self._stopped = True
        self._thread.join()

    def close(self, active_exception: BaseException | None) -> None:
        """Stop the server, and raise its failures.

        Args:
            active_exception: The exception being handled, None if there is none. The failures are
                added to it as a note instead of being raised.

        Raises:
            ExceptionGroup: The failures.
        """
        self.stop()
        try:
            self.raise_failures()
        except ExceptionGroup as group:
            if active_exception is None:
                raise
            active_exception.add_note(f"{group}: {group.exceptions!r}")

    def raise_failures(self) -> None:
        """Raise the failures since the last call.

        Raises:
            ExceptionGroup: The failures.
        """
        failures = self.failures.copy()
        # The server thread can append to the list at any time.
        del self.failures[: len(failures)]
        if failures:
            raise ExceptionGroup(f"The {self._name} server failed", failures)

    def join(self) -> None:
        """Block until the server has stopped."""
        while self._thread.is_alive():
            # Without a timeout, Ctrl-C has no effect on Windows.
            self._thread.join(1)

    def run(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine on the server's loop, from another thread, and return its result.

        Raises:
            RuntimeError: The server has stopped, was stopped during the call, or the call is
                made in its own thread.
        """
        if self.is_current_thread:
            raise RuntimeError("run() must not be called in the server's own thread.")
        with self._submit_lock:
            if self._stopped or not self._thread.is_alive():
                raise RuntimeError(f"The {self._name} has stopped. Create a new one.")
            future = asyncio.run_coroutine_threadsafe(function(), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError(f"The {self._name} was stopped during the call.") from None
        except BaseException:
            future.cancel()
            raise

    def _run(self) -> None:
        try:
            # Do not use the loop of the event loop policy, which can be of another kind.
            with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised by start or close
            self._record_exit(error)
        finally:
            self._listener.close()

    def _record_exit(self, error: BaseException) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
        else:
            message = f"The {self._name} server stopped unexpectedly: {error!r}"
            self._record_failure(RuntimeError(message))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._record_loop_error)
        config = Config(
            self._call_app,
            loop="none",
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._server = _EventDrivenServer(config, lambda: self._ready.set_result(None))
        await self._server.serve(sockets=[self._listener])

    async def _call_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = list(message["headers"])
                if all(name != b"date" for name, _ in headers):
                    headers.append((b"date", http_date(from_microseconds(RealClock.now()))))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_with_date)
        except asyncio.CancelledError:
            # The connection is closed. uvicorn would log the cancellation as an error.
            if not self._server.stopping.is_set():
                raise
        except ClientDisconnect:
            # The client disconnected while sending its request, which is not a failure.
            return
        except Exception as error:  # noqa: BLE001 - logged now, raised by close
            self._record_failure(error)

    def _record_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._record_failure(
            error if isinstance(error, Exception) else RuntimeError(str(context["message"]))
        )

    def _record_failure(self, error: Exception) -> None:
        _logger.error("The %s server failed", self._name, exc_info=error)
        self.failures.append(error)
