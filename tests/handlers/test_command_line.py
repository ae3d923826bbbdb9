"""Output of a handler's program is kept without the patient's values."""

from hypothesis import given
from hypothesis import strategies as st

from qrkit.handlers import redacted


@given(st.text(alphabet="ABCxyz^ 123", min_size=3, max_size=12), st.text(max_size=20), st.text(max_size=20))
def test_a_value_of_the_patient_is_not_left_as_a_word(value: str, before: str, after: str) -> None:
    assert f" {value} ".lower() not in redacted(f"{before} {value} {after}", [value]).lower() or not value.strip()


def test_other_words_stay() -> None:
    assert redacted("Janet wrote 1.2.840", ["Jane"]) == "Janet wrote 1.2.840"
    assert redacted("Li is here", ["Li^Bo"]) == "Li is here"
