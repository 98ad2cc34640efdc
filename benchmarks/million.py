"""How much memory a replay of a million takes beside one of ten thousand, and at which rate.

    python -m benchmarks.million [number]

Each runs in a process of its own, with its targets from a generator, a journal on disk, and a
`send` that answers at once: what is measured is the engine, at the highest rate it can reach.
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
MOST_MORE = 64  # megabytes
ANSWER = WebhookEvent.from_dict(json.loads(EVENT_JSON))


def main(many: int) -> None:
    figures = {number: measured(number) for number in (FEW, many)}
    for number, (megabytes, rate) in figures.items():
        print(f"{number:>9} targets: {megabytes:6.1f} MB at most, {rate:6.0f} a second")
    (small, slow), (large, fast) = figures.values()
    print(f"{large - small:+.1f} MB (at most +{MOST_MORE}), {fast / slow:.2f} of the rate")


def measured(number: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.million", "--in-this-process", str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this interpreter
    megabytes, rate = json.loads(done.stdout)
    return megabytes, rate


async def replay(number: int) -> tuple[float, float]:
    async def send(_: Target) -> WebhookEvent:
        await asyncio.sleep(0)
        return ANSWER

    with tempfile.TemporaryDirectory(prefix="webhooks-sdk-bench-") as folder:
        options = ReplayOptions(journal=Path(folder) / "journal.sqlite", concurrency=IN_FLIGHT)
        async with AsyncReplay(
            send, targets(number), base_url="http://127.0.0.1", options=options
        ) as run:
            report = await run.run()
    assert report.total == number
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return megabytes, number / report.duration.total_seconds()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-this-process"]:
        print(json.dumps(asyncio.run(replay(int(sys.argv[2])))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else MANY)
