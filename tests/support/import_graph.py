"""The imports between the modules of the package, read from the source.

Imports in functions and under `TYPE_CHECKING` count as well. `make graph` prints what `main` does.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import webhooks_sdk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = "webhooks_sdk"
SOURCE = Path(webhooks_sdk.__file__).parent


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name, `__init__` modules included.

    An `__init__` module is listed as `package.__init__`, so that it differs from the package.
    """
    return {
        ".".join((PACKAGE, *path.relative_to(SOURCE).with_suffix("").parts)): path
        for path in sorted(SOURCE.rglob("*.py"))
    }


MODULES = modules()


def imports_of(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, whatever package they belong to."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_named(name: str) -> str | None:
    """Return the module of the package that an imported name belongs to, None if it has none."""
    while name.partition(".")[0] == PACKAGE:
        for candidate in (name, f"{name}.__init__"):
            if candidate in MODULES:
                return candidate
        name = name.rpartition(".")[0]
    return None


@cache
def import_graph() -> dict[str, set[str]]:
    """Return, for each module, the modules of the package that it imports."""
    return {
        module: {
            found
            for name in imports_of(path)
            if (found := module_named(name)) is not None and found != module
        }
        for module, path in MODULES.items()
    }


def find_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the nodes of a cycle, empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def unit_of(module: str, folder: str) -> str | None:
    """Return the entry of a folder's listing that holds a module, None if it is elsewhere."""
    prefix = f"{folder}."
    return module.removeprefix(prefix).partition(".")[0] if module.startswith(prefix) else None


def unit_graph(folder: str) -> dict[str, set[str]]:
    """Return the imports between the entries of a folder: its modules and packages as units.

    Args:
        folder: The dotted name of a package, such as `webhooks_sdk.replay`.
    """
    graph: dict[str, set[str]] = defaultdict(set)
    for module, imported in import_graph().items():
        unit = unit_of(module, folder)
        if unit is None:
            continue
        others = {unit_of(other, folder) for other in imported}
        graph[unit] |= {other for other in others if other is not None} - {unit}
    return dict(graph)


def folders() -> list[str]:
    """Return the dotted names of all packages, the top one included."""
    return sorted({module.rpartition(".")[0] for module in MODULES})


def layers_of(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the nodes in layers, lowest first: each imports only from layers below its own."""
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    layers: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        layers.append(ready)
        sorter.done(*ready)
    return layers


def describe(folder: str) -> Iterator[str]:
    """Yield the lines that show a folder: its layers from the top down, and what each imports."""
    graph = unit_graph(folder)
    if len(graph) == 1:
        return
    yield f"{folder}"
    width = max(map(len, graph))
    for number, layer in reversed(list(enumerate(layers_of(graph), start=1))):
        for unit in layer:
            arrow = f"-> {', '.join(sorted(graph[unit]))}" if graph[unit] else ""
            yield f"  {number:2}  {unit:{width}}  {arrow}".rstrip()
    yield ""


def main() -> None:
    for folder in folders():
        sys.stdout.writelines(f"{line}\n" for line in describe(folder))


if __name__ == "__main__":
    main()
