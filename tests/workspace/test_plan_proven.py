"""A plan is held against what the node counts, not only against what it lists."""

from collections.abc import Callable
from datetime import date

import pytest

from qrkit.dose import Plan
from qrkit.errors import NodeError
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Kind, Series, Study
from qrkit.simulator.hospital.hospital import Calendar, GeneratedHospital, Instances, make_study
from qrkit.simulator.hospital.people import patient
from qrkit.simulator.hospital.recipes import CT_FORCE
from qrkit.store.nodes import ProfileTable
from qrkit.workspace import Workspace
from tests.workspace.opened import StartSimulator, all_studies, link

DAY = date(2026, 6, 30)
CAP = 10
Layout = tuple[tuple[str, Kind, int], ...]

IMAGES: Layout = (("CT", Kind.CT_IMAGE, 3),)
REPORT: Layout = (("SR", Kind.RDSR, 1),)
ONE_REPORT: Layout = (*IMAGES, *REPORT)
LARGE_SERIES: Layout = (*IMAGES, ("SR", Kind.RDSR, CAP + 2))
MANY_REPORTS: Layout = (*IMAGES, *REPORT * (CAP + 2))
MANY_SERIES: Layout = (*IMAGES * (CAP + 2), *REPORT)
JUST_AT_THE_CAP: Layout = (*IMAGES * (CAP - 2), *REPORT, ("SR", Kind.RDSR, CAP))

CAPPED = Quirks(cap=CAP)
WITHOUT_CLASSES = Quirks(cap=CAP, omit_keys=("SOPClassesInStudy",))
LAST_HIDDEN = Quirks(hide_answers=1, omit_keys=("SOPClassesInStudy",))


class Archive(GeneratedHospital):
    """A few CT studies of one layout."""

    def __init__(self, layout: Layout, studies: int = 3) -> None:
        super().__init__(seed=1, studies=studies, calendar=Calendar.spread(studies, DAY, 1))
        self.layout = layout

    def _make_study(self, number: int) -> Study:
        who = patient(self.seed, number)
        made = make_study(self.uids, number, self.calendar.day_of(number), who)
        return Study(
            patient=who,
            StudyInstanceUID=made.StudyInstanceUID,
            StudyDate=made.StudyDate,
            StudyTime=made.StudyTime,
            AccessionNumber=made.AccessionNumber,
            StudyID=made.StudyID,
            StudyDescription="CT THORAX",
            ReferringPhysicianName=made.ReferringPhysicianName,
            PatientAge=made.PatientAge,
            series=tuple(self._series(number, place, made) for place in range(1, len(self.layout) + 1)),
            procedure=made.procedure,
        )

    def _series(self, number: int, place: int, study: Study) -> Series:
        modality, kind, count = self.layout[place - 1]
        instances = Instances(
            uids=self.uids,
            study=number,
            series=place,
            contents=((kind, count),),
            transfer_syntax="1.2.840.10008.1.2.1",
        )
        return Series(
            SeriesInstanceUID=self.uids.uid(number, place),
            Modality=modality,
            SeriesNumber=place,
            SeriesDescription="Thorax",
            SeriesDate=study.StudyDate,
            SeriesTime=study.StudyTime,
            BodyPartExamined="CHEST",
            ProtocolName="Thorax Routine",
            station=CT_FORCE,
            sop_classes=(instances[0].SOPClassUID,),
            instances=instances,
        )


PlanArchive = Callable[..., Plan]


@pytest.fixture
def plan_archive(workspace: Workspace, start_simulator: StartSimulator) -> PlanArchive:
    """Plan CT of an archive with some quirks and a profile."""

    def plan(archive: Archive, quirks: Quirks, profile: Profile | None = None) -> Plan:
        pacs = start_simulator(archive, quirks=quirks)
        link(workspace, pacs)
        if profile is not None:
            ProfileTable(workspace._state).add(profile, "test")
        return workspace.plan("pacs", "CT", date=DAY)

    return plan


def probed(*subjects: Subject, cap: int | None = None) -> Profile:
    seen = (Statement(subject=subject, verdict=Verdict.HONOURED, evidence="seen") for subject in subjects)
    return Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", statements=tuple(seen), cap=cap)


LISTS = probed(Subject.SERIES_OF_STUDIES, Subject.MODALITY, cap=CAP)
DAYS = probed(Subject.SERIES_BY_DATE_AND_MODALITY, Subject.IMAGES_BY_DATE_AND_CLASS, cap=CAP)
PROFILES = {"not probed": None, "lists": LISTS, "days": DAYS}


