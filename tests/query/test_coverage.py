import copy
import json

import pytest
from IPython.lib.pretty import pretty

from qrkit.query.coverage import Coverage

_DOUBTFUL = {
    "complete": False,
    "why": ["a STUDY request got 500 answers: <looks like a limit>"],
    "windows": 3,
    "requests": 4,
    "filters": [
        {
            "filter": "description exclude",
            "level": "STUDY",
            "terms": ["import"],
            "before": 500,
            "after": 480,
            "blank_kept": 2,
        }
    ],
}


def test_a_coverage_is_a_dict_that_stays_itself() -> None:
    coverage = Coverage(_DOUBTFUL)
    assert coverage == _DOUBTFUL
    assert json.loads(json.dumps(coverage)) == _DOUBTFUL
    assert isinstance(copy.deepcopy(coverage), Coverage)  # as pandas copies attrs


def test_it_says_in_sentences_whether_the_answer_is_all() -> None:
    assert Coverage(complete=True, why=[], windows=1, requests=1).lines() == ("Complete.", "1 C-FIND request.")
    assert Coverage(_DOUBTFUL).lines() == (
        "Not proven complete: a STUDY request got 500 answers: <looks like a limit>.",
        "4 C-FIND requests over 3 windows.",
        "Local filter, description exclude: 480 of 500 kept, 2 of them because blank.",
    )


def test_it_tells_what_the_query_cost_the_node_where_that_is_much() -> None:
    load = {"requests": 4, "answers": 500, "seconds": 12.34, "waited": 4.0, "busiest": 2}
    told = Coverage({**_DOUBTFUL, "load": load})
    cost = "The node worked on them for 12.3 s in all, at most 2 at a time; 4.0 s were waited to spare it."
    assert told.lines()[2] == cost
    assert cost in told._repr_html_()
    assert Coverage({**_DOUBTFUL, "load": {**load, "seconds": 0.2, "waited": 0.0}}).lines()[2].startswith("Local")


def test_an_answer_that_never_came_has_none() -> None:
    assert not Coverage().is_known
    assert str(Coverage()) == "There was no answer."
    assert "There was no answer." in Coverage()._repr_html_()


@pytest.mark.parametrize("coverage", [Coverage(_DOUBTFUL), Coverage({**_DOUBTFUL, "complete": True})])
def test_a_notebook_shows_all_of_it_escaped(coverage: Coverage) -> None:
    shown = coverage._repr_html_()
    assert "<looks" not in shown
    assert ("Complete." in shown) is coverage["complete"]
    for part in ("4 C-FIND requests over 3 windows", "description exclude", ">500<", ">480<", ">2<"):
        assert part in shown


def test_on_a_terminal_it_is_text() -> None:
    shown = pretty(Coverage(_DOUBTFUL))  # type: ignore[no-untyped-call] # IPython's own
    assert shown.splitlines()[1] == "4 C-FIND requests over 3 windows."
    assert "'requests': 4" in repr(Coverage(_DOUBTFUL))
