"""The decoder of C-FIND answers on what real PACS get wrong."""

from __future__ import annotations

import json
import struct
import warnings
from datetime import date, time

import pytest
from pydicom import Dataset

from qrkit.dimse.answers import AnswerDecoder
from tests.dimse.identifiers import coded, decoded, element, encoded

IMPLICIT = "implicit"
BOTH = pytest.mark.parametrize("syntax", [IMPLICIT, "explicit"])


def one(
    tag: int, vr: str, value: bytes, keyword: str, *, implicit: bool = False, before: bytes = b""
) -> tuple[object, list[str]]:
    """The value and the reasons of the warnings of a single element."""
    row = decoded(before + element(tag, vr, value, implicit=implicit), [keyword], implicit=implicit)[0]
    return row[keyword], [warning["why"] for warning in row["warnings"]]


@BOTH
@pytest.mark.parametrize(
    ("raw", "value", "reasons"),
    [
        (b"1.0 ", 1, ["a whole number written as a decimal"]),
        (b"1e3", 1000, ["a whole number written as a decimal"]),
        (b"abc ", None, ["no whole number"]),
        (b"1.5 ", None, ["no whole number"]),
        (b"1\\2 ", None, ["no whole number"]),
        (b"1_000 ", None, ["no whole number"]),
        (b"99999999999999999999", None, ["no whole number"]),
        (b" +12\0", 12, []),
        (b"  ", None, []),
    ],
)
def test_whole_numbers_are_read_tolerantly(
    raw: bytes,
    value: int | None,
    reasons: list[str],
    syntax: str,
) -> None:
    assert one(0x00201206, "IS", raw, "NumberOfStudyRelatedSeries", implicit=syntax == IMPLICIT) == (value, reasons)


@pytest.mark.parametrize(
    ("raw", "value", "reasons"),
    [
        (b"20260131", date(2026, 1, 31), []),
        (b"2026.01.31", date(2026, 1, 31), []),
        (b"2026-01-31", date(2026, 1, 31), ["a date in another form"]),
        (b"20260131120000", date(2026, 1, 31), ["a date in another form"]),
        (b"20260230", None, ["no such day"]),
        (b"202601", None, ["no date"]),
        (b"00000000", None, ["no such day"]),
        (b"abc ", None, ["no date"]),
    ],
)
def test_dates_are_read_tolerantly(raw: bytes, value: date | None, reasons: list[str]) -> None:
    assert one(0x00080020, "DA", raw, "StudyDate") == (value, reasons)


@pytest.mark.parametrize(
    ("raw", "value", "reasons"),
    [
        (b"08", time(8), []),
        (b"0830", time(8, 30), []),
        (b"083015.25 ", time(8, 30, 15, 250000), []),
        (b"12:34:56", time(12, 34, 56), []),
        (b"083015.1234567", time(8, 30, 15, 123456), []),
        (b"235960", time(23, 59, 59), ["a leap second"]),
        (b"250000", None, ["no such time of day"]),
        (b"8:30", None, ["no time of day"]),
        (b"noon", None, ["no time of day"]),
    ],
)
def test_times_are_read_tolerantly(raw: bytes, value: time | None, reasons: list[str]) -> None:
    assert one(0x00080030, "TM", raw, "StudyTime") == (value, reasons)


@pytest.mark.parametrize(
    ("raw", "value", "reasons"),
    [
        (b"1.2.3\0", "1.2.3", []),
        (b"1.2.3 ", "1.2.3", []),
        (b"../../etc", None, ["no valid UID"]),
        (b"..", None, ["no valid UID"]),
        (b"1" * 65, "1" * 65, ["not a UID of digits and dots"]),
        (
            b"{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
            "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
            ["not a UID of digits and dots"],
        ),
        (b"1.2.*", None, ["no valid UID"]),
        (b"1" * 129, None, ["no valid UID"]),
    ],
)
def test_a_uid_is_a_valid_uid_or_nothing(raw: bytes, value: str | None, reasons: list[str]) -> None:
    assert one(0x0020000D, "UI", raw, "StudyInstanceUID") == (value, reasons)


