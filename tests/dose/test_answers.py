"""What is remembered of a node's answers, and for how long."""

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.dose import (
    Answer,
    AnswerCache,
    Need,
    NeedKind,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    Unanswered,
    from_table,
    newest,
    to_table,
)
from qrkit.dose.facts import objects_by_series
from tests.dose.world import RDSR

NOW = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - in UTC, as it is kept
SERIES = Need(NeedKind.SERIES, "1")
OLD = StudyRow(StudyInstanceUID="1", StudyDate="20260101")
COUNTED = StudyRow(StudyInstanceUID="1", StudyDate="20260630", series_count=2, instance_count=9)

TEXTS = st.sampled_from(["", "CT", "SR", "Thorax 1.0"])
COUNTS = st.none() | st.integers(0, 5)
UIDS = st.integers(1, 4).map(lambda number: f"1.2.{number}")
SERIES_ANSWERS = st.builds(
    SeriesAnswer,
    st.lists(st.builds(SeriesRow, UIDS, TEXTS, TEXTS, TEXTS, COUNTS, COUNTS), max_size=3).map(tuple),
    st.booleans(),
)
OBJECT_ANSWERS = st.builds(
    ObjectsAnswer, st.lists(st.builds(ObjectRow, UIDS, TEXTS, COUNTS), max_size=3).map(tuple), st.booleans()
)
ANSWERS = st.dictionaries(
    st.builds(Need, st.sampled_from([NeedKind.SERIES, NeedKind.SR_SERIES]), UIDS), SERIES_ANSWERS, max_size=4
).flatmap(
    lambda series: st.dictionaries(
        st.builds(Need, st.sampled_from([NeedKind.OBJECTS, NeedKind.DOSE_OBJECTS, NeedKind.FIRST_IMAGE]), UIDS, UIDS),
        OBJECT_ANSWERS,
        max_size=4,
    ).map(lambda objects: {**series, **objects})
)


def studies(answers: dict[Need, Answer]) -> dict[str, StudyRow]:
    return {need.StudyInstanceUID: StudyRow(StudyInstanceUID=need.StudyInstanceUID) for need in answers}


@pytest.mark.slow
@given(ANSWERS)
def test_answers_come_back_from_their_table_as_they_were(answers: dict[Need, Answer]) -> None:
    known = from_table(to_table(answers, studies(answers), NOW))
    assert {need: one.answer for need, one in known.items()} == answers


@pytest.mark.slow
@given(ANSWERS, ANSWERS)
def test_of_several_answers_the_newest_counts(before: dict[Need, Answer], after: dict[Need, Answer]) -> None:
    tables = [to_table(before, studies(before), NOW), to_table(after, studies(after), NOW + timedelta(hours=1))]
    for order in (tables, tables[::-1]):
        joined = pa.concat_tables(order)
        expected = {**before, **after}
        assert {need: one.answer for need, one in from_table(joined).items()} == expected
        assert {need: one.answer for need, one in from_table(newest(joined)).items()} == expected
        assert newest(joined).num_rows <= joined.num_rows


def test_what_was_not_answered_is_not_remembered() -> None:
    assert to_table({SERIES: Unanswered("silent")}, {"1": OLD}, NOW).num_rows == 0


def recalled(then: StudyRow, now: StudyRow, *, after: timedelta, asked_at: datetime = NOW) -> bool:
    known = from_table(to_table({SERIES: SeriesAnswer()}, {"1": then}, asked_at))
    cache = AnswerCache(known, {"1": now}, now=asked_at + after)
    return SERIES in cache.recall([SERIES])


def test_an_answer_holds_while_the_node_counts_as_many_series_and_instances() -> None:
    years = timedelta(days=1000)
    assert recalled(COUNTED, COUNTED, after=years)
    grown = StudyRow(StudyInstanceUID="1", StudyDate="20260630", series_count=3, instance_count=10)
    assert not recalled(COUNTED, grown, after=timedelta(seconds=1))


def test_without_counts_an_answer_on_a_recent_study_holds_for_an_hour_and_on_others_for_90_days() -> None:
    recent = StudyRow(StudyInstanceUID="1", StudyDate="20260628")
    assert recalled(recent, recent, after=timedelta(minutes=59))
    assert not recalled(recent, recent, after=timedelta(minutes=61))
    assert recalled(OLD, OLD, after=timedelta(days=89))
    assert not recalled(OLD, OLD, after=timedelta(days=91))
    undated = StudyRow(StudyInstanceUID="1")
    assert not recalled(undated, undated, after=timedelta(days=1))


def test_all_series_tell_the_sr_series_and_all_objects_those_of_dose_classes() -> None:
    report = Need(NeedKind.DOSE_OBJECTS, "1", "1.1")
    told: dict[Need, Answer] = {SERIES: SeriesAnswer(), Need(NeedKind.OBJECTS, "1", "1.1"): ObjectsAnswer()}
    cache = AnswerCache(from_table(to_table(told, {"1": OLD}, NOW)), {"1": OLD}, now=NOW)
    wanted = [Need(NeedKind.SR_SERIES, "1"), report, Need(NeedKind.FIRST_IMAGE, "1", "1.1")]
    assert set(cache.recall(wanted)) == set(wanted[:2])


def test_dose_objects_are_asked_for_again_by_other_sop_classes_and_whole_lists_are_not() -> None:
    part, whole = Need(NeedKind.DOSE_OBJECTS, "1", "1.1"), Need(NeedKind.OBJECTS, "1", "1.2")
    told: dict[Need, Answer] = {part: ObjectsAnswer(is_whole=False), whole: ObjectsAnswer()}
    kept = to_table(told, {"1": OLD}, NOW, "1.9")
    cache = AnswerCache(from_table(kept), {"1": OLD}, now=NOW, classes="1.9")
    assert set(cache.recall(told)) == {part, whole}
    assert set(AnswerCache(from_table(kept), {"1": OLD}, now=NOW).recall(told)) == {whole}
    older = from_table(kept.drop_columns(["classes"]))
    assert set(AnswerCache(older, {"1": OLD}, now=NOW).recall(told)) == {part, whole}


@pytest.mark.parametrize(
    ("text", "known"), [(RDSR, RDSR), (f"{RDSR}. ", RDSR), ("1.2..3", ""), ("RDSR", ""), ("1.02", ""), (None, "")]
)
def test_a_sop_class_that_cannot_be_one_is_unknown(text: str | None, known: str) -> None:
    table = pa.table({"SOPInstanceUID": ["1.5"], "SOPClassUID": pa.array([text], pa.string())})
    (row,) = objects_by_series(table, series_instance_uid="1.4")["1.4"]
    assert row.SOPClassUID == known
