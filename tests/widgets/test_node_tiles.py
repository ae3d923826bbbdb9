"""The worker's tile: what a page says of the worker, whatever it is like."""

import pytest

from qrkit.advice import Advice
from qrkit.errors import StateUnavailable
from qrkit.widgets.nodes_page import NodeTiles, _worker_tile
from qrkit.worker.health import Health
from tests.widgets.waiting import finish
from tests.workspace.opened import Linked, worker_in_thread


def health(*problems: str, worker_id: str | None = "w", port: int = 11112) -> Health:
    return Health(
        worker_id=worker_id,
        heartbeat_age=1.0,
        port=port,
        waiting=0,
        free=10**9,
        troubles=tuple(map(Advice, problems)),
    )


def test_that_there_is_no_worker_is_no_trouble_but_how_the_last_one_ended_is() -> None:
    none = "No worker runs on this machine."
    assert 'class="qrkit-tile "' in _worker_tile(health(none, worker_id=None), "QRKIT")
    killed = _worker_tile(health(none, "The last worker was killed.", worker_id=None), "QRKIT")
    assert 'class="qrkit-tile bad"' in killed
    assert "Not running. Starts with the next retrieve.<br>The last worker was killed." in killed


def test_a_worker_is_well_or_says_what_is_wrong() -> None:
    assert "Running. Receives as QRKIT on port 11112.</div>" in _worker_tile(health(), "QRKIT")
    full = _worker_tile(health("Only 3 MB are free."), "QRKIT")
    assert 'class="qrkit-tile bad"' in full
    assert "port 11112.<br>Only 3 MB are free." in full


@pytest.mark.slow
def test_the_tile_follows_the_worker_and_says_when_nobody_can_tell(linked: Linked) -> None:
    page = NodeTiles(workspace=linked.workspace)
    finish(page.background)
    assert "Not running." in page.tiles.value
    with worker_in_thread(linked.workspace):
        assert page._check_worker()
        finish(page.background)
        assert "Running. Receives as" in page.tiles.value
        assert "responds in" in page.tiles.value
    page._show_error(StateUnavailable("The database is away."))
    assert "Status unknown.<br>The database of this workspace is not available." in page.tiles.value
    page.close()
