"""Lists of values that DICOM has no list for: each is asked for, what breaks off again, and no more than needed."""

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
