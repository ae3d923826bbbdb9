import inspect

import pytest

from qrkit.errors import InputError
from qrkit.words import checks_arguments, listed, local_time, volume


@checks_arguments
class _Letters:
    def send(self, text: str, *, copies: int = 1) -> str:
        return text * copies


def test_sizes_are_read_without_counting_digits() -> None:
    assert [volume(size) for size in (1, 999, 1000, 999_999, 2_500_000_000)] == [
        "1 byte",
        "999 bytes",
        "1 kB",
        "1000 kB",
        "2.50 GB",
    ]


def test_a_time_that_is_not_there_is_nothing() -> None:
    assert local_time(None) == local_time("") == ""
    assert local_time("2026-01-31T10:00:00.000000+00:00").startswith("2026-01-3")


def test_names_are_listed_as_in_a_sentence() -> None:
    assert listed(["CT"]) == "CT"
    assert listed(["CT", "MR", "PT"], last="or") == "CT, MR or PT"


def test_an_unknown_argument_is_an_input_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'copy' is not an argument of send\\. Did you mean copies"):
        _Letters().send("a", copy=2)  # type: ignore[call-arg]


def test_a_type_error_inside_a_method_stays_one() -> None:
    with pytest.raises(TypeError, match="float"):
        _Letters().send("a", copies=0.5)  # type: ignore[arg-type]


def test_a_call_that_fits_does_not_look_at_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(inspect, "signature")
    assert _Letters().send("a", copies=2) == "aa"
