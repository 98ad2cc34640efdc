"""What the tests of the OpenAPI document share: the document, and what its requests are about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox_helpers import EVENT

from webhooks_sdk.sandbox._openapi import read_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhooks_sdk.sandbox import Sandbox, Subscriber

DOCUMENT: dict[str, Any] = json.loads(read_document())
METHODS = ("get", "put", "post", "delete", "patch")


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]
