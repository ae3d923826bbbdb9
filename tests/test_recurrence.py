"""When something recurs: on each day once, whatever the clock does."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.hours import WEEKDAYS, weekday_words
from qrkit.query.dates import dates
from qrkit.recurrence import parse_recurrence

# New York and Berlin at different weeks, Lord Howe by half an hour, Kathmandu and St John's off the full hour, Cairo
# and Santiago at midnight, Apia a whole day, which nobody has to survive again.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Cairo",
    "America/Santiago",
)
MOMENTS = st.datetimes(
    datetime(2024, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2032, 12, 31),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0, fold=0))


@pytest.mark.slow
@given(MOMENTS, TIMES, st.sampled_from(ZONES))
def test_every_day_has_one_run(moment: datetime, at: time, zone: str) -> None:
    daily = parse_recurrence(f"daily at {at:%H:%M}", zone)
    due = daily.following(moment)
    days = []
    for _ in range(400):  # a year, so over both changes
        days.append(due.astimezone(ZoneInfo(zone)).date())
        following = daily.following(due)
        assert timedelta(hours=22) <= following - due <= timedelta(hours=26)
        due = following
    # a time skipped at midnight is due an hour later, which is the same day
    assert days == [days[0] + timedelta(days=number) for number in range(400)]


@given(MOMENTS, TIMES, st.sampled_from(ZONES))
def test_it_is_due_at_its_time_unless_that_is_skipped(moment: datetime, at: time, zone: str) -> None:
    due = parse_recurrence(f"daily at {at:%H:%M}", zone).following(moment)
    local = due.astimezone(ZoneInfo(zone))
    exists = datetime.combine(local.date(), at, ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
    assert due > moment
    assert local.fold == 0
    assert (local.hour, local.minute) == (exists.hour, exists.minute)


@given(MOMENTS, st.integers(0, 59), st.sampled_from(ZONES))
def test_hours_are_real_hours(moment: datetime, minute: int, zone: str) -> None:
    hourly = parse_recurrence(f"hourly at :{minute:02d}", zone)
    due = hourly.following(moment)
    assert timedelta(0) < due - moment <= timedelta(minutes=90)
    assert due.astimezone(ZoneInfo(zone)).minute == minute
    step = hourly.following(due) - due
    assert step == timedelta(hours=1) or (zone == "Australia/Lord_Howe" and step.seconds in (1800, 5400))


@given(MOMENTS, st.sets(st.integers(0, 6), min_size=1), TIMES, st.sampled_from(ZONES))
def test_what_is_written_is_read_again_the_same(moment: datetime, days: set[int], at: time, zone: str) -> None:
    recurrence = parse_recurrence(f"{weekday_words(days)} at {at:%H:%M}", zone)
    assert parse_recurrence(str(recurrence), zone) == recurrence
    assert recurrence.following(moment).astimezone(ZoneInfo(zone)).weekday() in days
    hourly = parse_recurrence(f"hourly at :{at.minute:02d}", zone)
    assert parse_recurrence(str(hourly), zone) == hourly


ORDINALS = st.sampled_from(("first", "2nd", "third", "4th", "last"))
MONTHS = st.sampled_from(("of the month", "of month", "of every quarter", "of quarter"))
DAYS = st.one_of(
    st.sets(st.integers(0, 6), min_size=1).map(weekday_words),
    st.integers(1, 28).map("monthly on the {}".format),
    st.builds("{} {} {}".format, ORDINALS, st.sampled_from(WEEKDAYS), MONTHS),
    st.builds("last day {}".format, MONTHS),
)


@given(DAYS, TIMES)
def test_the_words_of_a_recurrence_read_back_the_same_with_and_without_at(days: str, at: time) -> None:
    recurrence = parse_recurrence(f"{days} at {at:%H:%M}")
    assert parse_recurrence(f"{days} {at:%H:%M}") == recurrence
    assert parse_recurrence(str(recurrence)) == recurrence
    assert parse_recurrence(str(recurrence).replace(" at ", " ")) == recurrence


@pytest.mark.slow
@given(MOMENTS, st.integers(0, 60), st.sampled_from(ZONES))
def test_missed_runs_are_counted(moment: datetime, count: int, zone: str) -> None:
    daily = parse_recurrence("daily at 2:30", zone)
    first = due = daily.following(moment)
    for _ in range(count):
        due = daily.following(due)
    assert daily.missed(first, due) == count
    assert daily.missed(first, due + timedelta(seconds=1)) == count


def test_summer_time_in_berlin() -> None:
    nightly = parse_recurrence("daily at 02:30", "Europe/Berlin")
    before_spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    skipped = nightly.following(before_spring)
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 3:30, since 2:30 does not exist
    assert nightly.following(skipped) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    twice = nightly.following(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert twice == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first 2:30
    assert nightly.following(twice) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "sometimes", "daily at 25:00", "daily at 2", "mon,someday at 3:00", "hourly at :75", "monkey at 1:00"],
)
def test_a_text_that_says_nothing_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match="weekdays at 22:30"):
        parse_recurrence(text)


@pytest.mark.parametrize(
    ("text", "words", "days"),
    [
        ("monthly", "monthly on the 1st at 02:00", ["2026-03-01", "2026-04-01"]),
        ("monthly on the 15th at 3:00", "monthly on the 15th at 03:00", ["2026-02-15", "2026-03-15"]),
        ("last day of the month", "monthly on the last day at 02:00", ["2026-02-28", "2026-03-31"]),
        ("First Monday of the month", "monthly on the first Monday at 02:00", ["2026-03-02", "2026-04-06"]),
        ("2nd tue of every month", "monthly on the second Tuesday at 02:00", ["2026-02-10", "2026-03-10"]),
        ("last friday of each month", "monthly on the last Friday at 02:00", ["2026-02-27", "2026-03-27"]),
        ("quarterly", "quarterly on the 1st at 02:00", ["2026-04-01", "2026-07-01"]),
        ("last day of the quarter", "quarterly on the last day at 02:00", ["2026-03-31", "2026-06-30"]),
        ("quarterly on the first Monday", "quarterly on the first Monday at 02:00", ["2026-04-06", "2026-07-06"]),
        ("last day of month", "monthly on the last day at 02:00", ["2026-02-28", "2026-03-31"]),
        ("first monday of month 6:00", "monthly on the first Monday at 06:00", ["2026-03-02", "2026-04-06"]),
        ("Mon-Fri 06:00", "weekdays at 06:00", ["2026-02-03", "2026-02-04"]),
        ("daily 06:00", "daily at 06:00", ["2026-02-03", "2026-02-04"]),
        ("mon-wed,fri at 4:00", "mon,tue,wed,fri at 04:00", ["2026-02-03", "2026-02-04"]),
    ],
)
def test_days_of_months_and_quarters(text: str, words: str, days: list[str]) -> None:
    recurrence = parse_recurrence(text, "Europe/Berlin")
    assert str(recurrence) == words
    assert parse_recurrence(words, "Europe/Berlin") == recurrence
    due = datetime(2026, 2, 2, 12, tzinfo=UTC)  # a Monday
    for day in days:
        due = recurrence.following(due)
        assert due.astimezone(ZoneInfo("Europe/Berlin")).date().isoformat() == day


@pytest.mark.slow
@given(MOMENTS, st.integers(1, 28), TIMES, st.sampled_from(ZONES))
def test_every_month_has_one_run(moment: datetime, day: int, at: time, zone: str) -> None:
    monthly = parse_recurrence(f"monthly on the {day} at {at:%H:%M}", zone)
    due = monthly.following(moment)
    for _ in range(24):
        following = monthly.following(due)
        assert following.astimezone(ZoneInfo(zone)).day == day
        assert timedelta(days=27) < following - due < timedelta(days=32)
        due = following


def test_a_day_that_some_months_lack_is_refused() -> None:
    with pytest.raises(InputError, match="the last day"):
        parse_recurrence("monthly on the 31st")


@given(st.sets(st.integers(0, 6), min_size=1))
def test_long_and_short_weekdays_mean_the_same(days: set[int]) -> None:
    long = ", ".join(WEEKDAYS[day].title() for day in sorted(days))
    assert parse_recurrence(f"{long} at 3:00") == parse_recurrence(f"{weekday_words(days)} at 3:00")


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    for zone in ("Europe/Bielefeld", "", "../etc/passwd"):
        with pytest.raises(InputError, match="time zone"):
            parse_recurrence("daily", zone)


def test_relative_dates_are_of_the_day_on_which_they_are_read() -> None:
    today = date(2026, 3, 1)
    assert dates("last 7 days", None, None, today=today) == dates(
        ("2026-02-22", "2026-03-01"), None, None, today=today
    )
    assert dates("Last 2  weeks", None, None, today=today) == dates("last 14 days", None, None, today=today)
    with pytest.raises(InputError):
        dates("last days", None, None, today=today)
