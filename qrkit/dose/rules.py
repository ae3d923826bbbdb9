"""The rules of each group, in their order, as data, and the judges that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from qrkit.dose.facts import Need, NeedKind, ObjectRow, ObjectsAnswer, SeriesRow
from qrkit.dose.groups import (
    CAPTURE,
    ESR,
    NM,
    NO_IMAGES,
    PET,
    RDSR,
    RRDSR,
    SR,
    SR_GROUP,
    SR_KINDS,
    UNKNOWN_CLASS,
    UNKNOWN_SR,
)
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.uids import KEY_OBJECT_SELECTION, SR_STORAGE, STANDARD_STORAGE

DOSE_INFO = "dose info"

FEW = 5
"""Largest number of instances in a possible dose sheet without a description."""

_NO_DOSE_SR = "SR series without a dose report"

_NO_IMAGE = "contains no images"

_UNKNOWN_CLASS = "SR series whose SOP Class the node does not return, so it may be a dose report"

_UNKNOWN_PET = "PT series; the node does not return the SOP Class of its first image"

_UNKNOWN_NM = "the first NM series; the node does not return the SOP Class of its first image"

_NAMES = {
    RDSR: "Radiation Dose SR",
    ESR: "Enhanced SR",
    RRDSR: "Radiopharmaceutical Radiation Dose SR",
    UNKNOWN_SR: "SR of an unknown class",
}

Pick = Callable[[SeriesRow], SeriesChoice | None]


def kinds_by_study(context: StudyContext) -> frozenset[str] | None:
    """Return the types of reports in every SR series, by SOPClassesInStudy; None if it is not sufficient.

    It is sufficient if no class is a dose report, or if all reports have one type. A private class may be a report
    too, and may be in any series.
    """
    classes = context.study.SOPClassesInStudy
    if not classes or not all(uid.startswith(STANDARD_STORAGE) for uid in classes):
        return None
    reports = {uid for uid in classes if uid.startswith(SR_STORAGE) and uid != KEY_OBJECT_SELECTION}
    kinds = SR_KINDS[context.group]
    if not any(reports & context.classes[kind] for kind in kinds):
        return frozenset()
    return next((frozenset({kind}) for kind in kinds if reports <= context.classes[kind]), None)


def kinds_of(context: StudyContext, row: SeriesRow) -> frozenset[str] | None:
    """Return the types of reports in an SR series; None if they are not known yet."""
    by_study = kinds_by_study(context)
    if by_study is not None:
        return by_study
    answer = context.objects(row)
    if answer is None:
        return None
    if not any(instance.SOPClassUID for instance in answer.rows):
        return frozenset({UNKNOWN_SR}) if answer.is_whole else None
    classes = {instance.SOPClassUID for instance in answer.rows}
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
    return context.missing(NeedKind.OBJECTS, *unclear)


def _may_be_mixed(context: StudyContext, row: SeriesRow) -> bool:
    """Return whether a series with known dose objects may contain others, and has no count."""
    answer = context.objects(row)
    return answer is not None and bool(answer.rows) and not answer.is_whole and row.instance_count is None


def judge_reports(kind: str, rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the SR series with a type of report and drop the others; None if no series has it."""
    by_series = {row.SeriesInstanceUID: kinds_of(context, row) or frozenset() for row in context.sr_series}
    if not any(kind in kinds for kinds in by_series.values()):
        return None
    needless = f"not needed: the study has a {_NAMES[kind]}"
    other = f"SR series without {_NAMES[kind]}; another series has it"
    choices = []
    for row in context.series:
        if row.Modality != SR:
            choices.append(SeriesChoice(row, False, rule.name, needless))
        elif kind in by_series[row.SeriesInstanceUID] or kind == UNKNOWN_SR:
            choices.append(SeriesChoice(row, True, rule.name, rule.reason, _only(kind, context, row)))
        else:
            choices.append(SeriesChoice(row, False, rule.name, other))
    return RuleResult(rule.name, rule.reason, tuple(choices))


def _only(kind: str, context: StudyContext, row: SeriesRow) -> tuple[ObjectRow, ...] | None:
    """Return the objects of a type if the series contains others too."""
    answer = context.objects(row)
    if answer is None or kind == UNKNOWN_SR:
        return None
    wanted = {*context.classes[kind], ""}  # an object of unknown class may be a report too
    winning = tuple(instance for instance in answer.rows if instance.SOPClassUID in wanted)
    return None if answer.is_whole and len(winning) == len(answer.rows) else winning


