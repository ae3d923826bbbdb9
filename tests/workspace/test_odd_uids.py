"""UIDs that are no UIDs by PS3.5 9.1: found, asked below, retrieved, stored under safe names."""

import re

import pandas as pd
import pytest

from qrkit.dose import Plan
from qrkit.jobs import JobState
from qrkit.simulator import small_hospital
from qrkit.workspace import Workspace
from qrkit.workspace.retrieve import rows_with_uids
from tests.workspace.opened import StartSimulator, all_studies, link, uids_of, worker_in_thread

LIMIT = 60.0
DAYS = "2026-06-29 to 2026-06-30"
GUID = "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}"
LONG = "1.2." + "3" * 70


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "method"), [(GUID, "get"), (GUID, "move"), ("urn:uuid:0a-ff", "get"), (LONG, "get")]
)
def test_studies_with_odd_uids_are_found_and_retrieved_as_the_node_names_them(
    workspace: Workspace, start_simulator: StartSimulator, root: str, method: str
) -> None:
    hospital = small_hospital(studies=4, days=2, uid_root=root)
    link(workspace, start_simulator(hospital))
    studies = all_studies(hospital)
    found = workspace.find("pacs", date=DAYS)
    images = workspace.find("pacs", level="IMAGE", study_uid=found["StudyInstanceUID"])
    assert set(found["StudyInstanceUID"]) == {study.StudyInstanceUID for study in studies}
    assert set(images["SOPInstanceUID"]) == set().union(*map(uids_of, studies))
    reasons = {one["why"] for one in found.attrs["qrkit"]["warnings"] if one["keyword"] == "StudyInstanceUID"}
    assert reasons == {"not a UID of digits and dots"}
    with worker_in_thread(workspace):
        job = workspace.retrieve(found, method=method)
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
        again = workspace.retrieve(images, method=method).wait(timeout=LIMIT)
    assert (again.state, again.received) == (JobState.COMPLETE, 0)
    files = workspace.files.list()
    assert set(files["SOPInstanceUID"]) == set(images["SOPInstanceUID"])
    assert all(re.fullmatch(r"(uid-[0-9a-f]{32}/){2}uid-[0-9a-f]{32}\.dcm", path) for path in files["path"])
    assert all((workspace.files.folder / path).is_file() for path in files["path"])


@pytest.mark.slow
def test_a_plan_of_studies_with_odd_uids_is_as_any(workspace: Workspace, start_simulator: StartSimulator) -> None:
    link(workspace, start_simulator(small_hospital(studies=4, days=2, uid_root=GUID)))
    link(workspace, start_simulator(small_hospital(studies=4, days=2), ae_title="PLAIN"), name="plain")
    plans: list[Plan] = [workspace.plan(node, "CT,FL,DX", date=DAYS) for node in ("pacs", "plain")]
    odd, plain = ([(one.level, len(one.expected)) for one in plan.requests()] for plan in plans)
    assert odd == plain
    assert odd


def test_a_row_without_a_uid_costs_itself_only() -> None:
    found = pd.DataFrame({"StudyInstanceUID": ["1.2", None, " ", "1.3"]})
    rows, doubts = rows_with_uids(found)
    assert rows["StudyInstanceUID"].tolist() == ["1.2", "1.3"]
    assert doubts == ("2 of 4 rows without a UID cannot be retrieved",)
    assert rows_with_uids(found.iloc[[0, 3]])[1] == ()
    assert rows_with_uids(found.iloc[1:3])[0].equals(found.iloc[1:3])
