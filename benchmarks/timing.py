"""Runs candidates in turn, so that a noisy moment of the machine meets all of them, and compares medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Median seconds of each candidate of one piece of work, ours first.

    Attributes
    ----------
    goals
        By candidate: how many times its speed ours must reach; None where that is shown but not judged.
    notes
        By candidate that is not judged: why not.
    """

    work: str
    seconds: Mapping[str, float]
    goals: Mapping[str, float | None]
    notes: Mapping[str, str] = field(default_factory=dict)

    def ratio(self, peer: str) -> float:
        """How many times as fast as a peer we are."""
        ours, *_ = self.seconds.values()
        return self.seconds[peer] / ours


def in_turn(candidates: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, float]:
    """Return the median seconds of each candidate; each round runs all, the first round warms up and is dropped.

    Parameters
    ----------
    candidates
        Each does the work once and returns the seconds that count.
    """
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            seconds = run()
            if turn:
                seen[name].append(seconds)
    return {name: median(seconds) for name, seconds in seen.items()}


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
