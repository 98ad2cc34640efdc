"""The set-up time of the pytest plugin's fixtures, measured in separate pytest processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.imports import sdk_directory

TESTS = 20

# The file imports the SDK, as any test file would, so that the import is not part of the set-up.
TEST_FILE = f"""
import pytest
import webhooks_sdk

@pytest.mark.parametrize("turn", range({TESTS}))
def test_nothing(turn, webhooks_sandbox, webhooks_subscriber):
    pass
"""

# Record the seconds that the set-up of the fixtures takes for each test.
CONFTEST = """
import json
import pathlib
import time
import pytest

durations = []

@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    durations.append(0.0)
    return (yield)

@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    started = time.perf_counter()
    try:
        return (yield)
    finally:
        if "webhooks" in fixturedef.argname:
            durations[-1] += time.perf_counter() - started

def pytest_sessionfinish():
    pathlib.Path("durations.json").write_text(json.dumps(durations))
"""


class SetUpTimes(NamedTuple):
    """The set-up time of both fixtures, in seconds of real time.

    Attributes:
        first: For the first test of each session, including the import of the sandbox.
        further: For each other test.
    """

    first: list[float]
    further: list[float]


def measure_set_ups(sessions: int) -> SetUpTimes:
    run_session()  # compiles bytecode
    times = SetUpTimes([], [])
    for _ in range(sessions):
        first, *further = run_session()
        times.first.append(first)
        times.further.extend(further)
    return times


def run_session() -> list[float]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "conftest.py").write_text(CONFTEST)
        (directory / "test_nothing.py").write_text(TEST_FILE)
        # Load no plugins except anyio's, which the SDK requires: others may import the sandbox's
        # dependencies.
        options = ["-q", "-p", "no:cacheprovider", "-p", "anyio", "-p", "pytest_webhooks_sdk"]
        # No environment variable may change what is measured.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PY")
        }
        environment |= {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(sdk_directory()),
        }
        completed = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-m", "pytest", *options],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode != 0:
            raise RuntimeError(
                f"The tests that use the fixtures failed.\n{completed.stdout}{completed.stderr}"
            )
        durations: list[float] = json.loads((directory / "durations.json").read_text())
    return durations
