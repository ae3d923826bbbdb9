"""A dashboard on a hospital that takes its time, with a viewer, two operators and an administrator."""

from collections.abc import Iterator
from datetime import date

import pytest

import qrkit
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.workspace import Workspace
from tests.dashboard.served import PASSWORD, Served
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import end_workers

ROLES = {"vic": "viewer", "ann": "operator", "bob": "operator", "adm": "administrator"}


@pytest.fixture(scope="module")
def pacs() -> Iterator[Simulator]:
    """A hospital that sends an object every tenth of a second."""
    hospital = small_hospital(seed=1, until=date.today(), days=30, studies=60)
    with Simulator(hospital, quirks=Quirks(delay_object=0.6)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory, pacs: Simulator) -> Iterator[Workspace]:
    """The workspace that is served."""
    folder = tmp_path_factory.mktemp("served") / "workspace"
    with qrkit.open(folder, host=LOOPBACK, port=free_port(), worker_idle_exit=0) as opened:
        opened.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)
        for name, role in ROLES.items():
            opened.users.add(name, PASSWORD, role=role)
        yield opened
        for job_id in opened.jobs.list()["job_id"]:
            opened.jobs[job_id].cancel()
        end_workers(folder)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ws: Workspace) -> Iterator[Served]:
    """The dashboard: one kernel waits for visitors."""
    with Served(tmp_path_factory.mktemp("dashboard"), ws) as running:
        yield running
