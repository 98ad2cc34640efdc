"""Redeliveries per second of the sandbox, on one core.

There are three processes: the sandbox, pinned to one core where the system supports it; a
`Subscriber`; and this one, which requests redeliveries over several connections.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.connection import Connection

CONNECTIONS = 8
EVENTS = 20
CALLS = 500  # per round, enough to make the time to open connections negligible
PAYLOAD = {"application_form_id": 4711, "owner": {"first_name": "Zoë", "is_guest": False}}
START_TIMEOUT = 30.0
TARGET = 1000


@frozen
class Rate:
    """The throughput measured in one round.

    Attributes:
        wall: Redeliveries per second of real time.
        cpu: Redeliveries per second of CPU time of the sandbox's process.
    """

    wall: float
    cpu: float


def measure_redeliveries(rounds: int) -> list[Rate]:
    """Measure rounds of redeliveries, after a warm-up round."""
    with running_process(run_subscriber) as subscriber, running_process(run_sandbox) as sandbox:
        subscriber_url = subscriber.recv()
        sandbox.send(subscriber_url)
        address, requests = sandbox.recv()
        rates = [measure_round(sandbox, address, requests, CALLS) for _ in range(rounds + 1)]
    return rates[1:]


def measure_round(
    sandbox: Connection, address: tuple[str, int], requests: list[bytes], calls: int
) -> Rate:
    cpu, wall = sandbox_cpu_time(sandbox), time.perf_counter()
    asyncio.run(redeliver(address, requests, calls))
    wall = time.perf_counter() - wall
    return Rate(wall=calls / wall, cpu=calls / (sandbox_cpu_time(sandbox) - cpu))


def sandbox_cpu_time(sandbox: Connection) -> float:
    sandbox.send("cpu")
    seconds: float = sandbox.recv()
    return seconds


async def redeliver(address: tuple[str, int], requests: list[bytes], calls: int) -> None:
    """Request redeliveries over several keep-alive connections."""
    numbers = iter(range(calls))

    async def send_requests() -> None:
        reader, writer = await asyncio.open_connection(*address)
        for number in numbers:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length))
            assert b'"response_status":200' in body, body
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(send_requests() for _ in range(CONNECTIONS)))


@contextmanager
def running_process(run: Callable[[Connection], None]) -> Generator[Connection]:
    """Run a function in its own process, and yield a connection; closing it ends the process."""
    spawn = multiprocessing.get_context("spawn")
    parent_end, child_end = spawn.Pipe()
    process = spawn.Process(target=run, args=(child_end,), daemon=True)
    process.start()
    child_end.close()
    try:
        yield parent_end
    finally:
        parent_end.close()
        process.join(START_TIMEOUT)


def run_subscriber(parent: Connection) -> None:
    with Subscriber() as subscriber:
        parent.send(subscriber.url)
        report_cpu_time(parent)


def run_sandbox(parent: Connection) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    subscriber_url = parent.recv()
    with Sandbox() as sandbox:
        parent.send(prepare(sandbox, subscriber_url))
        report_cpu_time(parent)


def prepare(sandbox: Sandbox, subscriber_url: str) -> tuple[tuple[str, int], list[bytes]]:
    """Subscribe and publish; return the address and the redelivery requests to send."""
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
        client.hooks.create(url=subscriber_url, events=["*"], active=True, secret="s")  # noqa: S106
    attempts = [sandbox.publish("application_form:quoted", PAYLOAD)[0] for _ in range(EVENTS)]
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    token = sandbox.issue_token()
    requests = [
        f"POST /hooks/{attempt.hook_id}/requests/{attempt.event_id}/redeliver HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nContent-Length: 0\r\n\r\n"
        for attempt in attempts
    ]
    return (host, int(port)), [request.encode() for request in requests]


def report_cpu_time(parent: Connection) -> None:
    """Send the CPU time of this process on each request, until the connection is closed."""
    while True:
        try:
            parent.recv()
        except EOFError:
            return
        parent.send(time.process_time())
