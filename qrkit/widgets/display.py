"""How a notebook shows a job: registered by `qrkit.open`, and nothing is loaded before the first job is shown."""

from __future__ import annotations

import threading
from typing import Any

from qrkit.jobs import JobRow
from qrkit.workspace.jobs import Job, watchers


def register_in_notebook() -> None:
    """Have the notebook that runs this show jobs as they go; outside of one nothing happens."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or shell.display_formatter is None or not hasattr(shell, "kernel"):
        return  # IPython on a terminal has no widgets
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.for_type_by_name("qrkit.workspace.jobs", "Job", job_bundle)
    if show_while_waiting not in watchers:
        watchers.append(show_while_waiting)


def job_bundle(job: Job) -> Any:  # noqa: ANN401 - IPython's MIME bundle
    """Return a job as the notebook displays it: a widget, and its repr for where there are no widgets."""
    from qrkit.widgets.job_progress import JobProgress

    bundle, metadata = JobProgress(job)._repr_mimebundle_()
    return bundle | {"text/plain": repr(job)}, metadata


def show_while_waiting(job: Job, status: JobRow) -> None:
    """Keep a job's widgets going while a cell waits for it, and show one if there is none.

    The kernel's loop stands still meanwhile, but what its main thread sends reaches the browser.
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
