"""Alternating rounds, so that disturbances affect all benchmarks alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Benchmark: TypeAlias = Callable[[], float]
"""Runs one batch and returns the seconds per call."""

Timings: TypeAlias = Mapping[str, Sequence[float]]
"""The seconds per call of each benchmark, by round."""


def run_rounds(benchmarks: Mapping[str, Benchmark], rounds: int) -> Timings:
    """Run every benchmark once per round, in rotating order."""
    for benchmark in benchmarks.values():
        benchmark()  # opens connections, fills caches, compiles bytecode
    gc.collect()
    gc.freeze()  # what one benchmark loaded must not slow down another
    timings: dict[str, list[float]] = {name: [] for name in benchmarks}
    for number in range(rounds):
        for name in rotated(list(benchmarks), number):
            gc.collect()  # nor must its garbage
            timings[name].append(benchmarks[name]())
    gc.unfreeze()
    return timings


def rotated(names: Sequence[str], by: int) -> Sequence[str]:
    first = by % len(names)
    return [*names[first:], *names[:first]]


def ratios(timings: Timings, name: str, baseline: str) -> Sequence[float]:
    """Divide the time of a benchmark by that of the baseline in the same round."""
    pairs = zip(timings[name], timings[baseline], strict=True)
    return [seconds / baseline_seconds for seconds, baseline_seconds in pairs]
