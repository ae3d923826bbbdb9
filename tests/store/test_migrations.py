import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from qrkit.errors import StateUnavailable
from qrkit.jobs import PausedBy
from qrkit.store import schema
from qrkit.store.audit import AuditTable
from qrkit.store.instances import InstanceTable
from qrkit.store.jobs import JobTable
from qrkit.store.migrations import MIGRATIONS, Migration, is_current, migrate
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryTable
from qrkit.store.state import FILE_NAME, State
from qrkit.store.workers import WorkerTable


def _add_a_column(connection: sa.Connection) -> None:
    connection.execute(sa.text("ALTER TABLE workers ADD COLUMN mood TEXT"))


_NEXT = Migration(number=MIGRATIONS[-1].number + 1, name="a column more", apply=_add_a_column)


def test_a_fresh_state_has_all_tables_and_every_number(state: State) -> None:
    with state.reading() as connection:
        assert set(sa.inspect(connection).get_table_names()) == set(schema.metadata.tables)
        numbers = connection.scalars(sa.select(schema.schema_version.c.number)).all()
        assert is_current(connection)
    assert list(numbers) == [migration.number for migration in MIGRATIONS]


def test_a_migration_and_its_number_are_written_together(state: State) -> None:
    with state.transaction() as connection:
        migrate(connection, now="later", migrations=[*MIGRATIONS, _NEXT])
    with state.reading() as connection:
        assert "mood" in {column["name"] for column in sa.inspect(connection).get_columns("workers")}
        newest = connection.scalar(sa.select(sa.func.max(schema.schema_version.c.number)))
    assert newest == _NEXT.number


def test_a_migration_that_fails_leaves_the_state_as_it_was(state: State) -> None:
    def fail(connection: sa.Connection) -> None:
        _add_a_column(connection)
        raise ZeroDivisionError

    failing = Migration(number=_NEXT.number, name="fails", apply=fail)
    with pytest.raises(ZeroDivisionError), state.transaction() as connection:
        migrate(connection, now="later", migrations=[*MIGRATIONS, failing])
    with state.reading() as connection:
        assert "mood" not in {column["name"] for column in sa.inspect(connection).get_columns("workers")}
        assert is_current(connection)


def test_migrating_twice_changes_nothing(state: State) -> None:
    for _ in range(2):
        with state.transaction() as connection:
            migrate(connection, now="later", migrations=[*MIGRATIONS, _NEXT])
    with state.reading() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(schema.schema_version))
    assert count == _NEXT.number


def test_a_state_of_a_newer_qrkit_is_refused_with_advice(where: str) -> None:
    with State.open(where) as state, state.transaction() as connection:
        connection.execute(schema.schema_version.insert().values(number=99, name="of the future", applied=""))
    with pytest.raises(
        StateUnavailable, match=r"version 99; this qrkit reads versions up to \d+.*pip install --upgrade"
    ):
        State.open(where)


def test_every_column_of_dicom_content_is_found_by_its_keyword(state: State) -> None:
    with state.reading() as connection:
        columns = {column["name"] for column in sa.inspect(connection).get_columns("instances")}
    assert {"SOPInstanceUID", "StudyInstanceUID", "ManufacturerModelName", "InstanceNumber"} <= columns


def test_sqlite_is_in_wal_mode_afterwards(sqlite_state: State) -> None:
    connection = sqlite3.connect(str(sqlite_state.engine.url.database))
    try:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        connection.close()


_FIRST = Path(__file__).parent / "schemas"


def _columns(connection: sa.Connection) -> dict[str, set[tuple[str, str, bool]]]:
    """Name, type and whether it may be empty, of the columns of each table."""
    inspector = sa.inspect(connection)
    return {
        table: {(one["name"], str(one["type"]), one["nullable"]) for one in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }


@pytest.fixture
def first(where: str) -> sa.Engine:
    """A database with the tables of the first version, and a job in it."""
    if "://" not in where:
        Path(where).mkdir()
    url = where if "://" in where else f"sqlite:///{where}/{FILE_NAME}"
    engine = sa.create_engine(url)
    text = (_FIRST / f"version_1.{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in filter(None, map(str.strip, text.split(";"))):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (1, 'the first tables', '')")
        old = sa.table("jobs", *(sa.column(name) for name in (*_TEXTS, *_COUNTS, "cancel_requested", "paused")))
        texts = dict.fromkeys(_TEXTS, "") | {"job_id": "old", "state": "paused", "method": "auto"}
        numbers = dict.fromkeys(_COUNTS, 0)
        connection.execute(old.insert().values(**texts, **numbers, cancel_requested=False, paused=True))
    return engine


_WHEN = "2026-01-01T00:00:00.000000+00:00"
_ROWS: dict[str, dict[str, object]] = {
    "nodes": {
        "name": "pacs",
        "settings": '{"name": "pacs", "host": "10.1.2.3", "port": 104, "ae_title": "PACS"}',
        "created": _WHEN,
    },
    "queries": {
        **dict.fromkeys(("node", "level", "user", "error"), ""),
        "query_id": "q",
        "request": "{}",
        "state": "done",
        "started": _WHEN,
        "row_count": 7,
        "coverage": '{"complete": true}',
        "result_file": "2026/q.parquet",
    },
    "audit": {"at": _WHEN, "who": "ann", "action": "node added", "subject": "pacs", "details": "{}"},
    "instances": {
        **dict.fromkeys(("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "TransferSyntaxUID"), "1"),
        "SOPInstanceUID": "1.2.3",
        "path": "1/1.2/1.2.3.dcm",
        "size": 9,
        "sha256": "a",
        "source": "",
        "received": _WHEN,
    },
    "workers": {
        "worker_id": "w",
        "host": "h",
        "pid": 1,
        "ae_title": "A",
        "port": 1,
        "state": "running",
        "started": _WHEN,
        "heartbeat": _WHEN,
    },
}
_TEXTS = ("job_id", "node", "method", "destination", "user", "source", "state", "created", "error")
_COUNTS = ("expected", "stored", "received", "bytes")


@pytest.mark.parametrize("level", [1, 4, 7, 10, 12])
def test_a_state_of_an_older_version_becomes_as_a_fresh_one_with_its_rows(
    where: str, first: sa.Engine, level: int
) -> None:
    with first.begin() as connection:
        for table, values in _ROWS.items():
            connection.execute(sa.table(table, *map(sa.column, values)).insert().values(**values))
        migrate(connection, now="then", migrations=MIGRATIONS[:level])
    with State.open(where) as state:
        assert NodeTable(state).get("pacs").host == "10.1.2.3"
        (query,) = QueryTable(state).list()
        assert (query.query_id, query.row_count, query.outcome) == ("q", 7, "7 rows, complete")
        assert AuditTable(state).list()[0].action == "node added"
        (place,) = InstanceTable(state).places(["1.2.3"])
        assert (place.path, place.size) == ("1/1.2/1.2.3.dcm", 9)
        assert WorkerTable(state).running()[0].site == ""
    with State.open(where) as state, state.reading() as connection:
        migrated = _columns(connection)
        numbers = connection.scalars(sa.select(schema.schema_version.c.number)).all()
        old = JobTable(state).get_summary("old")
        assert (old.paused_by, old.proven, old.why) == (PausedBy.USER, None, ())
    assert sorted(numbers) == [migration.number for migration in MIGRATIONS]
    with first.begin() as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
        assert migrated == _columns(connection)
    first.dispose()
