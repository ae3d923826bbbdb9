"""Matching done here, on values as tables have them."""

from __future__ import annotations

import fnmatch
from datetime import date, time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.query import Match, build_query, local_judge
from qrkit.query.filters import select
from qrkit.tables import Level


def answers(keyword: str, asked: str, values: list[str]) -> list[str]:
    judge = local_judge(keyword, asked)
    assert judge is not None
    return [value for value in values if judge(value) is Match.YES]


@pytest.mark.parametrize(
    ("keyword", "asked", "yes", "no"),
    [
        ("PatientID", "Q1", ["Q1", " Q1 "], ["q1", "Q10", "AQ1"]),
        ("PatientID", "Q1*", ["Q1", "Q10"], ["AQ1"]),
        ("PatientID", "Q?", ["Q1"], ["Q", "Q10"]),
        ("StudyDescription", "*(CT).*", ["x (CT). y"], ["x CT y"]),
        ("StudyDescription", "Chest*", ["Chest PA"], ["CHEST PA"]),
        ("StudyDescription", "März", ["März", "Ma\u0308rz", "MÃ¤rz"], ["Merz", "M\ufffdrz"]),
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
        ("AcquisitionDateTime", "20260131", ["20260131083000.5"], ["20260201003000+0100", "20260201"]),
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
    ("asked", "kept", "wrong"),
    [
        (
            "Yamada^Tarou",
            ["=山田^太郎=やまだ^たろう", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "ヤマダ^タロウ", "Yamada^Taro"],
            ["Suzuki^Tarou"],
        ),
        (
            "Yamada^Tarou",
            ["\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "\x1b$B3=^E=D\x1b(B", "Yamada=\x1b$B;3ED\x1b(B", "$B;3ED(B"],
            ["Suzuki=$B;3ED(B"],
        ),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", ["Yamada^Tarou", "山田^太郎"], ["スズキ^タロウ"]),
        ("山田", ["山田太郎", "Yamada^Tarou", "やまだ"], ["山本太郎"]),
        ("yamada=山田", ["Yamada^Tarou", "山田", "Yamada^Tarou=山本^太郎"], ["Yamamoto=山本"]),
        ("Buc^Jérôme", ["Buc^J\ufffdr\ufffdme", "Buc^J?r?me", "Jerome^Buc", "BUC, JEROME"], ["Buc^Jean"]),
        (
            "Müller^Hans",
            ["MUELLER^HANS", "Müller", "Müller-Schmidt^Hans", "Mueller^H", "Мюллер^Ганс"],
            ["Miller^Hans"],
        ),
        ("Люксембург", ["Luxemburg", "Λουξεμβούργο", "לוקסמבורג"], ["Петров"]),
        ("قباني^لنزار", ["Qabbani^Lanzar"], ["سالم"]),
        ("Hong^Gildong", ["HONG^GIL-DONG", "Hong^Gil^Dong", "홍^길동=洪^吉洞"], ["Kim^Gildong"]),
        ("Wang^XiaoDong", ["WANG^XIAO DONG", "王^小东"], ["Li^XiaoDong"]),
        ("van der Berg^Jan", ["Vanderberg^Jan", "Berg^Jan^van der"], ["van der Meer^Jan"]),
        ("O'Brien^Pat", ["OBrien^Pat", "O Brien^Pat"], ["Brown^Pat"]),
        ("Meyer", ["Maier^A", "MAYR^B", "Meier-Huber"], ["Meister"]),
        ("Smith^^^Dr", ["Smith^John"], ["Jones^John^^Dr"]),
        ("Schmidt^Stephan", ["Schmitt^Stefan", "SCHMID^STEFAN"], ["Schulz^Stephan"]),
    ],
)
def test_a_name_that_a_node_may_take_for_the_key_is_not_surely_wrong(
    asked: str, kept: list[str], wrong: list[str]
) -> None:
    judge = local_judge("PatientName", asked)
    assert judge is not None
    assert {name: judge(name) for name in kept if judge(name) not in (Match.ALIKE, Match.UNSURE)} == {}
    assert {judge(name) for name in wrong} == {Match.NO}


@pytest.mark.parametrize(
    ("keyword", "asked", "alike", "unsure", "wrong"),
    [
        ("PatientID", "Q1", ["q1", "Q-1", "0Q1", "Q1^^^HOSP"], ["Q\ufffd1"], ["Q10", "AQ1"]),
        ("AccessionNumber", "00123", ["123", "A/123"], [], ["1234", "0123X"]),
        (
            "StudyDescription",
            "Chest*",
            ["CHEST PA", "CT Chest", "\uff23\uff48\uff45\uff53\uff54"],
            ["\x1b$B6;It\x1b(B", "\u80f8\u90e8"],
            ["Abdomen"],
        ),
        ("StudyDescription", "Schädel", ["SCHÄDEL", "SCHAEDEL CT", "Scha\u0308del nativ"], [], ["Skull"]),
        ("StudyDescription", "Kopf CT", ["CT Kopf", "CT-KOPF nativ"], [], ["CT Thorax"]),
        ("StudyDescription", "x" * 65, ["x" * 64], [], ["x" * 63]),
        ("ModalitiesInStudy", "CT", [], ["*", "CTSR"], ["OCT", "MR/SR"]),
        ("InstanceNumber", "1", [], ["one"], ["2"]),
        ("AcquisitionDateTime", "20260131", [], ["20260201003000+0100"], ["2025"]),
    ],
)
def test_values_are_alike_or_unsure_only_where_a_node_may_find_them(
    keyword: str, asked: str, alike: list[str], unsure: list[str], wrong: list[str]
) -> None:
    judge = local_judge(keyword, asked)
    assert judge is not None
    found = [[judge(value) for value in values] for values in (alike, unsure, wrong)]
    assert found == [[Match.ALIKE] * len(alike), [Match.UNSURE] * len(unsure), [Match.NO] * len(wrong)]


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
        assert wanted if judge is None else (judge(value) is Match.YES) is wanted


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
    found = [judge(one.isoformat("microseconds")) is Match.YES for one in moments]
    assert found == [first <= one <= last for one in moments]


@given(name=LETTERS)
def test_a_name_always_answers_itself_in_any_case(name: str) -> None:
    judge = local_judge("PatientName", name.upper())
    assert judge is None or judge(name) is Match.YES


@given(st.sampled_from(["PatientName", "StudyDescription", "StudyTime", "InstanceNumber", "PatientAge"]), st.text())
def test_no_value_raises(keyword: str, value: str) -> None:
    judge = local_judge(keyword, "1")
    assert judge is not None
    assert isinstance(judge(value), Match)
