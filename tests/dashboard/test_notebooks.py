"""Every dashboard runs, as JupyterLab runs a notebook."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from qrkit.dashboard.server import dashboards_folder
from qrkit.widgets.page import PAGES
from qrkit.workspace import Workspace
from tests.workspace.opened import environment

_WIDGET = "application/vnd.jupyter.widget-view+json"


def test_there_is_a_dashboard_for_every_page() -> None:
    assert {path.stem for path in dashboards_folder().glob("*.ipynb")} == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(dashboards_folder().glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_dashboard_runs(path: Path, workspace: Workspace) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=90, kernel_name="python3", store_widget_state=False)
    client.execute(cwd=str(path.parent), env=environment(workspace))
    (output,) = notebook.cells[-1].outputs
    assert _WIDGET in output.data
    assert "Dashboard(" in output.data["text/plain"]