def test_the_warning_keeps_the_raw_value() -> None:
    row = decoded(element(0x00080020, "DA", b"J\xfcly ", implicit=False), ["StudyDate"], implicit=False)[0]
    assert row["warnings"] == [{"keyword": "StudyDate", "raw": "J\\xfcly ", "why": "no date"}]


@BOTH
def test_the_character_set_of_the_node_is_taken_where_the_answer_names_none(
    syntax: str,
) -> None:
    name = element(0x00100010, "PN", "Люцифжщ".encode("iso_ir_144"), implicit=syntax == IMPLICIT)
    empty = element(0x00080005, "CS", b"", implicit=syntax == IMPLICIT)
    rows = decoded([name, empty + name], ["PatientName"], implicit=syntax == IMPLICIT, character_set="ISO_IR 144")
    assert [row["PatientName"] for row in rows] == ["Люцифжщ", "Люцифжщ"]
    assert not any(row["warnings"] for row in rows)


def test_the_character_set_of_one_answer_does_not_leak_into_the_next() -> None:
    utf8 = element(0x00080005, "CS", b"ISO_IR 192", implicit=False) + element(
        0x00100010, "PN", "Müller".encode(), implicit=False
    )
    latin = element(0x00100010, "PN", "Müller".encode("latin_1"), implicit=False)
    rows = decoded([utf8, latin, utf8], ["PatientName"], implicit=False)
    assert [row["PatientName"] for row in rows] == ["Müller"] * 3


def test_text_that_is_not_in_its_character_set_is_kept_as_far_as_it_goes() -> None:
    utf8 = element(0x00080005, "CS", b"ISO_IR 192", implicit=False)
    value, reasons = one(0x00100010, "PN", b"M\xfcller", "PatientName", before=utf8)
    assert (value, reasons) == ("M�ller", ["not in the character set UTF8"])


def test_text_beyond_a_declared_ascii_is_read_in_the_character_set_of_the_node() -> None:
    ascii_only = element(0x00080005, "CS", b"ISO_IR 6", implicit=False)
    value, reasons = one(0x00100010, "PN", b"M\xfcller", "PatientName", before=ascii_only)
    assert (value, reasons) == ("Müller", ["not in the character set ascii"])


@pytest.mark.parametrize("term", [b"ISO-IR 192", b"ISO IR 192", b"UTF-8", b"iso_ir_192", b"ISO_IR192"])
def test_a_misspelt_character_set_is_understood(term: bytes) -> None:
    before = element(0x00080005, "CS", term, implicit=False)
    assert one(0x00100010, "PN", "Müller".encode(), "PatientName", before=before) == ("Müller", [])


def test_an_unknown_character_set_is_warned_of_in_each_row() -> None:
    answer = element(0x00080005, "CS", b"KLINGON", implicit=False) + element(
        0x00100010, "PN", b"M\xfcller", implicit=False
    )
    rows = decoded([answer, answer], ["PatientName"], implicit=False)
    assert [row["PatientName"] for row in rows] == ["Müller", "Müller"]
    assert rows[1]["warnings"] == [{"keyword": "SpecificCharacterSet", "raw": "KLINGON", "why": "unknown"}]


def test_the_character_set_can_itself_be_a_column() -> None:
    answer = element(0x00080005, "CS", b"ISO_IR 192", implicit=False)
    assert decoded(answer, ["SpecificCharacterSet"], implicit=False)[0]["SpecificCharacterSet"] == "ISO_IR 192"


