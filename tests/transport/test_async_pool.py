"""The async connection pool: one request per connection, even if tasks are cancelled."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.harness import BACKENDS

from webhooks_sdk._core.retries import ConnectionFailure, classify_exception
from webhooks_sdk._transport.async_pool import AsyncConnectionPool
from webhooks_sdk._transport.sync_pool import PoolClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

ORIGIN, OTHER_ORIGIN = "https://first.example", "https://second.example"


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which pytest treats as its own."""


class FakeConnection(httpx.AsyncBaseTransport):
    """A connection in memory that fails if two requests use it at once."""

    def __init__(self) -> None:
        self.in_use = self.closed = self.closed_in_use = False
        self.origins: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        assert not self.in_use
        self.in_use = True
        self.origins.append(f"{request.url.scheme}://{request.url.host}")
        try:
            await anyio.lowlevel.checkpoint()
            if request.url.path == "/never":
                await anyio.sleep_forever()
        except BaseException:
            self.in_use = False
            raise
        if request.url.path == "/lost":
            self.in_use = False
            raise httpx.ReadError("lost")
        return httpx.Response(200, stream=Body(self))

    async def aclose(self) -> None:
        self.closed_in_use = self.in_use
        await anyio.lowlevel.checkpoint()
        self.closed = True


class Body(httpx.AsyncByteStream):
    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"[]"

    async def aclose(self) -> None:
        assert self._connection.in_use
        self._connection.in_use = False


class ConnectionFactory:
    """Creates fake connections, and pools of them with a settable clock."""

    def __init__(self) -> None:
        self.created: list[FakeConnection] = []
        self.now = 0.0

    def create(self) -> FakeConnection:
        self.created.append(FakeConnection())
        return self.created[-1]

    @property
    def open(self) -> list[FakeConnection]:
        return [connection for connection in self.created if not connection.closed]

    def pool(
        self, max_connections: int, create: Callable[[], FakeConnection] | None = None
    ) -> AsyncConnectionPool:
        return AsyncConnectionPool(
            create or self.create,
            max_connections=max_connections,
            keepalive_expiry=5.0,
            monotonic=lambda: self.now,
        )

    def check(self) -> None:
        assert not any(connection.closed_in_use for connection in self.created)


@pytest.fixture
def factory() -> ConnectionFactory:
    return ConnectionFactory()


async def send(
    pool: AsyncConnectionPool, url: str = ORIGIN, pool_timeout: float | None = 30
) -> httpx.Response:
    request = httpx.Request("GET", url, extensions={"timeout": {"pool": pool_timeout}})
    return await pool.handle_async_request(request)


async def test_a_connection_is_reused_after_its_response_is_closed(
    factory: ConnectionFactory,
) -> None:
    pool = factory.pool(2)
    first, second = await send(pool), await send(pool)
    assert len(factory.created) == 2
    await first.aclose()
    assert await second.aread() == b"[]"
    await second.aclose()
    await second.aclose()
    await (await send(pool)).aclose()
    assert [len(connection.origins) for connection in factory.created] == [1, 2]


async def test_another_origin_replaces_only_an_idle_connection(factory: ConnectionFactory) -> None:
    pool = factory.pool(2)
    held, idle = await send(pool), await send(pool)
    await idle.aclose()
    other = await send(pool, OTHER_ORIGIN)
    assert [connection.closed for connection in factory.created] == [False, True, False]
    with pytest.raises(httpx.PoolTimeout):
        await send(pool, OTHER_ORIGIN, pool_timeout=0)
    await held.aclose()
    await (await send(pool, OTHER_ORIGIN)).aclose()
    await other.aclose()
    assert [connection.origins for connection in factory.created] == [
        [ORIGIN],
        [ORIGIN],
        [OTHER_ORIGIN],
        [OTHER_ORIGIN],
    ]
    assert len(factory.open) == 2
    factory.check()


