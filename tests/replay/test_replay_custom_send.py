"""The example of a custom `send` function in docs/replay.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.replay import Journal
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text("utf-8")


def test_the_example_of_a_custom_send_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = PAGE.partition("## More than one machine")[2]
    [block] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with (
        Sandbox() as sandbox,
        Subscriber() as subscriber,
        Client(
            ClientCredentials(sandbox.client_id, sandbox.client_secret),
            base_url=sandbox.base_url,
            token_url=sandbox.token_url,
        ) as client,
    ):
        hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
        [missed] = sandbox.publish("application_form:quoted", {})
        names = {"client": client, "hook_id": hook.id, "request_id": missed.event_id}
        exec(compile(block, "replay.md", "exec"), names)  # noqa: S102 - our own page
        assert [attempt.redelivery for attempt in sandbox.attempts] == [False, True]
    with Journal("cluster.sqlite") as journal:
        assert journal.counts["delivered"] == 1
    assert "1 delivered" in capsys.readouterr().out
