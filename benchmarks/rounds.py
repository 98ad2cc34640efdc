"""Alternating rounds: what disturbs the machine disturbs all contenders alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Contender: TypeAlias = Callable[[], float]
"""Runs one batch and returns the seconds of CPU that one call of it took."""

Figures: TypeAlias = Mapping[str, Sequence[float]]
"""What each contender took, round by round."""


def alternate(contenders: Mapping[str, Contender], rounds: int) -> Figures:
    """Run every contender once a round, each round beginning with another one."""
    for contender in contenders.values():
        contender()  # opens connections, fills caches, writes bytecode
    gc.collect()
    gc.freeze()  # nobody pays for what another has loaded
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in rotated(list(contenders), number):
            gc.collect()  # nor for another's garbage
            figures[name].append(contenders[name]())
    gc.unfreeze()
    return figures


def rotated(names: Sequence[str], by: int) -> Sequence[str]:
    first = by % len(names)
    return [*names[first:], *names[:first]]


def ratios(figures: Figures, name: str, baseline: str) -> Sequence[float]:
    """Divide what a contender took by what the baseline took in the same round."""
    pairs = zip(figures[name], figures[baseline], strict=True)
    return [taken / of_baseline for taken, of_baseline in pairs]
