"""Objects that come under other UIDs than the node lists: merged studies, one SOP Instance UID in several series."""

from dataclasses import replace

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Instance, Series, Study
from qrkit.simulator.hospital.hospital import DEFAULT_UNTIL, Calendar, GeneratedHospital
from qrkit.workspace import Workspace
from tests.retrieve.conftest import LIMIT
from tests.workspace.opened import StartSimulator, all_studies, link, uids_of, worker_in_thread

pytestmark = pytest.mark.slow


class Merged(GeneratedHospital):
    """A hospital that lists studies by their old UIDs, and sends their objects with the new ones."""

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object with the StudyInstanceUID of the study that its own was merged into."""
        return super().encoded(merged(study), series, instance, transfer_syntax)


def merged(study: Study) -> Study:
    return replace(study, StudyInstanceUID=f"{study.StudyInstanceUID}.9")


@pytest.fixture
def hospital() -> Merged:
    return Merged(seed=1, studies=3, calendar=Calendar.spread(3, DEFAULT_UNTIL, 1))


@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_of_a_merged_study_are_found_by_both_uids_and_not_retrieved_again(
    workspace: Workspace, start_simulator: StartSimulator, hospital: Merged, method: str
) -> None:
    link(workspace, start_simulator(hospital))
    study = all_studies(hospital)[0]
    count = len(uids_of(study))
    with worker_in_thread(workspace):
        jobs = [
            workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method).wait(timeout=LIMIT)
            for _ in range(2)
        ]
    assert [(job.state, job.stored, job.received) for job in jobs] == [
        (JobState.COMPLETE, count, count),
        (JobState.COMPLETE, count, 0),
    ]
    note = jobs[0].items[0].outcome.note
    assert "another StudyInstanceUID than requested" in note
    assert merged(study).StudyInstanceUID in note
    for uid in (study.StudyInstanceUID, merged(study).StudyInstanceUID):
        assert set(workspace.files.list({"StudyInstanceUID": uid})["SOPInstanceUID"]) == uids_of(study)


class HalfMerged(Merged):
    """A hospital that sends every other object with the StudyInstanceUID of another study."""

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object; those with an odd number are of the other study."""
        if instance.InstanceNumber % 2:
            return super().encoded(study, series, instance, transfer_syntax)
        return GeneratedHospital.encoded(self, study, series, instance, transfer_syntax)


@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_of_a_merged_study_are_kept_where_the_node_lists_no_images(
    workspace: Workspace, start_simulator: StartSimulator, method: str
) -> None:
    hospital = HalfMerged(seed=1, studies=3, calendar=Calendar.spread(3, DEFAULT_UNTIL, 1))
    link(workspace, start_simulator(hospital, quirks=Quirks(image_level_status=0xA900)))
    study = all_studies(hospital)[0]
    count = len(uids_of(study))
    with worker_in_thread(workspace):
        jobs = [
            workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method).wait(timeout=LIMIT)
            for _ in range(2)
        ]
    assert [(job.state, job.stored, job.received) for job in jobs] == [
        (JobState.COMPLETE, count, count),
        (JobState.COMPLETE, count, 0),
    ]
    for job in jobs:
        outcome = job.items[0].outcome
        assert not outcome.proven
        assert "arrived with another StudyInstanceUID, not listed" in " ".join(outcome.why)
    assert set(workspace.files.list({"StudyInstanceUID": study.StudyInstanceUID})["SOPInstanceUID"]) == uids_of(study)


def test_a_plan_does_not_select_the_stored_objects_of_a_merged_study_again(
    workspace: Workspace, start_simulator: StartSimulator
) -> None:
    hospital = Merged(seed=1, studies=24, calendar=Calendar.spread(24, DEFAULT_UNTIL, 1))
    link(workspace, start_simulator(hospital))
    first = workspace.plan("pacs", dose=["CT", "MG", "DX"], date=DEFAULT_UNTIL)
    with worker_in_thread(workspace):
        assert workspace.retrieve(first).wait(timeout=LIMIT).state is JobState.COMPLETE
    again = workspace.plan("pacs", dose=["CT", "MG", "DX"], date=DEFAULT_UNTIL)
    assert (first.funnel[-1].studies > 0, again.funnel[-1].studies) == (True, 0)


class Inconsistent(GeneratedHospital):
    """A hospital whose objects have another SOP Instance UID than the C-STORE requests that send them."""

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object with another SOP Instance UID."""
        other = replace(instance, SOPInstanceUID=f"{instance.SOPInstanceUID}.9")
        return super().encoded(study, series, other, transfer_syntax)


@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_that_contradict_their_requests_are_no_fault_of_this_disk(
    workspace: Workspace, start_simulator: StartSimulator, method: str
) -> None:
    hospital = Inconsistent(seed=1, studies=3, calendar=Calendar.spread(3, DEFAULT_UNTIL, 1))
    link(workspace, start_simulator(hospital))
    study = min(all_studies(hospital), key=lambda one: one.NumberOfStudyRelatedInstances)
    with worker_in_thread(workspace):
        job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method).wait(timeout=LIMIT)
    outcome = job.items[0].outcome
    assert outcome.state is JobState.FAILED
    assert "pacs sent" in outcome.error
    assert "SOPInstanceUID is not the Affected SOP Instance UID" in outcome.error
    assert outcome.advice == "Ask the PACS team to correct these objects."


class Shared(GeneratedHospital):
    """A hospital with the same SOP Instance UIDs in the first two series of a study."""

    def _make_study(self, number: int) -> Study:
        study = super()._make_study(number)
        if len(study.series) < 2:
            return study
        first, second, *others = study.series
        twin = replace(second, instances=first.instances, sop_classes=first.sop_classes)
        return replace(study, series=(first, twin, *others))


@pytest.mark.parametrize("method", ["get", "move"])
@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_objects_with_one_uid_in_two_series_are_two_objects(
    workspace: Workspace, start_simulator: StartSimulator, level: str, method: str
) -> None:
    hospital = Shared(seed=1, studies=12, calendar=Calendar.spread(12, DEFAULT_UNTIL, 1))
    link(workspace, start_simulator(hospital))
    study = next(one for one in all_studies(hospital) if len(one.series) > 2 and len(one.series[0].instances) < 30)
    count = sum(len(series.instances) for series in study.series)
    rows = workspace.find("pacs", level=level, study_uid=study.StudyInstanceUID)
    with worker_in_thread(workspace):
        jobs = [workspace.retrieve(rows, method=method).wait(timeout=LIMIT) for _ in range(2)]
    assert [(job.state, job.stored, job.expected, job.received) for job in jobs] == [
        (JobState.COMPLETE, count, count, count),
        (JobState.COMPLETE, count, count, 0),
    ]
    listed = workspace.files.list()
    assert len(listed) == len(list(workspace.files.folder.rglob("*.dcm"))) == count
    assert set(zip(listed["SeriesInstanceUID"], listed["SOPInstanceUID"], strict=True)) == {
        (series.SeriesInstanceUID, one.SOPInstanceUID) for series in study.series for one in series.instances
    }
