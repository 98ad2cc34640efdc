"""What `import webhooks_sdk` costs beside `import httpx`, each time in a fresh interpreter."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import IMPORT_BASELINE, IMPORT_SDK, STARTUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.rounds import Contender, Figures


def import_contenders() -> Mapping[str, Contender]:
    return {
        STARTUP: partial(cpu_of_interpreter, "pass"),
        IMPORT_BASELINE: partial(cpu_of_interpreter, "import httpx"),
        IMPORT_SDK: partial(cpu_of_interpreter, "import webhooks_sdk"),
    }


def cpu_of_interpreter(statement: str) -> float:
    """Run a statement in an interpreter that no environment variable changes.

    Returns:
        The seconds of CPU, in user and system mode, from its start to its end.
    """
    # An isolated interpreter does not see PYTHONPATH, by which the SDK may have been found here.
    program = f"import sys; sys.path.append({str(folder_of_sdk())!r}); {statement}"
    before = cpu_of_children()
    subprocess.run([sys.executable, "-I", "-c", program], check=True)  # noqa: S603 - our own text
    return cpu_of_children() - before


def cpu_of_children() -> float:
    """Return the seconds of CPU of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def folder_of_sdk() -> Path:
    spec = find_spec("webhooks_sdk")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


def net_of_startup(figures: Figures) -> Figures:
    """Take the start-up of the interpreter from what each import took in the same round."""
    return {
        name: [taken - idle for taken, idle in zip(figures[name], figures[STARTUP], strict=True)]
        for name in (IMPORT_BASELINE, IMPORT_SDK)
    }
