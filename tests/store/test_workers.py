import pytest
import sqlalchemy as sa

from qrkit.errors import NotFound
from qrkit.store.schema import workers
from qrkit.store.state import State
from qrkit.store.workers import NewWorker, WorkerTable
from tests.store.conftest import Clock


def _register(table: WorkerTable, worker_id: str) -> None:
    table.register(worker_id, NewWorker(host="pc", pid=4711, ae_title="QRKIT", port=11112, site="north"))


def test_a_worker_is_alive_as_long_as_its_heart_beats(state: State, clock: Clock) -> None:
    table = WorkerTable(state)
    _register(table, "one")
    _register(table, "two")
    clock.turn_on(50)
    table.heartbeat("two")
    alive = table.alive(30)
    assert [(row.worker_id, row.host, row.pid, row.ae_title, row.port) for row in alive] == [
        ("two", "pc", 4711, "QRKIT", 11112)
    ]
    assert [row.worker_id for row in table.alive(100)] == ["two", "one"]


def test_a_worker_that_has_left_is_not_alive(state: State) -> None:
    table = WorkerTable(state)
    _register(table, "one")
    table.leave("one")
    assert table.alive(1000) == ()


def _states(state: State) -> dict[str, str]:
    with state.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.select(workers.c.worker_id, workers.c.state))}


def test_a_worker_that_has_died_is_listed_as_dead_for_a_month_unless_its_heart_beats_again(
    state: State, clock: Clock
) -> None:
    table = WorkerTable(state)
    for worker_id in ("one", "two", "three"):
        _register(table, worker_id)
    table.mark_dead(["three"])
    assert _states(state) == {"one": "dead", "two": "dead", "three": "running"}
    table.heartbeat("two")
    assert {row.worker_id for row in table.running()} == {"two", "three"}
    clock.turn_on(31 * 86_400)
    table.heartbeat("three")
    table.mark_dead(["three"])
    assert _states(state) == {"three": "running"}


def test_a_worker_that_never_registered_is_not_found(state: State) -> None:
    with pytest.raises(NotFound, match="no worker 'one'"):
        WorkerTable(state).heartbeat("one")
