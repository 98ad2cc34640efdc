"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from inspector_helpers import write_history

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def long_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a sandbox with more than ten thousand attempts."""
    path = tmp_path_factory.mktemp("history") / "state.sqlite"
    write_history(path, events=3_400)
    return path