async def test_connections_are_assigned_in_order_of_arrival(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    held = await send(pool)
    served: list[int] = []

    async def work(number: int) -> None:
        response = await send(pool)
        served.append(number)
        await response.aclose()

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
        await held.aclose()
    assert served == [0, 1, 2, 3, 4]
    assert len(factory.created) == 1


@pytest.mark.parametrize("pool_timeout", [0, 0.01])
async def test_a_pool_timeout_proves_that_nothing_was_sent(
    factory: ConnectionFactory, pool_timeout: float
) -> None:
    pool = factory.pool(1)
    held = await send(pool)
    with pytest.raises(
        httpx.PoolTimeout, match=r"every connection was in use \(max_connections=1\)"
    ) as caught:
        await send(pool, pool_timeout=pool_timeout)
    failure = classify_exception(caught.value, network_failure=True)
    assert failure is ConnectionFailure.NO_FREE_CONNECTION
    # A request that timed out is not assigned the slot.
    await held.aclose()
    await (await send(pool, pool_timeout=0)).aclose()
    assert len(factory.created) == 1


async def test_cancelling_while_waiting_releases_the_slot(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    held = await send(pool)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(send, pool))
        await anyio.wait_all_tasks_blocked()
        # The waiting task is assigned the slot, and cancelled before it can use it.
        await held.aclose()
        group.cancel_scope.cancel()
    await (await send(pool, pool_timeout=0)).aclose()
    assert len(factory.created) == 1


async def test_cancelling_while_sending_releases_the_slot(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    with anyio.move_on_after(0.01) as scope:
        await send(pool, f"{ORIGIN}/never")
    assert scope.cancelled_caught
    await (await send(pool, pool_timeout=0)).aclose()
    assert len(factory.created) == 1


async def test_cancelling_while_replacing_a_connection_closes_the_idle_one(
    factory: ConnectionFactory,
) -> None:
    pool = factory.pool(1)
    await (await send(pool)).aclose()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await send(pool, OTHER_ORIGIN)
    assert factory.created[0].closed
    await (await send(pool, OTHER_ORIGIN, pool_timeout=0)).aclose()
    assert len(factory.open) == 1


async def test_a_failure_releases_the_slot(factory: ConnectionFactory) -> None:
    faults: list[Exception] = [OSError("no more files")]

    def create() -> FakeConnection:
        if faults:
            raise faults.pop()
        return factory.create()

    pool = factory.pool(1, create)
    with pytest.raises(OSError, match="no more files"):
        await send(pool)
    with pytest.raises(httpx.ReadError):
        await send(pool, f"{ORIGIN}/lost", pool_timeout=0)
    await (await send(pool, pool_timeout=0)).aclose()
    assert len(factory.created) == 1


async def test_failing_to_create_a_connection_closes_the_one_that_it_replaces(
    factory: ConnectionFactory,
) -> None:
    created: list[FakeConnection] = []

    def create() -> FakeConnection:
        if created:
            raise OSError("no more files")
        created.append(factory.create())
        return created[0]

    pool = factory.pool(1, create)
    await (await send(pool)).aclose()
    with pytest.raises(OSError, match="no more files"):
        await send(pool, OTHER_ORIGIN)
    assert factory.open == []
    created.clear()
    await (await send(pool, OTHER_ORIGIN, pool_timeout=0)).aclose()
    assert len(factory.open) == 1


async def test_a_connection_that_fails_to_close_does_not_affect_requests_or_others(
    factory: ConnectionFactory,
) -> None:
    class FailingConnection(FakeConnection):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("cannot close")

    def create() -> FakeConnection:
        factory.created.append(FailingConnection())
        return factory.created[-1]

    pool = factory.pool(3, create)
    responses = [await send(pool) for _ in range(3)]
    for response in responses:
        await response.aclose()
    factory.now = 6
    # All three idle connections have expired.
    await (await send(pool, OTHER_ORIGIN)).aclose()
    assert [connection.closed for connection in factory.created] == [True] * 3 + [False]
    await pool.aclose()
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
async def test_an_interrupted_close_loses_no_connection(
    factory: ConnectionFactory, connections: int, seconds_idle: float, next_origin: str
) -> None:
    class InterruptedConnection(FakeConnection):
        async def aclose(self) -> None:
            await super().aclose()
            raise Interrupt

    def create() -> FakeConnection:
        new_connection = FakeConnection if factory.created else InterruptedConnection
        factory.created.append(new_connection())
        return factory.created[-1]

    pool = factory.pool(connections, create)
    responses = [await send(pool) for _ in range(connections)]
    for response in responses:
        await response.aclose()
        factory.now += 2
    factory.now += seconds_idle - 2
    with pytest.raises(Interrupt):
        await send(pool, next_origin)
    for _ in range(2):
        held = [await send(pool, next_origin, pool_timeout=0) for _ in range(connections)]
        with pytest.raises(httpx.PoolTimeout):
            await send(pool, next_origin, pool_timeout=0)
        for response in held:
            await response.aclose()
    assert len(factory.open) == connections


async def test_an_expired_idle_connection_is_closed(factory: ConnectionFactory) -> None:
    pool = factory.pool(3)
    responses = [await send(pool) for _ in range(3)]
    for response in responses:
        await response.aclose()
    factory.now = 4
    await (await send(pool)).aclose()
    factory.now = 6
    response = await send(pool)
    assert [connection.closed for connection in factory.created] == [True, True, False]
    # A connection in use does not expire.
    factory.now = 100
    await response.aclose()
    await (await send(pool)).aclose()
    assert len(factory.created) == 3


async def test_close_neither_waits_for_nor_interrupts_active_requests(
    factory: ConnectionFactory,
) -> None:
    pool = factory.pool(2)
    held, idle = await send(pool), await send(pool)
    await idle.aclose()
    await pool.aclose()
    await pool.aclose()
    assert [connection.closed for connection in factory.created] == [False, True]
    assert await held.aread() == b"[]"
    await held.aclose()
    assert factory.open == []
    with pytest.raises(PoolClosedError):
        await send(pool)
    factory.check()


async def test_close_fails_all_waiting_requests(factory: ConnectionFactory) -> None:
    pool = factory.pool(1)
    held = await send(pool)
    errors: list[PoolClosedError] = []

    async def wait() -> None:
        with pytest.raises(PoolClosedError) as caught:
            await send(pool)
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await pool.aclose()
    assert len(errors) == 3
    await held.aclose()
    assert factory.open == []


async def test_many_tasks_and_origins_share_few_connections(factory: ConnectionFactory) -> None:
    pool = factory.pool(4)
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        for turn in range(100):
            response = await send(pool, OTHER_ORIGIN if (number + turn) % 5 == 0 else ORIGIN)
            most = max(most, sum(connection.in_use for connection in factory.created))
            await response.aclose()

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(work, number)
    assert sum(len(connection.origins) for connection in factory.created) == 16 * 100
    assert most <= 4
    assert len(factory.open) <= 4
    assert all(len(set(connection.origins)) == 1 for connection in factory.created)
    factory.check()


async def test_an_error_while_connecting_is_recognised_with_this_version_of_httpcore(
    anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start_no_thread(*_: object, **__: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("can't start new thread")

    # httpcore's own connection runs, up to what it calls to open a socket.
    backend = {"asyncio": "anyio.connect_tcp", "trio": "trio.open_tcp_stream"}[anyio_backend_name]
    monkeypatch.setattr(backend, start_no_thread)
    pool = AsyncConnectionPool(httpx.AsyncHTTPTransport, max_connections=1, keepalive_expiry=None)
    with pytest.raises(httpx.ConnectError) as caught:
        await send(pool)
    failure = classify_exception(caught.value, network_failure=True)
    assert failure is ConnectionFailure.NO_THREAD, f"httpcore {version('httpcore')}"
