"""The fixtures of the upper layers, and a way to run commands."""

import pytest

from qrkit.workspace import Workspace
from tests.cli.commands import Here
from tests.workspace.opened import Linked


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run commands on an empty workspace, in this process."""
    return Here(workspace, monkeypatch, capfd)


@pytest.fixture
def hospital_here(linked: Linked, here: Here) -> Here:
    """Run commands on a workspace with a hospital behind its node `pacs`."""
    assert here.workspace is linked.workspace
    return here
