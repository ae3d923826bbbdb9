"""The rules of each group, in their order, as data."""

from __future__ import annotations

from functools import partial

from qrkit.dose.groups import ESR, NM, RDSR, RRDSR, SR_GROUP, UNKNOWN_SR
from qrkit.dose.image_rules import (
    FEW,
    dose_sheet_needs,
    first_image_needs,
    judge_dose_info,
    judge_dose_sheets,
    judge_few_images,
    judge_first_images,
    judge_group_images,
)
from qrkit.dose.nuclear_rules import judge_nm, judge_nuclear_images, nm_needs, nuclear_needs
from qrkit.dose.rule import Rule
from qrkit.dose.sr_rules import IMAGES, class_needs, judge_reports

LAST = "dose sheets"
"""The last rule; rules of a site without a place come before it."""

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
        name=RRDSR,
        groups=(SR_GROUP,),
        reason="Radiopharmaceutical Radiation Dose SR",
        judge=partial(judge_reports, RRDSR),
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
        name=IMAGES,
        groups=("MG", "DX"),
        reason="the study has no Radiation Dose SR, so its images are needed for the dose",
        judge=judge_group_images,
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
        judge=judge_nm,
        needs=nm_needs,
    ),
    Rule(
        name=LAST,
        groups=("CT",),
        reason="dose sheets",
        judge=judge_dose_sheets,
        needs=dose_sheet_needs,
    ),
)
"""The first rule that fits a study decides; a study without a fitting rule is dropped."""
