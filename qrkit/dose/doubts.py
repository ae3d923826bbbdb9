"""The doubts about a plan item: lists of series and objects that are shorter than the node's counts, or unclear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qrkit.dose.facts import Answer, NeedKind, ObjectsAnswer, SeriesAnswer, SeriesRow, StudyRow, Unanswered
from qrkit.dose.outcome import PlanItem, ShortList
from qrkit.dose.rule import SeriesChoice, StudyContext
from qrkit.tables import Level

_NO_OBJECTS = "the node lists no objects in a series and does not count them"
_NO_CLASS = "the node does not return the SOP Class of all objects"
NO_SERIES_OF_SR = "the node returns SR in ModalitiesInStudy and no series of it"
_NO_MODALITY = "the node does not return the Modality of all series, and their objects do not show it"


def agrees(study: StudyRow, answer: SeriesAnswer) -> bool:
    """Return whether the study row covers all series; otherwise its SOP Classes are incomplete too."""
    modalities = {row.Modality for row in answer.rows if row.Modality}
    too_many = study.series_count is not None and len(answer.rows) > study.series_count
    return not too_many and (not study.ModalitiesInStudy or modalities <= study.ModalitiesInStudy)


def with_series_doubts(item: PlanItem, answer: Answer | None) -> PlanItem:
    """Return an item with what is doubtful of the list of its series."""
    if not isinstance(answer, SeriesAnswer):
        return item
    kept = {outcome.row.SeriesInstanceUID for outcome in item.series if outcome.decision.keep}
    if not answer.unclear <= kept:
        item = replace(item, doubts=(_NO_MODALITY, *item.doubts))
    listed, count = len(answer.rows), item.study.series_count
    if count is not None and listed < count and not answer.only_sr:
        short = ShortList(Level.SERIES, item.study.StudyInstanceUID, listed, count)
        return replace(item, short=(short, *item.short))
    if answer.doubt and listed != count:
        return replace(item, doubts=(answer.doubt, *item.doubts))
    return item


def _without_image(context: StudyContext, row: SeriesRow) -> ObjectsAnswer | None:
    """Return the empty list of a series in which the node lists no image."""
    answer = context.answers.get(context.need(NeedKind.FIRST_IMAGE, row))
    return answer if isinstance(answer, ObjectsAnswer) and not answer.rows else None


def with_object_doubts(item: PlanItem, context: StudyContext, choices: Sequence[SeriesChoice]) -> PlanItem:
    """Return an item with what is doubtful of the lists of objects.

    An empty list is not, of a series that is kept whole, and of one that the node counts as empty.
    """
    kept = {choice.row.SeriesInstanceUID for choice in choices if choice.keep}
    whole = {choice.row.SeriesInstanceUID for choice in choices if choice.keep and choice.objects is None}
    short: list[ShortList] = []
    doubts: list[str] = []
    asked_images = any(need.kind is NeedKind.FIRST_IMAGE for need in context.answers)
    for row in context.series:
        answer = context.objects(row) or (_without_image(context, row) if asked_images else None)
        if row.SeriesInstanceUID not in kept and context.has_unknown_class(row):
            doubts.append(_NO_CLASS)
        if answer is None or (not answer.rows and row.SeriesInstanceUID in whole):
            continue
        listed, count = len(answer.rows), row.instance_count
        if not listed and count is None and answer.is_whole:
            doubts.append(answer.doubt or _NO_OBJECTS)
            continue
        if count is not None and listed < count and answer.is_whole:
            short.append(ShortList(Level.IMAGE, row.SeriesInstanceUID, listed, count))
        elif answer.doubt and listed != count:
            doubts.append(answer.doubt)
    doubts += [
        answer.reason
        for need, answer in context.answers.items()
        if isinstance(answer, Unanswered) and need.SeriesInstanceUID not in kept
    ]
    return replace(item, short=tuple(short), doubts=tuple(dict.fromkeys(doubts))) if short or doubts else item
