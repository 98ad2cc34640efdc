"""Randomness that a seed can make repeatable. Credentials and tokens are never made of it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk.sandbox._storage.database import Database


def id_source(seed: int | None, database: Database) -> Callable[[], UUID]:
    """Return what makes new ids.

    Args:
        seed: What they follow from; None for ids that nobody can repeat.
        database: Where they go. One that has something in it gives other ids than an empty one.
    """
    if seed is None:
        return uuid4
    row = database.row("SELECT ifnull(sum(seq), 0) FROM sqlite_sequence") or (0,)
    return ids(f"ids {seed} {row[0]}")


def ids(seed: str) -> Callable[[], UUID]:
    """Return what makes the same ids in the same order for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    return lambda: UUID(int=draw.getrandbits(128), version=4)
