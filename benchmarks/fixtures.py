"""How long a test waits for the fixtures of the pytest plugin, each time in a pytest of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.imports import folder_of_sdk

TESTS = 20

# What a test file imports anyway is no part of the set-up: the SDK itself.
TEST_FILE = f"""
import pytest
import webhooks_sdk

@pytest.mark.parametrize("turn", range({TESTS}))
def test_nothing(turn, webhooks_sandbox, webhooks_subscriber):
    pass
"""

# For each test, the seconds that all its fixtures took to set up.
CONFTEST = """
import json
import pathlib
import time
import pytest

taken = []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    taken.append(0.0)
    return (yield)

@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    started = time.perf_counter()
    try:
        return (yield)
    finally:
        if "webhooks" in fixturedef.argname:
            taken[-1] += time.perf_counter() - started

def pytest_sessionfinish():
    pathlib.Path("taken.json").write_text(json.dumps(taken))
"""


class SetUps(NamedTuple):
    """Seconds of the wall clock until both fixtures are there.

    Attributes:
        first: For the first test of each session, the import of the sandbox included.
        further: For every other test.
    """

    first: list[float]
    further: list[float]


def fixture_set_ups(sessions: int) -> SetUps:
    set_ups_of_one_session()  # writes bytecode
    found = SetUps([], [])
    for _ in range(sessions):
        first, *further = set_ups_of_one_session()
        found.first.append(first)
        found.further.extend(further)
    return found


def set_ups_of_one_session() -> list[float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_nothing.py").write_text(TEST_FILE)
        # Of other plugins there is only that of anyio, which comes with the SDK: others may import
        # by themselves what the sandbox needs.
        options = ["-q", "-p", "no:cacheprovider", "-p", "anyio", "-p", "pytest_webhooks_sdk"]
        # Nor does an environment variable change anything.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PY")
        }
        environment |= {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(folder_of_sdk()),
        }
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"The tests of the fixtures failed.\n{done.stdout}{done.stderr}")
        taken: list[float] = json.loads((folder / "taken.json").read_text())
    return taken
