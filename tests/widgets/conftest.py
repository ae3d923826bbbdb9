"""The fixtures of the upper layers, and a retrieve job whose rows the test writes itself, as a worker would."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrkit.store.state import State
from tests.widgets.played import PlayedJob
from tests.widgets.waiting import LIMIT


@pytest.fixture
def played(tmp_path: Path) -> Iterator[PlayedJob]:
    """A queued job of two studies in a state of its own; the test plays the worker."""
    with State.open(tmp_path / "workspace") as state:
        yield PlayedJob(state)


@pytest.fixture(autouse=True)
def _pages_end_before_their_workspace(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wait for what closed pages still have running: a workspace cannot close the connections that threads use."""
    if "open_workspace" in request.fixturenames:
        request.getfixturevalue("open_workspace")  # so that it is closed after this
    yield
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("page_")]:
        thread.join(LIMIT)
        assert not thread.is_alive(), "A page was not closed."
