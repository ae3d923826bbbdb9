"""Retrieve jobs that lose nothing: kills, what state rows cost, cancelling, and a soak. Each part runs alone, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cancelling, killing, soaking, state_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of it.

    Attributes
    ----------
    kills
        Times that the worker is killed.
    minutes
        Of the soak.
    rounds
        Repetitions of a cancel.
    """

    kills: int = 200
    minutes: float = 20.0
    rounds: int = 5


PARTS: Mapping[str, Callable[[Path, Extent], Iterator[str]]] = {
    "kills": lambda folder, extent: killing.measure(folder, kills=extent.kills),
    "rows": lambda folder, _: state_rows.measure(folder),
    "cancel": lambda folder, extent: cancelling.measure(folder, rounds=extent.rounds),
    "soak": lambda folder, extent: soaking.measure(folder, minutes=extent.minutes),
}


def measure(folder: Path, extent: Extent, *, parts: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the lines of the parts that are asked for, all without."""
    for name in parts or tuple(PARTS):
        yield from PARTS[name](folder / name, extent)
