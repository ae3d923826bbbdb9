"""The rules that keep images, without a structured dose report or in addition to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from qrkit.dose.facts import Need, NeedKind, ObjectRow, SeriesRow
from qrkit.dose.groups import CAPTURE, NM, NO_IMAGES, PET, RRDSR, SR
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.sr_rules import class_needs, judge_reports, kinds_of

DOSE_INFO = "dose info"
FEW = 5
"""Largest number of instances in a possible dose sheet without a description."""

_NO_DOSE_SR = "SR series without a dose report"
_NO_IMAGE = "contains no images"

Pick = Callable[[SeriesRow], SeriesChoice | None]


def judge_all_images(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep all image series; None if the study has none."""
    return _result(rule, context, lambda row: SeriesChoice(row, True, rule.name, rule.reason), "")


def judge_dose_info(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep exactly the series with the description "dose info"; None if the study has none."""

    def pick(row: SeriesRow) -> SeriesChoice | None:
        described = row.SeriesDescription.strip().casefold() == DOSE_INFO
        return SeriesChoice(row, True, rule.name, rule.reason) if described else None

    return _result(rule, context, pick, 'another series of the study has the description "dose info"')


def judge_few_images(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep series with few or an unknown number of images if no series of the study has a description."""
    if any(row.SeriesDescription.strip() for row in context.series):
        return None

    def pick(row: SeriesRow) -> SeriesChoice | None:
        few = row.instance_count is None or row.instance_count <= FEW
        return SeriesChoice(row, True, rule.name, rule.reason) if few else None

    return _result(rule, context, pick, f"not a dose sheet, because it has more than {FEW} images")


def first_image_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the first image of each image series."""
    return context.missing(NeedKind.FIRST_IMAGE, *context.image_series)


def judge_first_images(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep series of secondary captures whole and one image of each other; None without first images."""

    def pick(row: SeriesRow) -> SeriesChoice | None:
        image = context.first_image(row)
        if image is None:
            return None
        if image.SOPClassUID in context.classes[CAPTURE]:
            return SeriesChoice(row, True, rule.name, "possible dose sheet: the first image is a secondary capture")
        return SeriesChoice(row, True, rule.name, rule.reason, (image,))

    return _result(rule, context, pick, "no image with InstanceNumber 1 or 0")


def nuclear_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs of a nuclear medicine study: SR classes, first images of PT, then of NM one by one."""
    needs = (*class_needs(context), *_first_images(context, "PT", PET))
    if needs or _has_report(context) or _pet_images(context):
        return needs
    for row in _series(context, "NM"):
        if _is_settled(context, row):
            break
        needs = context.missing(NeedKind.FIRST_IMAGE, row) if _may_hold(context, NM) else ()
        if needs or _image_of(context, row, NM):
            return needs
    return ()


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
            reason = "PET series; its first image contains the radiopharmaceutical"
            return SeriesChoice(row, True, PET, reason, (images[row.SeriesInstanceUID],))
        return SeriesChoice(row, False, rule.name, "not a Radiopharmaceutical Radiation Dose SR and not a PET series")

    name = " and ".join([RRDSR] * bool(of_report) + [PET] * bool(images))
    return RuleResult(name, rule.reason, tuple(map(rule_on, context.series)))


def judge_first_nm(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the first NM series whose first image is an NM image; None if the study has none."""
    fitting = (row for row in _series(context, "NM") if _is_settled(context, row) or _image_of(context, row, NM))
    chosen = next(fitting, None)
    if chosen is None:
        return None
    choices = (
        SeriesChoice(row, True, rule.name, rule.reason)
        if row is chosen
        else SeriesChoice(row, False, rule.name, "not the first NM series; one is enough")
        for row in context.series
    )
    return RuleResult(rule.name, rule.reason, tuple(choices))


def in_order(rows: Iterable[SeriesRow]) -> list[SeriesRow]:
    """Return series by SeriesNumber; those without one are last, in their original order."""
    return sorted(rows, key=lambda row: (row.SeriesNumber is None, row.SeriesNumber or 0))


def _result(rule: Rule, context: StudyContext, pick: Pick, otherwise: str) -> RuleResult | None:
    """Return the result that keeps the picked image series; None if there are none."""
    picked = [(row, None if row.Modality in NO_IMAGES else pick(row)) for row in context.series]
    if not any(choice and choice.keep for _, choice in picked):
        return None
    choices = (choice or SeriesChoice(row, False, rule.name, _why_not(row, otherwise)) for row, choice in picked)
    return RuleResult(rule.name, rule.reason, tuple(choices))


def _why_not(row: SeriesRow, otherwise: str) -> str:
    if row.Modality == SR:
        return _NO_DOSE_SR
    return _NO_IMAGE if row.Modality in NO_IMAGES else otherwise


def _series(context: StudyContext, modality: str) -> list[SeriesRow]:
    return in_order(row for row in context.series if row.Modality == modality)


def _may_hold(context: StudyContext, kind: str) -> bool:
    """Return whether the study may contain images of a type, by SOPClassesInStudy."""
    classes = context.study.SOPClassesInStudy
    return not classes or bool(classes & context.classes[kind])


def _first_images(context: StudyContext, modality: str, kind: str) -> tuple[Need, ...]:
    return context.missing(NeedKind.FIRST_IMAGE, *_series(context, modality)) if _may_hold(context, kind) else ()


def _image_of(context: StudyContext, row: SeriesRow, kind: str) -> ObjectRow | None:
    image = context.first_image(row)
    return image if image is not None and image.SOPClassUID in context.classes[kind] else None


def _pet_images(context: StudyContext) -> dict[str, ObjectRow]:
    found = ((row.SeriesInstanceUID, _image_of(context, row, PET)) for row in _series(context, "PT"))
    return {uid: image for uid, image in found if image is not None}


def _has_report(context: StudyContext) -> bool:
    return any(RRDSR in (kinds_of(context, row) or ()) for row in context.sr_series)


def _is_settled(context: StudyContext, row: SeriesRow) -> bool:
    """Return whether SOPClassesInStudy shows that the only NM series contains NM images."""
    return (
        len(_series(context, "NM")) == 1
        and row.Modality == "NM"
        and bool(context.study.SOPClassesInStudy & context.classes[NM])
    )
