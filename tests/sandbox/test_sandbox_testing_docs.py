"""The examples of docs/testing.md, run as the tests of one project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webhooks_sdk.sandbox import Variants

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"```python ?([\w.]*)\n(.*?)```", PAGE, re.DOTALL))


def test_every_example_has_a_file_name() -> None:
    assert all(name.endswith(".py") for name in BLOCKS)
    assert PAGE.count("```python") == len(BLOCKS)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name.startswith("test_")])
def test_the_examples_pass(pytester: pytest.Pytester, name: str) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error")
    for file in {name, *(other for other in BLOCKS if not other.startswith("test_"))}:
        (pytester.path / file).write_text(BLOCKS[file], encoding="utf-8")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=120)
    cases = len(Variants.names()) if name == "test_variants.py" else 1
    result.assert_outcomes(passed=BLOCKS[name].count("def test_") * cases)


def test_the_readme_example_passes(pytester: pytest.Pytester) -> None:
    (block,) = re.findall(r"```python\n([^`]*def test_[^`]*)```", README)
    pytester.makepyfile(block)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=120)
    result.assert_outcomes(passed=1)


def test_the_first_example_has_at_most_ten_lines() -> None:
    _, _, body = BLOCKS["test_recovery.py"].partition("def test_")
    assert len(body.strip().splitlines()) <= 11
