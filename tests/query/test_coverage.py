"""The coverage of an answer: its JSON, and how people read it."""

import copy
import json
from dataclasses import replace

import pytest
from IPython.lib.pretty import pretty

from qrkit.query.coverage import AskedWindow, Coverage, CoverageJson, FilterReport, Load
from qrkit.tables import Level

_FILTER = FilterReport(
    name="description exclude", level=Level.STUDY, terms=("import",), before=500, after=480, blank_kept=2
)
_DOUBTFUL = Coverage(
    why=("a STUDY request got 500 answers: <looks like a limit>",), windows=3, requests=4, filters=(_FILTER,)
)
_WHOLE = Coverage(
    assumptions=("no row lacks PatientBirthDate",),
    windows=3,
    splits=1,
    failures=1,
    asked=(
        AskedWindow(window="all days", count=500, split=True),
        AskedWindow(window="x", count=None, failure="lost"),
    ),
    ignored=("StudyTime: the node ignores it",),
    requests=3,
    load=Load(requests=3, answers=500, seconds=1.5, busiest=1),
    keys_unsupported=True,
    filters=(_FILTER,),
    not_found=(("AccessionNumber", ("A1", "A2")),),
)


@pytest.mark.parametrize("coverage", [Coverage(), _DOUBTFUL, _WHOLE, Coverage(notes=("The dates …",))])
def test_a_coverage_comes_back_from_its_json(coverage: Coverage) -> None:
    assert Coverage.from_json(json.loads(json.dumps(coverage.to_json()))) == coverage


def test_its_json_has_the_names_that_programs_read() -> None:
    told = _WHOLE.to_json()
    assert list(told) == [
        "complete",
        "why",
        "assumptions",
        "windows",
        "splits",
        "failures",
        "asked",
        "ignored",
        "requests",
        "load",
        "keys_unsupported",
        "filters",
        "not_found",
    ]
    assert told["asked"] == [
        {"window": "all days", "count": 500, "split": True},
        {"window": "x", "count": None, "failure": "lost"},
    ]
    assert told["filters"] == [
        {
            "filter": "description exclude",
            "where": "local",
            "level": "STUDY",
            "terms": ["import"],
            "before": 500,
            "after": 480,
            "blank_kept": 2,
            "unsure_kept": 0,
            "reread": 0,
        }
    ]
    assert told["not_found"] == {"AccessionNumber": ["A1", "A2"]}
    assert dict(_WHOLE) == told


def test_the_json_of_an_old_version_is_read() -> None:
    filters = [{"filter": "description exclude", "level": "STUDY", "before": 9, "after": 7}]
    old = Coverage.from_json(
        {"complete": True, "why": [], "windows": 1, "requests": 2, "more": 5, "filters": filters}
    )
    assert (old.is_complete, old.requests, old.load, old.filters[0].after) == (True, 2, None, 7)
    assert not Coverage.from_json({"complete": False}).is_complete


def test_it_says_in_sentences_whether_the_answer_is_all() -> None:
    assert Coverage(requests=1).lines() == ("Complete.", "1 C-FIND request.")
    assert _DOUBTFUL.lines() == (
        "May be incomplete: a STUDY request got 500 answers: <looks like a limit>.",
        "4 C-FIND requests over 3 windows.",
        "Local filter, description exclude: 480 of 500 kept, 2 of them because blank.",
    )
    assert "3 C-FIND requests over 3 windows (1 split, 1 failure)." in _WHOLE.lines()
    assert "Nothing found for 2 AccessionNumber values of the list." in _WHOLE.lines()


def test_it_tells_what_the_query_cost_the_node_where_that_is_much() -> None:
    load = Load(requests=4, answers=500, seconds=12.34, waited=4.0, busiest=2)
    told = replace(_DOUBTFUL, load=load)
    cost = "The node worked on them for 12.3 s in all, at most 2 at a time; 4.0 s were waited to spare it."
    assert told.lines()[2] == cost
    assert cost in told._repr_html_()
    assert replace(_DOUBTFUL, load=replace(load, seconds=0.2, waited=0.0)).lines()[2].startswith("Local")


def test_an_answer_that_never_came_has_none() -> None:
    assert str(CoverageJson()) == "There was no answer."
    assert pretty(CoverageJson()) == "There was no answer."  # type: ignore[no-untyped-call] # IPython's own
    assert "There was no answer." in CoverageJson()._repr_html_()


@pytest.mark.parametrize("coverage", [_DOUBTFUL, replace(_DOUBTFUL, why=())])
def test_a_notebook_shows_all_of_it_escaped(coverage: Coverage) -> None:
    shown = coverage._repr_html_()
    assert "<looks" not in shown
    assert ("Complete." in shown) is coverage.is_complete
    for part in ("4 C-FIND requests over 3 windows", "description exclude", ">500<", ">480<", ">2<"):
        assert part in shown


def test_the_attrs_of_a_table_hold_plain_values_that_a_notebook_shows_in_words() -> None:
    told = copy.deepcopy(_DOUBTFUL.to_json())  # as pandas copies attrs
    assert json.loads(json.dumps(told)) == told
    assert told._repr_html_() == _DOUBTFUL._repr_html_()
    shown = pretty(told)  # type: ignore[no-untyped-call] # IPython's own
    assert shown.splitlines()[1] == "4 C-FIND requests over 3 windows."
    assert "'requests': 4" in repr(told)
