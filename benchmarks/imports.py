"""The cost of `import webhooks_sdk` compared with `import httpx`, each in a new interpreter."""

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

    from benchmarks.rounds import Benchmark, Timings


def import_benchmarks() -> Mapping[str, Benchmark]:
    return {
        STARTUP: partial(measure_interpreter, "pass"),
        IMPORT_BASELINE: partial(measure_interpreter, "import httpx"),
        IMPORT_SDK: partial(measure_interpreter, "import webhooks_sdk"),
    }


def measure_interpreter(statement: str) -> float:
    """Run a statement in an isolated interpreter.

    Returns:
        The CPU time of the process in seconds, in user and system mode.
    """
    # An isolated interpreter ignores PYTHONPATH, so it may not find the SDK.
    program = f"import sys; sys.path.append({str(sdk_directory())!r}); {statement}"
    before = child_cpu_time()
    subprocess.run([sys.executable, "-I", "-c", program], check=True)  # noqa: S603 - a constant program
    return child_cpu_time() - before


def child_cpu_time() -> float:
    """Return the CPU time in seconds of all child processes that have exited."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def sdk_directory() -> Path:
    spec = find_spec("webhooks_sdk")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


def subtract_startup(timings: Timings) -> Timings:
    """Subtract the start-up time of the interpreter from the import time of the same round."""
    return {
        name: [
            total - startup for total, startup in zip(timings[name], timings[STARTUP], strict=True)
        ]
        for name in (IMPORT_BASELINE, IMPORT_SDK)
    }
