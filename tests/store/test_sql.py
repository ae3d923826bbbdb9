import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from qrkit.errors import InputError, StoreError
from qrkit.jobs import NewJob, RetrieveRequest
from qrkit.node import Node
from qrkit.query import Coverage
from qrkit.store import sql
from qrkit.store.audit import AuditTable
from qrkit.store.duckdb_file import LEVELS
from qrkit.store.instances import InstanceRow, InstanceTable
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.store.schema import instances
from qrkit.store.sql import STATE_TABLES, empty_state_table
from qrkit.store.state import State
from qrkit.store.workers import NewWorker, WorkerTable
from qrkit.tables import Level
from tests.store.answers import STUDY, answer, studies

_SCHEMAS = {"STUDY": STUDY}


def _instance(uid: str, job_id: str | None = None) -> InstanceRow:
    return InstanceRow(
        SOPInstanceUID=uid,
        SOPClassUID="1",
        StudyInstanceUID="1",
        SeriesInstanceUID="1.1",
        TransferSyntaxUID="1",
        StudyDate="20260131",
        path=f"1/1.1/{uid}.dcm",
        size=10,
        sha256="0",
        job_id=job_id,
    )


class Asking:
    """Asks SQL of a workspace."""

    def __init__(self, state: State, results: Results) -> None:
        self.state = state
        self.results = results

    def __call__(self, text: str, params: Any = None) -> list[dict[str, Any]]:  # noqa: ANN401 - as `sql.sql`
        rows: list[dict[str, Any]] = self.table(text, params).to_pylist()
        return rows

    def table(self, text: str, params: Any = None) -> pa.Table:  # noqa: ANN401 - as `sql.sql`
        return sql.sql(self.state, self.results.folder, _SCHEMAS, text, params)


@pytest.fixture
def ask(sqlite_state: State, results: Results) -> Asking:
    return Asking(sqlite_state, results)


def test_all_tables_are_there_and_typed_before_anything_was_asked(ask: Asking) -> None:
    names = {row["name"] for row in ask("SHOW TABLES")}
    assert names == {*STATE_TABLES, *(t.answers for t in LEVELS), *(t.newest for t in LEVELS)}
    columns = ask.table("select * from studies").schema
    assert columns.names == ["query_id", "node", "asked_at", *STUDY.names]
    assert columns.field("StudyDate").type == pa.date32()
    assert columns.field("NumberOfStudyRelatedSeries").type == pa.int64()
    assert columns.field("asked_at").type == pa.timestamp("us")
    assert "SeriesInstanceUID" in ask.table("select * from series").schema.names


def test_no_column_of_the_state_has_to_be_quoted(ask: Asking) -> None:
    with sql.connect(ask.state, ask.results.folder, _SCHEMAS) as connection:
        for table in STATE_TABLES:
            columns = ", ".join(empty_state_table(table).column_names)
            connection.execute(f"FROM {table} ORDER BY {columns}")


def test_answers_hold_every_row_and_studies_the_newest_of_each_node(ask: Asking) -> None:
    state, results = ask.state, ask.results
    answer(state, results, studies(["1", "2"], series=1))
    answer(state, results, studies(["2", "3"], series=5))
    answer(state, results, studies(["2"], series=7), node="archive")
    assert ask("select count(*) n from study_answers") == [{"n": 5}]
    rows = ask("select node, StudyInstanceUID uid, NumberOfStudyRelatedSeries n from studies order by all")
    assert [tuple(row.values()) for row in rows] == [
        ("archive", "2", 7),
        ("pacs", "1", 1),
        ("pacs", "2", 5),
        ("pacs", "3", 5),
    ]


def test_rows_without_their_key_are_all_kept(ask: Asking) -> None:
    answer(ask.state, ask.results, studies([None, None, "1"]))
    assert ask("select count(*) n from studies") == [{"n": 3}]


