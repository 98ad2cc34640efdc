"""The layers of docs/architecture.md: imports point down, without cycles; pure code is pure."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from support.import_graph import (
    MODULES,
    PACKAGE,
    describe,
    find_cycle,
    folders,
    import_graph,
    imports_of,
    unit_graph,
    unit_of,
)
from support.layers import DIAGRAM, LAYERS, diagram

import webhooks_sdk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LAYER_OF = {unit: number for number, layer in enumerate(LAYERS) for unit in layer.units}

KNOWS_HTTP_LIBRARIES = ("_transport", "_client", "sandbox")
HTTP_LIBRARIES = {"aiohttp", "h11", "httpcore", "httpx", "httpx2", "requests", "urllib3"}

PURE = (
    "_wire",
    "errors",
    "_codec",
    "_models",
    "operations",
    "_core",
    "_receiving",
    "replay._throttling",
    "replay._options",
    "replay._outcomes",
    "replay._recovery",
    "replay._report",
    "replay._targets",
    "replay._undelivered",
    "replay._engine.scheduler",
    "replay._engine.resuming",
    "replay._engine.run",
)
IMPURE = {
    "anyio",
    "asyncio",
    "concurrent",
    "select",
    "selectors",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "trio",
}
IMPURE_FOR_A_REASON = {
    "_core.clock": {"time"},  # refers to the system's clock, and does not read it
    "_core.retries": {"socket", "ssl"},  # the classes of exceptions
}


def modules_in(places: Iterable[str]) -> list[str]:
    """Return the modules at or below the given dotted names, relative to the package."""
    prefixes = tuple(f"{PACKAGE}.{place}" for place in places)
    return [
        module
        for module in MODULES
        if module in prefixes or module.startswith(tuple(f"{prefix}." for prefix in prefixes))
    ]


def libraries_of(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(MODULES[module])}


def test_every_entry_of_the_package_belongs_to_a_layer() -> None:
    assert set(unit_graph(PACKAGE)) == set(LAYER_OF)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module: str) -> None:
    unit = unit_of(module, PACKAGE)
    assert unit is not None
    higher = {
        other
        for other in import_graph()[module]
        if LAYER_OF[unit_of(other, PACKAGE) or ""] > LAYER_OF[unit]
    }
    assert higher == set()


def test_modules_do_not_import_each_other_in_a_cycle() -> None:
    assert find_cycle(import_graph()) == []


@pytest.mark.parametrize("folder", folders())
def test_the_entries_of_a_folder_do_not_import_each_other_in_a_cycle(folder: str) -> None:
    assert find_cycle(unit_graph(folder)) == []


def test_cycles_and_type_checking_imports_are_found(tmp_path: Path) -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "from webhooks_sdk import errors\n"
        "if TYPE_CHECKING:\n    from webhooks_sdk._core.call import Call\n"
        "def later():\n    import webhooks_sdk.replay\n"
    )
    assert set(imports_of(source)) == {
        "typing.TYPE_CHECKING",
        "webhooks_sdk.errors",
        "webhooks_sdk._core.call.Call",
        "webhooks_sdk.replay",
    }


@pytest.mark.parametrize("module", sorted(set(MODULES) - set(modules_in(KNOWS_HTTP_LIBRARIES))))
def test_only_the_transport_and_the_clients_name_an_http_library(module: str) -> None:
    assert libraries_of(module) & HTTP_LIBRARIES == set()


@pytest.mark.parametrize("module", modules_in(PURE))
def test_decisions_are_pure(module: str) -> None:
    allowed = IMPURE_FOR_A_REASON.get(module.removeprefix(f"{PACKAGE}."), set())
    assert libraries_of(module) & IMPURE <= allowed


@pytest.mark.parametrize("module", modules_in(["sandbox._service"]))
def test_the_simulated_service_opens_no_sockets(module: str) -> None:
    banned = {"h11", "socket", "sqlite3", "ssl", "starlette", "uvicorn"}
    assert libraries_of(module) & banned == set()


def test_only_the_root_and_the_command_import_the_sandbox_class() -> None:
    target = f"{PACKAGE}.sandbox._sandbox"
    importing = {module for module, imported in import_graph().items() if target in imported}
    assert importing <= {f"{PACKAGE}.sandbox.__init__", f"{PACKAGE}.sandbox.__main__"}


def test_only_named_modules_are_public() -> None:
    public = {unit for unit in LAYER_OF if not unit.startswith("_")}
    assert public == {"asgi", "errors", "operations", "replay", "sandbox", "wsgi"}


def test_the_headers_of_a_delivery_are_named_in_one_place() -> None:
    naming = [
        module
        for module, path in MODULES.items()
        if re.search("x-emperor|x-signature", path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert naming == [f"{PACKAGE}._receiving.signing"]


def test_importing_the_package_loads_what_one_call_needs() -> None:
    # A measurement of coverage has its own imports.
    script = "import sys; old = set(sys.modules); import webhooks_sdk; print(*{*sys.modules} - old)"
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert PACKAGE in loaded
    unneeded = ("replay", "sandbox", "asgi", "wsgi", "_receiving.app", "_transport.retrying")
    prefixes = tuple(f"{PACKAGE}.{name}" for name in unneeded)
    assert {name for name in loaded if name.startswith(prefixes)} == set()
    assert loaded & {"starlette", "uvicorn", "tenacity", "cattrs", "sqlite3"} == set()


def test_the_graph_can_be_printed() -> None:
    lines = list(describe(PACKAGE))
    assert lines[0] == PACKAGE
    assert any(re.fullmatch(r" +\d+  _transport +-> .*_core.*", line) for line in lines)


def test_the_version_is_the_packages() -> None:
    assert version("webhooks-sdk") == webhooks_sdk.__version__


def test_the_documentation_shows_these_layers() -> None:
    assert DIAGRAM.read_text(encoding="utf-8") == diagram(), "run: make diagram"
    page = (DIAGRAM.parent / "architecture.md").read_text(encoding="utf-8")
    for layer in LAYERS:
        for unit in layer.units:
            assert f"`{unit}" in page, unit
