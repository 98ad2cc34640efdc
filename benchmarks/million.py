"""Memory use and throughput of a replay of a million targets, compared with ten thousand.

    python -m benchmarks.million [number]

Each replay runs in its own process, with targets from a generator, a journal on disk, and a `send`
that returns at once, so only the engine is measured.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.event import EVENT_JSON
from benchmarks.replays import IN_FLIGHT, targets
from webhooks_sdk import WebhookEvent
from webhooks_sdk.replay import AsyncReplay, ReplayOptions

if TYPE_CHECKING:
    from webhooks_sdk.replay import Target

FEW = 10_000
MANY = 1_000_000
MAX_GROWTH = 64  # megabytes
EVENT = WebhookEvent.from_dict(json.loads(EVENT_JSON))


def main(many: int) -> None:
    results = {number: measure(number) for number in (FEW, many)}
    for number, (megabytes, rate) in results.items():
        print(f"{number:>9} targets: {megabytes:6.1f} MB peak, {rate:6.0f} per second")
    (small, small_rate), (large, large_rate) = results.values()
    print(
        f"{large - small:+.1f} MB (at most +{MAX_GROWTH}), {large_rate / small_rate:.2f}x the rate"
    )


def measure(number: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.million", "--in-this-process", str(number)]
    completed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this interpreter
    megabytes, rate = json.loads(completed.stdout)
    return megabytes, rate


async def replay(number: int) -> tuple[float, float]:
    async def send(_: Target) -> WebhookEvent:
        await asyncio.sleep(0)
        return EVENT

    with tempfile.TemporaryDirectory(prefix="webhooks-sdk-bench-") as directory:
        options = ReplayOptions(journal=Path(directory) / "journal.sqlite", concurrency=IN_FLIGHT)
        async with AsyncReplay(
            send, targets(number), base_url="http://127.0.0.1", options=options
        ) as run:
            report = await run.run()
    assert report.done == number
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return megabytes, number / report.duration.total_seconds()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-this-process"]:
        print(json.dumps(asyncio.run(replay(int(sys.argv[2])))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else MANY)
