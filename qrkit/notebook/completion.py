"""Completion by Tab: tables and columns in SQL, names of nodes, and arguments of `find` and `plan`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from qrkit.errors import QrkitError
from qrkit.notebook.magic import workspace_in
from qrkit.query import ARGUMENTS
from qrkit.tables import Level, table_columns
from qrkit.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_CALL = re.compile(r"(\w+)\.(find|echo|plan|probe|retrieve|retrieve_uids|estimate)\(([^()]*(?:\([^()]*\)[^()]*)*)$")
_NODE_FIRST = re.compile(r"\s*(?:\w+\s*=\s*)?[\"']([^\"']*)$")
_NODE_LATER = re.compile(r"(?:node\s*=\s*|echo\(.*,\s*)[\"']([^\"']*)$")
_ARGUMENT = re.compile(r",\s*(\w*)$")
_SQL_CELL = re.compile(r"\s*%%qrsql\b[^\n]*\n")
_SQL_LINE = re.compile(r"%qrsql\s+.*$")
_WORD = re.compile(r"\w*$")
_IN = re.compile(r"--in[ =](\w+)")

_PLAN_ARGUMENTS = ("dose", "sr_only", "toshiba", "empty_sr", "refetch", "whole_archive")
_KEYWORDS = tuple(dict.fromkeys(column for level in Level for column in table_columns(level)))
_SCHEMA = "SELECT DISTINCT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'"


class Completion:
    """Completions for one IPython, whose variables are `names`."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    @classmethod
    def register(cls, shell: InteractiveShell) -> None:
        """Add it to IPython; a second time changes nothing."""
        matchers = shell.Completer.custom_matchers
        if any(getattr(matcher, "of_qrkit", False) for matcher in matchers):
            return
        completion = cls(shell.user_ns)

        @context_matcher()  # type: ignore[untyped-decorator] # IPython's own
        def qrkit_matcher(context: CompletionContext) -> SimpleMatcherResult:
            return completion.match(context)

        qrkit_matcher.of_qrkit = True
        matchers.append(qrkit_matcher)

    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions for IPython; none outside of SQL cells and calls of a workspace."""
        before = context.full_text[: _offset(context)]
        fragment, found = self.candidates(before)
        lower = fragment.casefold()
        kept = [SimpleCompletion(text) for text in found if text.casefold().startswith(lower)]
        result = SimpleMatcherResult(completions=kept, suppress=bool(kept), ordered=True)
        result["matched_fragment"] = fragment
        return result

    def candidates(self, before: str) -> tuple[str, tuple[str, ...]]:
        """Return the last word of a cell up to the cursor, and its completions."""
        line = before.rpartition("\n")[2]
        if _SQL_CELL.match(before) or _SQL_LINE.search(line):
            named = _IN.search(before.partition("\n")[0])
            return _word(before), self._asked(lambda: self._sql_words(named[1] if named else ""))
        call = _CALL.search(before)
        if call is None or not isinstance(self._names.get(call[1]), Workspace):
            return "", ()
        workspace: Workspace = self._names[call[1]]
        return _in_call(call[2], call[3], lambda: self._asked(lambda: _node_names(workspace)))

    def _sql_words(self, named: str) -> tuple[str, ...]:
        schema = workspace_in(self._names, named=named).sql(_SCHEMA)
        tables = sorted(schema["table_name"].unique())
        return (*tables, *sorted(set(schema["column_name"]) - set(tables), key=str.casefold))

    def _asked(self, ask: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        try:
            return ask()
        except QrkitError:  # Tab shows no errors; running the cell does
            return ()


def _in_call(verb: str, inside: str, nodes: Callable[[], tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    """Return the word and its completions inside a call such as ``ws.find(``."""
    names_a_node = _NODE_LATER.search(f"{verb}({inside}")
    if verb in ("find", "echo", "plan", "probe", "retrieve_uids"):
        names_a_node = _NODE_FIRST.fullmatch(inside) or names_a_node
    if names_a_node:
        return names_a_node[1], nodes()
    argument = _ARGUMENT.search(inside)
    if argument is None or verb not in ("find", "plan"):
        return "", ()
    taken: Iterable[str] = (*(_PLAN_ARGUMENTS if verb == "plan" else ()), *ARGUMENTS, *_KEYWORDS)
    given = set(re.findall(r"(\w+)\s*=", inside))
    return argument[1], tuple(f"{name}=" for name in taken if name not in given)


def _node_names(workspace: Workspace) -> tuple[str, ...]:
    return tuple(node.name for node in workspace.nodes)


def _word(text: str) -> str:
    found = _WORD.search(text)
    return found[0] if found else ""


def _offset(context: CompletionContext) -> int:
    """Return the position of the cursor in the whole cell."""
    lines = context.full_text.split("\n")
    return sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
