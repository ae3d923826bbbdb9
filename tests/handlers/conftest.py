"""Workspaces with handlers, and series to be handled."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from qrkit.simulator.facts import Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.workspace import Workspace
from tests.workspace.opened import Linked, OpenWorkspace, StartSimulator, all_studies, link

WithHandlers = Callable[..., Linked]


@pytest.fixture
def with_handlers(
    tmp_path: Path, open_workspace: OpenWorkspace, hospital: GeneratedHospital, start_simulator: StartSimulator
) -> WithHandlers:
    """Open a workspace with a hospital behind it and these handlers: `with_handlers({"name": …}, …)`."""

    def start(*handlers: dict[str, object]) -> Linked:
        folder = tmp_path / "workspace"
        folder.mkdir(exist_ok=True)
        (folder / "qrkit.toml").write_text(tomli_w.dumps({"after": list(handlers)}), encoding="utf-8")
        workspace = open_workspace(folder)
        pacs = start_simulator(hospital)
        link(workspace, pacs)
        return Linked(workspace=workspace, pacs=pacs, hospital=hospital)

    return start


@pytest.fixture
def study(hospital: GeneratedHospital) -> Study:
    """A study of a few series and objects."""
    return next(
        one for one in all_studies(hospital) if len(one.series) > 1 and one.NumberOfStudyRelatedInstances < 40
    )


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder of another program."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def handled(workspace: Workspace) -> bool:
    """Whether every run there is has ended; there is at least one."""
    states = set(workspace.after.list()["state"])
    return bool(states) and states <= {"done", "failed"}
