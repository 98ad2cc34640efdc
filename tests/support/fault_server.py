"""A scripted HTTP server on loopback, built on sockets and threads, that can misbehave.

Each complete request is recorded and handled by the next behaviour of the script; after the last
one, as the service would. A behaviour that never responds waits until the client disconnects or the
server is closed, not for a fixed time.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from attrs import field, frozen

from support.samples import event, subscription, token

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from types import TracebackType

_TIMEOUT = 30.0  # seconds after which a test fails instead of hanging


@frozen
class Request:
    """A complete request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_port: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@frozen
class Exchange:
    """The connection and the request, if there is one yet, that a behaviour handles."""

    server: FaultServer
    connection: socket.socket
    request: Request | None = None

    def send(self, data: bytes) -> None:
        # In some tests the client disconnects first.
        with suppress(OSError):
            self.connection.sendall(data)

    def wait_for_disconnect(self) -> None:
        with suppress(OSError):
            while self.connection.recv(65536):
                pass

    def wait_for_data(self) -> None:
        with suppress(OSError):
            self.connection.recv(1, socket.MSG_PEEK)

    def abort(self) -> None:
        """Reset the connection (RST) when it is closed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@frozen
class Behaviour:
    """A way to handle one request, or a connection before its first request.

    Attributes:
        run: Handles the exchange and returns whether the connection stays open.
        on_connect: Whether it runs before TLS and before a request is read.
    """

    run: Callable[[Exchange], bool]
    on_connect: bool = field(default=False, kw_only=True)


def respond(
    status: int = 200,
    body: object = b"",
    headers: Iterable[tuple[str, str]] = (),
    *,
    close: bool = False,
) -> Behaviour:
    """Send a response. A body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    if status != 204:
        lines.append(f"Content-Length: {len(content)}")
    if close:
        lines.append("Connection: close")
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + content

    def run(exchange: Exchange) -> bool:
        exchange.send(data)
        return not close

    return Behaviour(run)


def echo(status: int = 200, *, headers: bool = True) -> Behaviour:
    """Send back the Authorization header and the body of the request, in header and body."""

    def run(exchange: Exchange) -> bool:
        assert exchange.request is not None
        sent = exchange.request.headers.get("authorization", "")
        body = {"you_sent": sent, "body": exchange.request.body.decode()}
        extra = (("X-Echo", sent),) if headers else ()
        return respond(status, body, extra).run(exchange)

    return Behaviour(run)


def echo_in_status_line() -> Behaviour:
    """Send an invalid status line that contains the Authorization header of the request."""

    def run(exchange: Exchange) -> bool:
        assert exchange.request is not None
        sent = exchange.request.headers.get("authorization", "")
        exchange.send(f"{sent} is not a status line\r\n\r\n".encode())
        return False

    return Behaviour(run)


def default_response() -> Behaviour:
    """Respond as the service would."""
    return Behaviour(lambda exchange: exchange.server.default(exchange))


def then_close(behaviour: Behaviour) -> Behaviour:
    """Run another behaviour, then close the connection without having announced it."""
    return Behaviour(lambda exchange: behaviour.run(exchange) and False)


def held(arrived: threading.Event, release: threading.Event, behaviour: Behaviour) -> Behaviour:
    """Set `arrived`, wait for `release`, then run another behaviour."""

    def run(exchange: Exchange) -> bool:
        arrived.set()
        assert release.wait(_TIMEOUT)
        return behaviour.run(exchange)

    return Behaviour(run)


def reset_on_connect() -> Behaviour:
    """Wait until the client sends, then reset the connection without reading."""

    def run(exchange: Exchange) -> bool:
        exchange.wait_for_data()
        exchange.abort()
        return False

    return Behaviour(run, on_connect=True)


def close_on_connect() -> Behaviour:
    """Wait until the client sends, then close without reading: with TLS, during the handshake."""

    def run(exchange: Exchange) -> bool:
        exchange.wait_for_data()
        return False

    return Behaviour(run, on_connect=True)


def never_read() -> Behaviour:
    """Accept the connection and never read from it."""

    def run(exchange: Exchange) -> bool:
        exchange.server.wait_until_closed()
        return False

    return Behaviour(run, on_connect=True)


def close_after_request() -> Behaviour:
    """Read the request, then close the connection."""
    return Behaviour(lambda _: False)


def reset_after_request() -> Behaviour:
    """Read the request, then reset the connection."""

    def run(exchange: Exchange) -> bool:
        exchange.abort()
        return False

    return Behaviour(run)


def never_respond() -> Behaviour:
    """Read the request and never respond."""

    def run(exchange: Exchange) -> bool:
        exchange.wait_for_disconnect()
        return False

    return Behaviour(run)


def raw(data: bytes) -> Behaviour:
    """Send these bytes, then close."""

    def run(exchange: Exchange) -> bool:
        exchange.send(data)
        return False

    return Behaviour(run)


def drip(start: bytes, piece: bytes, interval: float) -> Behaviour:
    """Send `start`, then `piece` every `interval` seconds until the client disconnects."""

    def run(exchange: Exchange) -> bool:
        try:
            exchange.connection.sendall(start)
            while not exchange.server.wait_until_closed(interval):
                exchange.connection.sendall(piece)
        except OSError:
            pass
        return False

    return Behaviour(run)


