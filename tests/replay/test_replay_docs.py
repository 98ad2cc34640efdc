"""What docs/replay.md says, done as a reader would do it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.replay import Journal
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "replay.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox, Subscriber() as subscriber:
        credentials = ClientCredentials(sandbox.client_id, sandbox.client_secret)
        with Client(credentials, base_url=sandbox.base_url, token_url=sandbox.token_url) as client:
            hook_id = client.hooks.create(url=subscriber.url, events=["*"], active=True).id
            subscriber.fail(503)
            missed = [sandbox.publish("application_form:quoted", {"n": n}) for n in range(5)]
            subscriber.recover()
            request_id = missed[0][0].event_id
            Path("missed.csv").write_text(f"{hook_id},{request_id}\n", encoding="utf-8")
            names = {"client": client, "hook_id": hook_id, "request_id": request_id}
            for block in BLOCKS:
                exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out
    assert "5 delivered; 5 requests in " in printed
    with Journal("outage.sqlite") as journal:
        assert {entry.status for entry in journal} == {"delivered"}
