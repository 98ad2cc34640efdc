"""The pool of tasks: a connection is lent to one call at a time, also where calls are cancelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import httpx
import pytest
from support.harness import BACKENDS

from webhooks_sdk._core.retries import FailureKind, classify_exception
from webhooks_sdk._transport.async_pool import AsyncConnectionPool
from webhooks_sdk._transport.sync_pool import PoolClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

HERE, THERE = "https://here.example", "https://there.example"


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


class Link(httpx.AsyncBaseTransport):
    """A connection in memory that notices when two have it at once."""

    def __init__(self) -> None:
        self.taken = self.closed = self.closed_under_a_call = False
        self.origins: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        assert not self.taken
        self.taken = True
        self.origins.append(f"{request.url.scheme}://{request.url.host}")
        try:
            await anyio.lowlevel.checkpoint()
            if request.url.path == "/never":
                await anyio.sleep_forever()
        except BaseException:
            self.taken = False
            raise
        if request.url.path == "/lost":
            self.taken = False
            raise httpx.ReadError("lost")
        return httpx.Response(200, stream=Body(self))

    async def aclose(self) -> None:
        self.closed_under_a_call = self.taken
        await anyio.lowlevel.checkpoint()
        self.closed = True


class Body(httpx.AsyncByteStream):
    def __init__(self, link: Link) -> None:
        self._link = link

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"[]"

    async def aclose(self) -> None:
        assert self._link.taken
        self._link.taken = False


class Links:
    """Makes them, and a pool of them whose time stands still until it is told."""

    def __init__(self) -> None:
        self.made: list[Link] = []
        self.now = 0.0

    def make(self) -> Link:
        self.made.append(Link())
        return self.made[-1]

    @property
    def open(self) -> list[Link]:
        return [link for link in self.made if not link.closed]

    def pool(
        self, max_connections: int, make: Callable[[], Link] | None = None
    ) -> AsyncConnectionPool:
        return AsyncConnectionPool(
            make or self.make,
            max_connections=max_connections,
            keepalive_expiry=5.0,
            monotonic=lambda: self.now,
        )

    def check(self) -> None:
        assert not any(link.closed_under_a_call for link in self.made)


@pytest.fixture
def links() -> Links:
    return Links()


async def send(
    pool: AsyncConnectionPool, url: str = HERE, wait: float | None = 30
) -> httpx.Response:
    request = httpx.Request("GET", url, extensions={"timeout": {"pool": wait}})
    return await pool.handle_async_request(request)


async def test_a_connection_is_used_again_once_its_answer_is_closed(links: Links) -> None:
    pool = links.pool(2)
    first, second = await send(pool), await send(pool)
    assert len(links.made) == 2
    await first.aclose()
    assert await second.aread() == b"[]"
    await second.aclose()
    await second.aclose()
    await (await send(pool)).aclose()
    assert [len(link.origins) for link in links.made] == [1, 2]


async def test_another_origin_takes_the_room_of_an_idle_connection_only(links: Links) -> None:
    pool = links.pool(2)
    held, idle = await send(pool), await send(pool)
    await idle.aclose()
    there = await send(pool, THERE)
    assert [link.closed for link in links.made] == [False, True, False]
    with pytest.raises(httpx.PoolTimeout):
        await send(pool, THERE, wait=0)
    await held.aclose()
    await (await send(pool, THERE)).aclose()
    await there.aclose()
    assert [link.origins for link in links.made] == [[HERE], [HERE], [THERE], [THERE]]
    assert len(links.open) == 2
    links.check()


async def test_a_connection_goes_to_who_waits_longest(links: Links) -> None:
    pool = links.pool(1)
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
    assert len(links.made) == 1


@pytest.mark.parametrize("wait", [0, 0.01])
async def test_waiting_in_vain_is_proof_that_nothing_was_sent(links: Links, wait: float) -> None:
    pool = links.pool(1)
    held = await send(pool)
    with pytest.raises(httpx.PoolTimeout, match="all 1 connections were in use") as caught:
        await send(pool, wait=wait)
    assert classify_exception(caught.value, transport_fault=True) is FailureKind.NOT_SENT
    # Who gave up is not given what becomes free.
    await held.aclose()
    await (await send(pool, wait=0)).aclose()
    assert len(links.made) == 1


async def test_who_is_cancelled_while_waiting_takes_no_place_along(links: Links) -> None:
    pool = links.pool(1)
    held = await send(pool)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(send, pool))
        await anyio.wait_all_tasks_blocked()
        # It is given the place, and cancelled before it can take it.
        await held.aclose()
        group.cancel_scope.cancel()
    await (await send(pool, wait=0)).aclose()
    assert len(links.made) == 1


async def test_who_is_cancelled_while_sending_gives_the_place_back(links: Links) -> None:
    pool = links.pool(1)
    with anyio.move_on_after(0.01) as scope:
        await send(pool, f"{HERE}/never")
    assert scope.cancelled_caught
    await (await send(pool, wait=0)).aclose()
    assert len(links.made) == 1


async def test_who_is_cancelled_while_making_room_closes_what_was_idle(links: Links) -> None:
    pool = links.pool(1)
    await (await send(pool)).aclose()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await send(pool, THERE)
    assert links.made[0].closed
    await (await send(pool, THERE, wait=0)).aclose()
    assert len(links.open) == 1


async def test_what_fails_gives_its_place_back(links: Links) -> None:
    faults: list[Exception] = [OSError("no more files")]

    def make() -> Link:
        if faults:
            raise faults.pop()
        return links.make()

    pool = links.pool(1, make)
    with pytest.raises(OSError, match="no more files"):
        await send(pool)
    with pytest.raises(httpx.ReadError):
        await send(pool, f"{HERE}/lost", wait=0)
    await (await send(pool, wait=0)).aclose()
    assert len(links.made) == 1


async def test_what_nobody_used_for_long_is_closed(links: Links) -> None:
    pool = links.pool(3)
    answers = [await send(pool) for _ in range(3)]
    for answer in answers:
        await answer.aclose()
    links.now = 4
    await (await send(pool)).aclose()
    links.now = 6
    answer = await send(pool)
    assert [link.closed for link in links.made] == [True, True, False]
    # However long it is held: it is not idle.
    links.now = 100
    await answer.aclose()
    await (await send(pool)).aclose()
    assert len(links.made) == 3


async def test_closing_waits_for_nobody_and_interrupts_nobody(links: Links) -> None:
    pool = links.pool(2)
    held, idle = await send(pool), await send(pool)
    await idle.aclose()
    await pool.aclose()
    await pool.aclose()
    assert [link.closed for link in links.made] == [False, True]
    assert await held.aread() == b"[]"
    await held.aclose()
    assert links.open == []
    with pytest.raises(PoolClosedError):
        await send(pool)
    links.check()


async def test_closing_tells_everybody_who_waits(links: Links) -> None:
    pool = links.pool(1)
    held = await send(pool)
    told: list[PoolClosedError] = []

    async def wait() -> None:
        with pytest.raises(PoolClosedError) as caught:
            await send(pool)
        told.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await pool.aclose()
    assert len(told) == 3
    await held.aclose()
    assert links.open == []


async def test_many_tasks_and_origins_share_few_connections(links: Links) -> None:
    pool = links.pool(4)
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        for turn in range(100):
            answer = await send(pool, THERE if (number + turn) % 5 == 0 else HERE)
            most = max(most, sum(link.taken for link in links.made))
            await answer.aclose()

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(work, number)
    assert sum(len(link.origins) for link in links.made) == 16 * 100
    assert most <= 4
    assert len(links.open) <= 4
    assert all(len(set(link.origins)) == 1 for link in links.made)
    links.check()
