"""``%qrsql`` and ``%%qrsql``: SQL on the tables of a workspace: the named one, else `ws`, else the only one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from qrkit.errors import InputError, QrkitError
from qrkit.workspace import Workspace

USUAL = "ws"
"""Its name in the tutorials, preferred if there are several."""

_PARAMETER = re.compile(r"\$([A-Za-z_]\w*)")
# Texts, quoted names, comments and DuckDB's $$text$$, in which a dollar is not a parameter.
_NOT_SQL = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$", re.DOTALL)
_USAGE = "Write %%qrsql [NAME] [--in WORKSPACE] with a SELECT below, or %qrsql SELECT … on one line."


def workspace_in(names: Mapping[str, Any], *, named: str = "") -> Workspace:
    """Return the workspace in the named variable of a notebook; without a name, that of `USUAL`, or the only one."""
    if named:
        if isinstance(names.get(named), Workspace):
            return names[named]  # type: ignore[no-any-return]
        raise InputError(
            f"{named} is not a workspace.", advice="Enter the variable that holds the result of qrkit.open()."
        )
    # IPython keeps results of its own, such as _ and _3.
    opened = {
        name: value for name, value in names.items() if isinstance(value, Workspace) and not name.startswith("_")
    }
    if USUAL in opened:
        return opened[USUAL]
    if len({id(workspace) for workspace in opened.values()}) == 1:
        return next(iter(opened.values()))
    if not opened:
        raise InputError("There is no open workspace.", advice="Open one first: ws = qrkit.open().")
    raise InputError(f"There are several workspaces: {', '.join(opened)}.", advice="Select one: %%qrsql --in NAME.")


class CellError(Exception):
    """An error that IPython shows as one sentence; like others it ends a run of all cells and fails a test."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def parse_line(line: str) -> tuple[str, str]:
    """Return the arguments in the first line of a cell: the variable for the result, and that of the workspace.

    >>> parse_line("busy --in ws")
    ('busy', 'ws')
    """
    found = re.fullmatch(r"\s*([^\W\d]\w*)?\s*(?:--in[ =]([^\W\d]\w*))?\s*", line)
    if found is None:
        raise InputError(f"{line.strip()!r} is not a valid argument of %%qrsql.", advice=_USAGE)
    return found[1] or "", found[2] or ""


def parameters(text: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the variables in a SELECT, written as ``$name``.

    For DuckDB, columns of a table become lists, and numbers of NumPy those of Python.

    >>> parameters("SELECT '$no' WHERE day > $first AND list_contains($uids, x)", {"first": 3, "uids": ("1.2",)})
    {'first': 3, 'uids': ['1.2']}
    """
    wanted = dict.fromkeys(_PARAMETER.findall(_NOT_SQL.sub(" ", text)))
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise InputError(f"There is no variable {unknown[0]}.", advice="Assign it in an earlier cell.")
    return {name: _plain(names[name]) for name in wanted}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the variable holds
    if isinstance(value, pd.Series | pd.Index):
        return value.dropna().tolist()
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value


@magics_class
class SqlMagics(Magics):
    """The magics for SQL on the workspace's tables."""

    @no_var_expand  # otherwise IPython pastes values into the SQL as text
    @line_cell_magic
    def qrsql(self, line: str, cell: str | None = None) -> pd.DataFrame:
        """Run one SELECT on the tables of the workspace; the result is a DataFrame.

        Tables: patients, studies, series, images (the newest row of each), patient_answers … (every row of every
        result), instances (received objects), queries, jobs, job_items, nodes, audit, workers. Tab completes them and
        their columns. ``$name`` stands for a variable of the notebook.

        ``%qrsql SELECT count(*) FROM studies``
            on one line, also as ``n = %qrsql SELECT …``
        ``%%qrsql``
            the cell below is the SELECT
        ``%%qrsql busy``
            the result also goes to the variable ``busy``
        ``%%qrsql --in other``
            uses the workspace of the variable ``other``; by default that of ``ws``, or the only one
        """
        names: dict[str, Any] = {} if self.shell is None else self.shell.user_ns
        try:
            name, other = parse_line(line) if cell is not None else ("", "")
            text = line if cell is None else cell
            if not text.strip():
                raise InputError("The cell has no SELECT.", advice=_USAGE)
            workspace = workspace_in(names, named=other)
            result = workspace.sql(text, parameters(text, names) or None)
        except QrkitError as error:
            raise CellError(str(error)) from error
        if name:
            names[name] = result
        return result
