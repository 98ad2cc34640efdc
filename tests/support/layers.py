"""The layers of the package, and the diagram of docs/architecture.md that shows them.

`make diagram` writes the diagram anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

from attrs import frozen

from support.import_graph import PACKAGE, SOURCE, unit_graph

DIAGRAM = Path(__file__).parents[2] / "docs" / "packages.svg"


@frozen
class Layer:
    """Entries of the package's folder that may import each other and those of lower layers.

    Attributes:
        name: What the layer is called.
        units: Its modules and packages.
        purpose: What is in it.
    """

    name: str
    units: tuple[str, ...]
    purpose: str


LAYERS: tuple[Layer, ...] = (
    Layer("wire", ("_version", "_public", "_lazy", "_wire"), "headers, decompression, masking"),
    Layer("errors", ("errors",), "the public exceptions"),
    Layer("models", ("_codec", "_models"), "JSON to frozen models and back"),
    Layer("operations", ("operations",), "each API operation, declared once"),
    Layer("core", ("_core",), "every decision of one call, pure"),
    Layer("transport", ("_transport",), "sends, waits, sleeps, locks; names httpx"),
    Layer("receiving", ("_receiving",), "raw request to verified delivery, pure"),
    Layer("replay", ("replay",), "many redeliveries, with a journal"),
    Layer(
        "clients",
        ("_hooks", "_async_hooks", "_client", "__init__"),
        "the public API, thin",
    ),
    Layer("programs", ("asgi", "wsgi", "sandbox"), "web adapters and the sandbox"),
)
"""Lowest layer first."""

_WIDTH, _ROW, _TOP, _BOX, _GAP = 1200, 56, 16, 36, 10
_UNITS_FROM, _PURPOSE_FROM = 116, 520
_CHARACTER = 8.2

_STYLE = """
    text { font: 14px system-ui, sans-serif; fill: #1f2328; }
    .name { font-weight: 600; }
    .unit { font: 13px ui-monospace, monospace; }
    .purpose { fill: #59636e; }
    .inside { font: 11px ui-monospace, monospace; fill: #59636e; }
    .row { fill: #f6f8fa; }
    .box { fill: #ffffff; stroke: #8c959f; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .purpose, .inside { fill: #9198a1; } .row { fill: #161b22; }
      .box { fill: #0d1117; stroke: #6e7681; }
    }
"""


def _contents(layer: Layer) -> str:
    """Return what is in the package of a layer: its subpackages, or else its modules."""
    for unit in layer.units:
        inside = sorted(set(unit_graph(f"{PACKAGE}.{unit}")) - {"__init__", "__main__"})
        if inside:
            packages = [name for name in inside if (SOURCE / unit / name).is_dir()]
            return "  ".join(packages or inside)
    return ""


def _row(layer: Layer, y: int) -> list[str]:
    middle = y + _ROW // 2 - 2
    inside = _contents(layer)
    purpose_at = middle - 4 if inside else middle + 5
    parts = [
        f'  <rect class="row" x="8" y="{y}" width="{_WIDTH - 16}" height="{_ROW - 6}" rx="6"/>',
        f'  <text class="name" x="20" y="{middle + 5}">{escape(layer.name)}</text>',
        (
            f'  <text class="purpose" x="{_PURPOSE_FROM}" y="{purpose_at}">'
            f"{escape(layer.purpose)}</text>"
        ),
        f'  <text class="inside" x="{_PURPOSE_FROM}" y="{middle + 14}">{escape(inside)}</text>',
    ]
    x = _UNITS_FROM
    for unit in layer.units:
        width = round(len(unit) * _CHARACTER) + 20
        parts += [
            (
                f'  <rect class="box" x="{x}" y="{middle - _BOX // 2}" width="{width}"'
                f' height="{_BOX}" rx="5"/>'
            ),
            f'  <text class="unit" x="{x + 10}" y="{middle + 5}">{escape(unit)}</text>',
        ]
        x += width + _GAP
    return parts


def diagram() -> str:
    """Return the diagram as SVG, the highest layer at the top."""
    height = _TOP * 2 + _ROW * len(LAYERS) + 20
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title">'
        ),
        (
            '  <title id="title">The layers of webhooks_sdk, highest first: each imports only from'
            " itself and from lower layers</title>"
        ),
        f"  <style>{_STYLE}  </style>",
    ]
    for number, layer in enumerate(reversed(LAYERS)):
        lines += _row(layer, _TOP + number * _ROW)
    lines += [
        (
            f'  <text class="purpose" x="20" y="{height - 14}">Each layer imports only from itself'
            " and from the layers below it.</text>"
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DIAGRAM.write_text(diagram(), encoding="utf-8")
    sys.stdout.write("docs/packages.svg has been written\n")
