"""The states that the tests of the store run on: SQLite and PostgreSQL, with a clock that can be turned."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qrkit.store.results import Results
from qrkit.store.state import State


class Clock:
    """A clock that goes on by a second each time it is read, and can be turned on."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment

    def turn_on(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder or URL for `State.open`, of each database in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "workspace")
    return str(request.getfixturevalue("database_url"))


@pytest.fixture
def state(where: str, clock: Clock) -> Iterator[State]:
    """A fresh state, on each database in turn."""
    with State.open(where, clock=clock) as opened:
        yield opened


@pytest.fixture
def sqlite_state(tmp_path: Path, clock: Clock) -> Iterator[State]:
    """A fresh state on SQLite, for tests that are not about the database."""
    with State.open(tmp_path / "workspace", clock=clock) as opened:
        yield opened


@pytest.fixture
def results(sqlite_state: State, tmp_path: Path) -> Results:
    """An empty folder of results."""
    return Results(sqlite_state, tmp_path / "workspace" / "results")
