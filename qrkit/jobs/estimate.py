"""The cost of a retrieve, estimated from the rows of results and earlier retrieves, and the rate of one that runs.

A study or series row contains the number of objects (NumberOfStudyRelatedInstances, NumberOfSeriesRelatedInstances),
but not their size. The estimate uses the mean size of a SOP class, or else of a modality, in earlier retrieves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qrkit.markup import Markup, facts
from qrkit.words import counted, duration, volume

WITHOUT_PIXELS = frozenset({"SR", "PR", "KO", "DOC", "REG", "RTPLAN", "RTSTRUCT", "AU", "ECG"})
"""Modalities of small objects, which do not count in the size of a study with images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A study, a series or an object to retrieve."""

    objects: int | None  # number of objects; None if the node does not count them
    # `modalities` and `sop_classes`: the known ones
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSample:
    """The number and total bytes of the stored objects of one kind from one node."""

    node: str
    modality: str = ""
    sop_class: str = ""
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHistory:
    """Measurements from earlier retrieves."""

    node: str  # the node of the estimate; objects of other nodes count for kinds that it has not sent yet
    samples: tuple[SizeSample, ...] = ()  # the stored objects, by node and kind
    bytes_per_second: float | None = None  # recent transfer rate of this node; None if there was no transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimated cost of selections; None if it is unknown.

    Attributes
    ----------
    objects
        Number of counted objects, without those of `uncounted` selections.
    bytes
        Size of the counted objects, if the size of each kind is known.
    seconds
        Time for the bytes, at the rate of this node.
    uncounted
        Number of selections that the node does not count.
    based_on
        Number of stored objects behind the sizes.
    """

    objects: int | None
    bytes: int | None
    seconds: float | None
    uncounted: int = 0
    based_on: int = 0

    def in_words(self, *, of: str = "row", several: str = "") -> str:
        """Return the estimate as one line, with a singular and a plural noun for its selections.

        >>> Estimate(objects=1250, bytes=2_500_000, seconds=200.0, uncounted=1).in_words()
        '1,250 objects and 1 row of unknown size, about 2.5 MB, about 3 min 20 s'
        >>> Estimate(objects=None, bytes=None, seconds=None, uncounted=2).in_words(of="series", several="series")
        '2 series of unknown size'
        """
        unknown = [f"{counted(self.uncounted, of, plural=several)} of unknown size"] if self.uncounted else []
        known = [] if self.objects is None else [counted(self.objects, "object")]
        parts = [" and ".join((*known, *unknown))]
        if self.bytes:
            parts.append(f"about {volume(self.bytes)}")
        if self.seconds:
            parts.append(f"about {duration(self.seconds)}")
        return ", ".join(parts)

    def _repr_html_(self) -> Markup:
        unknown = "unknown: no similar objects were retrieved yet"
        size = volume(self.bytes) if self.bytes is not None else unknown
        return facts(
            {
                "Objects": self.objects if self.objects is not None else "unknown: the node does not count them",
                "Rows without a count": self.uncounted or None,
                "Size": f"about {size}" if self.bytes is not None else size,
                "Time": f"about {duration(self.seconds)}" if self.seconds is not None else None,
                "Based on": f"{counted(self.based_on, 'object')} retrieved before" if self.based_on else None,
            }
        )


def estimate(selections: Iterable[Selection], history: NodeHistory) -> Estimate:
    """Return the estimated cost of selections together.

    >>> scan = SizeSample(node="pacs", modality="CT", objects=10, bytes=5_000_000)
    >>> sent = NodeHistory(node="pacs", samples=(scan,))
    >>> estimate([Selection(objects=300, modalities=("CT", "SR"))], sent).bytes
    150000000
    >>> estimate([Selection(objects=300, modalities=("MR",)), Selection(objects=None)], sent)
    Estimate(objects=300, bytes=None, seconds=None, uncounted=1, based_on=0)
    """
    objects = uncounted = 0
    judged_by: set[SizeSample] = set()
    size: float | None = 0.0
    counted = False
    means: dict[tuple[tuple[str, ...], tuple[str, ...]], float | None] = {}
    for selection in selections:
        if selection.objects is None:
            uncounted += 1
            continue
        counted = True
        objects += selection.objects
        kind = (selection.modalities, selection.sop_classes)
        if kind not in means:  # thousands of studies have a few kinds
            means[kind], samples = mean_size(selection, history)
            judged_by.update(samples)  # several kinds may share the same samples
        mean = means[kind]
        if selection.objects:
            size = None if size is None or mean is None else size + mean * selection.objects
    whole = round(size) if size is not None and counted else None
    rate = history.bytes_per_second
    return Estimate(
        objects=objects if counted else None,
        bytes=whole,
        seconds=whole / rate if whole is not None and rate else None,
        uncounted=uncounted,
        based_on=sum(sample.objects for sample in judged_by),
    )


def mean_size(selection: Selection, history: NodeHistory) -> tuple[float | None, list[SizeSample]]:
    """Return the mean size of a selection's objects in bytes, None if unknown, and its samples.

    SOP class comes before modality, and this node before others. The size of a study of several kinds is the mean of
    all their samples; its small objects do not count if it has images.
    """
    codes = frozenset(selection.modalities) - WITHOUT_PIXELS or frozenset(selection.modalities)
    classes = frozenset(selection.sop_classes)
    is_by_class = len(classes) == 1 or not codes
    of_class = [sample for sample in history.samples if is_by_class and sample.sop_class in classes]
    of_modality = [sample for sample in history.samples if sample.modality in codes]
    for kind in (of_class, of_modality):
        for is_ours in (True, False):
            samples = [sample for sample in kind if (sample.node == history.node) is is_ours]
            objects = sum(sample.objects for sample in samples)
            if objects:
                return sum(sample.bytes for sample in samples) / objects, samples
    return None, []


def cost_in_words(cost: Estimate) -> str:
    """Return objects, size and time of a retrieve, with what is unknown.

    >>> cost_in_words(Estimate(objects=300, bytes=150_000_000, seconds=80.0))
    'about 300 objects, 150.0 MB, 1 min 20 s'
    >>> cost_in_words(Estimate(objects=300, bytes=None, seconds=None, uncounted=2))
    'about 300 objects and 2 rows without a count; size unknown until similar objects have been retrieved'
    >>> cost_in_words(Estimate(objects=None, bytes=None, seconds=None, uncounted=2))
    'number of objects unknown: the node does not count them'
    """
    if cost.objects is None:
        return "number of objects unknown: the node does not count them"
    objects = f"about {counted(cost.objects, 'object')}"
    if cost.uncounted:
        objects += f" and {counted(cost.uncounted, 'row')} without a count"
    if cost.bytes is None:
        return f"{objects}; size unknown until similar objects have been retrieved"
    size = f"{objects}, {volume(cost.bytes)}"
    return size if cost.seconds is None else f"{size}, {duration(cost.seconds)}"


class Rate:
    """A rate over a sliding window of some seconds."""

    def __init__(self, *, window: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, amount: int) -> None:
        """Record the current amount."""
        now = self._clock()
        self._seen.append((now, amount))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Growth per second; 0 before there are two records."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) / (end - start)) if end > start else 0.0
