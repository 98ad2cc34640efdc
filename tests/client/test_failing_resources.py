"""Resources that fail to close, and threads that cannot be started: right messages, no leaks."""

from __future__ import annotations

import logging
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import httpx
import pytest
from support.harness import BACKENDS
from support.samples import HOOK_ID, REQUEST_ID, event

from webhooks_sdk import NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.fault_server import FaultServer
    from support.harness import Backend, ClientHarness


class FailingBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that can be read but not closed."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    def close(self) -> None:
        raise OSError("cannot close")

    async def aclose(self) -> None:
        raise OSError("cannot close")


@pytest.mark.parametrize("status", [200, 404])
def test_a_response_that_fails_to_close_does_not_change_the_outcome(
    harness: ClientHarness, status: int
) -> None:
    content = httpx.Response(200, json=event()).content

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=FailingBody(content))

    client = harness.client(
        "token", base_url="https://service.example", transport=httpx.MockTransport(respond)
    )
    if status == 200:
        assert client.hooks.redeliver(HOOK_ID, REQUEST_ID).id == REQUEST_ID
    else:
        with pytest.raises(NotFoundError):
            client.hooks.redeliver(HOOK_ID, REQUEST_ID)


class FailingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if "returned status" in record.msg:
            raise LookupError
        return True


def test_a_failing_log_filter_leaks_no_connection(
    harness: ClientHarness, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "webhooks_sdk")
    client = harness.client("token", base_url=server.url, max_connections=1)
    logger, failing = logging.getLogger("webhooks_sdk"), FailingFilter()
    logger.addFilter(failing)
    try:
        with pytest.raises(LookupError):
            client.hooks.list()
    finally:
        logger.removeFilter(failing)
    view = client.with_options(timeout=httpx.Timeout(5, pool=0))
    assert view.hooks.list()


# Threads

NO_THREAD = (
    "Nothing was sent: the host name could not be looked up, because no thread could be started."
    " Check the limit on threads, and make no calls while the interpreter exits."
)

# The system refuses to start a thread with a stack of this size.
NO_MORE_THREADS = dedent(
    """
    import sys, threading
    from uuid import UUID
    import anyio
    from webhooks_sdk import APIConnectionError, AsyncClient, RetryPolicy

    async def redeliver():
        async with AsyncClient("t", base_url=sys.argv[1], retry=RetryPolicy.none()) as client:
            threading.stack_size(2**47)
            try:
                await client.hooks.redeliver(UUID(int=1), UUID(int=2))
            except APIConnectionError as error:
                print(error.outcome_unknown, error)
            threading.stack_size(0)
            print((await client.hooks.redeliver(UUID(int=1), UUID(int=2))).delivered)

    anyio.run(redeliver, backend=sys.argv[2])
    """
)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_host_name_that_cannot_be_looked_up_proves_that_nothing_was_sent(
    backend: Backend, server: FaultServer
) -> None:
    # Unlike Client, asyncio and trio look up host names in a thread.
    output = run_script(NO_MORE_THREADS, f"http://localhost:{server.port}", backend)
    assert output == (
        "False redeliver: the connection failed: ConnectError (can't start new thread)."
        f" {NO_THREAD}\nTrue\n"
    )
    assert len(server.requests) == 1


AT_EXIT = dedent(
    """
    import asyncio, atexit, sys
    from uuid import UUID
    from webhooks_sdk import APIConnectionError, AsyncClient, RetryPolicy

    async def redeliver():
        async with AsyncClient("t", base_url=sys.argv[1], retry=RetryPolicy.none()) as client:
            await client.hooks.redeliver(UUID(int=1), UUID(int=2))

    def at_exit():
        try:
            asyncio.run(redeliver())
        except APIConnectionError as error:
            print(error.outcome_unknown, error)

    atexit.register(at_exit)
    """
)


def test_a_call_of_an_exiting_interpreter_has_a_right_message(server: FaultServer) -> None:
    # asyncio needs a thread to look up a host name, which cannot be started any more.
    output = run_script(AT_EXIT, f"http://localhost:{server.port}")
    assert output.startswith("False redeliver: the connection failed: ConnectError (")
    assert output.endswith(f"). {NO_THREAD}\n")
    assert server.connections == 0


FORK_WITHOUT_THREADS = dedent(
    """
    import os, sys, threading
    from webhooks_sdk import Client

    client = Client("token", base_url=sys.argv[1])
    client.hooks.list()
    child = os.fork()
    if child == 0:
        threading.stack_size(2**47)
        print(len(client.hooks.list()), flush=True)
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.close()
    """
)


def test_a_forked_child_that_cannot_start_a_thread_can_use_the_client(server: FaultServer) -> None:
    assert run_script(FORK_WITHOUT_THREADS, server.url) == "1\n"
    assert len(server.requests) == 2


def run_script(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, timeout=60, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
