"""Matching done here, on values as tables have them."""

from __future__ import annotations

import fnmatch
from datetime import date, time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.query import build_query, local_judge
from qrkit.query.filters import select
from qrkit.tables import Level


def answers(keyword: str, asked: str, values: list[str]) -> list[str]:
    judge = local_judge(keyword, asked)
    assert judge is not None
    return [value for value in values if judge(value)]


@pytest.mark.parametrize(
    ("keyword", "asked", "yes", "no"),
    [
        ("PatientID", "Q1", ["Q1", " Q1 "], ["q1", "Q10", "AQ1"]),
        ("PatientID", "Q1*", ["Q1", "Q10"], ["AQ1"]),
        ("PatientID", "Q?", ["Q1"], ["Q", "Q10"]),
        ("StudyDescription", "*(CT).*", ["x (CT). y"], ["x CT y"]),
        ("StudyDescription", "Chest*", ["Chest PA"], ["CHEST PA"]),
        ("StudyDescription", "März", ["März", "Ma\u0308rz", "MÃ¤rz", "M\ufffdrz"], ["Merz"]),
        ("ModalitiesInStudy", "CT", ["CT", "SR\\CT"], ["OCT", "SR"]),
        ("ImageComments", "a\\b", ["a\\b"], ["a", "b"]),
        ("PatientAge", "045Y", ["045Y"], ["46Y"]),
        ("StudyInstanceUID", "1.2\\1.3", ["1.2", "1.3"], ["1.20", "1.4"]),
        ("InstanceNumber", "1", ["1", "01"], ["10"]),
        ("PatientWeight", "70", ["70.0", "7e1"], ["70.5"]),
        ("StudyDate", "20260102", ["2026-01-02"], ["2026-01-03"]),
        ("StudyDate", "20260102-20260103", ["2026-01-02", "2026-01-03"], ["2026-01-01", "2026-01-04"]),
        ("StudyDate", "-20260102", ["1900-01-01", "2026-01-02"], ["2026-01-03"]),
        ("StudyDate", "20260102-", ["2026-01-02", "2999-01-01"], ["2026-01-01"]),
        ("StudyTime", "08", ["08:00:00.000000", "08:59:59.999999"], ["07:59:59.999999", "09:00:00.000000"]),
        ("StudyTime", "0800-1200", ["08:00:00.000000", "12:00:59.000000"], ["12:01:00.000000"]),
        ("StudyTime", "-12", ["00:00:00.000000"], ["13:00:00.000000"]),
        ("StudyTime", "2200-0600", ["23:00:00.000000", "06:00:00.000000"], ["12:00:00.000000"]),
        ("AcquisitionDateTime", "2026013108-20260131", ["20260131", "202601310800"], ["2026013107", "20260201"]),
        ("AcquisitionDateTime", "20260131", ["20260131083000.5", "20260201003000+0100"], ["20260201"]),
    ],
)
def test_a_key_answers_as_the_standard_says(keyword: str, asked: str, yes: list[str], no: list[str]) -> None:
    assert answers(keyword, asked, yes + no) == yes


@pytest.mark.parametrize(
    ("asked", "yes", "no"),
    [
        ("doe^john", ["Doe^John", "DOE^JOHN^^^", "Doe^John^Q"], ["Doe^Jane", "Doe"]),
        ("Doe", ["Doe", "doe^John"], ["Doering^John"]),
        ("Doe^J*", ["Doe^John", "DOE^jane"], ["Doe^Ann"]),
        ("*john*", ["Doe^John"], ["Doe^Jane"]),
        ("^John", ["Doe^John", "Roe^JOHN"], ["Doe^Jane"]),
        ("müller", ["Müller^Anna", "MULLER", "MÃ¼ller"], ["Miller"]),
        ("山田", ["Yamada^Tarou=山田^太郎"], ["Yamada^Tarou=山本^太郎"]),
        ("yamada=山田", ["Yamada^Tarou=山田^太郎=やまだ^たろう"], ["Yamada^Tarou", "山田"]),
        ("ΠΑΠΑΔΟΠΟΥΛΟΣ", ["Παπαδόπουλος^Νίκος"], ["Νίκος"]),
        ("김*", ["김^희중"], ["박^희중"]),
    ],
)
def test_a_name_answers_in_any_case_by_its_components(asked: str, yes: list[str], no: list[str]) -> None:
    assert answers("PatientName", asked, yes + no) == yes


@pytest.mark.parametrize(
    ("keyword", "asked"),
    [
        ("StudyDescription", ""),
        ("StudyDescription", "**"),
        ("00191001", "private"),
        ("FrameIncrementPointer", "00181063"),
        ("AcquisitionDateTime", "20260131+0100"),
        ("AcquisitionDateTime", "20260131-0500"),
    ],
)
def test_what_cannot_be_told_is_not_judged(keyword: str, asked: str) -> None:
    assert local_judge(keyword, asked) is None


LETTERS = st.text("ab^. ", max_size=6)


@given(asked=st.text("ab*?", min_size=1, max_size=5), values=st.lists(st.text("abAB.", max_size=6), max_size=6))
def test_wildcards_are_those_of_a_shell(asked: str, values: list[str]) -> None:
    judge = local_judge("StudyDescription", asked)
    for value in values:
        wanted = fnmatch.fnmatchcase(value, asked)
        assert wanted if judge is None else judge(value) is wanted


@given(ends=st.tuples(st.dates(), st.dates()).map(sorted), days=st.lists(st.dates(), max_size=6))
def test_a_range_of_dates_keeps_its_days_and_what_has_no_date(ends: list[date], days: list[date]) -> None:
    first, last = ends
    table = pa.table({"StudyDate": pa.array([*days, None], pa.date32())})
    selected = select(build_query(today=last, date=(first, last)), Level.STUDY, table)
    assert selected.table["StudyDate"].to_pylist() == [*(day for day in days if first <= day <= last), None]


@given(ends=st.tuples(st.times(), st.times()).map(sorted), moments=st.lists(st.times(), max_size=6))
def test_a_range_of_times_keeps_its_moments(ends: list[time], moments: list[time]) -> None:
    first, last = ends
    asked = f"{first:%H%M%S.%f}-{last:%H%M%S.%f}"
    judge = local_judge("StudyTime", asked)
    assert judge is not None
    assert [judge(one.isoformat("microseconds")) for one in moments] == [first <= one <= last for one in moments]


@given(name=LETTERS)
def test_a_name_always_answers_itself_in_any_case(name: str) -> None:
    judge = local_judge("PatientName", name.upper())
    assert judge is None or judge(name)


@given(st.sampled_from(["PatientName", "StudyDescription", "StudyTime", "InstanceNumber", "PatientAge"]), st.text())
def test_no_value_raises(keyword: str, value: str) -> None:
    judge = local_judge(keyword, "1")
    assert judge is not None
    assert judge(value) in (True, False)
