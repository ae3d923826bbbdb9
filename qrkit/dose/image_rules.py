"""The rules that keep images: where no structured report tells the dose, or beside one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from qrkit.dose.facts import Ask, Need, ObjectRow, SeriesRow
from qrkit.dose.groups import CAPTURE, NM, NO_IMAGES, PET, RRDSR, SR
from qrkit.dose.rule import Case, Rule, Ruling, Verdict
from qrkit.dose.sr_rules import class_needs, judge_reports, kinds_of

DOSE_INFO = "dose info"
FEW = 5
"""Instances of a series that may be a dose sheet, where nothing is described."""

_NO_DOSE_SR = "an SR series, and no dose report"
_NO_IMAGE = "it holds no images"

Pick = Callable[[SeriesRow], Ruling | None]


def judge_all_images(rule: Rule, case: Case) -> Verdict | None:
    """Keep all image series; None if there are none."""
    return _verdict(rule, case, lambda row: Ruling(row, True, rule.name, rule.reason), "")


def judge_dose_info(rule: Rule, case: Case) -> Verdict | None:
    """Keep exactly the series that are described as dose info; None if there are none."""

    def pick(row: SeriesRow) -> Ruling | None:
        described = row.SeriesDescription.strip().casefold() == DOSE_INFO
        return Ruling(row, True, rule.name, rule.reason) if described else None

    return _verdict(rule, case, pick, "another series of the study is described as dose info")


def judge_few_images(rule: Rule, case: Case) -> Verdict | None:
    """Keep series of few or an unknown number of images, if no series of the study has a description."""
    if any(row.SeriesDescription.strip() for row in case.series):
        return None

    def pick(row: SeriesRow) -> Ruling | None:
        few = row.instance_count is None or row.instance_count <= FEW
        return Ruling(row, True, rule.name, rule.reason) if few else None

    return _verdict(rule, case, pick, f"more than {FEW} images, so it is no dose sheet")


def first_image_needs(case: Case) -> tuple[Need, ...]:
    """Return the need for the first image of each image series."""
    return case.missing(Ask.FIRST_IMAGE, *case.image_series)


def judge_first_images(rule: Rule, case: Case) -> Verdict | None:
    """Keep series of secondary captures, and one image of each other; None if no series has a first image."""

    def pick(row: SeriesRow) -> Ruling | None:
        image = case.first_image(row)
        if image is None:
            return None
        if image.SOPClassUID in case.classes[CAPTURE]:
            return Ruling(row, True, rule.name, "its first image is a secondary capture: perhaps the dose sheet")
        return Ruling(row, True, rule.name, rule.reason, (image,))

    return _verdict(rule, case, pick, "no image with InstanceNumber 1 or 0")


def nuclear_needs(case: Case) -> tuple[Need, ...]:
    """Return what a nuclear medicine study needs: classes of SR, first images of PT, of NM one after the other."""
    needs = (*class_needs(case), *_first_images(case, "PT", PET))
    if needs or _has_report(case) or _pet_images(case):
        return needs
    for row in _series(case, "NM"):
        if _is_told(case, row):
            break
        needs = case.missing(Ask.FIRST_IMAGE, row) if _may_hold(case, NM) else ()
        if needs or _image_of(case, row, NM):
            return needs
    return ()


def judge_nuclear_images(rule: Rule, case: Case) -> Verdict | None:
    """Keep Radiopharmaceutical Radiation Dose SR whole and PET series by their first image; None if none is found."""
    reports = judge_reports(RRDSR, rule, case)
    of_report = {one.row.SeriesInstanceUID: one for one in reports.rulings if one.keep} if reports else {}
    images = _pet_images(case)
    if not of_report and not images:
        return None

    def rule_on(row: SeriesRow) -> Ruling:
        if row.SeriesInstanceUID in of_report:
            return replace(
                of_report[row.SeriesInstanceUID], rule=RRDSR, reason="a Radiopharmaceutical Radiation Dose SR"
            )
        if row.SeriesInstanceUID in images:
            reason = "a PET series, whose first image tells the radiopharmaceutical"
            return Ruling(row, True, PET, reason, (images[row.SeriesInstanceUID],))
        return Ruling(row, False, rule.name, "neither a Radiopharmaceutical Radiation Dose SR nor a PET series")

    name = " and ".join([RRDSR] * bool(of_report) + [PET] * bool(images))
    return Verdict(name, rule.reason, tuple(map(rule_on, case.series)))


def judge_first_nm(rule: Rule, case: Case) -> Verdict | None:
    """Keep the first NM series whose first image is an NM image; None if there is none."""
    fitting = (row for row in _series(case, "NM") if _is_told(case, row) or _image_of(case, row, NM))
    chosen = next(fitting, None)
    if chosen is None:
        return None
    rulings = (
        Ruling(row, True, rule.name, rule.reason)
        if row is chosen
        else Ruling(row, False, rule.name, "not the first NM series, which is enough")
        for row in case.series
    )
    return Verdict(rule.name, rule.reason, tuple(rulings))


def in_order(rows: Iterable[SeriesRow]) -> list[SeriesRow]:
    """Return series by SeriesNumber; those without one come last, as they were found."""
    return sorted(rows, key=lambda row: (row.SeriesNumber is None, row.SeriesNumber or 0))


def _verdict(rule: Rule, case: Case, pick: Pick, otherwise: str) -> Verdict | None:
    """Return the verdict that keeps the image series that are picked; None if none is."""
    picked = [(row, None if row.Modality in NO_IMAGES else pick(row)) for row in case.series]
    if not any(ruling and ruling.keep for _, ruling in picked):
        return None
    rulings = (ruling or Ruling(row, False, rule.name, _why_not(row, otherwise)) for row, ruling in picked)
    return Verdict(rule.name, rule.reason, tuple(rulings))


def _why_not(row: SeriesRow, otherwise: str) -> str:
    if row.Modality == SR:
        return _NO_DOSE_SR
    return _NO_IMAGE if row.Modality in NO_IMAGES else otherwise


def _series(case: Case, modality: str) -> list[SeriesRow]:
    return in_order(row for row in case.series if row.Modality == modality)


def _may_hold(case: Case, kind: str) -> bool:
    """Whether SOPClassesInStudy leaves it open that there are images of a kind."""
    classes = case.study.SOPClassesInStudy
    return not classes or bool(classes & case.classes[kind])


def _first_images(case: Case, modality: str, kind: str) -> tuple[Need, ...]:
    return case.missing(Ask.FIRST_IMAGE, *_series(case, modality)) if _may_hold(case, kind) else ()


def _image_of(case: Case, row: SeriesRow, kind: str) -> ObjectRow | None:
    image = case.first_image(row)
    return image if image is not None and image.SOPClassUID in case.classes[kind] else None


def _pet_images(case: Case) -> dict[str, ObjectRow]:
    found = ((row.SeriesInstanceUID, _image_of(case, row, PET)) for row in _series(case, "PT"))
    return {uid: image for uid, image in found if image is not None}


def _has_report(case: Case) -> bool:
    return any(RRDSR in (kinds_of(case, row) or ()) for row in case.sr_series)


def _is_told(case: Case, row: SeriesRow) -> bool:
    """Whether SOPClassesInStudy says that the only NM series of a study holds NM images."""
    return (
        len(_series(case, "NM")) == 1
        and row.Modality == "NM"
        and bool(case.study.SOPClassesInStudy & case.classes[NM])
    )
