"""The examples of docs/replay.md, run in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.replay import Journal
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the page assumes: a client, and events that a subscriber missed."""
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox, Subscriber() as subscriber:
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            client.hooks.create(url=subscriber.url, events=["*"], active=True)
            subscriber.fail(503)
            missed = [sandbox.publish("application_form:quoted", {"id": n})[0] for n in range(3)]
            subscriber.recover()
            lines = [f"{event.hook_id},{event.event_id}\n" for event in missed]
            Path("missed.csv").write_text("".join(lines), "utf-8")
            yield {
                "client": client,
                "hook_id": missed[0].hook_id,
                "request_id": missed[0].event_id,
            }


def run(block: str, names: dict[str, Any]) -> None:
    exec(compile(block, "replay.md", "exec"), names)  # noqa: S102 - our own page


def test_all_examples_run(names: dict[str, Any]) -> None:
    for block in BLOCKS:
        run(block, names)
    assert names["report"].finished


def test_the_first_example_can_be_resumed(names: dict[str, Any]) -> None:
    run(BLOCKS[0], names)
    assert names["replay"].report.counts["delivered"] == 3
    run(BLOCKS[0], names)
    assert names["replay"].report.counts["skipped"] == 3
    with Journal("outage.sqlite") as journal:
        assert [entry.attempts for entry in journal] == [1, 1, 1]
