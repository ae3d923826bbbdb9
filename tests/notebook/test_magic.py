"""SQL cells: results, variables as parameters, and errors in one line."""

# mypy: disallow-untyped-calls=False
# IPython is typed in parts.

from datetime import date

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from qrkit.errors import InputError
from qrkit.notebook.magic import CellError, parse_line
from qrkit.workspace import Workspace
from tests.workspace.opened import OpenWorkspace


def test_a_cell_of_sql_is_a_table(shell: InteractiveShell) -> None:
    result = shell.run_cell("%%qrsql\nSELECT name, port FROM nodes").result
    assert result.to_dict("records") == [{"name": "pacs", "port": 104}]


def test_the_result_also_goes_to_a_variable(shell: InteractiveShell) -> None:
    shell.run_cell("%%qrsql found\nSELECT name FROM nodes").raise_error()
    assert list(shell.user_ns["found"]["name"]) == ["pacs"]


def test_one_line_will_do(shell: InteractiveShell) -> None:
    shell.run_cell("n = %qrsql SELECT count(*) AS n FROM nodes").raise_error()
    assert shell.user_ns["n"]["n"][0] == 1


@pytest.mark.parametrize(
    "value",
    [["pacs"], ("pacs", "x"), {"pacs"}, pd.Series(["pacs", None]), pd.Index(["pacs"])],
)
def test_variables_are_parameters(shell: InteractiveShell, value: object) -> None:
    shell.user_ns["wanted"] = value
    found = shell.run_cell("%%qrsql\nSELECT name FROM nodes WHERE list_contains($wanted, name)").result
    assert list(found["name"]) == ["pacs"]


@pytest.mark.parametrize("day", [date(2026, 1, 31), pd.Timestamp("2026-01-31")])
def test_a_day_of_pandas_is_a_day(shell: InteractiveShell, day: object) -> None:
    shell.user_ns["day"] = day
    assert shell.run_cell("%qrsql SELECT CAST($day AS DATE) = DATE '2026-01-31' AS same").result["same"][0]


def test_a_dollar_in_a_text_or_a_comment_is_none(shell: InteractiveShell) -> None:
    result = shell.run_cell("%%qrsql\nSELECT '$no''$not' AS text -- $nor\n/* $this */").result
    assert result["text"][0] == "$no'$not"


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%%qrsql\nSELECT nme FROM nodes", '"nme"'),
        ("%%qrsql\nSELECT $unknown", "There is no variable unknown. Assign it in an earlier cell."),
        ("%%qrsql\n\n", "The cell has no SELECT."),
        ("%%qrsql --in nothing\nSELECT 1", "nothing is not a workspace."),
        ("%%qrsql a b\nSELECT 1", "'a b' is not a valid argument of %%qrsql."),
        ("%%qrsql\nDROP TABLE nodes", "Only one statement that reads"),
    ],
)
def test_an_error_is_said_without_a_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str, told: str
) -> None:
    result = shell.run_cell(cell)
    assert not result.success  # so that "run all cells" ends here
    shown = capsys.readouterr()
    assert told in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err
    assert isinstance(result.error_in_exec, CellError)


def test_the_only_workspace_is_meant_and_of_several_the_one_named(
    shell: InteractiveShell, open_workspace: OpenWorkspace, capsys: pytest.CaptureFixture[str], workspace: Workspace
) -> None:
    shell.user_ns["mine"] = shell.user_ns.pop("ws")
    assert len(shell.run_cell("%%qrsql\nSELECT * FROM nodes").result) == 1
    shell.user_ns["other"] = open_workspace(workspace.settings.workspace.parent / "other")
    assert not shell.run_cell("%%qrsql\nSELECT * FROM nodes").success
    assert "There are several workspaces: mine, other." in "".join(capsys.readouterr())
    assert len(shell.run_cell("%%qrsql --in other\nSELECT * FROM nodes").result) == 0
    shell.user_ns["ws"] = shell.user_ns["other"]
    assert len(shell.run_cell("%%qrsql\nSELECT * FROM nodes").result) == 0


def test_without_a_workspace_it_says_how_to_get_one(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    del shell.user_ns["ws"]
    assert not shell.run_cell("%qrsql SELECT 1").success
    assert "ws = qrkit.open()" in "".join(capsys.readouterr())


def test_a_line_that_is_no_name_is_refused() -> None:
    with pytest.raises(InputError, match="is not a valid argument"):
        parse_line("1st")
