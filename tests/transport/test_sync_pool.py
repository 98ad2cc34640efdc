"""Who has a connection has it alone: no other thread uses it, judges it or closes it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from webhooks_sdk._core.retries import FailureKind, classify_exception
from webhooks_sdk._transport.sync_pool import ConnectionPool, PoolClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

HERE, THERE = "https://here.example", "https://there.example"


class Link(httpx.BaseTransport):
    """A connection in memory that notices when two have it at once."""

    def __init__(self) -> None:
        self.taken = self.closed = self.closed_under_a_call = False
        self.origins: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        assert not self.taken
        self.taken = True
        self.origins.append(f"{request.url.scheme}://{request.url.host}")
        if request.url.path == "/lost":
            self.taken = False
            raise httpx.ReadError("lost")
        return httpx.Response(200, stream=Body(self))

    def close(self) -> None:
        self.closed_under_a_call = self.taken
        self.closed = True


class Body(httpx.SyncByteStream):
    def __init__(self, link: Link) -> None:
        self._link = link

    def __iter__(self) -> Iterator[bytes]:
        yield b"[]"

    def close(self) -> None:
        assert self._link.taken
        self._link.taken = False


class Links:
    """Makes them, and a pool of them whose time stands still until it is told."""

    def __init__(self) -> None:
        self.made: list[Link] = []
        self.now = 0.0
        self.forked = False

    def make(self) -> Link:
        self.made.append(Link())
        return self.made[-1]

    @property
    def open(self) -> list[Link]:
        return [link for link in self.made if not link.closed]

    def pool(self, max_connections: int, make: Callable[[], Link] | None = None) -> ConnectionPool:
        return ConnectionPool(
            make or self.make,
            max_connections=max_connections,
            keepalive_expiry=5.0,
            monotonic=lambda: self.now,
        )


@pytest.fixture
def links() -> Iterator[Links]:
    links = Links()
    yield links
    if not links.forked:
        assert not any(link.closed_under_a_call for link in links.made)


def send(pool: ConnectionPool, url: str = HERE, wait: float | None = 30) -> httpx.Response:
    return pool.handle_request(httpx.Request("GET", url, extensions={"timeout": {"pool": wait}}))


def wait_until_waiting(pool: ConnectionPool, number: int) -> None:
    end = time.monotonic() + 30
    while len(pool._waiting) < number:  # pyright: ignore[reportPrivateUsage] - nobody tells
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_connection_is_used_again_once_its_answer_is_closed(links: Links) -> None:
    pool = links.pool(2)
    first = send(pool)
    second = send(pool)
    assert len(links.made) == 2
    first.close()
    second.close()
    second.close()
    send(pool).close()
    assert [len(link.origins) for link in links.made] == [1, 2]


def test_another_origin_takes_the_room_of_an_idle_connection_only(links: Links) -> None:
    pool = links.pool(2)
    held, idle = send(pool), send(pool)
    idle.close()
    there = send(pool, THERE)
    assert [link.closed for link in links.made] == [False, True, False]
    with pytest.raises(httpx.PoolTimeout):
        send(pool, THERE, wait=0)
    held.close()
    send(pool, THERE).close()
    there.close()
    assert [link.origins for link in links.made] == [[HERE], [HERE], [THERE], [THERE]]
    assert len(links.open) == 2


def test_a_connection_goes_to_who_waits_longest(links: Links) -> None:
    pool = links.pool(1)
    held = send(pool)
    served: list[int] = []

    def work(number: int) -> None:
        response = send(pool)
        served.append(number)
        response.close()

    with ThreadPoolExecutor(5) as threads:
        for number in range(5):
            threads.submit(work, number)
            wait_until_waiting(pool, number + 1)
        held.close()
    assert served == [0, 1, 2, 3, 4]
    assert len(links.made) == 1


@pytest.mark.parametrize("wait", [0, 0.01])
def test_waiting_in_vain_is_proof_that_nothing_was_sent(links: Links, wait: float) -> None:
    pool = links.pool(1)
    held = send(pool)
    with pytest.raises(httpx.PoolTimeout, match="all 1 connections were in use") as caught:
        send(pool, wait=wait)
    assert classify_exception(caught.value, transport_fault=True) is FailureKind.NOT_SENT
    # Who gave up is not given what becomes free.
    held.close()
    send(pool, wait=0).close()
    assert len(links.made) == 1


def test_what_fails_gives_its_place_back(links: Links) -> None:
    faults: list[Exception] = [OSError("no more files")]

    def make() -> Link:
        if faults:
            raise faults.pop()
        return links.make()

    pool = links.pool(1, make)
    with pytest.raises(OSError, match="no more files"):
        send(pool)
    with pytest.raises(httpx.ReadError):
        send(pool, f"{HERE}/lost", wait=0)
    send(pool, wait=0).close()
    assert len(links.made) == 1


def test_what_nobody_used_for_long_is_closed(links: Links) -> None:
    pool = links.pool(3)
    answers = [send(pool) for _ in range(3)]
    for answer in answers:
        answer.close()
    links.now = 4
    send(pool).close()
    links.now = 6
    answer = send(pool)
    assert [link.closed for link in links.made] == [True, True, False]
    # However long it is held: it is not idle.
    links.now = 100
    answer.close()
    send(pool).close()
    assert len(links.made) == 3


def test_closing_waits_for_nobody_and_interrupts_nobody(links: Links) -> None:
    pool = links.pool(2)
    held, idle = send(pool), send(pool)
    idle.close()
    pool.close()
    pool.close()
    assert [link.closed for link in links.made] == [False, True]
    assert held.read() == b"[]"
    held.close()
    assert links.open == []
    with pytest.raises(PoolClosedError):
        send(pool)


def test_closing_tells_everybody_who_waits(links: Links) -> None:
    pool = links.pool(1)
    held = send(pool)
    with ThreadPoolExecutor(3) as threads:
        waiting: list[Future[httpx.Response]] = [threads.submit(send, pool) for _ in range(3)]
        wait_until_waiting(pool, 3)
        pool.close()
        for call in waiting:
            assert isinstance(call.exception(30), PoolClosedError)
    held.close()
    assert links.open == []


def test_a_forked_child_closes_all_copies_whoever_held_what(links: Links) -> None:
    pool = links.pool(2)
    send(pool)
    send(pool).close()
    links.forked = True
    # As if the fork had come while a thread of the parent was looking for a connection.
    with pool._lock:  # pyright: ignore[reportPrivateUsage] - nobody else can hold it for long
        pool.close_inherited()
    assert links.open == []


def test_many_threads_and_origins_share_few_connections(links: Links) -> None:
    pool = links.pool(4)
    barrier = threading.Barrier(16)
    most = 0

    def work(number: int) -> None:
        nonlocal most
        barrier.wait(30)
        for turn in range(200):
            answer = send(pool, THERE if (number + turn) % 5 == 0 else HERE)
            most = max(most, sum(link.taken for link in links.made))
            answer.close()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    assert sum(len(link.origins) for link in links.made) == 16 * 200
    assert most <= 4
    assert len(links.open) <= 4
    assert all(len(set(link.origins)) == 1 for link in links.made)
