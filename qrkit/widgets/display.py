"""The display of jobs in a notebook, registered by `qrkit.open`.

It is apart from the widgets, which load only when the first job is shown.
"""

from __future__ import annotations

import threading
from typing import Any

from qrkit.jobs import JobRow
from qrkit.workspace import Workspace
from qrkit.workspace.jobs import Job


def register_in_notebook(workspace: Workspace) -> None:
    """Register the display of a workspace's jobs with the current notebook; elsewhere nothing happens."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or shell.display_formatter is None or not hasattr(shell, "kernel"):
        return  # IPython on a terminal has no widgets
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name("qrkit.workspace.jobs", "Job", job_bundle)
    workspace.jobs.watchers.append(show_while_waiting)


def job_bundle(job: Job) -> Any:  # noqa: ANN401 - IPython's MIME bundle
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
