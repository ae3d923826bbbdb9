"""The line below the table of an answer."""

# mypy: disallow-untyped-calls=False
# IPython is typed in parts.

import pandas as pd
from IPython.core.interactiveshell import InteractiveShell

from qrkit.notebook import frame_html, query_of
from qrkit.query.coverage import Coverage

_ANSWER = pd.DataFrame({"PatientID": ["Q1", "Q2"]})
_ANSWER.attrs["qrkit"] = {
    "query_id": "abc<1>",
    "coverage": Coverage(why=("<cut> at 500",), requests=2).to_json(),
    "warnings": [{"row": 0}],
}


def test_an_answer_says_which_query_it_is_of_and_how_far_it_can_be_trusted(shell: InteractiveShell) -> None:
    formatter = shell.display_formatter
    assert formatter is not None
    shown, _ = formatter.format(_ANSWER.head(1))
    said = "May be incomplete: <cut> at 500. 2 C-FIND requests. 1 value could not be read; see attrs."
    assert shown["text/plain"].endswith(f"\nQuery abc<1>: {said}")
    assert shown["text/html"].startswith("<div>")
    assert "<code>abc&lt;1&gt;</code>: May be incomplete: &lt;cut&gt; at 500." in shown["text/html"]


def test_any_other_table_is_shown_as_ever(shell: InteractiveShell) -> None:
    formatter = shell.display_formatter
    assert formatter is not None
    plain = pd.DataFrame({"n": [1]})
    shown, _ = formatter.format(plain)
    assert shown["text/plain"] == repr(plain)
    assert frame_html(plain) == plain._repr_html_()  # type: ignore[operator]


def test_a_table_without_its_coverage_says_so() -> None:
    frame = pd.DataFrame()
    frame.attrs["qrkit"] = {"query_id": "1"}
    assert query_of(frame) == ("1", "There was no answer.")
