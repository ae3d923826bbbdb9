"""Advice that names a command, on a page that has none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import qrkit
from qrkit.widgets.in_place import on_page

_SOURCES = Path(qrkit.__file__).parent
_VERBS = "after dashboard echo find jobs nodes plan plans probe queries repair report retrieve schedule serve users"
_COMMAND = re.compile(rf"\bqrkit (?:{'|'.join(_VERBS.split())})\b")
_ELSEWHERE = ("cli", "simulator", "query/words.py", "workspace/reporting.py", "dashboard", "widgets/in_place.py")
"""What is told on a terminal, in a program's log or as the command that it is, and never on a page."""


def _texts(tree: ast.AST) -> Iterator[str]:
    """Give the texts of a module that people may read, with a node's name for whatever is put into them."""
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "pacs" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings | parts:
            yield node.value


def _advice() -> Iterator[tuple[str, str]]:
    for path in sorted(_SOURCES.rglob("*.py")):
        place = path.relative_to(_SOURCES).as_posix()
        if not place.startswith(_ELSEWHERE):
            yield from ((place, text) for text in _texts(ast.parse(path.read_text())) if _COMMAND.search(text))


@pytest.mark.parametrize(("place", "text"), sorted(set(_advice())))
def test_no_command_is_left_of_advice_on_a_page(place: str, text: str) -> None:
    assert not _COMMAND.search(on_page(text)), place


def test_every_command_is_looked_for() -> None:
    assert len(list(_advice())) > 20
