"""A call goes down through the layers once: it does not come back to the façade for each request."""

from __future__ import annotations

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import small_hospital
from tests.walks import Walk, traced
from tests.workspace.opened import Linked, StartSimulator, link, worker_in_thread

DAY = "2026-06-30"
STUDIES_OF_DAY = 14
MOST_MODULES = 45


@pytest.fixture
def linked(linked: Linked, start_simulator: StartSimulator) -> Linked:
    """The same, and a node `full` with a hospital whose last day has fourteen studies."""
    link(linked.workspace, start_simulator(small_hospital(seed=1, studies=2 * STUDIES_OF_DAY - 2, days=2)), "full")
    return linked


def walk_of_find(linked: Linked, level: str) -> tuple[Walk, int]:
    """The walk of a query that was asked before, so that all is loaded, and its number of requests."""
    linked.workspace.find("full", level=level, date=DAY)
    with traced() as walk:
        frame = linked.workspace.find("full", level=level, date=DAY)
    return walk, frame.attrs["qrkit"]["coverage"]["requests"]


@pytest.mark.parametrize(("level", "requests"), [("STUDY", 1), ("SERIES", 1 + STUDIES_OF_DAY)])
def test_a_find_runs_few_modules_and_does_not_come_back_to_the_workspace(
    linked: Linked, level: str, requests: int
) -> None:
    walk, sent = walk_of_find(linked, level)
    assert sent == requests
    assert walk.returns_to("workspace") <= 2
    assert len(walk.modules) <= MOST_MODULES, walk.modules


def test_a_find_goes_down_through_the_find_engine_to_the_wire(linked: Linked) -> None:
    walk, _ = walk_of_find(linked, "STUDY")
    rooms = ["workspace.questions", "query.parse", "find.finder", "find.hierarchy", "find.windowed", "dimse.find"]
    assert [module for module in walk.modules if module in rooms] == rooms


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
def test_a_worker_fetches_without_the_workspace(linked: Linked, method: str) -> None:
    study = linked.workspace.find("pacs", date=DAY).head(1)
    with traced("retrieve") as walk, worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve(study, method=method)
        job.wait()
    assert job.state is JobState.COMPLETE
    assert "workspace" not in walk.entries
    rooms = ["worker.fetcher", "retrieve.batch", "dimse.retrieve"]
    assert [module for module in walk.modules if module in rooms] == rooms
