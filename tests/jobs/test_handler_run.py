"""The pauses between attempts of a handler, and the identity of a series' content."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from qrkit.jobs.handler_run import content_of, pause_after


@given(st.integers(1, 50))
def test_pauses_grow_up_to_six_hours_and_end(most: int) -> None:
    pauses = [pause_after(tried, most=most) for tried in range(1, most + 1)]
    assert pauses[-1] is None
    waited = [pause for pause in pauses if pause is not None]
    assert len(waited) == most - 1
    assert waited == sorted(waited)
    assert all(timedelta(0) < pause <= timedelta(hours=6) for pause in waited)


def test_what_cannot_work_later_is_not_tried_again() -> None:
    assert pause_after(1, most=5, transient=False) is None


def test_content_changes_with_an_object_more_and_with_other_bytes() -> None:
    one = content_of([("1.2", "aa")])
    assert one != content_of([("1.2", "ab")])
    assert one != content_of([("1.2", "aa"), ("1.3", "aa")])
