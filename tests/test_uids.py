"""UIDs: those we name are those of PS3.6, and only harmless ones become file names."""

import re
from pathlib import PurePosixPath, PureWindowsPath

import pydicom.uid
import pynetdicom.sop_class
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.config import IGNORE

from qrkit import uids


@pytest.mark.parametrize(
    ("ours", "keyword"),
    [
        ("PATIENT_ROOT_FIND", "PatientRootQueryRetrieveInformationModelFind"),
        ("PATIENT_ROOT_MOVE", "PatientRootQueryRetrieveInformationModelMove"),
        ("PATIENT_ROOT_GET", "PatientRootQueryRetrieveInformationModelGet"),
        ("STUDY_ROOT_FIND", "StudyRootQueryRetrieveInformationModelFind"),
        ("STUDY_ROOT_MOVE", "StudyRootQueryRetrieveInformationModelMove"),
        ("STUDY_ROOT_GET", "StudyRootQueryRetrieveInformationModelGet"),
        ("PATIENT_STUDY_ONLY_FIND", "PatientStudyOnlyQueryRetrieveInformationModelFind"),
        ("PATIENT_STUDY_ONLY_MOVE", "PatientStudyOnlyQueryRetrieveInformationModelMove"),
        ("PATIENT_STUDY_ONLY_GET", "PatientStudyOnlyQueryRetrieveInformationModelGet"),
        ("VERIFICATION", "Verification"),
    ],
)
def test_sop_classes_are_those_of_the_standard(ours: str, keyword: str) -> None:
    assert getattr(uids, ours) == getattr(pynetdicom.sop_class, keyword)


@pytest.mark.parametrize(
    ("ours", "keyword"),
    [
        ("IMPLICIT_VR_LITTLE_ENDIAN", "ImplicitVRLittleEndian"),
        ("EXPLICIT_VR_LITTLE_ENDIAN", "ExplicitVRLittleEndian"),
        ("DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN", "DeflatedExplicitVRLittleEndian"),
        ("EXPLICIT_VR_BIG_ENDIAN", "ExplicitVRBigEndian"),
    ],
)
def test_transfer_syntaxes_are_those_of_the_standard(ours: str, keyword: str) -> None:
    assert getattr(uids, ours) == getattr(pydicom.uid, keyword)


def test_our_implementation_is_named_as_ps3_7_allows() -> None:
    assert pydicom.uid.UID(uids.IMPLEMENTATION_CLASS_UID).is_valid
    assert re.fullmatch(r"[A-Z0-9_]{1,16}", uids.IMPLEMENTATION_VERSION_NAME)


@given(st.one_of(st.text(), st.from_regex(r"[0-9./\\:]{0,70}", fullmatch=True)))
def test_a_valid_uid_is_one_file_name_that_stays_in_its_folder(text: str) -> None:
    if not uids.is_valid_uid(text):
        return
    for path in (PurePosixPath(text), PureWindowsPath(text)):
        assert path.parts == (text,)
        assert text not in {".", ".."}
    assert len(text) <= 64


@given(st.from_regex(r"(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){0,8}", fullmatch=True))
def test_every_uid_of_the_standard_is_valid(text: str) -> None:
    assert uids.is_valid_uid(text)


@pytest.mark.parametrize("text", ["1.2.3\n", "\u0661.\u0662", "1.2 ", "1" * 65, "...", "1.2/3", "1,2"])
def test_what_only_looks_like_a_uid_is_not_valid(text: str) -> None:
    assert not uids.is_valid_uid(text)


@given(st.text(alphabet="012.", max_size=66))
def test_a_uid_is_standard_where_pydicom_says_so(text: str) -> None:
    assert uids.is_standard_uid(text) == bool(pydicom.uid.UID(text, validation_mode=IGNORE).is_valid)
