"""What an answer holds and what it would cost to fetch, in words."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from qrkit.jobs.estimate import Estimate
from qrkit.words import counted, volume

_KINDS = 6


def cost_in_words(cost: Estimate) -> str:
    """Return objects, size and time, as far as they are known, and what is not.

    >>> cost_in_words(Estimate(objects=300, bytes=150_000_000, seconds=80.0))
    'about 300 objects, 150.0 MB, 1 min'
    >>> cost_in_words(Estimate(objects=300, bytes=None, seconds=None, uncounted=2))
    'about 300 objects and 2 of unknown number; size not known, since nothing like it was fetched yet'
    >>> cost_in_words(Estimate(objects=None, bytes=None, seconds=None, uncounted=2))
    'the node does not say how many objects'
    """
    if cost.objects is None:
        return "the node does not say how many objects"
    objects = f"about {counted(cost.objects, 'object')}"
    if cost.uncounted:
        objects += f" and {cost.uncounted:,} of unknown number"
    if cost.bytes is None:
        return f"{objects}; size not known, since nothing like it was fetched yet"
    told = f"{objects}, {volume(cost.bytes)}"
    return told if cost.seconds is None else f"{told}, {duration(cost.seconds)}"


def duration(seconds: float) -> str:
    """Return a duration as people estimate it.

    >>> duration(0.2), duration(80), duration(9_000)
    ('1 s', '1 min', '2 h 30 min')
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def kinds_in_words(frame: pd.DataFrame) -> str:
    r"""Return how many rows of each kind there are; empty where no kind is told.

    >>> kinds_in_words(pd.DataFrame({"ModalitiesInStudy": ["CT\\SR", "CT", None, "MR"]}))
    '1 CT, 1 CT with SR, 1 MR, 1 of unknown kind'
    """
    column = next((name for name in ("ModalitiesInStudy", "Modality") if name in frame.columns), None)
    if column is None or frame.empty:
        return ""
    counts = Counter(frame[column].map(_kind, na_action="ignore").fillna("of unknown kind"))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{number:,} {kind}" for kind, number in ordered[:_KINDS]]
    rest = sum(number for _, number in ordered[_KINDS:])
    return ", ".join(told + [f"{rest:,} others"] * bool(rest))


def _kind(cell: str) -> str:
    codes = [code for code in str(cell).split("\\") if code]
    images = sorted(set(codes) - {"SR", "PR", "KO"})
    beside = sorted(set(codes) & {"SR"}) if images else []
    return " with ".join(filter(None, (" and ".join(images or sorted(set(codes))), *beside))) or "of unknown kind"
