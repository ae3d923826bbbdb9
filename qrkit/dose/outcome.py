"""The outcome of each plan item: the decisions on its study, series and objects, and what is to be retrieved.

A decision states whether something is kept, by which rule and for what reason, and its history. Very many rows share
a few decisions, so equal ones are one object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from qrkit.dose.facts import ObjectRow, ObjectsAnswer, SeriesRow, StudyRow
from qrkit.dose.rule import SeriesChoice
from qrkit.tables import Level


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is kept, and the reason."""

    keep: bool = True
    # `rule` and `reason`: the deciding rule; if something is dropped, the first rule that dropped it
    rule: str = ""
    reason: str = ""
    history: tuple[str, ...] = ()  # all decisions in order, as `rule: reason`

    def kept(self, rule: str, reason: str) -> Decision:
        """Return the decision after a rule that keeps it; an earlier drop remains.

        >>> UNDECIDED.dropped("SR only", "contains images").kept("RDSR", "dose report").reason
        'contains images'
        """
        return _after(self, True, rule, reason)

    def dropped(self, rule: str, reason: str) -> Decision:
        """Return the decision after a rule that drops it; the first reason remains, a later one joins the history.

        >>> decision = UNDECIDED.kept("RDSR", "dose report").dropped("held", "stored")
        >>> decision.keep, decision.reason, decision.history
        (False, 'stored', ('RDSR: dose report', 'held: stored'))
        """
        return _after(self, False, rule, reason)


@lru_cache(maxsize=65_536)
def _after(before: Decision, keep: bool, rule: str, reason: str) -> Decision:  # noqa: FBT001 - cached by position
    history = (*before.history, f"{rule}: {reason}")
    if before.keep:
        return Decision(keep, rule, reason, history)
    return Decision(keep=False, rule=before.rule, reason=before.reason, history=history)


UNDECIDED = Decision()
"""The decision on what was found and not judged yet."""


ALREADY_STORED = "held"
"""The step and rule of what is stored already; plans and programs use this name."""


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """The decision on one SOP Instance."""

    row: ObjectRow
    decision: Decision


@dataclass(frozen=True, slots=True)
class SeriesOutcome:
    """The decision on one series."""

    row: SeriesRow
    decision: Decision
    level: str = ""  # `SERIES` or `IMAGE` if it is to be retrieved; otherwise empty
    expected: tuple[str, ...] = ()  # SOP Instance UIDs to retrieve, if they are known; at IMAGE level they always are
    objects: tuple[ObjectOutcome, ...] = ()  # all known objects of the series

    @property
    def count(self) -> int | None:
        """Number of objects to retrieve; None if it is unknown."""
        if not self.decision.keep:
            return 0
        return len(self.expected) or self.row.instance_count


@dataclass(frozen=True, slots=True)
class ShortList:
    """A list of the series of a study, or the objects of a series, with fewer rows than the node counts."""

    level: Level  # `SERIES` or `IMAGE`: the level of what is listed
    uid: str  # the study or series
    listed: int
    counted: int


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One item of a plan: a study under one group."""

    study: StudyRow
    group: str  # empty for a study that was dropped before it had one
    decision: Decision
    series: tuple[SeriesOutcome, ...] = ()
    empty_sr: int = 0  # number of dropped SR series without objects of a known class
    short: tuple[ShortList, ...] = ()  # the lists of series and objects with fewer rows than the node counts
    doubts: tuple[str, ...] = ()  # why other lists may be incomplete


@dataclass(frozen=True, slots=True)
class StoredUids:
    """The stored objects: SOP Instance UIDs by SeriesInstanceUID."""

    by_series: Mapping[str, Collection[str]] = field(default_factory=dict)
    # the Enhanced SR documents that were read and contain no dose, in the same form
    without_dose: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of(self, row: SeriesRow) -> Collection[str]:
        """Return the stored SOP Instances of a series."""
        return self.by_series.get(row.SeriesInstanceUID, ())


_ALL_STORED = "all wanted objects are stored already"
_OBJECT_STORED = "stored already"
_NOT_WANTED = "not one of the wanted objects of its series"


def outcome_of(choice: SeriesChoice, listing: ObjectsAnswer | None, stored: Collection[str]) -> SeriesOutcome:
    """Decide for a series with its known objects: skip it, retrieve it whole, or retrieve what is not stored."""
    rows = (listing.rows if listing is not None else ()) or choice.objects or ()
    if not choice.keep:
        decision = UNDECIDED.dropped(choice.rule, choice.reason)
        return SeriesOutcome(choice.row, decision, objects=tuple(ObjectOutcome(row, decision) for row in rows))
    kept = UNDECIDED.kept(choice.rule, choice.reason)
    wanted = choice.objects
    if wanted is None and listing is not None and listing.is_whole and listing.rows:
        wanted = listing.rows
    if wanted is None:
        return SeriesOutcome(
            choice.row, kept, Level.SERIES.value, objects=tuple(ObjectOutcome(row, kept) for row in rows)
        )
    wanted_uids = dict.fromkeys(instance.SOPInstanceUID for instance in wanted)
    missing = tuple(uid for uid in wanted_uids if uid not in stored)
    objects = tuple(ObjectOutcome(row, _decision(kept, row.SOPInstanceUID, wanted_uids, stored)) for row in rows)
    if not missing:
        return SeriesOutcome(choice.row, kept.dropped(ALREADY_STORED, _ALL_STORED), objects=objects)
    is_whole = choice.objects is None and len(missing) == len(wanted)
    return SeriesOutcome(choice.row, kept, (Level.SERIES if is_whole else Level.IMAGE).value, missing, objects)


def must_be_listed(choice: SeriesChoice, listing: ObjectsAnswer | None, stored: Collection[str]) -> bool:
    """Return whether the objects of a series must be listed to find out which ones are stored."""
    if not choice.keep or not stored or choice.objects is not None:
        return False
    return listing is None or not listing.is_whole


def _decision(kept: Decision, uid: str, wanted: Collection[str], stored: Collection[str]) -> Decision:
    if uid not in wanted:
        return UNDECIDED.dropped(kept.rule, _NOT_WANTED)
    return kept.dropped(ALREADY_STORED, _OBJECT_STORED) if uid in stored else kept
