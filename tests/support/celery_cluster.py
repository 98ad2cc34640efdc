"""Redis, Celery workers and a coordinator as processes, and a subscriber that can block."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Self

import pytest
from redis import Redis, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT = 60.0
"""Seconds after which a wait fails."""


def wait_until(condition: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < deadline, f"{condition}: not within {TIMEOUT:g} s"
        time.sleep(0.02)


class Process:
    """A process in its own process group, which is always killed when the block is exited.

    Args:
        command: The command line.
        log: The file for standard output and standard error.
        environment: Environment variables to add to the inherited ones.
    """

    def __init__(
        self, command: list[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WEBHOOKS_", "REPLAY_"))
        }
        paths = [str(EXAMPLES), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.log = log
        with log.open("wb") as log_file:
            self._popen = subprocess.Popen(  # noqa: S603 - a command of the tests
                command,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                start_new_session=True,
                env={
                    **inherited,
                    "PYTHONPATH": os.pathsep.join(paths),
                    **(environment or {}),
                },
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(10)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its children with SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._popen.terminate()

    def wait(self) -> int:
        """Wait for the process to end, and return its exit status."""
        return self._popen.wait(TIMEOUT)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")


class RedisServer:
    """A real Redis server on loopback, which logs every write to a file.

    Args:
        folder: The directory for its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""

    def __enter__(self) -> Self:
        binary = shutil.which("redis-server")
        if binary is None:
            missing = (
                "redis-server is not installed: install it with the package manager of the system."
            )
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        for _ in range(10):
            port = _free_port()
            self._process = Process(
                [
                    *(binary, "--bind", "127.0.0.1", "--port", str(port)),
                    *("--dir", str(self._folder), "--save", "", "--appendonly", "yes"),
                ],
                self._folder / "redis.log",
            )
            self.url = f"redis://127.0.0.1:{port}/0"
            if self._is_up():
                return self
            # Another process has taken the port in the meantime.
            self._process.kill()
        raise AssertionError(self._process.output)

    def _is_up(self) -> bool:
        with Redis.from_url(self.url, retry=None) as redis:  # pyright: ignore[reportUnknownMemberType] - untyped kwargs
            while self._process.running:
                with suppress(RedisError):
                    return bool(redis.exists("anything") == 0)
                time.sleep(0.02)
        return False

    def __exit__(self, *_: object) -> None:
        self._process.__exit__()

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self._process.kill()

    def stop(self) -> None:
        """Stop the server, so that all writes are in its files."""
        self._process.__exit__()

    @property
    def written(self) -> bytes:
        """All write commands with their values, in order."""
        return b"".join(file.read_bytes() for file in self._folder.glob("appendonlydir/*.aof"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_worker(name: str, log: Path, environment: Mapping[str, str]) -> Process:
    """Start a Celery worker with a single pool process."""
    command = [
        *(sys.executable, "-m", "celery", "-A", "celery_replay.tasks", "worker", "--pool=prefork"),
        *("--concurrency=1", f"--hostname={name}@test", "--loglevel=INFO"),
        *("--without-gossip", "--without-mingle"),
    ]
    return Process(command, log, environment)


def wait_until_ready(*workers: Process) -> None:
    """Wait until the workers accept tasks."""
    for worker in workers:

        def is_ready(worker: Process = worker) -> bool:
            return "ready." in worker.output or not worker.running

        wait_until("a worker is ready", is_ready)
        assert worker.running, worker.output


def start_coordinator(log: Path, environment: Mapping[str, str], *arguments: str) -> Process:
    return Process(
        [sys.executable, "-m", "celery_replay.coordinator", *arguments], log, environment
    )


class BlockingSubscriber:
    """A subscriber that can block deliveries before it responds.

    Attributes:
        status: The HTTP status of its responses. Can be set at any time.
    """

    def __init__(self) -> None:
        self.status = 200
        self._allowed: float = float("inf")
        self._blocked = 0
        self._changed = Condition()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unblock()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def block_after(self, allowed: int) -> None:
        """Respond to this many more deliveries, and block the others."""
        with self._changed:
            self._allowed = allowed

    def unblock(self) -> None:
        """Respond to all deliveries, including the blocked ones."""
        with self._changed:
            self._allowed = float("inf")
            self._changed.notify_all()

    def wait_blocked(self, count: int) -> None:
        """Wait until exactly this many deliveries are blocked."""
        with self._changed:
            reached = self._changed.wait_for(lambda: self._blocked == count, TIMEOUT)
            assert reached, f"{self._blocked} of {count} deliveries are blocked"

    def wait_until_allowed(self) -> None:
        with self._changed:
            if self._allowed >= 1:
                self._allowed -= 1
                return
            self._blocked += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._allowed >= 1)
            self._blocked -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], subscriber: BlockingSubscriber) -> None:
        super().__init__(address, _Handler)
        self.subscriber = subscriber


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.subscriber.wait_until_allowed()
        self.send_response(self.server.subscriber.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so by the base class
        """Log nothing."""
