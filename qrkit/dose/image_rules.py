"""The rules on images that stand in for a dose report: all images of a group, dose sheets, and first images."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from qrkit.dose.facts import Need, NeedKind, SeriesRow, first_image_of
from qrkit.dose.groups import CAPTURE, GROUPS, NO_IMAGES, SR
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.sr_rules import NO_DOSE_SR
from qrkit.query.filters import as_compared

DOSE_INFO = "dose info"

FEW = 5
"""Largest number of instances in a possible dose sheet without a description."""

MOST_PAGES = 10
"""Largest number of instances in a dose sheet with a description: one for each page of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseSheet:
    """The dose sheets of a vendor: series of few secondary captures whose description contains a term."""

    vendor: str
    terms: tuple[str, ...]  # in lower case, with single spaces
    at_most: int = MOST_PAGES  # largest number of instances; series of unknown size match

    def matches(self, row: SeriesRow) -> bool:
        """Return whether the row of a series meets the criteria; its first image shows the SOP Class."""
        description = " ".join(re.split(r"[\s_-]+", as_compared(row.SeriesDescription)))
        return (
            row.Modality not in NO_IMAGES
            and (row.instance_count is None or row.instance_count <= self.at_most)
            and any(term in description for term in self.terms)
        )


DOSE_SHEETS = (
    DoseSheet(vendor="GE", terms=("dose report",)),
    DoseSheet(vendor="Siemens", terms=("patient protocol", "patientenprotokoll")),
    DoseSheet(vendor="Canon", terms=("dose summary", "dose information", "dose sheet")),
)
"""Dose sheets of CT scanners; the rule `Philips dose info` has those of Philips."""

_NO_IMAGE = "{modality} series, which contains no images"

_UNKNOWN_MODALITY = "series of unknown Modality, so it may contain images of the group"

Pick = Callable[[SeriesRow], SeriesChoice | None]


def judge_group_images(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the image series of the group's own modalities; None if the study has none."""
    codes = " or ".join(GROUPS[context.group])
    reason = f"not an image series of {codes}"

    def pick(row: SeriesRow) -> SeriesChoice:
        if not context.may_be_of_group(row):
            return SeriesChoice(row, False, rule.name, f"{reason}, but {row.Modality}")
        return SeriesChoice(row, True, rule.name, rule.reason if row.Modality else _UNKNOWN_MODALITY)

    return _result(rule, context, pick, reason)


def judge_dose_info(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep exactly the series with the description "dose info"; None if the study has none."""

    def pick(row: SeriesRow) -> SeriesChoice | None:
        described = as_compared(row.SeriesDescription.strip()) == DOSE_INFO
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


def dose_sheet_needs(context: StudyContext) -> tuple[Need, ...]:
    """Return the needs for the objects of each possible dose sheet; one request may list those of many."""
    return context.missing(NeedKind.OBJECTS, *(row for row in context.series if _sheet_of(row) is not None))


def judge_dose_sheets(rule: Rule, context: StudyContext) -> RuleResult | None:
    """Keep the dose sheets of other vendors; None if the study has none."""

    def pick(row: SeriesRow) -> SeriesChoice | None:
        sheet, listing = _sheet_of(row), context.objects(row)
        image = first_image_of(listing.rows) if listing is not None else None
        if sheet is None or image is None or image.SOPClassUID not in {"", *context.classes[CAPTURE]}:
            return None
        known = "secondary capture" if image.SOPClassUID else "series of unknown SOP Class"
        return SeriesChoice(row, True, rule.name, f"{known} with the description of {sheet.vendor} {rule.reason}")

    return _result(rule, context, pick, "not a dose sheet, but another series is")


def _sheet_of(row: SeriesRow) -> DoseSheet | None:
    return next((sheet for sheet in DOSE_SHEETS if sheet.matches(row)), None)


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

    return _result(rule, context, pick, "the node lists no image in the series")


def _result(rule: Rule, context: StudyContext, pick: Pick, otherwise: str) -> RuleResult | None:
    """Return the result that keeps the picked image series; None if there are none."""
    picked = [(row, None if row.Modality in NO_IMAGES else pick(row)) for row in context.series]
    if not any(choice and choice.keep for _, choice in picked):
        return None
    choices = (choice or SeriesChoice(row, False, rule.name, _why_not(row, otherwise)) for row, choice in picked)
    return RuleResult(rule.name, rule.reason, tuple(choices))


def _why_not(row: SeriesRow, otherwise: str) -> str:
    if row.Modality == SR:
        return NO_DOSE_SR
    return _NO_IMAGE.format(modality=row.Modality) if row.Modality in NO_IMAGES else otherwise
