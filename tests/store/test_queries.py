import os
import subprocess
import sys

import psutil
import pytest
import sqlalchemy as sa

from qrkit.errors import NotFound, StoreError
from qrkit.query import Coverage
from qrkit.store.queries import QueryTable
from qrkit.store.schema import queries
from qrkit.store.state import State
from tests.peers.waiting import wait_until
from tests.store.conftest import Clock


@pytest.fixture
def table(state: State) -> QueryTable:
    return QueryTable(state)


def test_a_query_that_has_begun_is_running(table: QueryTable) -> None:
    query = table.get(table.begin("pacs", "STUDY", {"PatientID": "Q*"}, "ann"))
    assert (query.node, query.level, query.user, query.state) == ("pacs", "STUDY", "ann", "running")
    assert query.request == {"PatientID": "Q*"}
    assert query.finished is None
    assert query.coverage is None


def test_a_finished_query_names_its_answer(table: QueryTable, clock: Clock) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    clock.turn_on(9)
    table.finish(query_id, 3, Coverage(why=("capped",)), "2026/x.parquet")
    query = table.get(query_id)
    assert (query.state, query.row_count, query.result_file) == ("done", 3, "2026/x.parquet")
    assert query.coverage == Coverage(why=("capped",))
    assert query.seconds == pytest.approx(10)


def test_a_failed_query_keeps_the_status(table: QueryTable) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    table.fail(query_id, "The node refused.", 0xA700)
    query = table.get(query_id)
    assert (query.state, query.error, query.error_status) == ("failed", "The node refused.", 0xA700)


def test_a_query_ends_once(table: QueryTable) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    table.finish(query_id, 0, Coverage(), "2026/x.parquet")
    with pytest.raises(StoreError, match="has ended already: it is done"):
        table.fail(query_id, "too late")
    with pytest.raises(StoreError, match="has ended already"):
        table.finish(query_id, 0, Coverage(), "2026/y.parquet")


def test_a_missing_query_is_not_found(table: QueryTable) -> None:
    with pytest.raises(NotFound, match="no query 'x'"):
        table.get("x")
    with pytest.raises(NotFound, match="no query 'x'"):
        table.finish("x", 0, Coverage(), "")


def test_queries_are_listed_newest_first_and_can_be_filtered(table: QueryTable) -> None:
    ids = [table.begin(node, level, {}, "ann") for node, level in [("a", "STUDY"), ("b", "SERIES"), ("a", "SERIES")]]
    table.fail(ids[0], "lost")
    assert [query.query_id for query in table.list()] == ids[::-1]
    assert [query.query_id for query in table.list(limit=1)] == ids[2:]
    assert [query.query_id for query in table.list(node="a", level="SERIES")] == [ids[2]]
    assert [query.query_id for query in table.list(state="failed")] == [ids[0]]


def _beats(state: State, query_id: str, **values: object) -> None:
    """Say of a query who asks it, and when that was last heard of."""
    with state.transaction() as connection:
        connection.execute(sa.update(queries).where(queries.c.query_id == query_id).values(values))


def _gone() -> int:
    """The pid of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not psutil.pid_exists(ended.pid)
    return ended.pid


def test_a_query_whose_process_is_gone_is_interrupted_and_says_so(
    table: QueryTable, state: State, clock: Clock
) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    _beats(state, query_id, process=_gone())
    assert table.list()[0].state == "running"  # it may be a process of another container: it was heard just now
    clock.turn_on(60)
    (row,) = table.list()
    assert (row.state, row.finished) == ("interrupted", row.heartbeat)
    assert row.outcome.startswith("interrupted: its process ended before the result was complete, and no rows")


def test_a_query_that_is_still_asked_anywhere_is_not_taken_for_dead(
    table: QueryTable, state: State, clock: Clock
) -> None:
    here, away, old = (table.begin("pacs", "STUDY", {}, "ann") for _ in range(3))
    _beats(state, away, machine="another", process=_gone())
    _beats(state, old, machine="", process=None, heartbeat=None)
    clock.turn_on(300)
    table.end_dead()
    assert {table.get(one).state for one in (here, away, old)} == {"running"}
    assert (table.get(here).process, table.get(old).process) == (os.getpid(), None)
    clock.turn_on(600)
    table.end_dead()
    assert [table.get(one).state for one in (here, away, old)] == ["interrupted", "interrupted", "running"]
    table.finish(here, 3, Coverage(), "2026/x.parquet")  # its host had only slept
    assert (table.get(here).state, table.get(here).outcome) == ("done", "3 rows, complete")


def test_a_query_says_that_it_lives(table: QueryTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrkit.store.queries._BEAT", 0.01)
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    first = table.get(query_id).heartbeat
    with table.alive(query_id):
        wait_until(lambda: table.get(query_id).heartbeat != first, what="a heartbeat")
