"""Widgets for notebooks and pages: the live progress of a retrieve, and tables to sort and search.

`qrkit.open` registers the display of jobs. Widgets load only when the first one is shown: they take half a second.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrkit.jobs import JobRow
    from qrkit.widgets.job_progress import JobProgress
    from qrkit.widgets.result_table import table
    from qrkit.workspace import Job, Workspace

__all__ = ["JobProgress", "table"]

_WHERE = {"JobProgress": "job_progress", "table": "result_table"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class or a function
    """Load a public name when it is first used (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)


def register_in_notebook(workspace: Workspace) -> None:
    """Register the display of a workspace's jobs with the current notebook; elsewhere nothing happens."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or shell.display_formatter is None or not hasattr(shell, "kernel"):
        return  # IPython on a terminal has no widgets
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name("qrkit.workspace.jobs", "Job", _job_bundle)
    workspace.jobs.watchers.append(show_while_waiting)


def _job_bundle(job: Job) -> Any:  # noqa: ANN401 - IPython's MIME bundle
    """Return a job for display in a notebook: a widget, and its repr for viewers without widgets."""
    from qrkit.widgets.job_progress import JobProgress

    bundle, metadata = JobProgress(job)._repr_mimebundle_()
    return bundle | {"text/plain": repr(job)}, metadata


def show_while_waiting(job: Job, status: JobRow) -> None:
    """Update a job's widgets while a cell waits for it, and show one if there is none.

    The kernel's loop is blocked meanwhile, but messages of its main thread reach the browser.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    from qrkit.widgets.job_progress import JobProgress

    shown = JobProgress.showing(job.job_id)
    for widget in shown:
        widget.show(status, waiting=True)
    if not shown and not status.state.is_final:
        from IPython.display import display

        display(JobProgress(job))  # type: ignore[no-untyped-call] # IPython's own
