"""An IPython of its own for each test, with the extension loaded and a workspace called `ws`."""

# mypy: disallow-untyped-calls=False
# IPython is typed in parts.

import atexit
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from qrkit.workspace import Workspace


@pytest.fixture
def shell(workspace: Workspace, tmp_path: Path) -> Iterator[InteractiveShell]:
    """IPython with `ws`, a workspace that has a node `pacs`."""
    workspace.nodes.add("pacs", host="10.1.2.3", ae_title="MAINPACS")
    config = Config()
    config.HistoryManager.enabled = False
    config.ProfileDir.location = str(tmp_path / "profile")
    shell = InteractiveShell(config=config)
    shell.user_ns["ws"] = workspace
    shell.run_cell("%load_ext qrkit").raise_error()
    yield shell
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()
