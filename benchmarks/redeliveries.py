"""How many redeliveries the sandbox makes in a second of one core.

Three processes: the sandbox, pinned to one core where the system can; a `Subscriber`; and this one,
which asks for redeliveries over raw sockets, several at a time.
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
CALLS = 500  # a round: with fewer, opening the connections would show
PAYLOAD = {"application_form_id": 4711, "owner": {"first_name": "Zoë", "is_guest": False}}
START_TIMEOUT = 30.0
AIM = 1000


@frozen
class Rate:
    """What was measured in one round.

    Attributes:
        wall: Redeliveries a second, of all the time that passed.
        cpu: Redeliveries a second, of the CPU time that the sandbox's process took.
    """

    wall: float
    cpu: float


def measure_redeliveries(rounds: int) -> list[Rate]:
    """Measure rounds of redeliveries, after one that is not counted."""
    with in_process(run_subscriber) as subscriber, in_process(run_sandbox) as sandbox:
        subscriber_url = subscriber.recv()
        sandbox.send(subscriber_url)
        address, requests = sandbox.recv()
        rates = [one_round(sandbox, address, requests, CALLS) for _ in range(rounds + 1)]
    return rates[1:]


def one_round(
    sandbox: Connection, address: tuple[str, int], requests: list[bytes], calls: int
) -> Rate:
    cpu, wall = cpu_of(sandbox), time.perf_counter()
    asyncio.run(redeliver(address, requests, calls))
    wall = time.perf_counter() - wall
    return Rate(wall=calls / wall, cpu=calls / (cpu_of(sandbox) - cpu))


def cpu_of(sandbox: Connection) -> float:
    sandbox.send("cpu")
    seconds: float = sandbox.recv()
    return seconds


async def redeliver(address: tuple[str, int], requests: list[bytes], calls: int) -> None:
    """Ask for redeliveries over several connections that are kept alive."""
    numbers = iter(range(calls))

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(*address)
        for number in numbers:
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            answer = await reader.readexactly(int(length))
            assert b'"response_status":200' in answer, answer
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))


@contextmanager
def in_process(run: Callable[[Connection], None]) -> Generator[Connection]:
    """Run a function in a process of its own, and talk with it until it is told to end."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=run, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(START_TIMEOUT)


def run_subscriber(parent: Connection) -> None:
    with Subscriber() as subscriber:
        parent.send(subscriber.url)
        wait_for_the_end(parent)


def run_sandbox(parent: Connection) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    subscriber_url = parent.recv()
    with Sandbox() as sandbox:
        parent.send(prepare(sandbox, subscriber_url))
        wait_for_the_end(parent)


def prepare(sandbox: Sandbox, subscriber_url: str) -> tuple[tuple[str, int], list[bytes]]:
    """Subscribe, publish, and return where and how to ask for redeliveries."""
    credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
    with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
        client.hooks.create(url=subscriber_url, events=["*"], active=True, secret="s")  # noqa: S106
    attempts = [sandbox.publish("application_form:quoted", PAYLOAD)[0] for _ in range(EVENTS)]
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    token = sandbox.issue_token()
    requests = [
        f"POST /hooks/{one.hook_id}/requests/{one.event_id}/redeliver HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nContent-Length: 0\r\n\r\n"
        for one in attempts
    ]
    return (host, int(port)), [request.encode() for request in requests]


def wait_for_the_end(parent: Connection) -> None:
    """Tell of the CPU time that this process took, as often as the parent asks."""
    while True:
        try:
            parent.recv()
        except EOFError:
            return
        parent.send(time.process_time())
