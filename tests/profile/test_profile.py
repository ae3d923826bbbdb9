import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.profile import Extension, Fill, Profile, Returned, Statement, Subject, Verdict
from qrkit.tables import Level

PROBED = Profile(
    node="pacs",
    probed="2026-06-30T08:15:00+00:00",
    requests=11,
    model=InformationModel.STUDY_ROOT,
    models=(InformationModel.STUDY_ROOT, InformationModel.PATIENT_ROOT),
    services=("C-ECHO", "C-GET"),
    extensions=(Extension.RELATIONAL,),
    statements=(
        Statement(subject=Subject.STUDY_DATE, verdict=Verdict.HONOURED, evidence="3 of 20 studies are of that day"),
        Statement(subject=Subject.MODALITIES_IN_STUDY, verdict=Verdict.IGNORED, evidence="MR was answered with CT"),
    ),
    returned=(
        Returned(level=Level.STUDY, keyword="SOPClassesInStudy", fill=Fill.FILLED, evidence="20 of 20"),
        Returned(level=Level.STUDY, keyword="StationName", fill=Fill.NOT_RETURNED, evidence="0 of 20"),
        Returned(level=Level.SERIES, keyword="StationName", fill=Fill.FILLED, evidence="3 of 3"),
    ),
    cap=500,
    most_answers=499,
)


def test_of_a_node_that_was_never_probed_nothing_is_known() -> None:
    profile = Profile.unknown("pacs")
    assert not profile.is_known
    assert {profile.verdict(subject) for subject in Subject} == {Verdict.UNKNOWN}
    assert not any(profile.honours(subject) for subject in Subject)
    assert not any(profile.accepts(extension) for extension in Extension)
    assert not profile.fills("ModalitiesInStudy")
    assert profile.cap is None


def test_only_what_was_seen_to_be_honoured_is_honoured() -> None:
    assert PROBED.honours("StudyDate")
    assert PROBED.honours(Subject.STUDY_DATE)
    assert not PROBED.honours("ModalitiesInStudy")
    assert PROBED.verdict("ModalitiesInStudy") is Verdict.IGNORED
    assert PROBED.verdict("StudyTime") is Verdict.UNKNOWN


def test_a_stale_profile_is_shown_but_no_longer_trusted() -> None:
    stale = replace(PROBED, stale="an answer contradicts it")
    assert not stale.honours("StudyDate")
    assert not stale.fills("SOPClassesInStudy")
    assert not stale.accepts(Extension.RELATIONAL)
    assert stale.statement("StudyDate").verdict is Verdict.HONOURED
    assert stale.returns("SOPClassesInStudy").fill is Fill.FILLED


def test_a_key_is_looked_up_at_its_own_level_unless_told_otherwise() -> None:
    assert PROBED.fills("SOPClassesInStudy")
    assert PROBED.fills("StationName", Level.SERIES)
    assert not PROBED.fills("StationName", Level.STUDY)
    assert PROBED.returns("SOPClassUID").level is Level.IMAGE


def test_a_subject_that_no_profile_has_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(InputError, match=r"'PatientName' is not a subject of a profile. Use StudyDate, .*wildcards"):
        PROBED.honours("PatientName")


def test_a_profile_survives_json() -> None:
    values = json.loads(json.dumps(PROBED.to_json()))
    back = Profile.from_json(values)
    assert back.to_json() == PROBED.to_json()
    assert back.statement("StudyDate") == PROBED.statement("StudyDate")
    assert replace(back, statements=PROBED.statements) == PROBED


def test_json_has_every_subject() -> None:
    assert set(PROBED.to_json()["statements"]) == {subject.value for subject in Subject}
    assert Profile.unknown("pacs").to_json()["statements"]["case"]["verdict"] == "unknown"


def test_a_subject_of_another_version_is_left_out() -> None:
    values = PROBED.to_json()
    values["statements"]["telepathy"] = {"verdict": "honoured", "evidence": "it knew"}
    assert Profile.from_json(values).honours("StudyDate")


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_what_is_no_profile_is_an_error_of_ours(values: dict[str, object]) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Profile.from_json(values)
    with pytest.raises(InputError, match="cannot be read"):
        Profile.from_json(PROBED.to_json() | {"statements": values, "returned": 0})
