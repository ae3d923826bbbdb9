"""The selection rules at a simulated node with a few literal studies: what a user's plan keeps and drops, and why."""

import pytest

from qrkit.dose import Plan
from qrkit.jobs import JobState
from qrkit.workspace import Workspace
from tests.dose.hospitals import DAY, LiteralHospital
from tests.dose.test_enhanced_sr import item
from tests.dose.world import CAPTURE, CT, ENHANCED_PET, ESR, KEY_OBJECTS, MG, NM, RDSR, RRDSR, Series
from tests.workspace.opened import StartSimulator, link, worker_in_thread

STUDIES = {
    "1.2.1": (
        Series(modality="MG", classes=(MG,) * 2, description="Views"),
        Series(modality="US", classes=(CAPTURE,), description="Sonogram"),
        Series(modality="MR", classes=(CAPTURE,), description="Breast"),
        Series(modality="KO", classes=(KEY_OBJECTS,), description="Key images"),
    ),
    "1.2.2": (
        Series(modality="DX", classes=(MG,), description="Chest"),
        Series(modality="CT", classes=(CT,) * 7, description="Thorax"),
        Series(modality="SR", classes=(RDSR,), description="Dose"),
    ),
    "1.2.3": (Series(modality="SR", classes=(RRDSR,), description="Injection"),),
    "1.2.4": (Series(modality="PT", classes=(ENHANCED_PET,) * 2, description="Brain", first=41),),
    "1.2.6": (
        Series(modality="CT", classes=(CT,) * 7, description="Thorax"),
        Series(modality="CT", classes=(CAPTURE,) * 2, description="Patient Protocol"),
        Series(modality="CT", classes=(CT,), description="Dose Report"),
    ),
    "1.2.5": (
        Series(modality="NM", classes=(NM,) * 2, description="Rest"),
        Series(modality="NM", classes=(NM,) * 2, description="Stress", first=0),
    ),
}


@pytest.fixture
def pacs(workspace: Workspace, start_simulator: StartSimulator) -> Workspace:
    """A workspace whose node `pacs` has these studies."""
    link(workspace, start_simulator(LiteralHospital(STUDIES)))
    return workspace


def kept(plan: Plan) -> dict[tuple[str, str], set[str]]:
    """The last parts of the UIDs of the kept series, by StudyInstanceUID and group."""
    rows = plan.series[plan.series["keep"]]
    found: dict[tuple[str, str], set[str]] = {}
    for study, group, uid in zip(rows["StudyInstanceUID"], rows["group"], rows["SeriesInstanceUID"], strict=True):
        found.setdefault((study, group), set()).add(uid.removeprefix(f"{study}."))
    return found


@pytest.mark.slow
def test_images_of_other_modalities_are_dropped_and_each_group_is_judged(pacs: Workspace) -> None:
    plan = pacs.plan("pacs", "MG,DX,CT,NM", date=DAY)
    assert kept(plan) == {
        ("1.2.1", "MG"): {"1"},
        ("1.2.2", "DX"): {"1", "3"},
        ("1.2.2", "CT"): {"3"},
        ("1.2.6", "CT"): {"2"},
        ("1.2.4", "NM"): {"1"},
        ("1.2.5", "NM"): {"1", "2"},
    }
    ultrasound = plan.series[plan.series["SeriesInstanceUID"] == "1.2.1.2"]
    assert ultrasound["reason"].tolist() == ["not an image series of MG, but US"]
    radiograph = plan.series[(plan.series["SeriesInstanceUID"] == "1.2.2.1") & plan.series["keep"]]
    assert radiograph["reason"].tolist() == ["the report may be of another modality, so the images are kept too"]
    assert plan.coverage["complete"]
    assert [(request.SeriesInstanceUID, request.level.value) for request in plan.requests()].count(
        ("1.2.2.3", "SERIES")
    ) == 1
    assert plan.cost.objects == 10


def test_rest_and_stress_are_kept_and_a_series_is_not_dropped_for_its_numbers(pacs: Workspace) -> None:
    plan = pacs.plan("pacs", "NM", date=DAY)
    wanted = {request.SeriesInstanceUID: (request.level, request.sop_instance_uids) for request in plan.requests()}
    assert wanted == {
        "1.2.3.1": ("SERIES", ()),  # a report of the same patient and day, in a study of its own
        "1.2.4.1": ("IMAGE", ("1.2.4.1.1",)),
        "1.2.5.1": ("SERIES", ()),
        "1.2.5.2": ("IMAGE", ("1.2.5.2.2",)),
    }


def test_sr_only_finds_the_report_of_a_radiopharmaceutical(pacs: Workspace) -> None:
    assert kept(pacs.plan("pacs", sr_only=True, date=DAY)) == {("1.2.3", "SR"): {"1"}}


@pytest.mark.slow
def test_an_enhanced_sr_that_was_retrieved_and_contains_no_dose_makes_the_next_rule_decide(
    workspace: Workspace, start_simulator: StartSimulator
) -> None:
    images, sheet = STUDIES["1.2.6"][:2]
    enhanced = Series(modality="SR", classes=(ESR,), description="Report")
    title = item("CONTAINER", ("18748-4", "LN", "Diagnostic Imaging Report"))
    length = item("CONTAINER", ("113811", "DCM", "CT Accumulated Dose Data"))
    hospital = LiteralHospital(
        {"1.2.1": (images, enhanced, sheet), "1.2.2": (images, enhanced, sheet)},
        documents={"1.2.1.2.1": title, "1.2.2.2.1": length},
    )
    pacs = start_simulator(hospital)
    link(workspace, pacs)
    first = workspace.plan("pacs", "CT", date=DAY)
    assert kept(first) == {("1.2.1", "CT"): {"2"}, ("1.2.2", "CT"): {"2"}}
    with worker_in_thread(workspace):
        assert workspace.retrieve(first).wait(timeout=60).state is JobState.COMPLETE
    follow_up = workspace.plan("pacs", "CT", date=DAY)
    assert kept(follow_up) == {("1.2.1", "CT"): {"3"}}
    assert follow_up.studies["rule"].tolist() == ["dose sheets", "held"]
    assert "the Enhanced SR is stored and contains no dose" in follow_up.studies["reason"][0]
    assert kept(workspace.plan("pacs", "CT", date=DAY, refetch=True)) == kept(first)
