"""The rules on structured reports: which type each SR series has, and which series are kept for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from qrkit.dose.facts import SMALL, Need, NeedKind, ObjectRow, ObjectsAnswer, SeriesRow
from qrkit.dose.groups import ANYTHING, ESR, NO_IMAGES, RDSR, RRDSR, SR, SR_GROUP, SR_KINDS, UNKNOWN_CLASS, UNKNOWN_SR
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.uids import KEY_OBJECT_SELECTION, SR_STORAGE, STANDARD_STORAGE

IMAGES = "images"
"""The rule of images that stand in for a dose report."""

NO_DOSE_SR = "SR series without a dose report"

WITHOUT_DOSE = "the Enhanced SR is stored and contains no dose"

OF_ANOTHER = "the report may be of another modality, so the images are kept too"

_UNKNOWN_CLASS = "SR series whose SOP Class the node does not return, so it may be a dose report"

_NAMES = {
    RDSR: "Radiation Dose SR",
    ESR: "Enhanced SR",
    RRDSR: "Radiopharmaceutical Radiation Dose SR",
    UNKNOWN_SR: "SR of an unknown class",
}


def kinds_by_study(context: StudyContext) -> frozenset[str] | None:
    """Return the types of reports in every SR series, by SOPClassesInStudy; None if it is not sufficient.

    It is sufficient if all reports have one type, or if no class is a dose report and the row excludes others. A
    private class may be a report too, and may be in any series.
    """
    classes = context.study.SOPClassesInStudy
    if not classes or not all(uid.startswith(STANDARD_STORAGE) for uid in classes):
        return None
    reports = {uid for uid in classes if uid.startswith(SR_STORAGE) and uid != KEY_OBJECT_SELECTION}
    kinds = SR_KINDS[context.group]
    if not any(reports & context.classes[kind] for kind in kinds):
        return frozenset() if _excludes_others(context, reports) else None
    return next((frozenset({kind}) for kind in kinds if reports <= context.classes[kind]), None)


def _excludes_others(context: StudyContext, reports: Collection[str]) -> bool:
    """Return whether a study has no reports besides those that it names.

    SOPClassesInStudy may name one class of many. ModalitiesInStudy with SR contradicts a row without a class of it;
    if the node lists several values, both together show that there are no reports.
    """
    modalities = context.study.ModalitiesInStudy
    if context.names_all_classes:
        return bool(reports) or SR not in modalities
    return context.lists_values and not reports and bool(modalities) and SR not in modalities


def is_named_elsewhere(context: StudyContext) -> bool:
    """Return whether a study names the class of a dose report that no SR series is known to have."""
    return any(map(context.is_report, context.named_classes)) and not _has_reports(context)


def _has_reports(context: StudyContext) -> bool:
    """Return whether a series of reports is known to have a type that the group knows."""
    return any(
        row.SeriesInstanceUID in context.without_dose or (kinds_of(context, row) or frozenset()) - {UNKNOWN_SR}
        for row in context.sr_series
    )


def _elsewhere_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the objects of series that are not SR, if one of them has a report; small series first."""
    if context.only_sr:
        return ()
    others = [row for row in context.series if row.Modality != SR]
    small = [row for row in others if row.instance_count is None or row.instance_count <= SMALL]
    if not is_named_elsewhere(context):
        is_open = not context.study.SOPClassesInStudy and not _has_reports(context)
        return context.missing(NeedKind.OBJECTS, *(row for row in small if is_open and row.Modality in ANYTHING))
    return context.missing(NeedKind.OBJECTS, *small) or context.missing(NeedKind.OBJECTS, *others)


def kinds_of(context: StudyContext, row: SeriesRow) -> frozenset[str] | None:
    """Return the types of reports in an SR series; None if they are not known yet."""
    by_study, without_dose = kinds_by_study(context), context.without_dose.get(row.SeriesInstanceUID, ())
    if by_study is not None and not (without_dose and ESR in by_study):
        return by_study
    answer = context.objects(row)
    if answer is None:
        return None
    if not any(instance.SOPClassUID for instance in answer.rows):
        return (frozenset() if answer.rows else frozenset({UNKNOWN_SR})) if answer.is_whole else None
    read = {instance for instance in answer.rows if instance.SOPInstanceUID in without_dose}
    classes = {instance.SOPClassUID for instance in answer.rows if instance not in read}
    return frozenset(kind for kind in SR_KINDS[context.group] if classes & context.classes[kind])


