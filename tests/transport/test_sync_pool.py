"""The sync connection pool: no other thread uses, checks or closes a connection in use."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from webhooks_sdk._core.retries import ConnectionFailure, classify_exception
from webhooks_sdk._transport.sync_pool import ConnectionPool, PoolClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

ORIGIN, OTHER_ORIGIN = "https://first.example", "https://second.example"


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which pytest treats as its own."""


class FakeConnection(httpx.BaseTransport):
    """A connection in memory that fails if two requests use it at once."""

    def __init__(self) -> None:
        self.in_use = self.closed = self.closed_in_use = False
        self.origins: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        assert not self.in_use
        self.in_use = True
        self.origins.append(f"{request.url.scheme}://{request.url.host}")
        if request.url.path == "/lost":
            self.in_use = False
            raise httpx.ReadError("lost")
        return httpx.Response(200, stream=Body(self))

    def close(self) -> None:
        self.closed_in_use = self.in_use
        self.closed = True


class Body(httpx.SyncByteStream):
    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        yield b"[]"

    def close(self) -> None:
        assert self._connection.in_use
        self._connection.in_use = False


class ConnectionFactory:
    """Creates fake connections, and pools of them with a settable clock."""

    def __init__(self) -> None:
        self.created: list[FakeConnection] = []
        self.now = 0.0
        self.forked = False

    def create(self) -> FakeConnection:
        self.created.append(FakeConnection())
        return self.created[-1]

    @property
    def open(self) -> list[FakeConnection]:
        return [connection for connection in self.created if not connection.closed]

    def pool(
        self, max_connections: int, create: Callable[[], FakeConnection] | None = None
    ) -> ConnectionPool:
        return ConnectionPool(
            create or self.create,
            max_connections=max_connections,
            keepalive_expiry=5.0,
            monotonic=lambda: self.now,
        )


@pytest.fixture
def factory() -> Iterator[ConnectionFactory]:
    factory = ConnectionFactory()
    yield factory
    if not factory.forked:
        assert not any(connection.closed_in_use for connection in factory.created)


def send(
    pool: ConnectionPool, url: str = ORIGIN, pool_timeout: float | None = 30
) -> httpx.Response:
    return pool.handle_request(
        httpx.Request("GET", url, extensions={"timeout": {"pool": pool_timeout}})
    )


def wait_for_waiting_requests(pool: ConnectionPool, number: int) -> None:
    end = time.monotonic() + 30
    while len(pool._waiting) < number:  # pyright: ignore[reportPrivateUsage] - no public way to observe it
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_connection_is_reused_after_its_response_is_closed(factory: ConnectionFactory) -> None:
    pool = factory.pool(2)
    first = send(pool)
    second = send(pool)
    assert len(factory.created) == 2
    first.close()
    second.close()
    second.close()
    send(pool).close()
    assert [len(connection.origins) for connection in factory.created] == [1, 2]


def test_another_origin_replaces_only_an_idle_connection(factory: ConnectionFactory) -> None:
    pool = factory.pool(2)
    held, idle = send(pool), send(pool)
    idle.close()
    other = send(pool, OTHER_ORIGIN)
    assert [connection.closed for connection in factory.created] == [False, True, False]
    with pytest.raises(httpx.PoolTimeout):
        send(pool, OTHER_ORIGIN, pool_timeout=0)
    held.close()
    send(pool, OTHER_ORIGIN).close()
    other.close()
    assert [connection.origins for connection in factory.created] == [
        [ORIGIN],
        [ORIGIN],
        [OTHER_ORIGIN],
        [OTHER_ORIGIN],
    ]
    assert len(factory.open) == 2


