"""Many redeliveries: the engine beside 32 workers written by hand, with its journal and without."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch
from uuid import UUID

import httpx

from benchmarks.contenders import TOKEN
from benchmarks.event import HOOK_ID
from benchmarks.report import REPLAY_BASELINE, REPLAY_SDK, REPLAY_WITHOUT
from webhooks_sdk import AsyncClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping

    from benchmarks.rounds import Contender

HOOK = UUID(HOOK_ID)
IN_FLIGHT = 32


def targets(number: int) -> Iterator[tuple[UUID, UUID]]:
    return ((HOOK, UUID(int=n)) for n in range(number))


@contextmanager
def replay_contenders(base_url: str, number: int) -> Generator[Mapping[str, Contender]]:
    """Yield what is compared; each takes the seconds of one redelivery of so many."""
    with asyncio.Runner() as runner:
        plain = httpx.AsyncClient()
        client = AsyncClient(TOKEN, base_url=base_url)

        def contender(run: Callable[[], Awaitable[None]]) -> Contender:
            async def timed() -> float:
                began = time.perf_counter()
                await run()
                return (time.perf_counter() - began) / number

            return lambda: runner.run(timed())

        try:
            yield {
                REPLAY_BASELINE: contender(lambda: by_hand(plain, base_url, number)),
                REPLAY_WITHOUT: contender(lambda: without_journal(client, number)),
                REPLAY_SDK: contender(lambda: with_journal(client, number)),
            }
        finally:
            runner.run(plain.aclose())
            runner.run(client.aclose())


async def by_hand(client: httpx.AsyncClient, base_url: str, number: int) -> None:
    """Do what an application does that has no SDK, and keeps no books."""
    left = targets(number)
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def work() -> None:
        for hook_id, request_id in left:
            url = f"{base_url}/hooks/{hook_id}/requests/{request_id}/redeliver"
            (await client.post(url, headers=headers)).json()

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


async def with_journal(client: AsyncClient, number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="webhooks-sdk-bench-") as folder:
        await replay(client, number, Path(folder) / "journal.sqlite")


async def without_journal(client: AsyncClient, number: int) -> None:
    with patch("webhooks_sdk.replay._engine.run.JournalWriter", NoJournal):
        await replay(client, number, None)


async def replay(client: AsyncClient, number: int, journal: Path | None) -> None:
    async with client.hooks.redeliver_many(
        targets(number), journal=journal, concurrency=IN_FLIGHT
    ) as run:
        report = await run.run()
    assert report.counts["delivered"] == number


class NoJournal:
    """Keeps no books: only for the comparison, since nothing could be resumed."""

    plan = None
    run = 1
    temporary = True
    path = None

    @classmethod
    def open(cls, *_: object, **__: object) -> NoJournal:
        return cls()

    def counts(self) -> dict[str, int]:
        return {}

    def __getattr__(self, _: str) -> Callable[..., None]:
        return nothing

    def add(self, *_: object) -> bool:
        return True

    def unresolved(self) -> tuple[()]:
        return ()

    def unseen(self) -> Iterator[object]:
        return iter(())


def nothing(*_: object, **__: object) -> None:
    """Do nothing, quickly."""
