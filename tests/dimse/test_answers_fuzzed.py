"""Broken values inside well-formed answers: each is read, or is nothing with a warning, and harms nothing else."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrkit.tables import keyword_tag, keyword_vr
from tests.dimse.identifiers import decoded, element

COLUMNS = {
    "AE": "RetrieveAETitle",
    "AS": "PatientAge",
    "AT": "FrameIncrementPointer",
    "CS": "Modality",
    "DA": "SeriesDate",
    "DS": "PatientSize",
    "DT": "AcquisitionDateTime",
    "FD": "DiffusionBValue",
    "FL": "RecommendedDisplayFrameRateInFloat",
    "IS": "NumberOfStudyRelatedSeries",
    "LO": "StudyDescription",
    "LT": "PatientComments",
    "PN": "PatientName",
    "SH": "AccessionNumber",
    "SQ": "ProcedureCodeSequence",
    "ST": "InstitutionAddress",
    "TM": "StudyTime",
    "UI": "SeriesInstanceUID",
    "US": "Rows",
    "UL": "SimpleFrameList",
    "UN": "0019100A",
    "UR": "RetrieveURL",
    "UT": "SelectorUTValue",
}
"""One column for each value representation."""

OTHERS = (*COLUMNS, "OB", "OW", "OF", "OD", "SL", "SS", "SV", "UV", "UC", "QQ")
TERMS = (b"", b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"\\ISO 2022 IR 87 ", b"KLINGON ", b"ISO_IR 13 ")
DELIMITERS = 0xFFFE
PADDING = b" \0"

TYPICAL = st.sampled_from(
    [
        b"1.0 ",
        b"1e400",
        b"-0.0",
        b"nan ",
        b"9" * 400,
        b"20260231",
        b"2026013",
        b"20260131-20260201",
        b"246060",
        b"12:61",
        b"1.2.03",
        b"1.2..",
        b"../../etc/passwd",
        b"1" * 65,
        b"\0" * 6,
        b"\0CT\0",
        b"CT\\",
        b"\\",
        b"\\\\\\",
        b"1\\2\\3",
        b"M\xfcller",
        "Müller^山田".encode(),
        b"\x1b$B\x3b\x33",
        b"\x1b",
        b"\xff\xfe",
        b"\r\n\t",
        b"=^=",
        b"",
        b" ",
    ]
)
BYTES = st.binary(max_size=80) | st.binary(min_size=200, max_size=1200)
VALUES = TYPICAL | BYTES | st.text(max_size=40).map(str.encode)
SYNTAX = st.sampled_from(["implicit", "explicit"])

GOOD_FIRST = (0x00080020, "DA", b"20260131", "StudyDate")
GOOD_LAST = (0x0020000D, "UI", b"1.2.3\0", "StudyInstanceUID")


def answer_around(middle: bytes, term: bytes, *, implicit: bool) -> bytes:
    """An answer with a character set and two good values, one before and one behind."""
    first, last = (element(tag, vr, raw, implicit=implicit) for tag, vr, raw, _ in (GOOD_FIRST, GOOD_LAST))
    return element(0x00080005, "CS", term, implicit=implicit) + first + middle + last


def read_around(middle: bytes, keyword: str, term: bytes, *, implicit: bool) -> dict[str, Any]:
    """The row of such an answer, of which the good values must be there, however often it comes."""
    blob = answer_around(middle, term, implicit=implicit)
    rows = decoded([blob, blob], ["StudyDate", keyword, "StudyInstanceUID"], implicit=implicit)
    assert rows[0] == rows[1]
    assert rows[0]["StudyDate"].isoformat() == "2026-01-31"
    assert rows[0]["StudyInstanceUID"] == "1.2.3"
    return rows[0]


def shown(raw: bytes) -> str:
    return repr(raw[:200])[2:-1]


@pytest.mark.slow
@given(vr=st.sampled_from(sorted(COLUMNS)), raw=VALUES, term=st.sampled_from(TERMS), syntax=SYNTAX)
@settings(max_examples=500, deadline=None)
def test_a_broken_value_is_read_or_is_nothing_with_a_warning_that_holds_it(
    vr: str, raw: bytes, term: bytes, syntax: str
) -> None:
    implicit = syntax == "implicit"
    keyword = COLUMNS[vr]
    row = read_around(element(keyword_tag(keyword), vr, raw, implicit=implicit), keyword, term, implicit=implicit)
    told = [warning for warning in row["warnings"] if warning["keyword"] == keyword]
    if row[keyword] is None and raw.strip(PADDING) and vr != "SQ":
        assert [warning["raw"] for warning in told] == [shown(raw)]
    assert all(warning["why"] for warning in told)


@pytest.mark.slow
@given(vr=st.sampled_from(sorted(COLUMNS)), other=st.sampled_from(OTHERS), raw=VALUES)
@settings(max_examples=500, deadline=None)
def test_a_value_in_an_unexpected_value_representation_harms_nothing_else(vr: str, other: str, raw: bytes) -> None:
    keyword = COLUMNS[vr]
    row = read_around(element(keyword_tag(keyword), other, raw, implicit=False), keyword, b"", implicit=False)
    if row[keyword] is None and raw.strip(PADDING) and "SQ" not in (vr, other):
        assert [warning["keyword"] for warning in row["warnings"]] == [keyword]


@pytest.mark.slow
@given(
    tag=st.integers(0, 0xFFFFFFFF).filter(lambda tag: tag >> 16 != DELIMITERS and tag != 0x00080005),
    vr=st.sampled_from(OTHERS),
    raw=VALUES,
    syntax=SYNTAX,
)
@settings(max_examples=300, deadline=None)
def test_elements_that_nobody_asked_for_are_stepped_over(tag: int, vr: str, raw: bytes, syntax: str) -> None:
    implicit = syntax == "implicit"
    if tag in {keyword_tag(keyword) for keyword in ("StudyDate", "StudyInstanceUID", "PatientID")}:
        return
    present = element(0x00100020, "LO", b"Q1", implicit=implicit)
    row = read_around(
        element(tag, vr, raw, implicit=implicit) + present, "PatientID", b"ISO_IR 100", implicit=implicit
    )
    assert (row["PatientID"], row["warnings"]) == ("Q1", [])


@pytest.mark.slow
@given(vr=st.sampled_from(sorted(COLUMNS)), raw=VALUES.filter(bool), cut=st.integers(1, 1200), syntax=SYNTAX)
@settings(max_examples=300, deadline=None)
def test_an_element_cut_off_at_the_end_is_nothing_with_a_warning(vr: str, raw: bytes, cut: int, syntax: str) -> None:
    implicit = syntax == "implicit"
    keyword = COLUMNS[vr]
    whole = element(keyword_tag(keyword), vr, raw, implicit=implicit)
    first = element(*GOOD_FIRST[:3], implicit=implicit)
    rest = whole[: max(1, len(whole) - cut)]
    row = decoded(first + rest, ["StudyDate", keyword], implicit=implicit)[0]
    assert row["StudyDate"].isoformat() == "2026-01-31"
    assert row[keyword] is None
    whys = [warning["why"] for warning in row["warnings"]]
    assert "cut off" in whys or "the response ends within an element" in whys


@pytest.mark.parametrize("vr", sorted(COLUMNS))
def test_the_columns_of_these_tests_have_their_value_representations(vr: str) -> None:
    assert keyword_vr(COLUMNS[vr]) == vr


def test_a_length_beyond_the_answer_takes_no_memory() -> None:
    huge = struct.pack("<HHI", 0x0010, 0x0020, 0x7FFFFFFF) + b"Q1"
    row = decoded(huge, ["PatientID"], implicit=True)[0]
    assert row["warnings"] == [{"keyword": "PatientID", "raw": "Q1", "why": "cut off"}]
