"""Redis, Celery workers and a coordinator as processes, and a subscriber that holds deliveries."""

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
PATIENCE = 60.0
"""Seconds after which what should have happened has not."""


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.02)


class Process:
    """A process in a group of its own, which ends with the block whatever happens.

    Args:
        command: What to run.
        log: The file for all that it says.
        environment: Its variables, beside those that every process here has.
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
        with log.open("wb") as output:
            self._popen = subprocess.Popen(  # noqa: S603 - commands of the tests
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
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
        """Kill the whole group with SIGKILL, children included."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM."""
        self._popen.terminate()

    def wait(self) -> int:
        """Return the exit status, when it has ended."""
        return self._popen.wait(PATIENCE)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")


class RedisServer:
    """A real Redis on loopback, which writes down all that it is told to keep.

    Args:
        folder: For its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""

    def __enter__(self) -> Self:
        binary = shutil.which("redis-server")
        if binary is None:
            missing = "redis-server is not installed: get it from the system's packages."
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
            # Somebody else was given the port in between.
            self._process.kill()
        raise AssertionError(self._process.said)

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
        """Kill it with SIGKILL."""
        self._process.kill()

    def stop(self) -> None:
        """Stop it, so that everything is in its files."""
        self._process.__exit__()

    @property
    def written(self) -> bytes:
        """Every command that changed something, with all its values, in order."""
        return b"".join(file.read_bytes() for file in self._folder.glob("appendonlydir/*.aof"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worker(name: str, log: Path, environment: Mapping[str, str]) -> Process:
    """Start a worker with one process for its tasks."""
    command = [
        *(sys.executable, "-m", "celery", "-A", "celery_replay.tasks", "worker", "--pool=prefork"),
        *("--concurrency=1", f"--hostname={name}@test", "--loglevel=INFO"),
        *("--without-gossip", "--without-mingle"),
    ]
    return Process(command, log, environment)


def wait_ready(*workers: Process) -> None:
    """Wait until workers take tasks."""
    for one in workers:

        def is_ready(one: Process = one) -> bool:
            return "ready." in one.said or not one.running

        wait_until("a worker is ready", is_ready)
        assert one.running, one.said


def coordinator(log: Path, environment: Mapping[str, str], *arguments: str) -> Process:
    return Process(
        [sys.executable, "-m", "celery_replay.coordinator", *arguments], log, environment
    )


class Gate:
    """A subscriber that answers as told, and can hold deliveries before it answers.

    Attributes:
        status: The HTTP status that it answers with. Set it at any time.
    """

    def __init__(self) -> None:
        self.status = 200
        self._passes: float = float("inf")
        self._held = 0
        self._news = Condition()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def close_after(self, passes: int) -> None:
        """Let so many deliveries pass, and hold the others."""
        with self._news:
            self._passes = passes

    def open(self) -> None:
        """Let everything pass."""
        with self._news:
            self._passes = float("inf")
            self._news.notify_all()

    def wait_held(self, count: int) -> None:
        """Wait until so many deliveries are held."""
        with self._news:
            held = self._news.wait_for(lambda: self._held == count, PATIENCE)
            assert held, f"{self._held} of {count} are held"

    def pass_through(self) -> None:
        with self._news:
            if self._passes >= 1:
                self._passes -= 1
                return
            self._held += 1
            self._news.notify_all()
            self._news.wait_for(lambda: self._passes >= 1)
            self._held -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], gate: Gate) -> None:
        super().__init__(address, _Handler)
        self.gate = gate


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.gate.pass_through()
        self.send_response(self.server.gate.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base
        """Say nothing."""
