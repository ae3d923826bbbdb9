"""Requests as values, and their Identifiers."""

from __future__ import annotations

import datetime as dt

import pytest

from qrkit.node import InformationModel
from qrkit.query import Query, Request, answer_keywords, build_query, identifier
from qrkit.query.request import not_requested
from qrkit.tables import Level
from tests.dimse.identifiers import encoded

TODAY = dt.date(2026, 2, 1)
STUDY_ROOT = InformationModel.STUDY_ROOT
PATIENT_ROOT = InformationModel.PATIENT_ROOT


def built(**given: object) -> Query:
    return build_query(today=TODAY, **given)


def test_an_identifier_has_level_character_set_keys_and_unique_keys_above() -> None:
    request = Request(
        level=Level.SERIES,
        keys=(("StudyInstanceUID", "1.2"), ("Modality", "CT")),
        return_keys=("SeriesNumber", "NumberOfSeriesRelatedInstances", "RequestAttributesSequence"),
    )
    asked = identifier(request, PATIENT_ROOT)
    assert {element.keyword: element.value for element in asked} == {
        "SpecificCharacterSet": "",
        "QueryRetrieveLevel": "SERIES",
        "Modality": "CT",
        "PatientID": "",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "",
        "SeriesNumber": "",
        "NumberOfSeriesRelatedInstances": "",
        "RequestAttributesSequence": [],
    }
    assert answer_keywords(request, PATIENT_ROOT)[:3] == ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")


@pytest.mark.parametrize(
    ("name", "character_set", "expected"),
    [
        ("Doe^J*", "ISO_IR 100", ""),
        ("Müller", "ISO_IR 100", "ISO_IR 100"),
        ("Müller", "ISO_IR 192", "ISO_IR 192"),
        ("Müller", "ISO_IR 6", "ISO_IR 192"),
        ("Müller", "", "ISO_IR 192"),
        ("Müller", "KLINGON", "ISO_IR 192"),
        ("Люд", "ISO_IR 100", "ISO_IR 192"),
        ("Люд", "ISO_IR 144", "ISO_IR 144"),
        ("山田", "\\ISO 2022 IR 87", ["", "ISO 2022 IR 87"]),
    ],
)
def test_the_character_set_fits_the_keys(name: str, character_set: str, expected: str | list[str]) -> None:
    request = Request(level=Level.STUDY, keys=(("PatientName", name),))
    asked = identifier(request, STUDY_ROOT, character_set=character_set)
    assert asked.SpecificCharacterSet == expected
    assert asked.PatientName == name
    assert encoded(asked, implicit=True)


def test_keys_of_every_kind_can_be_encoded() -> None:
    query = built(
        level="image",
        study_uid=["1.2", "1.3"],
        Rows=512,
        FrameIncrementPointer="00181063",
        **{"0019100A": "private", "00191010": None, "RecommendedDisplayFrameRateInFloat": 1.5},
    )
    request = Request(level=Level.IMAGE, keys=query.keys, return_keys=query.extra_keys)
    asked = identifier(request, STUDY_ROOT)
    assert (asked.Rows, asked.StudyInstanceUID, asked[0x0019100A].value) == (512, ["1.2", "1.3"], "private")
    assert encoded(asked, implicit=True)


def test_below_a_uid_against_the_standard_is_asked_without_a_python_warning() -> None:
    keys = (("StudyInstanceUID", "1.2.03"), ("SeriesInstanceUID", "1.2.04\\1.2..5"))
    asked = identifier(Request(level=Level.IMAGE, keys=keys), STUDY_ROOT)
    content = encoded(asked, implicit=True)
    assert b"1.2.03" in content
    assert b"1.2.04\\1.2..5" in content


def test_a_request_with_a_key_set_or_taken_away_is_another_request() -> None:
    request = Request(level=Level.STUDY, keys=(("StudyDate", "20260131"),))
    assert request.with_key("StudyTime", "08-12").value("StudyTime") == "08-12"
    without = request.with_key("StudyDate", "")
    assert (without.keys, without.return_keys) == ((), ("StudyDate",))
    assert request.value("StudyDate") == "20260131"


def test_a_key_with_decomposed_letters_is_asked_for_in_the_character_set_of_the_node() -> None:
    request = Request(level=Level.STUDY, keys=built(PatientName="Mu\u0308ller").keys)
    asked = identifier(request, STUDY_ROOT)
    assert (asked.SpecificCharacterSet, b"M\xfcller" in encoded(asked, implicit=True)) == ("ISO_IR 100", True)


def test_keys_that_no_request_has_are_matched_here() -> None:
    series = built(level="SERIES", date="2026-01-31", modalities="CT,MR", accession="A1,A2", patient_id="P1,P2")
    assert not_requested(series, STUDY_ROOT) == {"Modality", "PatientID"}
    assert not_requested(series, PATIENT_ROOT) == {"Modality"}
    one = built(level="SERIES", date="2026-01-31", modalities="CT", accession="A1", patient_id="P1,P2")
    assert not not_requested(one, STUDY_ROOT)
