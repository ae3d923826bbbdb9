"""When a failed handler is tried again, and that what it printed is kept without the patient."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from qrkit.handlers import content_of, pause_after, redacted


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


@given(st.text(alphabet="ABCxyz^ 123", min_size=3, max_size=12), st.text(max_size=20), st.text(max_size=20))
def test_a_value_of_the_patient_is_not_left_as_a_word(value: str, before: str, after: str) -> None:
    assert f" {value} ".lower() not in redacted(f"{before} {value} {after}", [value]).lower() or not value.strip()


def test_other_words_stay() -> None:
    assert redacted("Janet wrote 1.2.840", ["Jane"]) == "Janet wrote 1.2.840"
    assert redacted("Li is here", ["Li^Bo"]) == "Li is here"


def test_content_changes_with_an_object_more_and_with_other_bytes() -> None:
    one = content_of([("1.2", "aa")])
    assert one != content_of([("1.2", "ab")])
    assert one != content_of([("1.2", "aa"), ("1.3", "aa")])
