"""Modality codes in the spellings of many nodes."""

from __future__ import annotations

import pytest

from qrkit.tables import modality_label, read_modalities


@pytest.mark.parametrize(
    "text",
    [
        "CT\\SR",
        "CT,SR",
        "CT/SR",
        "CT SR",
        "ct\\sr",
        "CT;SR",
        "CT|SR",
        "['CT', 'SR']",
        '"CT", "SR"',
        "{CT, SR}",
        "CT+SR",
        "CT & SR",
        "CT-SR",
        "CT:SR",
        " ct , SR ,",
        "\\CT\\\\SR\\",
        "CT\nSR",
        "CT\0SR\0",
        "SR, CT, SR",
    ],
)
def test_codes_are_read_whatever_separates_them(text: str) -> None:
    found = read_modalities(text)
    assert found.known == {"CT", "SR"}
    assert not found.may_be_one_of(frozenset({"MR"}))


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "",
        " ",
        "\\",
        "?",
        "n/a",
        "NONE",
        "unknown",
        "Computed Tomography",
        "CTSR",
        "R\u00f6ntgen",
        "\u041a\u0422",
        "\uff23\uff34",
        "CT\\*x",
    ],
)
def test_a_value_that_is_no_list_of_codes_is_unknown_and_excludes_nothing(text: str) -> None:
    found = read_modalities(text)
    assert not found.known
    assert found.may_be_one_of(frozenset({"MR"}))


def test_codes_in_an_unknown_value_can_still_be_asked_for() -> None:
    assert "CT" in read_modalities("CT and others").codes
    assert "MY CODE" in read_modalities("my code").codes
    assert "QQ" in read_modalities("CT\\QQ").codes


def test_only_other_spellings_are_odd() -> None:
    assert [read_modalities(text).is_odd for text in ("CT", "CT\\SR", " CT \\SR", "DR", "*")] == [False] * 5
    assert [read_modalities(text).is_odd for text in ("CT,SR", "ct", "['CT']")] == [True] * 3


def test_a_label_names_the_modalities_or_says_that_they_are_unknown() -> None:
    assert [modality_label(text) for text in ("CT/SR", "QQ\\CT", "*", "free text", None)] == [
        "CT",
        "CT+QQ",
        "unknown",
        "unknown",
        "unknown",
    ]
