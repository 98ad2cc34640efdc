"""A replay, with and without a journal, compared with 32 hand-written workers."""

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

from benchmarks.calls import TOKEN
from benchmarks.event import HOOK_ID
from benchmarks.report import REPLAY_BASELINE, REPLAY_SDK, REPLAY_WITHOUT_JOURNAL
from webhooks_sdk import AsyncClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping

    from benchmarks.rounds import Benchmark

HOOK = UUID(HOOK_ID)
IN_FLIGHT = 32


def targets(number: int) -> Iterator[tuple[UUID, UUID]]:
    return ((HOOK, UUID(int=n)) for n in range(number))


@contextmanager
def replay_benchmarks(base_url: str, number: int) -> Generator[Mapping[str, Benchmark]]:
    """Yield the benchmarks; each returns the seconds per redelivery of a replay of `number`."""
    with asyncio.Runner() as runner:
        httpx_client = httpx.AsyncClient()
        client = AsyncClient(TOKEN, base_url=base_url)

        def benchmark(run: Callable[[], Awaitable[None]]) -> Benchmark:
            async def timed() -> float:
                started = time.perf_counter()
                await run()
                return (time.perf_counter() - started) / number

            return lambda: runner.run(timed())

        try:
            yield {
                REPLAY_BASELINE: benchmark(lambda: with_workers(httpx_client, base_url, number)),
                REPLAY_WITHOUT_JOURNAL: benchmark(lambda: without_journal(client, number)),
                REPLAY_SDK: benchmark(lambda: with_journal(client, number)),
            }
        finally:
            runner.run(httpx_client.aclose())
            runner.run(client.aclose())


async def with_workers(client: httpx.AsyncClient, base_url: str, number: int) -> None:
    """Redeliver without the SDK, and without keeping a record."""
    remaining = targets(number)
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def work() -> None:
        for hook_id, request_id in remaining:
            url = f"{base_url}/hooks/{hook_id}/requests/{request_id}/redeliver"
            (await client.post(url, headers=headers)).json()

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


async def with_journal(client: AsyncClient, number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="webhooks-sdk-bench-") as directory:
        await replay(client, number, Path(directory) / "journal.sqlite")


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
    """Records nothing, so the replay cannot be resumed. For comparison only."""

    plan = None
    run = 1
    temporary = True
    path = None

    @classmethod
    def open(cls, *_: object, **__: object) -> NoJournal:
        return cls()

    def counts(self) -> dict[str, int]:
        return {}

    def record_first_intent(self, *_: object) -> bool:
        return True

    def count_unseen(self) -> int:
        return 0

    def unresolved(self) -> tuple[()]:
        return ()

    def unseen(self) -> Iterator[object]:
        return iter(())

    def do_nothing(self, *_: object, **__: object) -> None:
        """Accept any arguments and do nothing."""

    # Named one by one, so that a renamed method of the journal fails here.
    close = find = record_outcome = postpone = mark_seen = do_nothing
    record_intent = cancel_intent = begin_batch = flush = do_nothing
