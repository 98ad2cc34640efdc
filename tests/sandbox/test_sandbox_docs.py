"""Run the examples of docs/sandbox.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from webhooks_sdk import Client, ClientCredentials
from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from webhooks_sdk.sandbox import Tenant

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def client_of(tenant: Tenant) -> Client:
    credentials = ClientCredentials(tenant.client_id, tenant.client_secret)
    return Client(credentials, base_url=tenant.base_url, token_url=tenant.token_url)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {
        "Sandbox": Sandbox,
        "Subscriber": Subscriber,
        "client_of": client_of,
    }
    exec(compile(block, "sandbox.md", "exec"), names)  # noqa: S102 - trusted code
    for name, value in names.items():
        if name.startswith("test_") and callable(value):
            value("default")


def test_first_example_prints_its_comment(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "sandbox.md", "exec"), {})  # noqa: S102 - trusted code
    assert capsys.readouterr().out == "2 True\n"
