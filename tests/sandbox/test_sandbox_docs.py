"""Run the examples of docs/sandbox.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webhooks_sdk.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"Sandbox": Sandbox}
    exec(compile(block, "sandbox.md", "exec"), names)  # noqa: S102 - trusted code
    for name, value in names.items():
        if name.startswith("test_") and callable(value):
            value("default")


def test_first_example_prints_its_comment(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "sandbox.md", "exec"), {})  # noqa: S102 - trusted code
    assert capsys.readouterr().out == "2 True\n"
