"""What a plan says of each work item: its study, its series, and the objects that are known of them.

From what the rules say of a series to what is to be fetched of it: all but what is held already.

What became of a study, series or object: kept or not, by which rule, for what reason, and what came before.

Few different fates are shared by very many rows, so equal ones are one object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from qrkit.dose.facts import ObjectRow, ObjectsAnswer, SeriesRow, StudyRow
from qrkit.dose.rule import Ruling


@dataclass(frozen=True, slots=True)
class Fate:
    """Whether something is kept, and why.

    Attributes
    ----------
    rule, reason
        What decided; of what is dropped, the first that dropped it.
    trail
        Everything that was said of it, in order, as ``rule: reason``.
    """

    keep: bool = True
    rule: str = ""
    reason: str = ""
    trail: tuple[str, ...] = ()

    def kept(self, rule: str, reason: str) -> Fate:
        """Return the fate after a rule that keeps it; what was dropped before stays dropped.

        >>> FOUND.dropped("SR only", "it holds images").kept("RDSR", "it is a dose report").reason
        'it holds images'
        """
        return _after(self, True, rule, reason)

    def dropped(self, rule: str, reason: str) -> Fate:
        """Return the fate after a rule that drops it; the first reason stands, a later one joins the trail.

        >>> fate = FOUND.kept("RDSR", "a dose report").dropped("held", "it is here")
        >>> fate.keep, fate.reason, fate.trail
        (False, 'it is here', ('RDSR: a dose report', 'held: it is here'))
        """
        return _after(self, False, rule, reason)


@lru_cache(maxsize=65_536)
def _after(before: Fate, keep: bool, rule: str, reason: str) -> Fate:  # noqa: FBT001 - cached by position
    trail = (*before.trail, f"{rule}: {reason}")
    if before.keep:
        return Fate(keep, rule, reason, trail)
    return Fate(keep=False, rule=before.rule, reason=before.reason, trail=trail)


FOUND = Fate()
"""The fate of what was found and not judged yet."""


HELD = "held"


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """One SOP Instance and what became of it."""

    row: ObjectRow
    fate: Fate


@dataclass(frozen=True, slots=True)
class SeriesOutcome:
    """One series and what became of it.

    Attributes
    ----------
    level
        ``SERIES`` or ``IMAGE`` for what is to be fetched; empty for what is not.
    expected
        SOP Instance UIDs that are to be fetched, where they are known; at IMAGE level they always are.
    objects
        All objects that are known of it.
    """

    row: SeriesRow
    fate: Fate
    level: str = ""
    expected: tuple[str, ...] = ()
    objects: tuple[ObjectOutcome, ...] = ()

    @property
    def count(self) -> int | None:
        """How many objects are to be fetched; None where nobody knows."""
        if not self.fate.keep:
            return 0
        return len(self.expected) or self.row.instance_count


@dataclass(frozen=True, slots=True)
class Item:
    """One work item: a study under one group.

    Attributes
    ----------
    group
        Empty for a study that was dropped before it had one.
    empty_sr
        SR series in which the node lists no objects that anybody could tell the class of, and that are not kept.
    unlisted
        Series that the node counts in the study and does not list.
    """

    study: StudyRow
    group: str
    fate: Fate
    series: tuple[SeriesOutcome, ...] = ()
    empty_sr: int = 0
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What the workspace has already: SOP Instance UIDs by SeriesInstanceUID."""

    by_series: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of(self, row: SeriesRow) -> Collection[str]:
        """Return the SOP Instances of a series that are here."""
        return self.by_series.get(row.SeriesInstanceUID, ())


_ALL_HELD = "everything that is wanted of it is in the workspace already"
_OBJECT_HELD = "it is in the workspace already"
_NOT_WANTED = "another kind of object than those that are wanted of its series"


def outcome_of(ruling: Ruling, listing: ObjectsAnswer | None, held: Collection[str]) -> SeriesOutcome:
    """Return what becomes of a series: dropped, fetched whole, or the objects of it that are wanted and not held.

    Parameters
    ----------
    listing
        What is known of its objects.
    held
        SOP Instance UIDs that the workspace has of it.
    """
    rows = (listing.rows if listing is not None else ()) or ruling.objects or ()
    if not ruling.keep:
        fate = FOUND.dropped(ruling.rule, ruling.reason)
        return SeriesOutcome(ruling.row, fate, objects=tuple(ObjectOutcome(row, fate) for row in rows))
    kept = FOUND.kept(ruling.rule, ruling.reason)
    wanted = ruling.objects
    if wanted is None and listing is not None and listing.is_whole and listing.rows:
        wanted = listing.rows
    if wanted is None:
        return SeriesOutcome(ruling.row, kept, "SERIES", objects=tuple(ObjectOutcome(row, kept) for row in rows))
    wanted_uids = {one.SOPInstanceUID for one in wanted}
    missing = tuple(one.SOPInstanceUID for one in wanted if one.SOPInstanceUID not in held)
    objects = tuple(ObjectOutcome(row, _fate(kept, row.SOPInstanceUID, wanted_uids, held)) for row in rows)
    if not missing:
        return SeriesOutcome(ruling.row, kept.dropped(HELD, _ALL_HELD), objects=objects)
    is_whole = ruling.objects is None and len(missing) == len(wanted)
    return SeriesOutcome(ruling.row, kept, "SERIES" if is_whole else "IMAGE", missing, objects)


def must_be_listed(ruling: Ruling, listing: ObjectsAnswer | None, held: Collection[str]) -> bool:
    """Whether the objects of a series must be known to tell which of them are held."""
    if not ruling.keep or not held or ruling.objects is not None:
        return False
    return listing is None or not listing.is_whole


def _fate(kept: Fate, uid: str, wanted: Collection[str], held: Collection[str]) -> Fate:
    if uid not in wanted:
        return FOUND.dropped(kept.rule, _NOT_WANTED)
    return kept.dropped(HELD, _OBJECT_HELD) if uid in held else kept