@pytest.mark.parametrize(
    ("vr", "raw", "value"),
    [
        ("US", b"\x07\x00", 7),
        ("SL", b"\xff\xff\xff\xff", -1),
        ("DS", b"7 ", 7),
        ("LO", b"7 ", 7),
        ("UN", b"7 ", 7),
        ("UT", b"7 ", 7),
        ("QQ", b"7 ", 7),
    ],
)
def test_a_value_in_another_value_representation_is_read_all_the_same(vr: str, raw: bytes, value: int) -> None:
    answer = element(0x00201206, vr, raw, implicit=False)
    rows = decoded([answer, answer], ["NumberOfStudyRelatedSeries"], implicit=False)
    assert [(row["NumberOfStudyRelatedSeries"], row["warnings"]) for row in rows] == [(value, [])] * 2


@pytest.mark.parametrize(
    ("vr", "raw", "value"), [("IS", b"512 ", 512), ("SS", b"\x00\x02", 512), ("US", b"\x00", None)]
)
def test_a_binary_number_may_come_as_text_and_is_nothing_if_cut(vr: str, raw: bytes, value: int | None) -> None:
    assert one(0x00280010, vr, raw, "Rows")[0] == value


def test_an_answer_in_the_other_encoding_is_recognised() -> None:
    keywords = ["StudyDate", "PatientID"]
    other = element(0x00080020, "DA", b"20260131", implicit=True) + element(0x00100020, "LO", b"Q1", implicit=True)
    assert decoded(other, keywords, implicit=False)[0] == {
        "StudyDate": date(2026, 1, 31),
        "PatientID": "Q1",
        "warnings": [],
    }
    other = element(0x00080020, "DA", b"20260131", implicit=False) + element(0x00100020, "LO", b"Q1", implicit=False)
    assert decoded([other, other], keywords, implicit=True)[1]["PatientID"] == "Q1"


def test_a_missing_required_element_is_warned_of_and_a_missing_optional_one_is_not() -> None:
    row = decoded(b"", ["SOPClassUID", "NumberOfFrames"], implicit=True)[0]
    assert row == {
        "SOPClassUID": None,
        "NumberOfFrames": None,
        "warnings": [{"keyword": "SOPClassUID", "raw": "", "why": "not returned"}],
    }


@BOTH
def test_what_comes_before_the_break_is_kept(syntax: str) -> None:
    whole = element(0x00080020, "DA", b"20260131", implicit=syntax == IMPLICIT)
    broken = whole + element(0x00100020, "LO", b"Q12345", implicit=syntax == IMPLICIT)[:-2]
    row = decoded(broken, ["StudyDate", "PatientID"], implicit=syntax == IMPLICIT)[0]
    assert (row["StudyDate"], row["PatientID"]) == (date(2026, 1, 31), None)
    assert row["warnings"] == [{"keyword": "PatientID", "raw": "Q123", "why": "cut off"}]