def has_all(plan: Plan, archive: Archive) -> bool:
    """Whether the plan retrieves all reports of the studies that were found: whole series, or each report."""
    found = set(plan.studies["StudyInstanceUID"])
    requests = {request.SeriesInstanceUID: request for request in plan.requests()}
    studies = [study for study in all_studies(archive) if study.StudyInstanceUID in found]
    reports = [series for study in studies for series in study.series if series.Modality == "SR"]
    assert reports
    return all(
        series.SeriesInstanceUID in requests
        and {instance.SOPInstanceUID for instance in series.instances}
        <= set(requests[series.SeriesInstanceUID].expected or (one.SOPInstanceUID for one in series.instances))
        for series in reports
    )


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("quirks", [CAPPED, WITHOUT_CLASSES, LAST_HIDDEN], ids=["cap", "no classes", "last hidden"])
@pytest.mark.parametrize(
    "layout",
    [LARGE_SERIES, MANY_REPORTS, MANY_SERIES, ONE_REPORT],
    ids=["large series", "many reports", "many series", "one report"],
)
def test_a_plan_has_every_report_or_says_that_it_may_be_incomplete(
    plan_archive: PlanArchive, layout: Layout, quirks: Quirks, profile: Profile | None
) -> None:
    archive = Archive(layout)
    plan = plan_archive(archive, quirks, profile)
    suggests_empty_sr = any("empty_sr=True" in note for note in plan.notes)
    assert has_all(plan, archive) or not plan.coverage.is_complete or suggests_empty_sr


def test_a_plan_says_how_many_series_are_listed_and_counted(plan_archive: PlanArchive) -> None:
    plan = plan_archive(Archive(MANY_SERIES), WITHOUT_CLASSES)
    (why,) = plan.coverage.why
    assert "more series than it lists in 3 studies: 30 listed, the node counts 39" in why


def test_a_plan_says_how_many_objects_are_listed_and_counted(plan_archive: PlanArchive) -> None:
    plan = plan_archive(Archive(LARGE_SERIES), WITHOUT_CLASSES)
    (why,) = plan.coverage.why
    assert "more objects than it lists in 3 series: 30 listed, the node counts 36" in why


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_lists_of_just_the_cap_are_proven_by_the_counts(plan_archive: PlanArchive, profile: Profile | None) -> None:
    archive = Archive(JUST_AT_THE_CAP)
    plan = plan_archive(archive, WITHOUT_CLASSES, profile)
    assert has_all(plan, archive)
    assert plan.coverage.why == ()


@pytest.mark.slow
def test_a_doubtful_plan_is_as_doubtful_when_it_is_made_again(
    plan_archive: PlanArchive, workspace: Workspace
) -> None:
    first = plan_archive(Archive(LARGE_SERIES), WITHOUT_CLASSES, LISTS)
    again = workspace.plan("pacs", "CT", date=DAY)
    assert first.coverage.why
    assert again.coverage.why == first.coverage.why


def test_a_cap_that_contradicts_the_profile_makes_it_stale(plan_archive: PlanArchive, workspace: Workspace) -> None:
    low = probed(Subject.SERIES_OF_STUDIES, Subject.MODALITY, cap=4)
    archive = Archive(MANY_REPORTS)
    plan = plan_archive(archive, Quirks(omit_keys=("SOPClassesInStudy",)), low)
    assert has_all(plan, archive)
    assert "beyond the cap of 4" in (ProfileTable(workspace._state).get("pacs") or low).stale


def test_a_node_that_breaks_off_three_requests_in_a_row_fails_the_plan(plan_archive: PlanArchive) -> None:
    with pytest.raises(NodeError):
        plan_archive(Archive(MANY_SERIES), Quirks(find_abort_after=5, omit_keys=("SOPClassesInStudy",)))


def test_a_study_that_the_node_does_not_answer_fails_alone(plan_archive: PlanArchive) -> None:
    plan = plan_archive(Archive(MANY_SERIES, studies=2), Quirks(find_abort_after=5, omit_keys=("SOPClassesInStudy",)))
    (why,) = plan.coverage.why
    assert why.startswith("2 studies could not be judged: the node did not answer")
    assert not why.endswith(".")


def test_a_node_that_refuses_lists_all_the_same_is_asked_once_for_each_study_and_series(
    plan_archive: PlanArchive, workspace: Workspace
) -> None:
    archive = Archive(ONE_REPORT, studies=8)
    claimed = probed(Subject.SERIES_OF_STUDIES, Subject.MODALITY)
    plan = plan_archive(archive, Quirks(refuse_uid_lists=True, omit_keys=("SOPClassesInStudy",)), claimed)
    assert has_all(plan, archive)
    assert plan.coverage.why == ()
    refused = 2  # lists of studies, and of series
    assert (plan.coverage["requests"] or 0) <= 1 + refused + 2 * archive.size + 1
    assert "refuses lists" in (ProfileTable(workspace._state).get("pacs") or claimed).stale
