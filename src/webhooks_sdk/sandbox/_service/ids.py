"""IDs that are reproducible from a seed. Credentials and tokens never come from it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk.sandbox._storage.database import Database


def id_factory(seed: int | None, database: Database) -> Callable[[], UUID]:
    """Return a function that generates IDs.

    Args:
        seed: Makes the IDs reproducible; None for random ones.
        database: Where the IDs are stored. They also depend on what it already contains, so that
            they stay unique.
    """
    if seed is None:
        return uuid4
    row = database.row("SELECT ifnull(sum(seq), 0) FROM sqlite_sequence") or (0,)
    return _seeded_ids(f"ids {seed} {row[0]}")


def _seeded_ids(seed: str) -> Callable[[], UUID]:
    generator = random.Random(seed)  # noqa: S311 - not a secret
    return lambda: UUID(int=generator.getrandbits(128), version=4)