def test_answers_of_different_columns_are_read_together(ask: Asking) -> None:
    answer(ask.state, ask.results, studies(["1"]))
    other = pa.RecordBatch.from_pylist([{"StudyInstanceUID": "2", "InstitutionName": "St. Elsewhere"}])
    answer(ask.state, ask.results, other)
    rows = ask("select StudyInstanceUID uid, InstitutionName i, NumberOfStudyRelatedSeries n from studies order by 1")
    assert rows == [{"uid": "1", "i": None, "n": 1}, {"uid": "2", "i": "St. Elsewhere", "n": None}]


def test_an_answer_is_not_seen_before_its_query_has_finished(ask: Asking) -> None:
    query_id = QueryTable(ask.state).begin("pacs", "STUDY", {}, "ann")
    with ask.results.writer(query_id) as writer:
        writer.write(studies(["1"]))
        name = writer.commit()
    assert ask("select * from studies") == []
    QueryTable(ask.state).finish(query_id, 1, Coverage(), name)
    assert len(ask("select * from studies")) == 1


def test_queries_and_nodes_are_tables(ask: Asking) -> None:
    NodeTable(ask.state).add(Node(name="pacs", host="10.1.2.3", ae_title="MAINPACS"), "ann")
    answer(ask.state, ask.results, studies(["1", "2"]), request={"PatientID": "Q*"})
    rows = ask(
        "select host, port, timeout_connect, can_get, row_count, request->>'PatientID' asked, started < finished ok "
        "from queries join nodes on nodes.name = queries.node"
    )
    assert rows == [
        {
            "host": "10.1.2.3",
            "port": 104,
            "timeout_connect": 10.0,
            "can_get": True,
            "row_count": 2,
            "asked": "Q*",
            "ok": True,
        }
    ]


@pytest.mark.slow
def test_jobs_instances_workers_and_the_audit_are_tables(ask: Asking) -> None:
    request = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1", SeriesInstanceUID="1.1", expected=("1.1.1",))
    job_id = JobTable(ask.state).create(NewJob(node="pacs", requests=(request,)))
    InstanceTable(ask.state).add_many([_instance("1.1.1", job_id)])
    WorkerTable(ask.state).register("w", NewWorker(host="pc", pid=1, ae_title="QRKIT", port=1))
    AuditTable(ask.state).write("ann", "login", "dashboard", {"from": "here"})
    assert ask("select jobs.state, expected_uids, job_items.why, doubts from jobs join job_items using (job_id)") == [
        {"state": "queued", "expected_uids": ["1.1.1"], "why": [], "doubts": []}
    ]
    assert ask("select StudyDate d, size, received > '2026-01-01' late from instances") == [
        {"d": dt.date(2026, 1, 31), "size": 10, "late": True}
    ]
    assert ask("select pid, heartbeat = started same from workers") == [{"pid": 1, "same": True}]
    assert ask("select who, details->>'from' f from audit") == [{"who": "ann", "f": "here"}]


@pytest.mark.slow
def test_instances_are_seen_as_they_come_though_known_ones_are_not_read_again(state: State, tmp_path: Path) -> None:
    table = InstanceTable(state)
    seen = []
    for number in range(4):
        uids = sql.sql(state, tmp_path, {}, "select SOPInstanceUID u from instances order by u")["u"].to_pylist()
        seen.append(uids)
        table.add_many([_instance(f"1.1.{number}.{n}") for n in range(number)])
    assert [len(uids) for uids in seen] == [0, 0, 1, 3]
    with state.transaction() as connection:  # nobody does, but what is read must be what is there
        connection.execute(instances.delete().where(instances.c.SOPInstanceUID == "1.1.1.0"))
    assert sql.sql(state, tmp_path, {}, "from instances").num_rows == 5


