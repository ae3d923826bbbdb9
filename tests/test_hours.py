from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.hours import parse_hours, time_zone
from qrkit.node import Node


@pytest.mark.parametrize(
    "text",
    ["at night", "22:00", "22-06", "25:00-26:00", "22:60-23:00", "Moo 22:00-06:00", "06:00-06:00", "24:00-06:00"],
)
def test_what_are_no_hours_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match=r"not a valid time range.*Write 22:00-06:00"):
        parse_hours(text)


def test_weekdays_may_go_over_the_end_of_the_week() -> None:
    hours = parse_hours("Sat-Mon 10:00-11:00")
    days = [hours.is_open(datetime(2026, 2, day, 10, 30, tzinfo=UTC)) for day in range(2, 9)]  # Monday to Sunday
    assert days == [True, False, False, False, False, True, True]


def test_hours_and_schedules_write_weekdays_the_same_way() -> None:
    listed = parse_hours("mon,tue,Wednesday 22:00-06:00, weekends 00:00-24:00")
    assert listed == parse_hours("Mon-Wed 22:00-06:00, Sat-Sun 0:00-24:00")


def test_whole_days_are_open_to_their_last_minute() -> None:
    assert parse_hours("Sat 00:00-24:00").is_open(datetime(2026, 2, 7, 23, 59, tzinfo=UTC))


@given(
    st.sampled_from(["22:00-06:00", "Mon-Fri 22:00-06:00", "Sat-Sun 00:00-24:00, Wed 12:00-13:00"]),
    st.integers(0, 5_000_000),
)
def test_the_next_opening_is_the_first_open_minute(text: str, minutes: int) -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    hours = parse_hours(text)
    opening = hours.next_opening(now)
    assert hours.is_open(opening)
    assert now <= opening <= now + timedelta(days=7)
    if opening > now:
        assert not hours.is_open(opening - timedelta(minutes=1))


def test_a_node_has_hours_in_its_own_time_zone() -> None:
    node = Node(name="pacs", host="h", ae_title="A", retrieve_hours="22:00-06:00", time_zone="Asia/Tokyo")
    assert node.is_open(datetime(2026, 1, 31, 13, 0, tzinfo=UTC))
    assert not node.is_open(datetime(2026, 1, 31, 23, 0, tzinfo=UTC))
    assert node.next_opening(datetime(2026, 1, 31, 23, 0, tzinfo=UTC)) == datetime(2026, 2, 1, 13, 0, tzinfo=UTC)


def test_a_node_without_hours_is_always_open() -> None:
    assert Node(name="pacs", host="h", ae_title="A").is_open(datetime(2026, 1, 31, tzinfo=UTC))


@pytest.mark.parametrize("settings", [{"retrieve_hours": "never"}, {"time_zone": "Middle/Earth"}])
def test_a_node_with_wrong_hours_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"time range|time zone"):
        Node(name="pacs", host="h", ae_title="A", **settings)  # type: ignore[arg-type]


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(InputError, match="'Middle/Earth' is not a time zone"):
        time_zone("Middle/Earth")
