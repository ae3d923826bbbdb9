"""What Tab offers."""

# mypy: disallow-untyped-calls=False
# IPython is typed in parts.

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell


def _offered(shell: InteractiveShell, code: str) -> set[str]:
    """Return what a notebook would offer at the end of a cell, as the cell would become."""
    with provisionalcompleter():
        return {
            code[: one.start] + one.text + code[one.end :] for one in shell.Completer.completions(code, len(code))
        }


@pytest.mark.parametrize(
    "code",
    [
        'ws.find("pa',
        "studies = ws.find('pa",
        'ws.echo("',
        'ws.echo("other", "p',
        'ws.plan("',
        'ws.retrieve(studies, node="p',
        'import qrkit\nws.find(\n    "pa',
    ],
)
def test_a_node_is_completed_where_one_is_named(shell: InteractiveShell, code: str) -> None:
    head = code[: max(code.rfind('"'), code.rfind("'")) + 1]
    assert _offered(shell, code) == {f"{head}pacs"}


def test_keys_of_nodes_are_completed(shell: InteractiveShell) -> None:
    assert 'ws.nodes["pacs' in {text.rstrip("\"]'") for text in _offered(shell, 'ws.nodes["p')}


def test_what_find_and_plan_take_is_completed(shell: InteractiveShell) -> None:
    assert _offered(shell, 'ws.find("pacs", mod') == {
        'ws.find("pacs", modalities=',
        'ws.find("pacs", ModalitiesInStudy=',
        'ws.find("pacs", Modality=',
    }
    assert _offered(shell, 'ws.plan("pacs", dose=["CT"], tosh') == {'ws.plan("pacs", dose=["CT"], toshiba='}
    assert _offered(shell, 'ws.find("pacs", date=("2026-01-01", "2026-01-31"), AccessionN') == {
        'ws.find("pacs", date=("2026-01-01", "2026-01-31"), AccessionNumber='
    }
    assert 'ws.find("pacs", level=1, level=' not in _offered(shell, 'ws.find("pacs", level=1, lev')


def test_tables_and_columns_are_completed_in_sql(shell: InteractiveShell) -> None:
    assert "%%qrsql\nSELECT * FROM study_answers" in _offered(shell, "%%qrsql\nSELECT * FROM stud")
    assert "%%qrsql busy\nSELECT StudyDescription" in _offered(shell, "%%qrsql busy\nSELECT studydesc")
    assert "n = %qrsql SELECT count(*) FROM instances" in _offered(shell, "n = %qrsql SELECT count(*) FROM insta")


def test_elsewhere_it_keeps_out_of_the_way(shell: InteractiveShell) -> None:
    shell.user_ns["text"] = "abc"
    assert "text.find" in _offered(shell, "text.fi")
    assert _offered(shell, 'text.find("pa').isdisjoint({'text.find("pacs'})
    assert "import collections" in _offered(shell, "import collect")


def test_sql_without_a_workspace_offers_nothing_and_fails_not(shell: InteractiveShell) -> None:
    del shell.user_ns["ws"]
    assert not {text for text in _offered(shell, "%%qrsql\nSELECT * FROM stud") if "study_answers" in text}


def test_loading_twice_adds_it_once(shell: InteractiveShell) -> None:
    count = len(shell.Completer.custom_matchers)
    shell.run_cell("%reload_ext qrkit").raise_error()
    assert len(shell.Completer.custom_matchers) == count


def test_the_question_mark_shows_docstrings(shell: InteractiveShell) -> None:
    told = shell.inspector.info(shell.magics_manager.magics["cell"]["qrsql"])["docstring"]
    assert "Run one SELECT on the tables of the workspace" in str(told)
    for name in ("find", "retrieve", "sql", "nodes", "plan"):
        shown = shell.object_inspect(f"ws.{name}")
        assert shown["docstring"] or shown["class_docstring"]
