"""The rules of nuclear medicine: Radiopharmaceutical Radiation Dose SR, and first images of PET and NM series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qrkit.dose.facts import Need, NeedKind, ObjectRow, SeriesRow
from qrkit.dose.groups import NM, PET, RRDSR
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.sr_rules import class_needs, judge_reports

_UNKNOWN_PET = "PT series; the node does not return the SOP Class of its first image"

_OTHER_NM = "first image of another NM series, which may be of another administration"

_UNKNOWN_NM = "the first NM series; the node does not return the SOP Class of its first image"


def nuclear_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the SR classes and the first images of PT series."""
    return (*class_needs(context), *_first_images(context, "PT", PET))


def nm_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the first images of NM series."""
    rows = _series(context, "NM")
    if len(rows) == 1 and _is_settled(context, rows[0]):
        return ()
    return _first_images(context, "NM", NM)


def judge_nuclear_images(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep Radiopharmaceutical Radiation Dose SR and the first image of each PET series; None without either."""
    reports = judge_reports(RRDSR, rule, context)
    of_report = {choice.row.SeriesInstanceUID: choice for choice in reports.choices if choice.keep} if reports else {}
    images = _pet_images(context)
    if not of_report and not images:
        return None

    def rule_on(row: SeriesRow) -> SeriesChoice:
        if row.SeriesInstanceUID in of_report:
            return replace(
                of_report[row.SeriesInstanceUID], rule=RRDSR, reason="Radiopharmaceutical Radiation Dose SR"
            )
        if row.SeriesInstanceUID in images:
            image = images[row.SeriesInstanceUID]
            reason = "PET series; its first image contains the radiopharmaceutical"
            return SeriesChoice(row, True, PET, reason if image.SOPClassUID else _UNKNOWN_PET, (image,))
        return SeriesChoice(row, False, rule.name, "not a Radiopharmaceutical Radiation Dose SR and not a PET series")

    name = " and ".join([RRDSR] * bool(of_report) + [PET] * bool(images))
    return RuleResult(name, rule.reason, tuple(map(rule_on, context.series)))


def judge_nm(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the first NM series and the first image of all others; None if the study has no NM images.

    The series of rest and stress are of two administrations.
    """
    fitting = [row for row in _series(context, "NM") if _is_settled(context, row) or _image_of(context, row, NM)]
    if not fitting:
        return None

    def rule_on(row: SeriesRow) -> SeriesChoice:
        image = _image_of(context, row, NM)
        if row is fitting[0]:
            return SeriesChoice(row, True, rule.name, _UNKNOWN_NM if context.has_unknown_class(row) else rule.reason)
        if row in fitting and image is not None:
            return SeriesChoice(row, True, rule.name, _OTHER_NM, (image,))
        return SeriesChoice(row, False, rule.name, "not an NM series, or its first image is not an NM image")

    return RuleResult(rule.name, rule.reason, tuple(map(rule_on, context.series)))


def in_order(rows: Iterable[SeriesRow]) -> list[SeriesRow]:
    """Return series by SeriesNumber; those without one are last, in their original order."""
    return sorted(rows, key=lambda row: (row.SeriesNumber is None, row.SeriesNumber or 0))


def _series(context: StudyContext, modality: str) -> list[SeriesRow]:
    return in_order(row for row in context.series if row.Modality == modality)


def _may_hold(context: StudyContext, kind: str) -> bool:
    """Return whether the study may contain images of a type, by SOPClassesInStudy."""
    classes = context.study.SOPClassesInStudy
    return not context.names_all_classes or not classes or bool(classes & context.classes[kind])


def _first_images(context: StudyContext, modality: str, kind: str) -> tuple[Need, ...]:
    return context.missing(NeedKind.FIRST_IMAGE, *_series(context, modality)) if _may_hold(context, kind) else ()


def _image_of(context: StudyContext, row: SeriesRow, kind: str) -> ObjectRow | None:
    """Return the first image of a series if it has a type; one of unknown class counts by the Modality."""
    image = context.first_image(row)
    return image if image is not None and image.SOPClassUID in {"", *context.classes[kind]} else None


def _pet_images(context: StudyContext) -> dict[str, ObjectRow]:
    found = ((row.SeriesInstanceUID, _image_of(context, row, PET)) for row in _series(context, "PT"))
    return {uid: image for uid, image in found if image is not None}


def _is_settled(context: StudyContext, row: SeriesRow) -> bool:
    """Return whether SOPClassesInStudy shows that the only NM series contains NM images."""
    return (
        len(_series(context, "NM")) == 1
        and row.Modality == "NM"
        and bool(context.study.SOPClassesInStudy & context.classes[NM])
    )
