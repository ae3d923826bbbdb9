"""From what the rules say of a series to what is to be fetched of it: all but what is held already."""

from __future__ import annotations

from collections.abc import Collection

from qrkit.plan.case import Ruling
from qrkit.plan.facts import ObjectsAnswer
from qrkit.plan.fate import FOUND, Fate
from qrkit.plan.outcome import HELD, ObjectOutcome, SeriesOutcome

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
