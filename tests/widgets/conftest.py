"""The fixtures of the upper layers, and a retrieve job whose rows the test writes itself, as a worker would."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qrkit.store.state import State
from tests.widgets.played import PlayedJob
from tests.widgets.waiting import pages_end


@pytest.fixture
def played(tmp_path: Path) -> Iterator[PlayedJob]:
    """A queued job of two studies in a state of its own; the test plays the worker."""
    with State.open(tmp_path / "workspace") as state:
        yield PlayedJob(state)


@pytest.fixture(autouse=True)
def _pages_end_before_their_workspace(request: pytest.FixtureRequest) -> Iterator[None]:
    """Wait for what closed pages still have running."""
    if "open_workspace" in request.fixturenames:
        request.getfixturevalue("open_workspace")  # so that it is closed after this
    yield
    pages_end()
