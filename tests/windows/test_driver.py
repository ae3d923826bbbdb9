"""The window driver against PACS that are values: nothing is lost, or it is said."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qrkit.windows import Caps
from tests.windows.pacs import TODAY, Pacs, Study, ask, range_of

BIRTH, TIME, DATE = "PatientBirthDate", "StudyTime", "StudyDate"
KEYS = st.frozensets(st.sampled_from([BIRTH, TIME]), max_size=2)
MONTH = (TODAY - 29, TODAY)


def studies(per_day: int, days: int = 30, **values: int | None) -> list[Study]:
    """So many studies a day, a quarter of an hour and a month of birth apart."""
    return [
        Study(
            uid=f"1.{day}.{number}",
            day=TODAY - day,
            second=values.get("second", number * 900 % 86_400),
            birth=values.get("birth", 700_000 + 30 * number),
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
        for number in range(draw(st.integers(0, 60)))
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


@given(pacs=archives())
@settings(max_examples=400, deadline=None)
def test_of_a_capped_pacs_nothing_is_lost_or_it_is_said(pacs: Pacs) -> None:
    found, driven = ask(pacs, dates=range_of(TODAY - 12, TODAY), caps=Caps(likely=None if pacs.status else pacs.cap))
    missing = [one for one in pacs.studies if one.uid not in found]
    assert found <= uids(pacs)
    assert len(pacs.requests) <= 60 + 30 * len(pacs.studies)
    if driven.has_answer and not driven.doubts:
        assert all(one.birth is None for one in missing)
        assert not missing or driven.assumptions
        assert not any(one.birth is None for one in pacs.studies if one.uid in found) or all(
            one.second is None for one in missing
        )
    if not driven.has_answer:
        assert driven.errors
