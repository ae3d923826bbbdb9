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
from qrkit.dose.rule import SeriesChoice


@dataclass(frozen=True, slots=True)
class Decision:
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
    history: tuple[str, ...] = ()

    def kept(self, rule: str, reason: str) -> Decision:
        """Return the fate after a rule that keeps it; what was dropped before stays dropped.

        >>> FOUND.dropped("SR only", "it holds images").kept("RDSR", "it is a dose report").reason
        'it holds images'
        """
        return _after(self, True, rule, reason)

    def dropped(self, rule: str, reason: str) -> Decision:
        """Return the fate after a rule that drops it; the first reason stands, a later one joins the trail.

        >>> fate = FOUND.kept("RDSR", "a dose report").dropped("held", "it is here")
        >>> fate.keep, fate.reason, fate.trail
        (False, 'it is here', ('RDSR: a dose report', 'held: it is here'))
        """
        return _after(self, False, rule, reason)


@lru_cache(maxsize=65_536)
def _after(before: Decision, keep: bool, rule: str, reason: str) -> Decision:  # noqa: FBT001 - cached by position
    history = (*before.history, f"{rule}: {reason}")
    if before.keep:
        return Decision(keep, rule, reason, history)
    return Decision(keep=False, rule=before.rule, reason=before.reason, history=history)


UNDECIDED = Decision()
"""The fate of what was found and not judged yet."""


ALREADY_STORED = "held"


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """One SOP Instance and what became of it."""

    row: ObjectRow
    decision: Decision


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
    decision: Decision
    level: str = ""
    expected: tuple[str, ...] = ()
    objects: tuple[ObjectOutcome, ...] = ()

    @property
    def count(self) -> int | None:
        """How many objects are to be fetched; None where nobody knows."""
        if not self.decision.keep:
            return 0
        return len(self.expected) or self.row.instance_count


@dataclass(frozen=True, slots=True)
class PlanItem:
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
    decision: Decision
    series: tuple[SeriesOutcome, ...] = ()
    empty_sr: int = 0
    unlisted: int = 0


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """What the workspace has already: SOP Instance UIDs by SeriesInstanceUID."""

    by_series: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of(self, row: SeriesRow) -> Collection[str]:
        """Return the SOP Instances of a series that are here."""
        return self.by_series.get(row.SeriesInstanceUID, ())


_ALL_STORED = "everything that is wanted of it is in the workspace already"
_OBJECT_STORED = "it is in the workspace already"
_NOT_WANTED = "another kind of object than those that are wanted of its series"


def outcome_of(choice: SeriesChoice, listing: ObjectsAnswer | None, stored: Collection[str]) -> SeriesOutcome:
    """Return what becomes of a series: dropped, fetched whole, or the objects of it that are wanted and not held.

    Parameters
    ----------
    listing
        What is known of its objects.
    held
        SOP Instance UIDs that the workspace has of it.
    """
    rows = (listing.rows if listing is not None else ()) or choice.objects or ()
    if not choice.keep:
        decision = UNDECIDED.dropped(choice.rule, choice.reason)
        return SeriesOutcome(choice.row, decision, objects=tuple(ObjectOutcome(row, decision) for row in rows))
    kept = UNDECIDED.kept(choice.rule, choice.reason)
    wanted = choice.objects
    if wanted is None and listing is not None and listing.is_whole and listing.rows:
        wanted = listing.rows
    if wanted is None:
        return SeriesOutcome(choice.row, kept, "SERIES", objects=tuple(ObjectOutcome(row, kept) for row in rows))
    wanted_uids = {one.SOPInstanceUID for one in wanted}
    missing = tuple(one.SOPInstanceUID for one in wanted if one.SOPInstanceUID not in stored)
    objects = tuple(ObjectOutcome(row, _decision(kept, row.SOPInstanceUID, wanted_uids, stored)) for row in rows)
    if not missing:
        return SeriesOutcome(choice.row, kept.dropped(ALREADY_STORED, _ALL_STORED), objects=objects)
    is_whole = choice.objects is None and len(missing) == len(wanted)
    return SeriesOutcome(choice.row, kept, "SERIES" if is_whole else "IMAGE", missing, objects)


def must_be_listed(choice: SeriesChoice, listing: ObjectsAnswer | None, stored: Collection[str]) -> bool:
    """Whether the objects of a series must be known to tell which of them are held."""
    if not choice.keep or not stored or choice.objects is not None:
        return False
    return listing is None or not listing.is_whole


def _decision(kept: Decision, uid: str, wanted: Collection[str], stored: Collection[str]) -> Decision:
    if uid not in wanted:
        return UNDECIDED.dropped(kept.rule, _NOT_WANTED)
    return kept.dropped(ALREADY_STORED, _OBJECT_STORED) if uid in stored else kept
