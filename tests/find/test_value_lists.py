"""Lists of values that DICOM has no list for: each is asked for, what breaks off again, and no more than needed."""

from typing import Any

import pytest

from qrkit.simulator import Quirks
from tests.workspace.opened import Linked, all_studies

MODELS = ["study-root", "patient-root"]


def patients_of(linked: Linked) -> list[str]:
    return list(dict.fromkeys(study.patient.PatientID for study in all_studies(linked.hospital)))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES"])
def test_what_breaks_off_in_a_list_is_asked_again_and_the_rest_is_kept(
    linked: Linked, model: str, level: str
) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model, associations=1)
    patients = patients_of(linked)[:30]
    whole = linked.workspace.find("pacs", level=level, patient_id=patients)
    needed = whole.attrs["qrkit"]["coverage"]["requests"]
    linked.pacs.quirks = Quirks(find_abort_every=7)
    found = linked.workspace.find("pacs", level=level, patient_id=patients)
    coverage = found.attrs["qrkit"]["coverage"]
    assert (coverage["complete"], coverage["failures"], len(found)) == (True, 0, len(whole))
    assert coverage["requests"] <= needed * 7 // 6 + 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("key", ["AccessionNumber", "PatientID"])
@pytest.mark.parametrize("dates", [None, ("2026-06-01", "2026-06-30")], ids=["all dates", "a month"])
def test_a_key_that_the_node_ignores_is_searched_for_once_for_all_values(
    linked: Linked, model: str, key: str, dates: tuple[str, str] | None
) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    linked.pacs.quirks = Quirks(ignore_keys=(key,), cap=40)
    known = [study for study in all_studies(linked.hospital) if study.AccessionNumber][::3]
    wanted = {"AccessionNumber": [study.AccessionNumber for study in known]}
    wanted["PatientID"] = [study.patient.PatientID for study in known]
    asked = [*dict.fromkeys(wanted[key]), *(f"NO{number}" for number in range(200))]
    keys: list[dict[str, Any]] = [{key: asked[:1]}, {key: asked}]
    one, found = (linked.workspace.find("pacs", date=dates, **some) for some in keys)
    assert {study.StudyInstanceUID for study in known} <= set(found["StudyInstanceUID"])
    assert set(found[key].dropna()) == set(wanted[key])
    cost = [frame.attrs["qrkit"]["coverage"]["requests"] for frame in (one, found)]
    assert cost[1] <= 2 * cost[0] + 10
    ignored = found.attrs["qrkit"]["coverage"]["ignored"]
    assert f"{key}: the node ignores it, so all {len(asked)} values were matched here" in ignored


def test_a_node_that_returns_a_little_more_than_was_asked_for_is_asked_for_every_value(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(case_sensitive=False)
    known = patients_of(linked)[:5]
    frame = linked.workspace.find("pacs", patient_id=[known[0].lower(), *known])
    assert set(frame["PatientID"]) == set(known)
    assert frame.attrs["qrkit"]["coverage"]["requests"] == 6
