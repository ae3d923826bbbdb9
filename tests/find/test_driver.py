"""The window driver against PACS that are values: nothing is lost, or it is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrkit.find.windows import Caps, Row, WindowAnswer, WindowContext, ask_in_windows
from qrkit.query import Request
from qrkit.tables import Level
from tests.find.pacs import TODAY, Pacs, Study, ask, range_of

BIRTH, TIME, DATE = "PatientBirthDate", "StudyTime", "StudyDate"
KEYS = st.frozensets(st.sampled_from([BIRTH, TIME]), max_size=2)
MONTH = (TODAY - 29, TODAY)


def studies(per_day: int, days: int = 30) -> list[Study]:
    """So many studies a day, a quarter of an hour and a month of birth apart."""
    return [
        Study(
            uid=f"1.{day}.{number}",
            day=TODAY - day,
            second=number * 900 % 86_400,
            birth=700_000 + 30 * number,
            patient=f"Q{day}{number:03}",
        )
        for day in range(days)
        for number in range(per_day)
    ]


def uids(pacs: Pacs) -> set[str]:
    return {one.uid for one in pacs.studies}


@st.composite
def archives(draw: st.DrawFn) -> Pacs:
    days = draw(st.integers(1, 12))
    held = [
        Study(
            uid=f"1.{number}",
            day=TODAY - draw(st.integers(0, days - 1)),
            second=draw(st.one_of(st.integers(0, 86_399), st.sampled_from([0, 36_000, 86_399, None]))),
            birth=draw(st.one_of(st.integers(693_596, 738_000), st.sampled_from([720_000, None]))),
            patient=draw(st.sampled_from(["Q1", "Q2", "X3", ""])),
        )
        for number in range(draw(st.integers(0, 40)))
    ]
    return Pacs(
        studies=held,
        cap=draw(st.integers(2, 20)),
        status=draw(st.booleans()),
        order=draw(st.sampled_from(["oldest", "newest", "any"])),
        exclusive=draw(st.frozensets(st.just(TIME))),
        by_minute=draw(st.booleans()),
        ignores=draw(KEYS),
        literal=draw(KEYS),
        refuses=draw(KEYS),
        abort_above=draw(st.sampled_from([0, 0, 5])),
    )


@pytest.mark.slow
@given(pacs=archives())
@settings(max_examples=50, deadline=None)
def test_of_a_capped_pacs_nothing_is_lost_or_it_is_said(pacs: Pacs) -> None:
    found, driven = ask(pacs, dates=range_of(TODAY - 12, TODAY), caps=Caps(likely=None if pacs.status else pacs.cap))
    missing = [one for one in pacs.studies if one.uid not in found]
    assert found <= uids(pacs)
    assert len(pacs.requests) <= 100 + 20 * len(pacs.studies)
    if driven.has_answer and not driven.doubts:
        assert all(one.birth is None for one in missing)
        assert not missing or driven.assumptions
        assert not any(one.birth is None for one in pacs.studies if one.uid in found) or all(
            one.second is None for one in missing
        )
    if not driven.has_answer:
        assert driven.errors


@pytest.mark.parametrize("order", ["oldest", "newest", "any"])
@pytest.mark.parametrize("status", [False, True])
def test_a_month_of_busy_days_takes_few_requests(order: str, *, status: bool) -> None:
    pacs = Pacs(studies=studies(70, days=10), cap=50, status=status, order=order)
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=Caps(likely=50))
    assert found == uids(pacs)
    assert not driven.doubts
    assert "lacks both StudyTime and PatientBirthDate" in driven.assumptions[0]
    assert len(pacs.requests) <= 6 * 10 + 20


def test_an_answer_below_suspicion_takes_one_request() -> None:
    pacs = Pacs(studies=studies(3))
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=Caps(most=90))
    assert (found, driven.doubts, driven.assumptions, driven.splits) == (uids(pacs), (), (), 0)
    assert len(pacs.requests) == 1


def test_an_answer_larger_than_any_that_was_proven_whole_is_asked_in_halves_once() -> None:
    pacs, caps = Pacs(studies=studies(3)), Caps(most=20)
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=caps)
    assert (found, driven.doubts, driven.assumptions, driven.splits) == (uids(pacs), (), (), 0)
    assert (len(pacs.requests), caps.proven) == (3, 90)
    ask(pacs, dates=range_of(*MONTH), caps=caps)
    assert len(pacs.requests) == 4


@pytest.mark.parametrize("dates", [range_of(*MONTH), range_of(TODAY, TODAY), ""])
def test_a_cap_that_is_no_round_number_shows_in_halves_whatever_the_order(dates: str) -> None:
    pacs = Pacs(studies=[*studies(40, days=4), Study(uid="9", second=None)], cap=37, order="any")
    found, driven = ask(pacs, dates=dates)
    assert found == {one.uid for one in pacs.studies if one.day == TODAY or dates != range_of(TODAY, TODAY)}
    assert all("without StudyDate" in doubt for doubt in driven.doubts)


def test_halves_by_a_key_that_the_node_ignores_prove_nothing() -> None:
    pacs = Pacs(studies=studies(40, days=4), cap=37, ignores=frozenset({DATE}))
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert found < uids(pacs)
    assert "The node ignores StudyDate, so the query cannot be split by date" in driven.doubts[0]


def test_an_answer_that_nothing_parts_is_a_doubt() -> None:
    pacs = Pacs(studies=[Study(uid=f"1.{number}") for number in range(30)])
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert found == uids(pacs)
    assert (
        "30 rows are more than this node has returned in one proven result, and no key splits this query"
        in driven.doubts[0]
    )
    assert len(pacs.requests) <= 5
    undated = Pacs(studies=[Study(uid=f"1.{day}", day=TODAY - day) for day in range(30)], hides_days=True)
    found, driven = ask(undated, dates=range_of(*MONTH))
    assert (found, driven.doubts, len(undated.requests)) == (uids(undated), (), 3)


def test_an_answer_whose_rows_its_halves_lack_is_a_doubt_that_says_so() -> None:
    pacs = Pacs(studies=studies(1), unsent=2)
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert len(found) == 28
    (doubt,) = driven.doubts
    assert "28 rows are more than this node has returned in one proven result, and smaller windows did not" in doubt


@pytest.mark.parametrize("cap", [25, 37, 73])
def test_rows_without_unique_keys_prove_nothing_and_are_counted(cap: int) -> None:
    pacs, caps = Pacs(studies=studies(40, days=4), cap=cap, order="any", hides_uids=True), Caps()
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=caps)
    assert len(found) == 160
    assert driven.doubts == (
        "160 rows without StudyInstanceUID cannot be distinguished, so nothing shows whether there are more",
    )
    assert caps.proven == 0


def test_few_rows_without_unique_keys_need_no_proof() -> None:
    pacs = Pacs(studies=studies(3, days=4), hides_uids=True)
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert (len(found), driven.doubts, len(pacs.requests)) == (12, (), 1)


def test_a_list_with_fewer_rows_than_uids_is_not_proven_where_rows_have_no_unique_key() -> None:
    pacs = Pacs(studies=studies(3, days=2), hides_uids=True)
    listed = [one.uid for one in pacs.studies]
    _, whole = ask(pacs, StudyInstanceUID="\\".join(listed))
    assert whole.doubts == ()
    _, short = ask(pacs, StudyInstanceUID="\\".join([*listed, "1.2.3"]))
    assert "6 rows without StudyInstanceUID" in short.doubts[0]


@pytest.mark.parametrize("per_day", [3, 9])
@pytest.mark.parametrize("dates", [range_of(*MONTH), ""])
def test_a_node_that_aborts_large_answers_before_their_first_row_is_asked_for_less(dates: str, per_day: int) -> None:
    pacs = Pacs(studies=studies(per_day), abort_above=10, said_before=0)
    found, _ = ask(pacs, dates=dates)
    assert found == uids(pacs)


@pytest.mark.parametrize(("dates", "most"), [(range_of(*MONTH), 40), ("", 40), (range_of(TODAY, TODAY), 40)])
def test_a_node_that_aborts_whatever_has_rows_is_asked_a_few_times(dates: str, most: int) -> None:
    pacs = Pacs(studies=studies(9), withholds_rows=True)
    found, driven = ask(pacs, dates=dates)
    assert (found, len(driven.errors) > 0) == (set(), True)
    assert len(pacs.requests) <= most


@pytest.mark.parametrize("status", [False, True])
def test_a_request_for_one_study_is_never_split(*, status: bool) -> None:
    pacs = Pacs(studies=studies(1), withholds_rows=True, status=status)
    _, driven = ask(pacs, StudyInstanceUID=pacs.studies[0].uid)
    assert (len(driven.errors), len(pacs.requests)) == (1, 2)


def test_a_round_number_that_is_whole_is_told_and_no_doubt() -> None:
    pacs = Pacs(studies=studies(20, days=10))
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert found == uids(pacs)
    assert not driven.doubts
    assert "200 rows are a multiple of 100" in driven.assumptions[0]
    assert len(pacs.requests) <= 6


def test_a_cap_that_is_no_round_number_shows_by_the_side_that_is_empty() -> None:
    for order in ("oldest", "newest"):
        pacs = Pacs(studies=studies(20), cap=67, order=order)
        found, driven = ask(pacs, dates=range_of(*MONTH))
        assert found == uids(pacs)
        assert not driven.doubts


def test_studies_without_a_time_are_found_by_dates_of_birth() -> None:
    pacs = Pacs(studies=[*studies(40, days=3), Study(uid="9", second=None)], cap=30)
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=Caps(likely=30))
    assert found == uids(pacs)
    assert not driven.doubts


@pytest.mark.parametrize("how", ["ignores", "literal", "refuses"])
def test_without_dates_of_birth_studies_without_a_time_are_named(how: str) -> None:
    pacs = Pacs(studies=[*studies(40, days=3), Study(uid="9", second=None)], cap=30)
    setattr(pacs, how, frozenset({BIRTH}))
    found, driven = ask(pacs, dates=range_of(*MONTH), caps=Caps(likely=30))
    assert found >= uids(pacs) - {"9"}
    assert "studies without StudyTime" in driven.doubts[0]
    assert BIRTH in dict(driven.unusable)


@pytest.mark.slow
@pytest.mark.parametrize("by_minute", [False, True])
def test_ranges_without_their_ends_lose_nothing_at_the_seams(*, by_minute: bool) -> None:
    every_minute = [Study(uid=f"1.{minute}", second=60 * minute, birth=None) for minute in range(1440)]
    pacs = Pacs(studies=every_minute, cap=100, exclusive=frozenset({TIME}), by_minute=by_minute)
    found, driven = ask(pacs, dates=range_of(TODAY, TODAY), caps=Caps(likely=100))
    lost = uids(pacs) - found
    assert lost <= {"1.0", "1.1439"}
    assert driven.doubts


def test_ranges_of_days_without_their_ends_are_asked_day_by_day() -> None:
    pacs = Pacs(studies=studies(9), cap=100, exclusive=frozenset({DATE}))
    found, driven = ask(pacs, dates=range_of(MONTH[0] - 1, TODAY + 1), caps=Caps(likely=100))
    assert found == uids(pacs)
    assert not driven.doubts


def test_a_node_that_ignores_dates_is_not_asked_without_end() -> None:
    pacs = Pacs(studies=studies(70), cap=50, ignores=frozenset({DATE}))
    _, driven = ask(pacs, dates=range_of(TODAY - 3, TODAY), caps=Caps(likely=50))
    assert "ignores StudyDate" in driven.doubts[0]
    assert len(pacs.requests) < 5


def test_of_an_open_query_the_undated_are_unproven() -> None:
    pacs = Pacs(studies=[*studies(20), Study(uid="9", day=None)], cap=50)
    found, driven = ask(pacs, caps=Caps(likely=50))
    assert found >= uids(pacs) - {"9"}
    assert driven.doubts == ("studies without StudyDate cannot be queried in parts and exceed the node's cap",)


def test_a_node_that_leaves_out_midnight_is_not_believed_to_have_told_all() -> None:
    """What has no PatientBirthDate is found by StudyTime alone, which such a node matches only within the ends."""
    day = [Study(uid=f"1.{number}", second=number % 4 * 60, birth=TODAY - 9_000 - number % 5) for number in range(20)]
    unborn = Study(uid="2", second=0, birth=None)
    timed = Study(uid="3", second=7_200, birth=None)
    pacs = Pacs(
        studies=[*day, unborn, timed], cap=7, exclusive=frozenset({"StudyTime"}), by_minute=True, abort_above=6
    )
    found, driven = ask(pacs, dates=range_of(TODAY, TODAY), caps=Caps(likely=7))
    assert found == uids(pacs) - {"2"}
    assert driven.doubts


def test_a_list_of_uids_is_halved() -> None:
    pacs = Pacs(studies=studies(10, days=10), cap=30)
    found, driven = ask(pacs, caps=Caps(likely=30), StudyInstanceUID="\\".join(sorted(uids(pacs))))
    assert found == uids(pacs)
    assert not driven.doubts


def test_patients_are_split_by_their_dates_of_birth() -> None:
    pacs = Pacs(studies=studies(90, days=1), cap=30)
    found, driven = ask(pacs, level=Level.PATIENT, caps=Caps(likely=30))
    assert found == uids(pacs)
    assert not driven.doubts
    assert "PatientBirthDate" in driven.assumptions[0]


@pytest.mark.parametrize("said_before", [30, 0])
def test_patients_without_any_key_are_found_where_the_node_says_that_they_are_too_many(said_before: int) -> None:
    pacs = Pacs(studies=studies(300, days=1), cap=30, status=True, said_before=said_before)
    found, driven = ask(pacs, level=Level.PATIENT)
    assert found == uids(pacs)
    assert "rows without PatientBirthDate cannot be queried in parts" in driven.doubts[-1]
    assert len(pacs.requests) <= 90
    years = [one.value(BIRTH) for one in pacs.requests[1:7]]
    assert all(end[4:] in ("0101", "1231", "") for value in years for end in value.split("-"))


@pytest.mark.parametrize("status", [True, False])
def test_patients_without_a_date_of_birth_are_found_by_first_letters_if_wildcards_are_proven(*, status: bool) -> None:
    unborn = [Study(uid=f"9.{one}", birth=None, name=f"{chr(65 + one % 26)}x") for one in range(52)]
    pacs = Pacs(studies=[*studies(35, days=1), *unborn], cap=40, status=status, order="any")
    found, driven = ask(pacs, level=Level.PATIENT, wildcards=True)
    assert (found, driven.doubts) == (uids(pacs), ())
    assert any("PatientName that begins with" in said for said in driven.assumptions)
    _, driven = ask(pacs, level=Level.PATIENT)
    assert driven.doubts


def test_what_breaks_off_is_asked_in_smaller_windows_and_a_dead_node_is_left_alone() -> None:
    pacs = Pacs(studies=studies(9), abort_above=20)
    found, driven = ask(pacs, dates=range_of(*MONTH))
    assert (found, driven.doubts, driven.errors) == (uids(pacs), (), ())
    dead = Pacs(studies=studies(9), refuses=frozenset({DATE}))
    found, driven = ask(dead, dates=range_of(*MONTH))
    assert (found, driven.has_answer, len(dead.requests), len(driven.errors)) == (set(), False, 1, 1)


@pytest.mark.parametrize("cap", [None, 100])
def test_a_suspicious_number_is_a_coincidence_where_all_that_was_asked_for_is_there(cap: int | None) -> None:
    request = Request(level=Level.SERIES, keys=((DATE, range_of(*MONTH)),))
    steps = ask_in_windows(request, WindowContext(caps=Caps(likely=cap), today=TODAY))
    assert len(next(steps)) == 1
    rows = tuple(Row(f"1.{number}", TODAY - number % 30) for number in range(100))
    answer = WindowAnswer(count=100, rows=rows, has_all=True)
    if cap is not None:  # a known cap is more than a suspicion
        assert steps.send([answer])
        return
    with pytest.raises(StopIteration) as end:
        steps.send([answer])
    assert (len(end.value.value.windows), end.value.value.doubts) == (1, ())
