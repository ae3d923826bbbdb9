"""Plans of real objects of several vendors, in Orthanc: what is kept of each file, as read from the file by hand."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE

from qrkit.dose import Plan
from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.workspace import Workspace
from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.workspace.opened import OpenWorkspace, StartSimulator, files_of, link, worker_in_thread

PET_CT = ("NM-CT-RDSR-Siemens", "NM-PetIm-Siemens", "NM-RRDSR-Siemens")
"""Three files of one study: PT and two SR, of which ModalitiesInStudy tells in two rows, for two patients."""

EXPECTED: dict[str, dict[str, tuple[str, str]]] = {
    "CT": {"CT-SC-Philips_Brilliance16P": ("SERIES", "Philips dose info")},
    "MG": {"MG-Im-GE_Seno_1_ForPresentation": ("SERIES", "images")},
    "FL": {},
    "DX": {
        "DX-Im-Carestream_DRX": ("SERIES", "images"),
        "DX-Im-GE_XR220-1": ("SERIES", "images"),
        "PX-Im-NewTom_Go": ("SERIES", "images"),
    },
    "NM": {
        "NM-NmIm-Siemens": ("SERIES", "NM"),
        "NM-PetIm-Siemens": ("IMAGE", "PET"),
        "NM-RRDSR-Siemens": ("SERIES", "RRDSR"),
    },
    "SR only": {
        "CT-ESR-GE_VCT": ("SERIES", "ESR"),
        "CT-RDSR-GEPixelMed": ("SERIES", "RDSR"),
        "CT-RDSR-Philips_BigBore4DCT": ("SERIES", "RDSR"),
        "CT-RDSR-Siemens_Flash-TAP-SS": ("SERIES", "RDSR"),
        "CT-RDSR-Toshiba_DoseCheck": ("SERIES", "RDSR"),
        "DX-RDSR-Canon_CXDI": ("SERIES", "RDSR"),
        "Dual-RDSR-RF": ("SERIES", "RDSR"),
        "ESR_non-dose": ("SERIES", "ESR"),
        "MG-RDSR-Hologic_2D": ("SERIES", "RDSR"),
        "RF-ESR-Siemens-Varic": ("SERIES", "ESR"),
        "RF-RDSR-GE": ("SERIES", "RDSR"),
        "RF-RDSR-Siemens-Zee": ("SERIES", "RDSR"),
    },
}
"""By group, each file that is kept, its level and its rule.

