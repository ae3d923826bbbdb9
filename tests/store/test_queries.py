import pytest

from qrkit.errors import NotFound, StoreError
from qrkit.store.queries import QueryTable
from qrkit.store.state import State
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
    table.finish(query_id, 3, {"complete": False, "why": ["capped"]}, "2026/x.parquet")
    query = table.get(query_id)
    assert (query.state, query.row_count, query.result_file) == ("done", 3, "2026/x.parquet")
    assert query.coverage == {"complete": False, "why": ["capped"]}
    assert query.seconds == pytest.approx(10)


def test_a_failed_query_keeps_the_status(table: QueryTable) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    table.fail(query_id, "The node refused.", 0xA700)
    query = table.get(query_id)
    assert (query.state, query.error, query.error_status) == ("failed", "The node refused.", 0xA700)


def test_a_query_ends_once(table: QueryTable) -> None:
    query_id = table.begin("pacs", "STUDY", {}, "ann")
    table.finish(query_id, 0, {}, "2026/x.parquet")
    with pytest.raises(StoreError, match="has ended already: it is done"):
        table.fail(query_id, "too late")
    with pytest.raises(StoreError, match="has ended already"):
        table.finish(query_id, 0, {}, "2026/y.parquet")


def test_a_missing_query_is_not_found(table: QueryTable) -> None:
    with pytest.raises(NotFound, match="no query 'x'"):
        table.get("x")
    with pytest.raises(NotFound, match="no query 'x'"):
        table.finish("x", 0, {}, "")


def test_queries_are_listed_newest_first_and_can_be_filtered(table: QueryTable) -> None:
    ids = [table.begin(node, level, {}, "ann") for node, level in [("a", "STUDY"), ("b", "SERIES"), ("a", "SERIES")]]
    table.fail(ids[0], "lost")
    assert [query.query_id for query in table.list()] == ids[::-1]
    assert [query.query_id for query in table.list(limit=1)] == ids[2:]
    assert [query.query_id for query in table.list(node="a", level="SERIES")] == [ids[2]]
    assert [query.query_id for query in table.list(state="failed")] == [ids[0]]
