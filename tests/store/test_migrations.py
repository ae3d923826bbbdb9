import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from qrkit.errors import StateUnavailable
from qrkit.job import PausedBy
from qrkit.store import schema
from qrkit.store.jobs import JobTable
from qrkit.store.migrations import MIGRATIONS, Migration, is_current, migrate
from qrkit.store.state import FILE_NAME, State


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
    with pytest.raises(StateUnavailable, match=r"version 99; this qrkit knows up to \d+.*pip install --upgrade"):
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


_TEXTS = ("job_id", "node", "method", "destination", "user", "source", "state", "created", "error")
_COUNTS = ("expected", "stored", "received", "bytes")


def test_a_state_of_the_first_version_becomes_as_a_fresh_one(where: str, first: sa.Engine) -> None:
    with State.open(where) as state, state.reading() as connection:
        migrated = _columns(connection)
        numbers = connection.scalars(sa.select(schema.schema_version.c.number)).all()
        assert JobTable(state).get_summary("old").paused_by is PausedBy.USER
    assert sorted(numbers) == [migration.number for migration in MIGRATIONS]
    with first.begin() as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
        assert migrated == _columns(connection)
    first.dispose()