@BOTH
def test_sequences_of_undefined_length_are_stepped_over_or_read(syntax: str) -> None:
    found = Dataset()
    inner = coded("x")
    inner.PurposeOfReferenceCodeSequence = [coded("inner")]
    inner["PurposeOfReferenceCodeSequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    found.ProcedureCodeSequence = [inner, coded("y")]
    found["ProcedureCodeSequence"].is_undefined_length = True
    found.PatientID = "Q1"
    blob = encoded(found, implicit=syntax == IMPLICIT)
    assert decoded(blob, ["PatientID"], implicit=syntax == IMPLICIT)[0] == {"PatientID": "Q1", "warnings": []}
    row = decoded(blob, ["PatientID", "ProcedureCodeSequence"], implicit=syntax == IMPLICIT)[0]
    meanings = [item["00080104"]["Value"][0] for item in json.loads(row["ProcedureCodeSequence"])]
    assert (row["PatientID"], meanings) == ("Q1", ["x", "y"])


def test_a_sequence_nested_beyond_reason_is_given_up_without_harm() -> None:
    deep = (
        struct.pack("<HHI", 0x0008, 0x1032, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ) * 20_000
    row = decoded(deep, ["ProcedureCodeSequence"], implicit=True)[0]
    assert (row["ProcedureCodeSequence"], [w["why"] for w in row["warnings"]]) == (None, ["cut off"])


def test_private_elements_are_read_as_text_or_as_digits() -> None:
    answer = element(0x0019100A, "UN", b"H30f ", implicit=True) + element(
        0x0019100B, "UN", b"\x01\xff", implicit=True
    )
    row = decoded(answer, ["0019100A", "(0019,100B)"], implicit=True)[0]
    assert (row["0019100A"], row["0019100B"]) == ("H30f", "01FF")
    assert one(0x0019100A, "US", b"\x01\x00\x02\x00", "0019100A") == ("1\\2", [])


@BOTH
def test_a_repeated_element_counts_by_its_last_and_its_other_values_are_warned_of(syntax: str) -> None:
    values = [b"Q1", b"Q1", b"", b"Q2"]
    answer = b"".join(element(0x00100020, "LO", raw, implicit=syntax == IMPLICIT) for raw in values)
    first, second = decoded([answer, answer], ["PatientID"], implicit=syntax == IMPLICIT)
    assert first["PatientID"] == "Q2"
    why = "the response has this element again, with another value"
    assert first["warnings"] == second["warnings"] == [{"keyword": "PatientID", "raw": "Q1", "why": why}]


def test_a_repeated_element_that_cannot_be_read_costs_no_value() -> None:
    days = b"".join(element(0x00080020, "DA", raw, implicit=True) for raw in (b"20260131", b"none"))
    row = decoded(days, ["StudyDate"], implicit=True)[0]
    assert row["StudyDate"] == date(2026, 1, 31)
    assert [one["why"] for one in row["warnings"] if one["keyword"] == "StudyDate"] == ["no date"]


def test_a_character_set_behind_its_text_repeats_no_element() -> None:
    late = [(0x00100010, "PN", "Müller".encode()), (0x00080005, "CS", b"ISO_IR 192")]
    answer = b"".join(element(*one, implicit=True) for one in late)
    row = decoded(answer, ["PatientName"], implicit=True)[0]
    assert (row["PatientName"], row["warnings"]) == ("Müller", [])


def test_several_uids_where_one_belongs_are_warned_of() -> None:
    assert one(0x0020000D, "UI", b"1.2\\1.3\0", "StudyInstanceUID") == (
        "1.2\\1.3",
        ["several UIDs where one belongs"],
    )
    assert one(0x00080062, "UI", b"1.2\\1.3\0", "SOPClassesInStudy") == ("1.2\\1.3", [])


def test_take_empties_and_warnings_stay_with_their_rows() -> None:
    decoder = AnswerDecoder(["StudyDate"], implicit=False)
    good, bad = (element(0x00080020, "DA", raw, implicit=False) for raw in (b"20260131", b"bad "))
    decoder.add(memoryview(good))
    decoder.add(bytearray(bad))
    assert len(decoder) == 2
    assert decoder.take().column("warnings").is_null().to_pylist() == [True, False]
    assert len(decoder) == 0
    decoder.add(good)
    assert decoder.take().column("warnings").to_pylist() == [None]
    assert decoder.take().num_rows == 0


def test_more_values_than_are_remembered_are_read_right() -> None:
    decoder = AnswerDecoder(["PatientID"], implicit=True)
    for number in range(5000):
        decoder.add(element(0x00100020, "LO", b"%06d" % number, implicit=True))
    assert decoder.take().column(0).to_pylist() == [f"{number:06d}" for number in range(5000)]


def test_no_python_warning_escapes_from_odd_answers() -> None:
    item = element(0x00080100, "SH", b"x" * 40, implicit=True) + element(0x0020000D, "UI", b"bad", implicit=True)
    answer = element(0x00081032, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item, implicit=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(answer, ["ProcedureCodeSequence"], implicit=True)[0]["ProcedureCodeSequence"]


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "keyword", "value", "reasons"),
    [
        (0x00081030, "OB", b"\x01\x02", "StudyDescription", "0102", []),
        (0x00200013, "OB", b"\x01\x02", "InstanceNumber", 102, []),
        (0x00200013, "AT", b"\x10\x00\x20\x00", "InstanceNumber", 100020, []),
        (0x00189087, "FD", b"\x00" * 7, "DiffusionBValue", None, ["7 bytes, not 8"]),
        (
            0x00189087,
            "FD",
            struct.pack("<d", float("nan")),
            "DiffusionBValue",
            None,
            ["no number that a column can hold"],
        ),
        (0x00189087, "FD", b"", "DiffusionBValue", None, []),
        (0x00280009, "AT", b"\x10\x00\x20", "FrameIncrementPointer", None, ["no whole number of tags"]),
        (0x00101020, "DS", b"1,8 ", "PatientSize", None, ["no number"]),
        (0x00101020, "DS", b" ", "PatientSize", None, []),
        (0x00080030, "TM", b" ", "StudyTime", None, []),
        (0x00080020, "DA", b"20260231120000", "StudyDate", None, ["no such day"]),
        (0x0020000D, "UI", b" 1.2\\1.3 ", "StudyInstanceUID", "1.2\\1.3", ["several UIDs where one belongs"]),
    ],
)
def test_values_that_do_not_fit_their_column_are_nothing_and_say_why(
    tag: int, vr: str, raw: bytes, keyword: str, value: object, reasons: list[str]
) -> None:
    assert one(tag, vr, raw, keyword) == (value, reasons)


def test_a_sequence_where_a_number_belongs_is_nothing() -> None:
    assert one(0x00201206, "SQ", b"", "NumberOfStudyRelatedSeries") == (None, ["a sequence, not a value"])


def test_a_header_that_is_cut_off_is_warned_of() -> None:
    row = decoded(element(0x00081030, "UT", b"x", implicit=False)[:10], ["StudyDescription"], implicit=False)[0]
    assert [warning["why"] for warning in row["warnings"]] == ["the response ends within an element"]


def test_an_escape_sequence_that_was_not_announced_is_warned_of() -> None:
    term = element(0x00080005, "CS", b"\\ISO 2022 IR 87 ", implicit=False)
    raw = "김".encode("euc_kr")
    value, reasons = one(0x00100010, "PN", b"\x1b$)C" + raw, "PatientName", before=term)
    assert isinstance(value, str)
    assert len(reasons) == 1


@pytest.mark.parametrize(("raw", "value"), [(b"1.02.3", "1.02.3"), (b"1..2", "1..2"), (b"1.2\\01.3", "1.2\\01.3")])
def test_a_uid_against_the_standard_is_still_the_key_of_its_row_and_is_warned_of(raw: bytes, value: str) -> None:
    found, reasons = one(0x0020000E, "UI", raw, "SeriesInstanceUID")
    assert found == value
    assert reasons == ["a UID with a component that is empty or starts with a zero"]


def test_zero_is_a_component_as_good_as_any() -> None:
    assert one(0x0020000E, "UI", b"0.1.0.20.0\0", "SeriesInstanceUID") == ("0.1.0.20.0", [])


@BOTH
def test_a_character_set_behind_the_text_counts_for_it(syntax: str) -> None:
    parts = [
        (0x00100010, "PN", "김희중".encode("euc_kr")),
        (0x00080005, "CS", b"ISO_IR 149"),
        (0x00100020, "LO", b"P1"),
    ]
    answer = b"".join(element(*part, implicit=syntax == IMPLICIT) for part in parts)
    rows = decoded([answer, answer], ["PatientName", "PatientID"], implicit=syntax == IMPLICIT)
    assert rows == [{"PatientName": "김희중", "PatientID": "P1", "warnings": []}] * 2
