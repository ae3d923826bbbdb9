"""Quirks as values: names, texts, and what is refused."""

import dataclasses

import pytest

from qrkit.simulator import Quirks


def test_texts_become_values() -> None:
    quirks = Quirks.from_mapping(
        {
            "cap": "500",
            "no_counters": "yes",
            "relational": "no",
            "find_status": "0xC001",
            "delay_answer": "0.5",
            "ignore_keys": "ModalitiesInStudy, StudyDescription",
            "cap_mode": "status",
        }
    )
    assert quirks == Quirks(
        cap=500,
        no_counters=True,
        relational=False,
        find_status=0xC001,
        delay_answer=0.5,
        ignore_keys=("ModalitiesInStudy", "StudyDescription"),
        cap_mode="status",
    )


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"capp": "5"}, "Did you mean cap"),
        ({"zzzz": "5"}, "Use "),
        ({"cap": "many"}, "cap='many'"),
        ({"no_counters": "perhaps"}, "enter yes or no"),
        ({"cap_mode": "loud"}, "silent, status"),
        ({"services": "find,print"}, "'print' is not one of"),
    ],
)
def test_a_wrong_name_or_value_is_refused_with_advice(values: dict[str, str], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Quirks.from_mapping(values)


def test_every_quirk_is_described_in_one_line() -> None:
    descriptions = Quirks.descriptions()
    assert list(descriptions) == [field.name for field in dataclasses.fields(Quirks)]
    assert all(10 < len(text) < 100 and "\n" not in text for text in descriptions.values())


def test_every_quirk_can_be_given_as_text() -> None:
    for field in dataclasses.fields(Quirks):
        default = getattr(Quirks(), field.name)
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        assert Quirks.from_mapping({field.name: text}) == Quirks()


@pytest.mark.parametrize(
    ("name", "advice"),
    [("cap", "enter a whole number, such as 60 or 0xA700"), ("delay_answer", "enter a number, such as 0.5")],
)
def test_a_value_that_is_not_a_number_is_refused_in_plain_words(name: str, advice: str) -> None:
    with pytest.raises(ValueError, match="abc") as raised:
        Quirks.from_mapping({name: "abc"})
    assert str(raised.value) == f"quirk {name}='abc': {advice}"