def with_unknown_classes(context: StudyContext, result: RuleResult | None) -> RuleResult | None:
    """Return a result that also keeps the SR series of unknown class, at a node that returns no SOP Class.

    It drops nothing else: a document of unknown class does not prove that the study has a dose report.
    """
    kept = {choice.row.SeriesInstanceUID for choice in result.choices if choice.keep} if result else set()
    sr_series = context.sr_series if not context.names_classes else ()
    added = {row.SeriesInstanceUID for row in sr_series if context.has_unknown_class(row)} - kept
    if not added:
        return result
    rule = UNKNOWN_CLASS
    others = result.choices if result else (SeriesChoice(row, False, rule, _NO_DOSE_SR) for row in context.series)
    choices = (
        SeriesChoice(choice.row, True, rule, _UNKNOWN_CLASS) if choice.row.SeriesInstanceUID in added else choice
        for choice in others
    )
    decided = (result.rule, result.reason) if result else (rule, _UNKNOWN_CLASS)
    return RuleResult(*decided, tuple(choices))


def empty_sr_series(context: StudyContext) -> int:
    """Return the number of SR series without objects, or without any of a known class."""
    return sum(1 for row in context.sr_series if kinds_of(context, row) == frozenset({UNKNOWN_SR}))


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
        if not image.SOPClassUID and (row.instance_count or 0) <= FEW:
            return SeriesChoice(row, True, rule.name, "possible dose sheet: its SOP Class is unknown")
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
            image = images[row.SeriesInstanceUID]
            reason = "PET series; its first image contains the radiopharmaceutical"
            return SeriesChoice(row, True, PET, reason if image.SOPClassUID else _UNKNOWN_PET, (image,))
        return SeriesChoice(row, False, rule.name, "not a Radiopharmaceutical Radiation Dose SR and not a PET series")

    name = " and ".join([RRDSR] * bool(of_report) + [PET] * bool(images))
    return RuleResult(name, rule.reason, tuple(map(rule_on, context.series)))


def judge_first_nm(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the first NM series whose first image is an NM image; None if the study has none."""
    fitting = (row for row in _series(context, "NM") if _is_settled(context, row) or _image_of(context, row, NM))
    chosen = next(fitting, None)
    if chosen is None:
        return None
    reason = _UNKNOWN_NM if context.has_unknown_class(chosen) else rule.reason
    choices = (
        SeriesChoice(row, True, rule.name, reason)
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
    """Return the first image of a series if it has a type; one of unknown class counts by the Modality."""
    image = context.first_image(row)
    return image if image is not None and image.SOPClassUID in {"", *context.classes[kind]} else None


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


RULES: tuple[Rule, ...] = (
    Rule(
        name=RDSR,
        groups=("MG", "DX", "FL", "CT", SR_GROUP),
        reason="Radiation Dose SR",
        judge=partial(judge_reports, RDSR),
        needs=class_needs,
        by_sr=True,
    ),
    Rule(
        name=ESR,
        groups=("FL", "CT", SR_GROUP),
        reason="Enhanced SR, which may contain the dose; the study has no Radiation Dose SR",
        judge=partial(judge_reports, ESR),
        needs=class_needs,
        by_sr=True,
    ),
    Rule(
        name=UNKNOWN_SR,
        groups=("MG", "DX", "FL", "CT", SR_GROUP),
        reason="SR series without listed objects, so it may be a dose report",
        judge=partial(judge_reports, UNKNOWN_SR),
        needs=class_needs,
        by_sr=True,
        option="empty_sr",
    ),
    Rule(
        name="images",
        groups=("MG", "DX"),
        reason="the study has no Radiation Dose SR, so its images are needed for the dose",
        judge=judge_all_images,
    ),
    Rule(
        name="Philips dose info",
        groups=("CT",),
        reason='the description is "dose info"',
        judge=judge_dose_info,
    ),
    Rule(
        name="Philips few images",
        groups=("CT",),
        reason=f"possible dose sheet: at most {FEW} images, and no series has a description",
        judge=judge_few_images,
        unless="toshiba",
    ),
    Rule(
        name="Toshiba",
        groups=("CT",),
        reason="one image per series; its header contains the dose",
        judge=judge_first_images,
        needs=first_image_needs,
        option="toshiba",
    ),
    Rule(
        name="RRDSR and PET",
        groups=("NM",),
        reason="Radiopharmaceutical Radiation Dose SR, and the first image of each PET series",
        judge=judge_nuclear_images,
        needs=nuclear_needs,
    ),
    Rule(
        name=NM,
        groups=("NM",),
        reason="the first NM series; the study has neither a Radiopharmaceutical Radiation Dose SR nor PET images",
        judge=judge_first_nm,
        needs=nuclear_needs,
    ),
)
"""The first rule that fits a study decides; a study without a fitting rule is dropped."""
