"""The server for the benchmarks: nginx if it is installed, or a small one in its own process."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.event import EVENT_JSON

if TYPE_CHECKING:
    from collections.abc import Generator
    from multiprocessing.connection import Connection

SERVERS = ("nginx", "builtin")
START_TIMEOUT = 10.0
START_ATTEMPTS = 3

NGINX_CONFIG = """
daemon off; master_process off; worker_processes 1;
pid nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{body}'; }}
  }}
}}
"""


@contextmanager
def running_server(kind: str | None) -> Generator[tuple[str, str]]:
    """Run a server.

    Args:
        kind: One of `SERVERS`; None for nginx if it is installed.

    Yields:
        The base URL of the server, and a description of it.
    """
    nginx = None if kind == "builtin" else find_nginx()
    if nginx is None and kind == "nginx":
        raise SystemExit("nginx is not installed.")
    if nginx is None:
        with running_builtin() as port:
            yield f"http://127.0.0.1:{port}", "the built-in asyncio server, in its own process"
    else:
        with running_nginx(nginx) as port:
            yield f"http://127.0.0.1:{port}", "nginx"


def find_nginx() -> str | None:
    # PATH often lacks sbin for users other than root.
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running_nginx(nginx: str) -> Generator[int]:
    with tempfile.TemporaryDirectory(prefix="webhooks-sdk-bench-") as directory:
        process, port = start_nginx(nginx, Path(directory))
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def start_nginx(nginx: str, directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start nginx on a free port, and on another one if that port was taken in the meantime."""
    log = directory / "nginx.log"
    for _ in range(START_ATTEMPTS):
        port = free_port()
        config = directory / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(port=port, body=EVENT_JSON), encoding="utf-8")
        command = [nginx, "-p", str(directory), "-c", str(config), "-e", "stderr"]
        with log.open("wb") as errors:
            process = subprocess.Popen(command, stdout=errors, stderr=errors)  # noqa: S603
        if becomes_ready(process, port):
            return process, port
        process.kill()
        process.wait()
    raise RuntimeError(
        "nginx did not start; use --server builtin to run without it:\n"
        + log.read_text(encoding="utf-8")
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def becomes_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready(port):
            return True
        time.sleep(0.02)
    return False


def is_ready(port: int) -> bool:
    """Return whether our server, and not another one, listens on a port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("POST", "/")
        return connection.getresponse().read() == EVENT_JSON.encode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def running_builtin() -> Generator[int]:
    # Not a thread: its CPU time would count as that of the calls.
    spawn = multiprocessing.get_context("spawn")
    parent_end, child_end = spawn.Pipe()
    process = spawn.Process(target=serve, args=(child_end,), daemon=True)
    process.start()
    try:
        if not parent_end.poll(START_TIMEOUT):
            raise RuntimeError("The built-in server did not start in time.")
        yield parent_end.recv()
    finally:
        process.terminate()
        process.join()


def serve(ready: Connection) -> None:
    asyncio.run(serve_forever(ready))


async def serve_forever(ready: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FixedResponseProtocol, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class FixedResponseProtocol(asyncio.Protocol):
    """Sends the same response to every request. Requests must have no body."""

    RESPONSE = (
        "HTTP/1.1 200 OK\r\nServer: builtin\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(EVENT_JSON)}\r\nConnection: keep-alive\r\n\r\n{EVENT_JSON}"
    ).encode()

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in requests:
            self._transport.write(self.RESPONSE)
