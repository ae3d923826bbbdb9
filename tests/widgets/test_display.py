import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from qrkit.store.state import State
from qrkit.widgets import show_while_waiting
from qrkit.widgets.job_progress import JobProgress
from tests.widgets.played import PlayedJob

_WIDGET = "application/vnd.jupyter.widget-view+json"


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _run_cells(folder: Path, *cells: str) -> list[list[Any]]:
    """Run cells in a kernel, and return the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=False).execute(cwd=str(folder))
    assert "widgets" not in notebook.metadata
    return [cell.outputs for cell in notebook.cells]


def test_importing_qrkit_is_quick_and_loads_no_widgets() -> None:
    loaded, seconds = _python(
        "import sys, time, qrkit; "
        "print({'ipywidgets', 'anywidget', 'itables', 'IPython', 'pandas'} & set(sys.modules) or '-', "
        "time.process_time())"
    ).split()
    assert loaded == "-"
    assert float(seconds) < 0.5


def test_opening_a_workspace_in_a_script_loads_no_widgets(tmp_path: Path) -> None:
    code = f"import sys, IPython, qrkit; qrkit.open({str(tmp_path)!r}).close(); print('ipywidgets' in sys.modules)"
    assert _python(code) == "False"


def test_in_a_notebook_a_job_is_a_widget_with_a_text_beside_it(tmp_path: Path) -> None:
    with State.open(tmp_path / "workspace") as state:
        job_id = PlayedJob(state).job.job_id
    _, shown = _run_cells(
        tmp_path,
        "import qrkit; ws = qrkit.open('workspace')",
        f"ws.jobs[{job_id!r}]",
    )
    assert [output.output_type for output in shown] == ["execute_result"]
    assert set(shown[0].data) == {_WIDGET, "text/plain"}
    assert shown[0].data["text/plain"] == f"<Job {job_id}: queued, 0 objects from pacs>"


def test_a_cell_that_waits_shows_the_job_and_follows_it(tmp_path: Path) -> None:
    with State.open(tmp_path / "workspace") as state:
        job_id = PlayedJob(state).job.job_id
    *_, waited, headlines = _run_cells(
        tmp_path,
        "import qrkit; ws = qrkit.open('workspace')",
        f"""
        ws._services.ensure_worker = lambda: False
        job = ws.jobs[{job_id!r}]
        steps = iter([lambda: None, job.cancel, lambda: None])
        """,
        "job.wait(on_progress=lambda status: next(steps)()).state.value",
        """
        from qrkit.widgets import JobProgress
        [widget.headline for widget in JobProgress.showing(job.job_id)]
        """,
    )
    assert [output.output_type for output in waited] == ["display_data", "execute_result"]
    assert _WIDGET in waited[0].data
    assert waited[1].data["text/plain"] == "'cancelled'"
    assert headlines[0].data["text/plain"] == "['Cancelled']"


def test_waiting_moves_the_widget_that_is_there_and_shows_no_second(
    played: PlayedJob, capsys: pytest.CaptureFixture[str]
) -> None:
    widget = JobProgress(played.job)
    played.finish()
    show_while_waiting(played.job, played.job.status)
    assert widget.fraction == 0.5
    assert JobProgress.showing(played.job.job_id) == (widget,)
    assert capsys.readouterr().out == ""
    widget.close()
