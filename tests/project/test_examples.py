"""What the README and the examples say, done as a reader would do it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from webhooks_sdk import AsyncClient, Client, ClientCredentials
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from uuid import UUID

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_the_demo_holds_every_step() -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line[0] for line in done.stdout.splitlines() if "/8 " in line] == ["✓"] * 8


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_readme_runs(block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        Sandbox(client_id="my-id", client_secret="my-secret") as sandbox,
        Subscriber() as subscriber,
    ):
        hook_id, request_id = an_event(sandbox, subscriber)
        go_to_the_sandbox(monkeypatch, sandbox)
        names: dict[str, object] = {"hook_id": str(hook_id), "request_id": str(request_id)}
        with Client(ClientCredentials("my-id", "my-secret"), environment="staging") as client:
            names["client"] = client
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - our own README
        assert sandbox.requests
        made = names.get("client")
        if isinstance(made, Client):
            made.close()


def an_event(sandbox: Sandbox, subscriber: Subscriber) -> tuple[UUID, UUID]:
    with Client(
        ClientCredentials("my-id", "my-secret"),
        base_url=sandbox.base_url,
        token_url=sandbox.token_url,
    ) as client:
        hook = client.hooks.create(url=subscriber.url, events=["*"], active=True)
        (attempt,) = sandbox.publish("application_form:quoted", {})
        return hook.id, attempt.event_id


def go_to_the_sandbox(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """Let `environment="staging"` be the sandbox: no test may reach the service."""
    addresses = {"base_url": sandbox.base_url, "token_url": sandbox.token_url}
    for kind in (Client, AsyncClient):
        original = kind.__init__

        def at_the_sandbox(
            self: Client | AsyncClient,
            auth: str | ClientCredentials,
            *,
            original: object = original,
            **options: object,
        ) -> None:
            assert callable(original)
            options |= addresses if options.pop("environment", None) else {}
            if isinstance(auth, str):
                options.pop("token_url", None)
            original(self, auth, **options)

        monkeypatch.setattr(kind, "__init__", at_the_sandbox)


def test_no_test_can_reach_the_service() -> None:
    # The one above would hide it if the README named a host itself.
    hosts = {httpx.URL(url).host for url in re.findall(r"https?://[^\s`'\")]+", "".join(BLOCKS))}
    assert hosts <= {"example.com"}
