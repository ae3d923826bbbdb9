"""Broken, nested and mutated answers: each is one row, with what can be read of it and a warning for the rest."""

from __future__ import annotations

import json
import time

import pytest

from qrkit.dimse.answers import REQUIRED
from tests.dimse.broken_answers import EACH, KEYWORDS, BrokenAnswer, broken_answers, faults
from tests.dimse.identifiers import decoded, element

BY_FAULT: dict[str, list[BrokenAnswer]] = {}
for answer in broken_answers(each=3):
    BY_FAULT.setdefault(answer.fault, []).append(answer)


@pytest.mark.parametrize("fault", faults())
def test_a_broken_answer_is_a_row_with_what_can_be_read_of_it(fault: str) -> None:
    for answer in BY_FAULT[fault]:
        (row,) = decoded(answer.data, KEYWORDS, implicit=answer.implicit)
        assert {keyword: str(row[keyword]) for keyword in answer.readable} == answer.readable
        missing = [keyword for keyword in KEYWORDS if keyword in REQUIRED and row[keyword] is None]
        assert not missing or row["warnings"]


@pytest.mark.slow
def test_no_answer_changes_the_row_of_another() -> None:
    answers = [answer for answer in broken_answers(each=EACH) if answer.implicit]
    together = decoded([answer.data for answer in answers], KEYWORDS, implicit=True)
    assert together == [decoded(answer.data, KEYWORDS, implicit=True)[0] for answer in answers]


SQ = 0x00081032
UID_OF_ANOTHER = element(0x0020000D, "UI", b"1.2.9\0", implicit=True)


def test_the_uid_of_a_referenced_study_is_not_taken_for_the_own_one_that_is_missing() -> None:
    item = b"\xfe\xff\x00\xe0" + len(UID_OF_ANOTHER).to_bytes(4, "little") + UID_OF_ANOTHER
    answer = element(0x00080020, "DA", b"20260131", implicit=True) + element(SQ, "SQ", item, implicit=True)
    row = decoded(answer, ["StudyInstanceUID", "StudyDate"], implicit=True)[0]
    assert (row["StudyInstanceUID"], [one["why"] for one in row["warnings"]]) == (None, ["not returned"])


def test_of_two_uids_behind_a_break_none_is_taken() -> None:
    own = element(0x0020000D, "UI", b"1.2.3\0", implicit=True)
    hidden = element(0x00080092, "ST", own + UID_OF_ANOTHER, implicit=True)
    assert decoded(hidden, ["StudyInstanceUID"], implicit=True)[0]["StudyInstanceUID"] is None


def test_a_text_whose_length_takes_in_the_next_element_is_cut_there_and_the_raw_value_is_kept() -> None:
    patient = element(0x00100020, "LO", b"P1", implicit=False)
    whole = element(0x00081030, "LO", b"Thorax" + patient, implicit=False)
    row = decoded(whole, ["StudyDescription", "PatientID"], implicit=False)[0]
    assert (row["StudyDescription"], row["PatientID"]) == ("Thorax", "P1")
    assert [(one["keyword"], one["raw"]) for one in row["warnings"]] == [
        ("StudyDescription", "Thorax\\x10\\x00 \\x00LO\\x02\\x00P1")
    ]


def test_control_characters_in_a_text_are_warned_of() -> None:
    row = decoded(element(0x00081030, "LO", b"a\x01b\0c ", implicit=False), ["StudyDescription"], implicit=False)[0]
    assert row["StudyDescription"] == "a\x01b\0c"
    assert [one["why"] for one in row["warnings"]] == ["control characters in a text"]


def test_an_element_that_is_repeated_empty_loses_no_value() -> None:
    twice = element(0x00081030, "LO", b"CT", implicit=True) + element(0x00081030, "LO", b"", implicit=True)
    assert decoded(twice, ["StudyDescription"], implicit=True)[0]["StudyDescription"] == "CT"


def test_what_can_be_read_of_a_broken_sequence_is_kept_and_its_text_is_read_as_any_other() -> None:
    items = b""
    for raw in ("Schädel".encode(), b"\x1b-L\xbb", b"Thorax"):
        code = element(0x00080104, "LO", raw, implicit=True)
        items += b"\xfe\xff\x00\xe0" + len(code).to_bytes(4, "little") + code
    answer = element(SQ, "SQ", items[:-4], implicit=True)
    row = decoded(answer, ["ProcedureCodeSequence"], implicit=True)[0]
    found = [item.get("00080104", {}).get("Value") for item in json.loads(row["ProcedureCodeSequence"])]
    assert found == [["Schädel"], ["Л"], None]
    assert [one["why"] for one in row["warnings"]] == [
        "not in the character set latin_1",
        "an escape sequence that SpecificCharacterSet does not name",
        "an item that ends behind its sequence",
        "an element that ends behind its item",
    ]


def test_many_breaks_in_one_answer_cost_little() -> None:
    broken = b"".join(element(0x00100020, "LO", b"P1", implicit=True)[:-1] for _ in range(20_000))
    assert len(decoded(broken, KEYWORDS, implicit=True)) == 1


def test_sequences_without_end_cost_little() -> None:
    opening = b"\x08\x00\x32\x10\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    hidden = b"\x08\x00\x30\x10\xff\xff\xff\xff"
    flat = element(0x00080100, "SH", b"", implicit=True) * 8_000
    begun = time.process_time()
    decoded((hidden + opening) * 300 + flat, [*KEYWORDS, "StudyID"], implicit=True)
    assert time.process_time() - begun < 5
