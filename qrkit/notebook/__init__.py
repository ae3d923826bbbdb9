"""Extensions of IPython: the coverage below the table of a result, SQL cells, and completion by Tab.

`qrkit.open` registers the first in a notebook; ``%load_ext qrkit`` adds the others, in a notebook or a terminal.

A DataFrame has its query in ``attrs["qrkit"]``. Rows selected from a result keep it, so that the line below the table
describes the query, not the rows above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.markup import Markup, code, paragraph
from qrkit.query.coverage import Coverage
from qrkit.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.lib.pretty import PrettyPrinter


def register_answers() -> None:
    """Configure the current IPython to show results with their query; elsewhere nothing happens."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        register_frames(shell)


def register_frames(shell: InteractiveShell) -> None:
    """Configure IPython to show each DataFrame with its query."""
    formatter = shell.display_formatter
    if formatter is not None:
        formatter.formatters["text/html"].for_type_by_name("pandas", "DataFrame", frame_html)
        formatter.formatters["text/plain"].for_type_by_name("pandas", "DataFrame", frame_pretty)


def query_of(frame: pd.DataFrame) -> tuple[str, str]:
    """Return the id of a table's query, and sentences on the coverage of its result; empty texts if it has none."""
    carried: dict[str, Any] = frame.attrs.get("qrkit", {})
    if not carried.get("query_id"):
        return "", ""
    told = (
        Coverage.from_json(carried["coverage"]).sentences() if carried.get("coverage") else ("There was no answer.",)
    )
    warnings = len(carried.get("warnings", ()))
    unread = f" {counted(warnings, 'value')} could not be read; see attrs." if warnings else ""
    return str(carried["query_id"]), " ".join(told) + unread


def frame_html(frame: pd.DataFrame) -> str | None:
    """Return a table as pandas shows it, followed by its query."""
    shown: str | None = frame._repr_html_()  # type: ignore[operator]
    query_id, sentences = query_of(frame)
    return (
        shown
        if not query_id or shown is None
        else Markup(shown) + paragraph("Query ", code(query_id), ": ", sentences)
    )


def frame_pretty(frame: pd.DataFrame, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: ARG001, FBT001 - IPython's
    """Print a table as pandas does, followed by its query."""
    query_id, sentences = query_of(frame)
    printer.text(repr(frame) + (f"\nQuery {query_id}: {sentences}" if query_id else ""))  # type: ignore[no-untyped-call]


def load(shell: InteractiveShell) -> None:
    """Add all of it to IPython."""
    from qrkit.notebook.completion import Completion
    from qrkit.notebook.magic import SqlMagics

    shell.register_magics(SqlMagics)
    Completion.register(shell)
    register_frames(shell)