The SR of other studies lie there without their images, so that no group finds them.
"""

GROUPS = [name for name in EXPECTED if name != "SR only"]


@pytest.fixture(scope="module")
def files(samples: list[Path]) -> dict[str, Dataset]:
    return {path.stem: dcmread(path, stop_before_pixels=True) for path in samples}


@pytest.fixture
def with_samples(open_workspace: OpenWorkspace, orthanc: Orthanc) -> Workspace:
    workspace = open_workspace()
    workspace.nodes.add("orthanc", host=orthanc.host, port=orthanc.port, ae_title=orthanc.ae_title)
    return workspace


def kept(plan: Plan, files: dict[str, Dataset]) -> dict[str, tuple[str, str]]:
    """The files behind the series that are kept, with level and rule."""
    of_series = {str(one.SeriesInstanceUID): name for name, one in files.items()}
    rows: pd.DataFrame = plan.series[plan.series["keep"]]
    columns = (rows[name].tolist() for name in ("SeriesInstanceUID", "level", "rule"))
    return {of_series[uid]: (level, rule) for uid, level, rule in zip(*columns, strict=True)}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_each_group_keeps_the_files_that_carry_its_dose(
    with_samples: Workspace, files: dict[str, Dataset], name: str
) -> None:
    options: dict[str, Any] = {"sr_only": True} if name == "SR only" else {"dose": name}
    plan = with_samples.plan("orthanc", whole_archive=True, **options)
    assert kept(plan, files) == EXPECTED[name]
    assert plan.coverage["complete"]
    assert plan.studies["reason"].ne("").all()
    images = {uid for request in plan.requests() for uid in request.sop_instance_uids}
    assert images == {
        str(files[one].SOPInstanceUID) for one, (level, _) in EXPECTED[name].items() if level == "IMAGE"
    }


def test_all_groups_together_are_the_union_and_a_pet_ct_is_seen_as_nm(
    with_samples: Workspace, files: dict[str, Dataset]
) -> None:
    plan = with_samples.plan("orthanc", GROUPS, whole_archive=True)
    union = {file: told for group in GROUPS for file, told in EXPECTED[group].items()}
    assert kept(plan, files) == union
    assert set(plan.studies["group"]) == {"CT", "MG", "DX", "NM"}
    study = str(files[PET_CT[0]].StudyInstanceUID)
    assert {str(files[name].StudyInstanceUID) for name in PET_CT} == {study}
    (dropped,) = plan.series[(plan.series["StudyInstanceUID"] == study) & ~plan.series["keep"]].itertuples()
    assert dropped.SeriesInstanceUID == str(files["NM-CT-RDSR-Siemens"].SeriesInstanceUID)


def test_philips_comes_before_toshiba_and_without_a_name_toshiba_takes_the_capture(
    with_samples: Workspace, files: dict[str, Dataset], tmp_path: Path, samples: list[Path]
) -> None:
    with_toshiba = with_samples.plan("orthanc", "CT", toshiba=True, whole_archive=True)
    assert kept(with_toshiba, files) == EXPECTED["CT"]
    sheet = dcmread(next(path for path in samples if path.stem == "CT-SC-Philips_Brilliance16P"))
    sheet.SeriesDescription = "Summary"
    sheet.save_as(tmp_path / "sheet.dcm")
    with Orthanc(tmp_path / "other", PeerAddress.free("OTHER")) as other:
        other.load([tmp_path / "sheet.dcm"])
        with_samples.nodes.add("other", host=other.host, port=other.port, ae_title=other.ae_title)
        without = with_samples.plan("other", "CT", whole_archive=True)
        assert (without.requests(), without.studies["rule"].tolist()) == ((), ["CT rules"])
        plan = with_samples.plan("other", "CT", toshiba=True, whole_archive=True)
    assert kept(plan, files) == {"CT-SC-Philips_Brilliance16P": ("SERIES", "Toshiba")}


def test_a_plan_of_everything_is_fetched_whole_and_then_nothing_is_left(
    with_samples: Workspace, files: dict[str, Dataset]
) -> None:
    plan = with_samples.plan("orthanc", GROUPS, whole_archive=True)
    with worker_in_thread(with_samples):
        done = with_samples.retrieve(plan).wait(timeout=60)
    assert done.state is JobState.COMPLETE
    wanted = {str(files[name].SOPInstanceUID) for group in GROUPS for name in EXPECTED[group]}
    assert files_of(with_samples) == wanted
    assert with_samples.plan("orthanc", GROUPS, whole_archive=True).requests() == ()


@pytest.mark.slow
def test_a_later_report_in_a_held_series_is_found_at_a_node_that_does_not_count_instances(
    with_samples: Workspace, start_simulator: StartSimulator, samples: list[Path]
) -> None:
    pacs = start_simulator(quirks=Quirks(omit_keys=("NumberOfStudyRelatedInstances",)))
    link(with_samples, pacs)
    report = dcmread(next(path for path in samples if path.stem == "CT-RDSR-Siemens_Flash-TAP-SS"))
    store(pacs, report)
    with worker_in_thread(with_samples):
        with_samples.retrieve(with_samples.plan("pacs", sr_only=True, whole_archive=True)).wait(timeout=60)
    assert with_samples.plan("pacs", sr_only=True, whole_archive=True).requests() == ()
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID(f"{report.SOPInstanceUID}.2")
    store(pacs, report)
    (request,) = with_samples.plan("pacs", sr_only=True, whole_archive=True).requests()
    assert request.sop_instance_uids == (report.SOPInstanceUID,)


def store(pacs: Simulator, dataset: Dataset) -> None:
    """Send one object to a simulator."""
    entity = AE("STORES")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", pacs.port, ae_title=pacs.ae_title)
    assert association.send_c_store(dataset).Status == 0x0000
    association.release()


@pytest.mark.slow
@pytest.mark.parametrize("is_ignored", [False, True], ids=["key matched", "key ignored"])
def test_a_report_in_a_study_of_its_own_is_planned_for_the_study_without_one(
    with_samples: Workspace, start_simulator: StartSimulator, files: dict[str, Dataset], *, is_ignored: bool
) -> None:
    pacs = start_simulator(quirks=Quirks(ignore_keys=("ModalitiesInStudy",) if is_ignored else ()))
    link(with_samples, pacs)
    images, report = (deepcopy(files[name]) for name in ("MG-Im-GE_Seno_1_ForPresentation", "MG-RDSR-Hologic_2D"))
    images.PatientID = report.PatientID = "P1"
    images.AccessionNumber = report.AccessionNumber = "A1"
    for dataset in (images, report):
        store(pacs, dataset)
    plan = with_samples.plan("pacs", "MG", whole_archive=True)
    kept_series = set(plan.series[plan.series["keep"]]["SeriesInstanceUID"])
    assert kept_series == {str(images.SeriesInstanceUID), str(report.SeriesInstanceUID)}
    (reason,) = plan.studies[plan.studies["StudyInstanceUID"] == str(report.StudyInstanceUID)]["reason"]
    assert f"for study {images.StudyInstanceUID} (same patient and accession number)" in reason


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_node_without_sop_classes_of_objects_loses_no_real_file(
    open_workspace: OpenWorkspace, dcmqrscp: Dcmqrscp, files: dict[str, Dataset], name: str
) -> None:
    workspace = open_workspace()
    workspace.nodes.add("dcmtk", host=dcmqrscp.host, port=dcmqrscp.port, ae_title=dcmqrscp.ae_title)
    options: dict[str, Any] = {"sr_only": True} if name == "SR only" else {"dose": name}
    plan = workspace.plan("dcmtk", whole_archive=True, **options)
    assert set(EXPECTED[name]) <= set(kept(plan, files))
    assert plan.coverage["complete"]
    reasons = plan.series[plan.series["rule"] == "unknown class"]["reason"]
    assert all("SOP Class the node does not return" in reason for reason in reasons)
    assert len(reasons) == (len(EXPECTED[name]) if name == "SR only" else len(reasons))
