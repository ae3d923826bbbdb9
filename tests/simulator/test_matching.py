"""Matching tables (PS3.4 C.2.2.2)."""

import pytest

from qrkit.simulator.pacs.matching import datetime_range_matcher, key_matcher, matches_any

CASES = [
    # single value
    ("LO", ["CT CHEST"], "CT CHEST", True),
    ("LO", ["CT CHEST"], "ct chest", False),
    ("LO", ["CT CHEST"], "CT CHEST W CONTRAST", False),
    ("CS", ["CT"], "OCT", False),
    ("LO", ["a.c"], "abc", False),
    ("IS", ["1"], "01", True),
    ("IS", ["1"], "2", False),
    ("IS", ["x"], "x", True),
    # universal
    ("LO", [""], "anything", True),
    ("LO", [], "", True),
    ("LO", ["*"], "", True),
    ("PN", ["*"], "", True),
    # wildcards
    ("LO", ["CT*"], "CT CHEST", True),
    ("LO", ["*CHEST*"], "CT CHEST W CONTRAST", True),
    ("LO", ["CT ?EAD"], "CT HEAD", True),
    ("LO", ["CT ?EAD"], "CT THREAD", False),
    ("LO", ["[A]*"], "[A] study", True),
    ("UI", ["1.2.*"], "1.2.3", False),
    # lists of UIDs
    ("UI", ["1.2.3", "1.2.4"], "1.2.4", True),
    ("UI", ["1.2.3", "1.2.4"], "1.2.5", False),
    # dates
    ("DA", ["20260115"], "20260115", True),
    ("DA", ["20260101-20260131"], "20260131", True),
    ("DA", ["20260101-20260131"], "20260201", False),
    ("DA", ["20260101-"], "20270101", True),
    ("DA", ["20260101-"], "20251231", False),
    ("DA", ["-20260101"], "20251231", True),
    ("DA", ["-20260101"], "20260102", False),
    ("DA", ["20260101-20260131"], "", False),
    ("DA", ["2026.01.01-2026.01.31"], "20260115", True),
    # times
    ("TM", ["10"], "105959", True),
    ("TM", ["10"], "110000", False),
    ("TM", ["1000-1130"], "113059.5", True),
    ("TM", ["1000-1130"], "113100", False),
    ("TM", ["080000-"], "235959.999999", True),
    ("TM", ["-0800"], "0700", True),
    ("TM", ["1000-1130"], "", False),
    ("TM", ["10:00-11:30"], "104500", True),
    # person names
    ("PN", ["mueller^anna"], "Mueller^Anna", True),
    ("PN", ["MÜLLER^*"], "Müller^Jörg", True),
    ("PN", ["Müller^Jörg"], "Müller^Jörg^^", True),
    ("PN", ["Müller"], "Müller^Jörg", False),
    ("PN", ["Smith^J?n*"], "Smith^Jane", True),
    ("PN", ["山田*"], "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PN", ["Yamada^Tarou"], "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PN", ["=山田^太郎"], "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PN", ["鈴木*"], "Yamada^Tarou=山田^太郎=やまだ^たろう", False),
]


@pytest.mark.parametrize(("vr", "values", "stored", "expected"), CASES)
def test_a_key_matches_as_the_standard_says(vr: str, values: list[str], stored: str, *, expected: bool) -> None:
    assert key_matcher(vr, values)(stored) is expected


def test_wildcards_can_be_taken_for_ordinary_letters() -> None:
    literal = key_matcher("LO", ["CT*"], wildcards=False)
    assert not literal("CT CHEST")
    assert literal("CT*")


def test_text_can_match_in_any_case() -> None:
    assert key_matcher("LO", ["ct chest"], any_case=True)("CT CHEST")


def test_a_multi_valued_element_matches_by_any_of_its_values() -> None:
    wants_ct = key_matcher("CS", ["CT"])
    assert matches_any(wants_ct, ("SR", "CT"))
    assert not matches_any(wants_ct, ("OCT",))
    assert not matches_any(wants_ct, ())
    assert matches_any(key_matcher("CS", []), ())


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [
        ("20260105", "095959", False),
        ("20260105", "100000", True),
        ("20260106", "030000", True),
        ("20260107", "180030", True),
        ("20260107", "190000", False),
        ("20260108", "110000", False),
    ],
)
def test_combined_date_and_time_ranges_are_one_range(day: str, time: str, *, expected: bool) -> None:
    assert datetime_range_matcher("20260105-20260107", "1000-1800")(day, time) is expected
