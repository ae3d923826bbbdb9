"""Reports in a study of their own: some systems send the report of a study as another study of the same patient.

Such a study contains only structured reports. It is kept for a study without a report, if both are of the same
patient and have the same accession number or day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qrkit.character_sets import folded
from qrkit.dose.facts import StudyRow
from qrkit.dose.groups import ANYTHING, BESIDE_SR, ESR, RDSR, RRDSR, SR, UNKNOWN_CLASS, UNKNOWN_SR
from qrkit.dose.outcome import ALREADY_STORED, Decision, PlanItem
from qrkit.words import counted

_REPORT_RULES = frozenset({RDSR, ESR, RRDSR, UNKNOWN_SR, UNKNOWN_CLASS})
_ACCESSION_NUMBER, _DAY = "accession number", "day"


@dataclass(frozen=True, slots=True)
class ReportLink:
    """A study of only reports, and the studies of a group that it may be for."""

    study: StudyRow
    group: str
    targets: Mapping[str, str]  # what each has in common with it, by StudyInstanceUID: accession number or day

    @property
    def reason(self) -> str:
        """Why the study is kept."""
        common = ", ".join(dict.fromkeys(self.targets.values()))
        uids = ", ".join(self.targets)
        return f"report in a study of its own, for study {uids} (same patient and {common})"


def is_only_sr(modalities: Collection[str]) -> bool:
    """Return whether a study has structured reports and no images of a modality.

    >>> is_only_sr({"SR", "KO"}), is_only_sr({"SR", "OT"}), is_only_sr({"CT", "SR"}), is_only_sr(set())
    (True, True, False, False)
    """
    return SR in modalities and {SR, *BESIDE_SR, *ANYTHING}.issuperset(modalities)


def report_studies(items: Iterable[PlanItem]) -> dict[str, StudyRow]:
    """Return the studies of only reports by StudyInstanceUID, by their modalities or their series."""
    return {
        item.study.StudyInstanceUID: item.study
        for item in items
        if is_only_sr(item.study.ModalitiesInStudy or {outcome.row.Modality for outcome in item.series})
    }


def without_report(items: Iterable[PlanItem]) -> list[PlanItem]:
    """Return the items of a group that the node answered and that have no report."""
    return [
        item
        for item in items
        if (item.decision.keep or item.decision.rule in (f"{item.group} rules", ALREADY_STORED))
        and not has_report(item)
    ]


def has_report(item: PlanItem) -> bool:
    """Return whether a report decided on an item."""
    rules = (name for entry in item.decision.history for name in entry.partition(": ")[0].split(" and "))
    return any(rule in _REPORT_RULES for rule in rules)


def links_of(items: Iterable[PlanItem], reports: Mapping[str, StudyRow]) -> tuple[ReportLink, ...]:
    """Return which studies of only reports may be for which studies without a report."""
    by_patient = _by_patient(reports.values())
    targets: dict[tuple[str, str], dict[str, str]] = {}
    for item in without_report(items):
        for study in by_patient.get(_compared(item.study.PatientID), ()):
            common = _common(study, item.study)
            if common and study.StudyInstanceUID != item.study.StudyInstanceUID:
                place = (study.StudyInstanceUID, item.group)
                targets.setdefault(place, {})[item.study.StudyInstanceUID] = common
    return tuple(ReportLink(reports[uid], group, found) for (uid, group), found in targets.items())


def _by_patient(studies: Iterable[StudyRow]) -> dict[str, list[StudyRow]]:
    found: dict[str, list[StudyRow]] = {}
    for study in studies:
        if study.PatientID:
            found.setdefault(_compared(study.PatientID), []).append(study)
    return found


def _compared(identifier: str) -> str:
    """Return the form in which identifiers are compared: systems differ in their case and blanks."""
    return folded(identifier.strip())


def _common(study: StudyRow, other: StudyRow) -> str:
    """Return what two studies of a patient have in common; empty if they belong to different examinations."""
    numbers, others = (set(filter(None, map(_compared, row.AccessionNumber.split("\\")))) for row in (study, other))
    if numbers & others:
        return _ACCESSION_NUMBER
    return _DAY if study.StudyDate and study.StudyDate == other.StudyDate else ""


def with_reports(
    items: Sequence[PlanItem], reports: Mapping[str, StudyRow], judged: Sequence[tuple[ReportLink, PlanItem]]
) -> list[PlanItem]:
    """Return the items with those of linked studies, and with the reason of studies without a report."""
    linked = {link.study.StudyInstanceUID for link, _ in judged}
    found: dict[tuple[str, str], list[str]] = {}
    for link, item in judged:
        for uid in link.targets if item.decision.keep or has_report(item) else ():
            found.setdefault((uid, link.group), []).append(link.study.StudyInstanceUID)
    lacking = {id(item) for item in without_report(items)}
    by_patient = _by_patient(reports.values())
    kept: list[PlanItem] = []
    for item in items:
        if item.study.StudyInstanceUID in linked and id(item) not in lacking and not has_report(item):
            continue  # judged for another study
        others = len(by_patient.get(_compared(item.study.PatientID), ())) if id(item) in lacking else 0
        uids = found.get((item.study.StudyInstanceUID, item.group), [])
        if uids:
            item = _noted(item, f"its report may be in study {', '.join(uids)}")  # noqa: PLW2901 - the same item
        elif others:
            number = counted(others, "study")
            item = _noted(item, f"{number} of only SR of the patient cannot be its report")  # noqa: PLW2901
        kept.append(item)
    return kept + [_for_targets(link, item) for link, item in judged]


def _for_targets(link: ReportLink, item: PlanItem) -> PlanItem:
    if not item.decision.keep:
        return item
    series = tuple(
        replace(outcome, decision=_with_reason(outcome.decision, link.reason)) if outcome.decision.keep else outcome
        for outcome in item.series
    )
    return replace(_noted(item, link.reason), series=series)


def _noted(item: PlanItem, text: str) -> PlanItem:
    return replace(item, decision=_with_reason(item.decision, text))


def _with_reason(decision: Decision, text: str) -> Decision:
    """Return a decision with an addition to its reason, in the history as well."""
    reason = f"{decision.reason}; {text}"
    before, after = f"{decision.rule}: {decision.reason}", f"{decision.rule}: {reason}"
    history = tuple(after if entry == before else entry for entry in decision.history)
    return replace(decision, reason=reason, history=history)
