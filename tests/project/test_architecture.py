"""The house as docs/architecture.md describes it: an import goes down, never in a circle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import webhooks_sdk

SOURCE = Path(webhooks_sdk.__file__).parent

FLOORS = {
    0: {"_codec", "_environments", "_headers", "_models", "_redaction", "_version", "errors"},
    1: {
        "_answers",
        "_auth",
        "_bodies",
        "_breaker",
        "_call",
        "_deliveries",
        "_durations",
        "_pace",
        "_receiving",
        "_resending",
        "_retries",
        "_routing",
        "_signals",
        "_signing",
        "_window",
        "operations",
    },
    2: {
        "_async_connection_pool",
        "_async_driver",
        "_async_http",
        "_connection_pool",
        "_driver",
        "_sync_driver",
        "_sync_http",
    },
    3: {"replay"},
    4: {"__init__", "_arguments", "_async_hooks", "_client", "_hooks"},
    5: {"asgi", "sandbox", "wsgi"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
PURE_IN_SANDBOX = {
    "_behaviour",
    "_control_rows",
    "_faults",
    "_guard",
    "_outgoing",
    "_received",
    "_refusals",
    "_routes",
    "_rows",
    "_rules",
    "_schedule",
    "_story_events",
    "_timeline",
    "_variants",
    "inspector/_chart",
    "inspector/_filters",
    "inspector/_formatting",
    "inspector/_forms",
    "inspector/_notices",
    "inspector/_payload",
    "inspector/_samples",
    "inspector/_signature",
}
IMPURE = {"asyncio", "h11", "socket", "sqlite3", "ssl", "starlette", "threading", "time", "uvicorn"}
HTTP_LIBRARIES = {"httpx", "httpcore", "h11", "anyio"}


def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in SOURCE.rglob("*.py"):
        found.setdefault(path.relative_to(SOURCE).parts[0].removesuffix(".py"), []).append(path)
    return found


def imports(path: Path) -> set[str]:
    """The modules that a file imports, those for type checkers alone included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imported_rooms(room: str) -> set[str]:
    names = {name for path in rooms()[room] for name in imports(path)}
    inside = {name.split(".")[1] for name in names if name.startswith("webhooks_sdk.")}
    return (inside & FLOOR_OF.keys()) - {room}


def test_every_room_has_a_floor() -> None:
    assert set(rooms()) == set(FLOOR_OF)


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_imports_go_down(room: str) -> None:
    seen = imported_rooms(room)
    assert {other for other in seen if FLOOR_OF[other] > FLOOR_OF[room]} == set()


def test_no_circle() -> None:
    below = {room: imported_rooms(room) for room in FLOOR_OF}
    while True:
        free = {room for room, others in below.items() if not others}
        if not free:
            break
        below = {room: others - free for room, others in below.items() if room not in free}
    assert below == {}


@pytest.mark.parametrize("room", sorted(FLOORS[0] | FLOORS[1]))
def test_no_decision_knows_an_http_library(room: str) -> None:
    used = {name.split(".")[0] for path in rooms()[room] for name in imports(path)}
    assert used & HTTP_LIBRARIES == set()


@pytest.mark.parametrize("room", sorted(PURE_IN_SANDBOX))
def test_the_rules_of_the_sandbox_do_no_io(room: str) -> None:
    path = SOURCE / "sandbox" / f"{room}.py"
    assert {name.split(".")[0] for name in imports(path)} & IMPURE == set()


def test_only_named_modules_are_public() -> None:
    public = {room for room in rooms() if not room.startswith("_")}
    assert public == {"asgi", "errors", "operations", "replay", "sandbox", "wsgi"}


def test_the_headers_of_a_delivery_are_named_in_one_place() -> None:
    naming = [
        path.name
        for path in SOURCE.rglob("*.py")
        if re.search("x-emperor|x-signature", path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert naming == ["_signing.py"]


def test_importing_loads_no_program_and_nothing_that_only_a_failure_needs() -> None:
    script = "import sys, webhooks_sdk; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "webhooks_sdk" in loaded
    programs = {f"webhooks_sdk.{room}" for room in FLOORS[5] | FLOORS[3] | {"_receiving"}}
    assert {name for name in loaded if name.startswith(tuple(programs))} == set()
    assert loaded & {"starlette", "uvicorn", "tenacity", "cattrs"} == set()


def test_the_version_is_the_packages() -> None:
    assert version("webhooks-sdk") == webhooks_sdk.__version__


def test_everything_public_has_a_docstring_and_is_exported() -> None:
    for name in webhooks_sdk.__all__:
        exported = getattr(webhooks_sdk, name)
        if isinstance(exported, type):
            assert (exported.__doc__ or "").strip(), name
