"""Advice: one value, worded for the command line, a notebook and a page; no other text names a command."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qrkit
from qrkit.advice import BUTTONS, CALLS, COMMANDS, Action, Advice, Surface, read_on
from qrkit.cli.app import load_command
from qrkit.errors import InputError

_SOURCES = Path(qrkit.__file__).parent
_VERBS = "after dashboard echo find jobs nodes plan plans probe queries repair report retrieve schedule serve users"
_COMMAND = re.compile(rf"\bqrkit (?:{'|'.join(_VERBS.split())})\b")
_COMMANDS_THEMSELVES = ("advice.py", "cli/", "simulator/", "query/query.py", "workspace/reports.py")
"""Files that hold commands as commands: the command line, and what a query or report is repeated by."""

ALLOW_FIND = Advice("Allow queries", Action.EDIT_NODE, "pacs", (("can_find", True),))


def _texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that people may read: all but docstrings."""
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


@pytest.mark.slow
def test_no_text_outside_of_the_command_line_names_a_command() -> None:
    found = [
        (place, text)
        for path in sorted(_SOURCES.rglob("*.py"))
        if not (place := path.relative_to(_SOURCES).as_posix()).startswith(_COMMANDS_THEMSELVES)
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if _COMMAND.search(text)
    ]
    assert not found


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        (Surface.COMMAND_LINE, "Allow queries: qrkit nodes edit pacs --can-find."),
        (Surface.NOTEBOOK, "Allow queries: ws.nodes.edit('pacs', can_find=True)."),
        (Surface.PAGE, "Allow queries: an administrator can press Edit node on the Nodes page."),
    ],
)
def test_each_surface_has_its_own_way(surface: Surface, expected: str) -> None:
    assert ALLOW_FIND.on(surface) == expected


def test_an_error_prints_its_advice_as_a_command_and_in_a_notebook_as_a_call() -> None:
    error = InputError("Node pacs does not answer queries.", advice=ALLOW_FIND)
    assert str(error) == "Node pacs does not answer queries. Allow queries: qrkit nodes edit pacs --can-find."
    with read_on(Surface.NOTEBOOK):
        assert error.advice == "Allow queries: ws.nodes.edit('pacs', can_find=True)."
    assert "qrkit nodes edit" in error.advice


def test_a_plain_script_is_advised_calls(tmp_path: Path) -> None:
    script = (
        "import sys, qrkit\n"
        "with qrkit.open(sys.argv[1]) as ws:\n"
        "    for wrong in (lambda: ws.queries['x'], lambda: ws.plan('pacs', 'CT')):\n"
        "        try: wrong()\n"
        "        except qrkit.QrkitError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "workspace")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    query, plan = done.stdout.splitlines()
    assert query.endswith("List all queries: ws.queries.list().")
    assert plan.endswith("Add a date, or allow that: ws.plan(whole_archive=True, …).")


def test_what_is_stored_names_no_surface() -> None:
    assert ALLOW_FIND.sentence == "Allow queries."
    assert Advice(action=Action.RETRY_JOB, subject="5f2e").sentence == "Retry the job."
    assert not Advice()


def test_every_action_has_a_command_a_call_and_a_button() -> None:
    assert set(COMMANDS) == set(CALLS) == set(BUTTONS) == set(Action)


@pytest.mark.parametrize("action", [one for one in Action if COMMANDS[one].startswith("qrkit ")])
def test_every_command_is_one_of_the_command_line(action: Action) -> None:
    words = COMMANDS[action].split()[1:]
    command = load_command(words.pop(0))
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands")
    assert bool(words) <= bool(command.params)
