"""A process that runs a replay, to be killed. Prints the event id of each finished request.

Arguments: the journal, the file of targets, and `ReplayOptions` as JSON. The client is configured
by environment variables. With `"recover"` in the options, that window is recovered instead.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webhooks_sdk import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhooks_sdk.replay import Outcome


def main() -> None:
    journal, file, arguments = sys.argv[1:]
    options: dict[str, Any] = json.loads(arguments)
    is_async = options.pop("is_async")
    window = options.pop("recover", None)
    if window is not None:
        options |= {name: datetime.fromisoformat(window[name]) for name in ("since", "until")}
        options["hook_id"] = window["hook_id"]
    else:
        options["targets"] = read_targets(Path(file))
    options["journal"] = journal
    if is_async:
        asyncio.run(replay_async("recover" if window else "redeliver_many", options))
    else:
        replay("recover" if window else "redeliver_many", options)


def read_targets(file: Path) -> Iterator[tuple[str, str]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            hook_id, request_id = line.split()
            yield hook_id, request_id


def replay(method: str, options: dict[str, Any]) -> None:
    with Client.from_env(timeout=2) as client, getattr(client.hooks, method)(**options) as run:
        for outcome in run:
            print_finished(outcome)


async def replay_async(method: str, options: dict[str, Any]) -> None:
    client = AsyncClient.from_env(timeout=2)
    async with client, getattr(client.hooks, method)(**options) as run:
        async for outcome in run:
            print_finished(outcome)


def print_finished(outcome: Outcome) -> None:
    if outcome.status != "skipped":
        print(outcome.request_id, flush=True)  # noqa: T201 - read by the parent process


if __name__ == "__main__":
    main()