def test_values_are_parameters(ask: Asking) -> None:
    answer(ask.state, ask.results, studies(["1", "2"]))
    assert len(ask("select * from studies where StudyInstanceUID = ?", ["2"])) == 1
    assert len(ask("select * from studies where StudyInstanceUID = $uid", {"uid": "' or 1=1 --"})) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selec 1", "syntax error"),
        ("select * from study", "does not exist"),
        ("select Modalty from studies", "Modalty"),
        ("select cast('x' as int)", "Could not convert"),
        ("select * from studies where StudyInstanceUID = ?", "parameter"),
        ("select 1; select 2", "Only one statement"),
        ("drop table jobs", "Only one statement"),
        ("insert into jobs select * from jobs", "Only one statement"),
        ("attach 'x.duckdb'", "Only one statement"),
        ("", "Only one statement"),
        ("select * from read_csv('/etc/passwd')", "Cannot access file"),
        ("select * from '/etc/passwd'", "/etc/passwd"),
    ],
)
def test_wrong_sql_is_an_input_error_with_duckdbs_sentence(ask: Asking, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(text)


@pytest.mark.parametrize("text", ["describe studies", "summarize jobs", "with a as (select 1) from a", "values (1)"])
def test_whatever_only_reads_can_be_asked(ask: Asking, text: str) -> None:
    assert len(ask(text)) > 0


def test_a_pivot_can_be_asked(ask: Asking) -> None:
    answer(ask.state, ask.results, studies(["1", "2"]))
    assert ask("pivot (select node, query_id from studies) on node using count(*) group by query_id")[0]["pacs"] == 2


def test_the_connection_reads_the_results_and_no_other_file(ask: Asking, tmp_path: Path) -> None:
    answer(ask.state, ask.results, studies(["1"]))
    NodeTable(ask.state).add(Node(name="pacs", host="h", ae_title="A"), "ann")
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with sql.connect(ask.state, ask.results.folder, _SCHEMAS) as connection:
        assert connection.execute("select count(*), max(asked_at) is null from studies").fetchall() == [(1, False)]
        assert connection.execute("select name from nodes").fetchall() == [("pacs",)]
        assert len(connection.execute("select started from queries").fetchall()) == 1
        for forbidden in (
            f"from '{secret}'",
            f"copy studies to '{tmp_path / 'out.csv'}'",
            "install httpfs",
            "set enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(forbidden)
    assert not (tmp_path / "out.csv").exists()


def test_folders_with_quotes_are_no_danger(sqlite_state: State, tmp_path: Path) -> None:
    results = Results(sqlite_state, tmp_path / "O'Hara's; drop table \"x\"")
    answer(sqlite_state, results, studies(["1"]))
    assert sql.sql(sqlite_state, results.folder, {}, "select * from studies").num_rows == 1


def test_a_missing_answer_is_a_store_error_not_the_askers(ask: Asking) -> None:
    answer(ask.state, ask.results, studies(["1"]))
    next(ask.results.folder.rglob("*.parquet")).unlink()
    with pytest.raises(StoreError, match="Check the results folder"):
        ask("select * from studies")


def test_the_state_may_be_postgresql(state: State, tmp_path: Path) -> None:
    results = Results(state, tmp_path / "results")
    NodeTable(state).add(Node(name="pacs", host="h", ae_title="A"), "ann")
    answer(state, results, studies(["1"]))
    with sql.connect(state, results.folder, _SCHEMAS) as connection:
        found = connection.execute("select q.user, q.coverage, n.port from queries q join nodes n on n.name = q.node")
        ((user, coverage, port),) = found.fetchall()
        assert (user, json.loads(coverage)["complete"], port) == ("tester", True, 104)


@pytest.mark.slow
def test_a_group_by_over_a_million_rows_is_right(ask: Asking) -> None:
    for node in range(10):
        batches = [
            studies([f"{node}.{n}" for n in range(start, start + 25_000)]) for start in range(0, 100_000, 25_000)
        ]
        answer(ask.state, ask.results, *batches, node=f"node{node}")
    rows = ask("select node, count(*) n, count(distinct StudyInstanceUID) d from studies group by node order by node")
    assert rows == [{"node": f"node{node}", "n": 100_000, "d": 100_000} for node in range(10)]
    assert ask("select count(*) n from study_answers") == [{"n": 1_000_000}]
