"""Dates and times as people give them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.query.dates import dates, parse_time, times

TODAY = dt.date(2026, 2, 1)
COLUMN = pd.Series(pd.to_datetime(["2026-01-03", "2026-01-01", "2026-01-02"]))


def days(single: object = None, first: object = None, last: object = None) -> str:
    found = dates(single, first, last, today=TODAY)
    return found.matching if found else ""


@pytest.mark.parametrize(
    ("date", "matching"),
    [
        (None, ""),
        ("2026-01-31", "20260131"),
        ("20260131", "20260131"),
        ("2026.01.31", "20260131"),
        ("2026-W05-6", "20260131"),
        ("2026-01-31 00:00:00", "20260131"),
        ("2026-01-31T00:00:00Z", "20260131"),
        ("20260131000000", "20260131"),
        (dt.date(2026, 1, 31), "20260131"),
        (dt.datetime(2026, 1, 31, 8), "20260131"),  # noqa: DTZ001 - DICOM's dates have no zone
        (pd.Timestamp(2026, 1, 31, 8), "20260131"),
        (pd.Timestamp("2026-01-31 23:00", tz="Europe/Berlin"), "20260131"),
        (np.datetime64("2026-01-31"), "20260131"),
        (np.datetime64("2026-01-31T08:30:00.000000000"), "20260131"),
        (COLUMN.to_numpy()[0], "20260103"),
        (COLUMN.dt.date[1], "20260101"),
        ("today", "20260201"),
        (" Yesterday ", "20260131"),
    ],
)
def test_a_day_may_be_given_in_many_ways(date: object, matching: str) -> None:
    assert days(date) == matching


@pytest.mark.parametrize(
    ("given", "matching"),
    [
        ({"single": ("2026-01-01", "2026-01-31")}, "20260101-20260131"),
        ({"single": ["2026-01-31", "2026-01-01"]}, "20260101-20260131"),
        ({"single": ("2026-01-01", None)}, "20260101-20260201"),
        ({"single": (COLUMN.min(), COLUMN.max())}, "20260101-20260103"),
        ({"single": "20260101-20260131"}, "20260101-20260131"),
        ({"single": "20260101 - 20260131"}, "20260101-20260131"),
        ({"single": "2026-01-01-2026-01-31"}, "20260101-20260131"),
        ({"single": "20260101-"}, "20260101-20260201"),
        ({"single": "-20260101"}, "19000101-20260101"),
        ({"single": "2026-01-01 to 2026-01-31"}, "20260101-20260131"),
        ({"single": "2026-01-01..today"}, "20260101-20260201"),
        ({"single": "2026-01-01 .."}, "20260101-20260201"),
        ({"single": "last 7 days"}, "20260125-20260201"),
        ({"single": "Last  2 weeks"}, "20260118-20260201"),
        ({"single": "last month"}, "20260101-20260131"),
        ({"first": "2026-01-05"}, "20260105-20260201"),
        ({"last": "2026-01-05"}, "19000101-20260105"),
        ({"single": "2026-W05"}, "20260126-20260201"),
        ({"single": "2025W01"}, "20241230-20250105"),
        ({"single": "2026-01"}, "20260101-20260131"),
        ({"single": "2024-02"}, "20240201-20240229"),
        ({"single": "2025-11 to 2026-01"}, "20251101-20260131"),
        ({"single": "2025-12/2026-01-05"}, "20251201-20260105"),
        ({"single": "20260101/20260131"}, "20260101-20260131"),
        ({"single": "2026-01-01/"}, "20260101-20260201"),
        ({"single": "/2026-01-01"}, "19000101-20260101"),
        ({"single": "this month"}, "20260201"),
        ({"single": "this week"}, "20260126-20260201"),
        ({"single": "last week"}, "20260119-20260125"),
        ({"single": "this year"}, "20260101-20260201"),
        ({"single": "last year"}, "20250101-20251231"),
        ({"single": pd.Period("2026-01")}, "20260101-20260131"),
        ({"single": pd.Period("2025Q4")}, "20251001-20251231"),
        ({"single": np.datetime64("2026-01")}, "20260101-20260131"),
        ({"single": np.datetime64("2025")}, "20250101-20251231"),
    ],
)
def test_a_range_may_be_given_in_many_ways(given: dict[str, object], matching: str) -> None:
    assert days(**given) == matching


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ((None, "2026-01-01", "2026-01-31"), ""),
        ((("2026-01-31", "2026-01-05"), None, None), "in reverse order: used as 2026-01-05 to 2026-01-31."),
        (("2026-01-31..2026-01-05", None, None), "in reverse order: used as 2026-01-05 to 2026-01-31."),
        ((None, "2026-01-31", "2026-01-05"), "in reverse order: used as 2026-01-05 to 2026-01-31."),
    ],
)
def test_dates_that_are_used_otherwise_than_given_have_a_note(
    given: tuple[object, object, object], note: str
) -> None:
    found = dates(*given, today=TODAY)
    assert found is not None
    assert found.note.endswith(note)
    assert bool(found.note) == bool(note)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("2026-02-30", "not a date"),
        ("31.1.2026", "not a date"),
        ("soon", "not a date"),
        ("-", "not a date"),
        ("..", "not a date"),
        ("20261001-2026", "not a date"),
        ("2026013108", "not a date"),
        ("2026-W05678", "not a date"),
        ("2026-W60", "not a date"),
        ("2025-W53", "not a date"),
        (("2026-W05", "2026-W06"), "is a range"),
        (np.datetime64(2**62, "s"), "years 1 to 9999"),
        (np.datetime64(2**62, "D"), "years 1 to 9999"),
        (np.datetime64(2**40, "s"), "years 1 to 9999"),
        ("2026-01-01 to", "not a date"),
        ("20260101-20260131-20260201", "not a date"),
        ("2026-01-31 08:30", "time of day"),
        ("20260131083000", "time of day"),
        (20260131, "not a date"),
        (("2026-01-01",), "pair"),
        (("a", "b", "c"), "pair"),
        (("20260101-20260131", "20260201"), "is a range"),
        (pd.NaT, "missing"),
        ((pd.NaT, "2026-01-31"), "missing"),
        (pd.NA, "missing"),
        (float("nan"), "missing"),
        (np.datetime64("NaT", "D"), "missing"),
        (("2026-01-01", np.datetime64("2026-01")), "not a single day"),
        (np.datetime64("NaT", "M"), "missing"),
        (np.datetime64(2**40, "Y"), "not a single day"),
        ("2026-13", "not a date"),
        ("2026", "not a date"),
        ("01/31/2026", "not a date"),
        ("1/31/26", "not a date"),
        ("2026/01/31", "not a date"),
        ("31/01/2026", "not a date"),
        ("2026-01-01/2026-01-31/2026-02-01", "not a date"),
        (("2026-01", "2026-02"), "is a range"),
        (COLUMN, "column.min()"),
        (pd.DatetimeIndex(COLUMN), "column.min()"),
        (COLUMN.to_numpy(), "column.min()"),
    ],
)
def test_what_is_not_a_day_or_a_range_is_refused(wrong: object, says: str) -> None:
    with pytest.raises(InputError) as raised:
        days(wrong)
    assert says in str(raised.value)


@given(st.text(alphabet="0123456789-. :T", max_size=24))
def test_a_text_is_read_as_a_whole_or_refused(text: str) -> None:
    try:
        found = dates(text, None, None, today=TODAY)
    except InputError:
        return
    assert found is not None
    read = {f"{day:%Y%m%d}" for day in (found.first, found.last)} - {"19000101", "20260201"}
    digits = "".join(one for one in text if one.isdigit())
    if len(digits) == 6:  # a month
        assert (f"{found.first:%Y%m}", f"{found.last:%Y%m}") == (digits, digits)
        return
    assert all(day in digits for day in read)
    assert set(digits.replace("20260201", "").replace("19000101", "")) <= set("".join(read)) | {"0"}


@pytest.mark.parametrize(
    ("pair", "first", "last", "matching"),
    [
        (("08:00", "12:30"), None, None, "080000-123000"),
        (None, "0830", None, "083000-235959.999999"),
        (None, None, dt.time(8, 30, 0, 500), "000000-083000.000500"),
        ((pd.Timestamp(2026, 1, 1, 8), np.datetime64("2026-01-01T12:30")), None, None, "080000-123000"),
    ],
)
def test_times_may_be_given_in_many_ways(pair: object, first: object, last: object, matching: str) -> None:
    found = times(pair, first, last)
    assert found is not None
    assert found.matching == matching


@pytest.mark.parametrize("pair", [("23:00", "01:00"), ("1230", "8"), (dt.time(23), dt.time(1))])
def test_times_over_midnight_are_refused_and_never_swapped(pair: tuple[object, object]) -> None:
    for arguments in ((pair, None, None), (None, *pair)):
        with pytest.raises(InputError, match=r"reverse order\. For hours over midnight, query .* separately\."):
            times(*arguments)


@pytest.mark.parametrize("wrong", ["25:00", "8 o'clock", pd.NaT, 8, ""])
def test_what_is_not_a_time_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="time"):
        parse_time(wrong)


@pytest.mark.parametrize(
    "given", [(None, "2026-03-01", None), ("20260301-", None, None), (("2026-03-01", None), None, None)]
)
def test_a_start_in_the_future_without_an_end_is_refused(given: tuple[object, object, object]) -> None:
    with pytest.raises(InputError) as raised:
        dates(*given, today=TODAY)
    assert str(raised.value) == "The start 2026-03-01 is in the future. Check its year, or give an end."
    assert dates("2026-03-01", None, None, today=TODAY) == dates(None, "2026-03-01", "2026-03-01", today=TODAY)


@pytest.mark.parametrize("pair", [(None, None), [None, None]])
def test_a_range_without_ends_is_refused(pair: object) -> None:
    with pytest.raises(InputError, match=r"The date range has no ends\."):
        dates(pair, None, None, today=TODAY)
    with pytest.raises(InputError, match=r"The time range has no ends\."):
        times(pair, None, None)
