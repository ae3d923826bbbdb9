"""Reports in studies of their own, on literal rows."""

import pytest

from qrkit.dose import PlanItem, StudyRow
from qrkit.dose.own_studies import ReportLink, is_only_sr, links_of, report_studies, with_reports
from tests.dose.world import CT, RDSR, REPORT, Series, World, policy_of

IMAGES = (Series(modality="CT", classes=(CT,) * 9, description="Thorax"),)
DOSE_REPORT = (Series(modality="SR", classes=(RDSR,)),)


def row(uid: str, modalities: str, *, patient: str = "P", accession: str = "", day: str = "20260630") -> StudyRow:
    return StudyRow(
        StudyInstanceUID=uid,
        PatientID=patient,
        AccessionNumber=accession,
        StudyDate=day,
        ModalitiesInStudy=frozenset(modalities.split()),
    )


def planned(*studies: tuple[StudyRow, tuple[Series, ...]], group: str = "CT") -> dict[tuple[str, str], PlanItem]:
    """The items of a plan by study and group, as a planner makes them of one result."""
    world = World({study.StudyInstanceUID: (study, series) for study, series in studies})
    policy = policy_of(group)
    items = world.judge(policy)
    reports = report_studies(items)
    links = links_of(items, reports)
    judged = [(link, item) for link in links for item in world.report(policy, link.study, link.group)]
    whole = with_reports(items, reports, judged)
    return {(item.study.StudyInstanceUID, item.group): item for item in whole}


@pytest.mark.parametrize(
    ("report", "common"),
    [
        (row("2", "SR", day="20260701", accession="A1"), "accession number"),
        (row("2", "SR", day="20260701", accession="A0\\A1"), "accession number"),
        (row("2", "SR KO"), "day"),
        (row("2", "SR OT DOC"), "day"),
        (row("2", "SR", patient=" p", day="20260701", accession="a1 "), "accession number"),
    ],
)
def test_a_report_in_a_study_of_its_own_is_kept_for_the_study_that_has_none(report: StudyRow, common: str) -> None:
    items = planned((row("1", "CT", accession="A1"), IMAGES), (report, DOSE_REPORT))
    kept = items["2", "CT"]
    why = f"report in a study of its own, for study 1 (same patient and {common})"
    assert (kept.decision.keep, kept.decision.reason) == (True, f"Radiation Dose SR; {why}")
    assert kept.decision.history[-1] == f"RDSR: {kept.decision.reason}"
    assert [outcome.level for outcome in kept.series] == ["SERIES"]
    assert items["1", "CT"].decision.reason.endswith("; its report may be in study 2")
    assert set(items) == {("1", "CT"), ("2", "CT")}


@pytest.mark.parametrize(
    "report",
    [row("2", "SR", patient="Q"), row("2", "SR", patient=""), row("2", "SR", day="20260701", accession="A2")],
    ids=["another patient", "no patient", "another day and accession number"],
)
def test_other_studies_of_reports_are_counted_and_not_kept(report: StudyRow) -> None:
    items = planned((row("1", "CT", accession="A1"), IMAGES), (report, DOSE_REPORT))
    assert items["2", ""].decision.rule == "modality"
    is_of_patient = report.PatientID == "P"
    counted = "1 study of only SR of the patient cannot be its report"
    assert items["1", "CT"].decision.reason.endswith(counted) is is_of_patient


def test_a_study_with_a_report_needs_no_other() -> None:
    items = planned((row("1", "CT SR"), (*IMAGES, *DOSE_REPORT)), (row("2", "SR"), DOSE_REPORT))
    assert items["2", ""].decision.rule == "modality"
    assert items["1", "CT"].decision.reason == "Radiation Dose SR"


def test_a_study_of_reports_without_dose_is_dropped_for_that_reason() -> None:
    other = (Series(modality="SR", classes=(REPORT,)),)
    items = planned((row("1", "CT"), IMAGES), (row("2", "SR"), other))
    assert (items["2", "CT"].decision.keep, items["2", "CT"].decision.rule) == (False, "CT rules")
    assert items["1", "CT"].decision.reason.endswith("1 study of only SR of the patient cannot be its report")


def test_images_are_kept_in_addition_to_a_report_in_another_study() -> None:
    images = (Series(modality="MG", classes=(CT,) * 4),)
    items = planned((row("1", "MG"), images), (row("2", "SR"), DOSE_REPORT), group="MG")
    assert items["1", "MG"].decision.keep
    assert items["2", "MG"].decision.keep


def test_a_study_of_only_reports_is_known_by_its_series_where_modalities_are_not() -> None:
    items = planned((row("1", ""), IMAGES), (row("2", ""), DOSE_REPORT))
    assert items["2", "CT"].decision.keep


def test_one_study_of_reports_serves_all_studies_that_it_may_be_for() -> None:
    found = ReportLink(row("3", "SR"), "CT", {"1": "day", "2": "accession number"})
    assert found.reason.endswith("for study 1, 2 (same patient and day, accession number)")
    assert not is_only_sr(frozenset())