def truncated(status: int = 200) -> Behaviour:
    """Send less of a body than Content-Length announces."""
    return raw(b'HTTP/1.1 %d X\r\nContent-Length: 1000\r\n\r\n[{"id": "' % status)


def truncated_chunked(status: int = 200) -> Behaviour:
    """Close the connection between two chunks of a body."""
    return raw(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[{}\r\n" % status)


class FaultServer:
    """The server, a context manager that closes it.

    Args:
        script: The behaviours that handle the first requests.
        tls: The TLS context; None for plain HTTP.
        listening: Whether to accept connections from the beginning, or refuse them until `listen`.
        keep_alive: Whether a connection stays open after a default response.
    """

    def __init__(
        self,
        *script: Behaviour,
        tls: ssl.SSLContext | None = None,
        listening: bool = True,
        keep_alive: bool = True,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.tokens_issued = count(1)
        self._script = deque(script)
        self._tls = tls
        self._keep_alive = keep_alive
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        if listening:
            self.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._tls is None else "localhost"
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    @property
    def ports(self) -> list[int]:
        """The client port of each request, in order of arrival."""
        return [request.client_port for request in self.requests]

    def received(self, method: str, path: str) -> list[Request]:
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    def add(self, *script: Behaviour) -> None:
        """Append to the script."""
        with self._changed:
            self._script.extend(script)

    def clear_script(self) -> None:
        """Discard the rest of the script."""
        with self._changed:
            self._script.clear()

    def listen(self) -> None:
        """Start to accept connections."""
        self._listener.listen(512)
        self._start(self._accept)

    def wait_for_requests(self, number: int) -> None:
        """Wait until at least this many requests have been received."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= number, _TIMEOUT)

    def wait_for_open_connections(self, number: int) -> None:
        """Wait until exactly this many connections are open."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._open) == number, _TIMEOUT), self._open

    def wait_until_closed(self, timeout: float = _TIMEOUT) -> bool:
        return self._closing.wait(timeout)

    def close(self) -> None:
        """Close all connections and join all threads."""
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            still_open = list(self._open.values())
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_TIMEOUT)
            assert not thread.is_alive()

    def default(self, exchange: Exchange) -> bool:
        """Respond as the service would."""
        return self._default_response(exchange).run(exchange)

    def _default_response(self, exchange: Exchange) -> Behaviour:
        request = exchange.request
        assert request is not None
        parts = request.path.partition("?")[0].strip("/").split("/")
        status: int = 200
        body: object = b""
        match request.method, parts[parts.index("hooks") + 1 :] if "hooks" in parts else None:
            case "POST", None:
                body = token(f"token-{next(self.tokens_issued)}")
            case "GET", []:
                body = [subscription()]
            case "POST", []:
                status, body = 201, subscription()
            case "DELETE", [_]:
                status = 204
            case (("GET" | "PATCH"), [_]):
                body = subscription()
            case "GET", [_, "requests"]:
                body = [event()]
            case "POST", [_, "requests", _, "redeliver"]:
                body = event()
            case _:
                status, body = 404, {"error": "no such route"}
        return respond(status, body, close=not self._keep_alive)

    def _start(self, function: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, (_, port) = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections += 1
                self._open[port] = connection
                self._changed.notify_all()
            self._start(self._serve, connection, port)

    def _serve(self, connection: socket.socket, port: int) -> None:
        try:
            self._handle_connection(connection, port)
        finally:
            with self._changed:
                self._open.pop(port)
                self._changed.notify_all()
            connection.close()

    def _handle_connection(self, plain: socket.socket, port: int) -> None:
        behaviour = self._next(on_connect=True)
        if behaviour is not None and not behaviour.run(Exchange(self, plain)):
            return
        connection = plain if self._tls is None else self._handshake(plain, port)
        if connection is None:
            return
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            while (request := _read_request(stream, port)) is not None:
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                behaviour = self._next(on_connect=False) or default_response()
                if not behaviour.run(Exchange(self, connection, request)):
                    return

    def _handshake(self, plain: socket.socket, port: int) -> socket.socket | None:
        assert self._tls is not None
        wrapped = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with self._changed:
            # wrap_socket has detached the plain socket.
            self._open[port] = wrapped
        try:
            wrapped.do_handshake()
        except OSError:
            wrapped.close()
            return None
        return wrapped

    def _next(self, *, on_connect: bool) -> Behaviour | None:
        with self._changed:
            if self._script and (not on_connect or self._script[0].on_connect):
                return self._script.popleft()
            return None


def _read_request(stream: Any, port: int) -> Request | None:
    start = stream.readline()
    if not start.endswith(b"\r\n"):
        return None
    method, path, _ = start.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    if not line or len(body) < length:
        return None
    return Request(method, path, headers, body, port)


@frozen
class ClosedPort:
    """A port on loopback that refuses connections and stays reserved."""

    listener: socket.socket = field(factory=socket.socket)

    def __enter__(self) -> str:
        self.listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *exc_info: object) -> None:
        self.listener.close()


class FullBacklogPort:
    """A port on loopback with a full backlog: connecting to it never completes."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._fillers: list[socket.socket] = []

    def __enter__(self) -> str:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        address = self._listener.getsockname()
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            self._fillers.append(filler)
        return f"http://127.0.0.1:{address[1]}"

    def __exit__(self, *exc_info: object) -> None:
        for filler in self._fillers:
            filler.close()
        self._listener.close()