def test_connections_are_assigned_in_order_of_arrival(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    held = send(pool)
    served: list[int] = []

    def work(number: int) -> None:
        response = send(pool)
        served.append(number)
        response.close()

    with ThreadPoolExecutor(5) as threads:
        for number in range(5):
            threads.submit(work, number)
            wait_for_waiting_requests(pool, number + 1)
        held.close()
    assert served == [0, 1, 2, 3, 4]
    assert len(factory.created) == 1


@pytest.mark.parametrize("pool_timeout", [0, 0.01])
def test_a_pool_timeout_proves_that_nothing_was_sent(
    factory: ConnectionFactory, pool_timeout: float
) -> None:
    pool = factory.pool(1)
    held = send(pool)
    with pytest.raises(
        httpx.PoolTimeout, match=r"every connection was in use \(max_connections=1\)"
    ) as caught:
        send(pool, pool_timeout=pool_timeout)
    failure = classify_exception(caught.value, network_failure=True)
    assert failure is ConnectionFailure.NO_FREE_CONNECTION
    # A request that timed out is not assigned the slot.
    held.close()
    send(pool, pool_timeout=0).close()
    assert len(factory.created) == 1


def test_a_failure_releases_the_slot(factory: ConnectionFactory) -> None:
    faults: list[Exception] = [OSError("no more files")]

    def create() -> FakeConnection:
        if faults:
            raise faults.pop()
        return factory.create()

    pool = factory.pool(1, create)
    with pytest.raises(OSError, match="no more files"):
        send(pool)
    with pytest.raises(httpx.ReadError):
        send(pool, f"{ORIGIN}/lost", pool_timeout=0)
    send(pool, pool_timeout=0).close()
    assert len(factory.created) == 1


def test_failing_to_create_a_connection_closes_the_one_that_it_replaces(
    factory: ConnectionFactory,
) -> None:
    created: list[FakeConnection] = []

    def create() -> FakeConnection:
        if created:
            raise OSError("no more files")
        created.append(factory.create())
        return created[0]

    pool = factory.pool(1, create)
    send(pool).close()
    with pytest.raises(OSError, match="no more files"):
        send(pool, OTHER_ORIGIN)
    assert factory.open == []
    created.clear()
    send(pool, OTHER_ORIGIN, pool_timeout=0).close()
    assert len(factory.open) == 1


def test_a_connection_that_fails_to_close_does_not_affect_requests_or_others(
    factory: ConnectionFactory,
) -> None:
    class FailingConnection(FakeConnection):
        def close(self) -> None:
            super().close()
            raise OSError("cannot close")

    def create() -> FakeConnection:
        factory.created.append(FailingConnection())
        return factory.created[-1]

    pool = factory.pool(3, create)
    responses = [send(pool) for _ in range(3)]
    for response in responses:
        response.close()
    factory.now = 6
    # All three idle connections have expired.
    send(pool, OTHER_ORIGIN).close()
    assert [connection.closed for connection in factory.created] == [True] * 3 + [False]
    pool.close()
    assert factory.open == []


@pytest.mark.parametrize(
    ("connections", "seconds_idle", "next_origin"),
    [
        pytest.param(1, 6, ORIGIN, id="an expired one"),
        pytest.param(1, 0, OTHER_ORIGIN, id="the one that it replaces"),
        pytest.param(2, 6, ORIGIN, id="the first of two expired ones"),
        pytest.param(2, 4, ORIGIN, id="another than the one that it reuses"),
    ],
)
def test_an_interrupted_close_loses_no_connection(
    factory: ConnectionFactory, connections: int, seconds_idle: float, next_origin: str
) -> None:
    class InterruptedConnection(FakeConnection):
        def close(self) -> None:
            super().close()
            raise Interrupt

    def create() -> FakeConnection:
        new_connection = FakeConnection if factory.created else InterruptedConnection
        factory.created.append(new_connection())
        return factory.created[-1]

    pool = factory.pool(connections, create)
    responses = [send(pool) for _ in range(connections)]
    for response in responses:
        response.close()
        factory.now += 2
    factory.now += seconds_idle - 2
    with pytest.raises(Interrupt):
        send(pool, next_origin)
    for _ in range(2):
        held = [send(pool, next_origin, pool_timeout=0) for _ in range(connections)]
        with pytest.raises(httpx.PoolTimeout):
            send(pool, next_origin, pool_timeout=0)
        for response in held:
            response.close()
    assert len(factory.open) == connections


def test_an_expired_idle_connection_is_closed(factory: ConnectionFactory) -> None:
    pool = factory.pool(3)
    responses = [send(pool) for _ in range(3)]
    for response in responses:
        response.close()
    factory.now = 4
    send(pool).close()
    factory.now = 6
    response = send(pool)
    assert [connection.closed for connection in factory.created] == [True, True, False]
    # A connection in use does not expire.
    factory.now = 100
    response.close()
    send(pool).close()
    assert len(factory.created) == 3


def test_close_neither_waits_for_nor_interrupts_active_requests(factory: ConnectionFactory) -> None:
    pool = factory.pool(2)
    held, idle = send(pool), send(pool)
    idle.close()
    pool.close()
    pool.close()
    assert [connection.closed for connection in factory.created] == [False, True]
    assert held.read() == b"[]"
    held.close()
    assert factory.open == []
    with pytest.raises(PoolClosedError):
        send(pool)


def test_close_fails_all_waiting_requests(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    held = send(pool)
    with ThreadPoolExecutor(3) as threads:
        waiting: list[Future[httpx.Response]] = [threads.submit(send, pool) for _ in range(3)]
        wait_for_waiting_requests(pool, 3)
        pool.close()
        for call in waiting:
            assert isinstance(call.exception(30), PoolClosedError)
    held.close()
    assert factory.open == []


def test_a_forked_child_closes_its_copies_without_the_lock(factory: ConnectionFactory) -> None:
    pool = factory.pool(2)
    send(pool)
    send(pool).close()
    factory.forked = True
    # As if another thread held the lock at the time of the fork.
    with pool._lock:  # pyright: ignore[reportPrivateUsage] - no public way to hold it
        pool.close_inherited()
    assert factory.open == []


def test_many_threads_and_origins_share_few_connections(factory: ConnectionFactory) -> None:
    pool = factory.pool(4)
    barrier = threading.Barrier(16)
    most = 0

    def work(number: int) -> None:
        nonlocal most
        barrier.wait(30)
        for turn in range(200):
            response = send(pool, OTHER_ORIGIN if (number + turn) % 5 == 0 else ORIGIN)
            most = max(most, sum(connection.in_use for connection in factory.created))
            response.close()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    assert sum(len(connection.origins) for connection in factory.created) == 16 * 200
    assert most <= 4
    assert len(factory.open) <= 4
    assert all(len(set(connection.origins)) == 1 for connection in factory.created)