def class_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the types of all SR series.

    An answer on dose objects alone does not show whether a series without them is empty.
    """
    unknown = [row for row in context.sr_series if kinds_of(context, row) is None]
    first = context.missing(NeedKind.DOSE_OBJECTS, *unknown)
    if first:
        return first
    unclear = [row for row in unknown if isinstance(context.objects(row), ObjectsAnswer)]
    unclear += [row for row in context.sr_series if row not in unclear and _may_be_mixed(context, row)]
    return context.missing(NeedKind.OBJECTS, *unclear) or _elsewhere_needs(context)


def _may_be_mixed(context: StudyContext, row: SeriesRow) -> bool:
    """Return whether a series with known dose objects may contain others, and has no count."""
    answer = context.objects(row)
    return answer is not None and bool(answer.rows) and not answer.is_whole and row.instance_count is None


def judge_reports(kind: str, rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the SR series with a type of report and drop the others; None if no series has it.

    A report that may be of another X-ray modality does not replace the images of MG or DX.
    """
    by_series = {row.SeriesInstanceUID: kinds_of(context, row) or frozenset() for row in context.sr_series}
    if not any(kind in kinds for kinds in by_series.values()):
        return None
    choices = []
    for row in context.series:
        if row.SeriesInstanceUID in by_series:
            choices.append(_choice_of_report(kind, rule, context, row, by_series[row.SeriesInstanceUID]))
        elif context.images_are_kept_too and row.Modality not in NO_IMAGES and context.may_be_of_group(row):
            choices.append(SeriesChoice(row, True, IMAGES, OF_ANOTHER))
        else:
            choices.append(SeriesChoice(row, False, rule.name, f"not needed: the study has a {_NAMES[kind]}"))
    reason = f"{rule.reason}; {OF_ANOTHER}" if context.images_are_kept_too else rule.reason
    return RuleResult(rule.name, reason, tuple(choices))


def _choice_of_report(
    kind: str, rule: Rule, context: StudyContext, row: SeriesRow, kinds: frozenset[str]
) -> SeriesChoice:
    if kind in kinds or kind == UNKNOWN_SR:
        return SeriesChoice(row, True, rule.name, rule.reason, _only((kind, *_beside(context)), context, row))
    for other in _beside(context):
        if other in kinds:
            return SeriesChoice(row, True, other, _NAMES[other], _only((other,), context, row))
    return SeriesChoice(row, False, rule.name, f"SR series without {_NAMES[kind]}; another series has it")


def _beside(context: StudyContext) -> tuple[str, ...]:
    """Return the types that are kept in addition to any other: a radiopharmaceutical has a dose of its own."""
    return (RRDSR,) if context.group == SR_GROUP else ()


def _only(kinds: tuple[str, ...], context: StudyContext, row: SeriesRow) -> tuple[ObjectRow, ...] | None:
    """Return the objects of some types if the series contains others too."""
    answer = context.objects(row)
    if answer is None or UNKNOWN_SR in kinds:
        return None
    # an object of unknown class may be a report too
    wanted = {"", *(uid for kind in kinds for uid in context.classes[kind])}
    winning = tuple(instance for instance in answer.rows if instance.SOPClassUID in wanted)
    return None if answer.is_whole and len(winning) == len(answer.rows) else winning


def with_documents_read(context: StudyContext, result: RuleResult) -> RuleResult:
    """Return a result that names the stored documents without dose, because of which a later rule decides."""
    read = {row.SeriesInstanceUID for row in context.sr_series if row.SeriesInstanceUID in context.without_dose}
    if result.rule == RDSR or not read or ESR not in SR_KINDS[context.group]:
        return result
    choices = (
        replace(choice, reason=WITHOUT_DOSE) if choice.row.SeriesInstanceUID in read and not choice.keep else choice
        for choice in result.choices
    )
    reason = result.reason if result.rule == ESR else f"{result.reason}; {WITHOUT_DOSE}"
    return RuleResult(result.rule, reason, tuple(choices))


def with_unknown_classes(context: StudyContext, result: RuleResult | None) -> RuleResult | None:
    """Return a result that also keeps the documents of unknown class, of which the node returns no SOP Class.

    It drops nothing else: a document of unknown class does not prove that the study has a dose report.
    """
    kept = {choice.row.SeriesInstanceUID for choice in result.choices if choice.keep} if result else set()
    added = {row.SeriesInstanceUID for row in context.sr_series if context.has_unknown_class(row)} - kept
    if not added:
        return result
    rule = UNKNOWN_CLASS
    others = result.choices if result else (SeriesChoice(row, False, rule, NO_DOSE_SR) for row in context.series)
    choices = (
        SeriesChoice(choice.row, True, rule, _UNKNOWN_CLASS, _only((), context, choice.row))
        if choice.row.SeriesInstanceUID in added
        else choice
        for choice in others
    )
    decided = (result.rule, result.reason) if result else (rule, _UNKNOWN_CLASS)
    return RuleResult(*decided, tuple(choices))


def empty_sr_series(context: StudyContext) -> int:
    """Return the number of SR series without objects."""
    return sum(1 for row in context.sr_series if kinds_of(context, row) == frozenset({UNKNOWN_SR}))
