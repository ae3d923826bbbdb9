"""What stands below the table of an answer: which query it is of, and whether that was answered completely.

A DataFrame carries its query in ``attrs["qrkit"]``, but cannot show it; so IPython is told how. Rows that were chosen
from an answer still carry it, so the line speaks of the query, never of the rows above it.
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
    """Have the IPython that runs this show answers so; outside of one nothing happens."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        register_frames(shell)


def register_frames(shell: InteractiveShell) -> None:
    """Have IPython show of each DataFrame what it carries of its query."""
    formatter = shell.display_formatter
    if formatter is not None:
        formatter.formatters["text/html"].for_type_by_name("pandas", "DataFrame", frame_html)
        formatter.formatters["text/plain"].for_type_by_name("pandas", "DataFrame", frame_pretty)


def told_of(frame: pd.DataFrame) -> tuple[str, str]:
    """Return the id of the query that a table is of, and what is to be said of its answer; else empty texts."""
    carried: dict[str, Any] = frame.attrs.get("qrkit", {})
    if not carried.get("query_id"):
        return "", ""
    told = (
        Coverage.from_json(carried["coverage"]).sentences() if carried.get("coverage") else ("There was no answer.",)
    )
    warnings = len(carried.get("warnings", ()))
    unread = f" {counted(warnings, 'value')} could not be read; attrs has them." if warnings else ""
    return str(carried["query_id"]), " ".join(told) + unread


def frame_html(frame: pd.DataFrame) -> str | None:
    """Return a table as pandas shows it, and what it carries of its query."""
    shown: str | None = frame._repr_html_()  # type: ignore[operator]
    query_id, told = told_of(frame)
    return shown if not query_id or shown is None else Markup(shown) + paragraph("Query ", code(query_id), ": ", told)


def frame_pretty(frame: pd.DataFrame, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: ARG001, FBT001 - IPython's
    """Print a table as pandas does, and what it carries of its query."""
    query_id, told = told_of(frame)
    printer.text(repr(frame) + (f"\nQuery {query_id}: {told}" if query_id else ""))  # type: ignore[no-untyped-call]
