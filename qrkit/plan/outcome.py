"""What a plan says of each work item: its study, its series, and the objects that are known of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from qrkit.plan.facts import ObjectRow, SeriesRow, StudyRow
from qrkit.plan.fate import Fate

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
