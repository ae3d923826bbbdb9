"""What a retrieve will cost, before it is asked for: objects from the rows of answers, bytes from what came earlier.

A study or series row says how many objects there are (NumberOfStudyRelatedInstances, NumberOfSeriesRelatedInstances),
nobody says how large they are. What this node sent before does: the mean size of a SOP class, or else of a modality.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qrkit.markup import Markup, facts
from qrkit.words import counted, duration, volume

WITHOUT_PIXELS = frozenset({"SR", "PR", "KO", "DOC", "REG", "RTPLAN", "RTSTRUCT", "AU", "ECG"})
"""Modalities of small objects, which say nothing about the size of a study that also has images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Something to be fetched: a study, a series or an object.

    Attributes
    ----------
    objects
        How many objects; None if the node does not say.
    modalities, sop_classes
        As far as they are known.
    """

    objects: int | None
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Objects of one kind that came from one node: how many, and their bytes together."""

    node: str
    modality: str = ""
    sop_class: str = ""
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHistory:
    """What earlier retrieves tell.

    Attributes
    ----------
    node
        Whose objects count first; those of other nodes are taken for kinds that it has not sent yet.
    held
        The objects that are here, by node and kind.
    bytes_per_second
        At which this node has sent lately; None if it has not.
    """

    node: str
    held: tuple[Held, ...] = ()
    bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a selection will cost; None is what nobody can know yet.

    Attributes
    ----------
    objects
        Those that are counted; `uncounted` selections come on top.
    bytes
        Of the counted objects, if the size of each kind is known.
    seconds
        For the bytes, at the rate of this node.
    uncounted
        Selections of which the node does not say how many objects they have.
    based_on
        How many objects that are here the sizes were taken from.
    """

    objects: int | None
    bytes: int | None
    seconds: float | None
    uncounted: int = 0
    based_on: int = 0

    def in_words(self, *, of: str = "row", several: str = "") -> str:
        """Return it as a line has it.

        Parameters
        ----------
        of, several
            What a selection is called, and more than one.

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
        unknown = "not known: nothing like it was fetched yet"
        size = volume(self.bytes) if self.bytes is not None else unknown
        return facts(
            {
                "Objects": self.objects if self.objects is not None else "not known: the node does not count them",
                "Rows without a count": self.uncounted or None,
                "Size": f"about {size}" if self.bytes is not None else size,
                "Time": f"about {duration(self.seconds)}" if self.seconds is not None else None,
                "Judged by": f"{counted(self.based_on, 'object')} fetched before" if self.based_on else None,
            }
        )


def estimate(selections: Iterable[Selection], history: NodeHistory) -> Estimate:
    """Return what selections will cost together.

    >>> sent = NodeHistory(node="pacs", held=(Held(node="pacs", modality="CT", objects=10, bytes=5_000_000),))
    >>> estimate([Selection(objects=300, modalities=("CT", "SR"))], sent).bytes
    150000000
    >>> estimate([Selection(objects=300, modalities=("MR",)), Selection(objects=None)], sent)
    Estimate(objects=300, bytes=None, seconds=None, uncounted=1, based_on=0)
    """
    objects = uncounted = 0
    judged_by: set[Held] = set()
    size: float | None = 0.0
    counted = False
    means: dict[tuple[tuple[str, ...], tuple[str, ...]], float | None] = {}
    for one in selections:
        if one.objects is None:
            uncounted += 1
            continue
        counted = True
        objects += one.objects
        kind = (one.modalities, one.sop_classes)
        if kind not in means:  # thousands of studies are of a few kinds
            means[kind], held = mean_size(one, history)
            judged_by.update(held)  # several kinds may be judged by the same objects
        mean = means[kind]
        if one.objects:
            size = None if size is None or mean is None else size + mean * one.objects
    whole = round(size) if size is not None and counted else None
    rate = history.bytes_per_second
    return Estimate(
        objects=objects if counted else None,
        bytes=whole,
        seconds=whole / rate if whole is not None and rate else None,
        uncounted=uncounted,
        based_on=sum(one.objects for one in judged_by),
    )


def mean_size(selection: Selection, history: NodeHistory) -> tuple[float | None, list[Held]]:
    """Return the mean size of a selection's objects in bytes, None if unknown, and from which objects it is.

    By SOP class before modality, from this node before others. A study of several kinds is taken for the mean of
    what is here of them, weighted by how many; its small objects do not count, if it has images.
    """
    codes = frozenset(selection.modalities) - WITHOUT_PIXELS or frozenset(selection.modalities)
    classes = frozenset(selection.sop_classes)
    of_class = [one for one in history.held if one.sop_class in classes] if len(classes) == 1 or not codes else []
    of_modality = [one for one in history.held if one.modality in codes]
    for kind in (of_class, of_modality):
        for is_ours in (True, False):
            held = [one for one in kind if (one.node == history.node) is is_ours]
            objects = sum(one.objects for one in held)
            if objects:
                return sum(one.bytes for one in held) / objects, held
    return None, []
