import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from qrkit.errors import DiskFull, InputError, StateUnavailable, StoreError
from qrkit.store.audit import AuditTable
from qrkit.store.schema import audit, job_items, nodes, plans
from qrkit.store.state import FILE_NAME, State, full_id


def _count(state: State) -> int:
    with state.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(audit)) or 0


def _add(connection: sa.Connection) -> None:
    connection.execute(audit.insert().values(happened="", who="", action="", subject="", details={}))


def test_a_transaction_that_fails_changes_nothing(state: State) -> None:
    def fail() -> None:
        with state.transaction() as connection:
            _add(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _count(state) == 0


def test_what_is_written_is_there_for_another_state(state: State, where: str) -> None:
    with state.transaction() as connection:
        _add(connection)
    with State.open(where) as other:
        assert _count(other) == 1


def test_a_reader_sees_one_moment_and_never_waits_for_the_writer(state: State) -> None:
    wanted = sa.select(sa.func.count()).select_from(audit)
    with state.reading() as connection:
        before = connection.scalar(wanted)
        with state.transaction() as writing:
            _add(writing)
        assert connection.scalar(wanted) == before == 0
    assert _count(state) == 1


def test_a_connection_in_use_while_the_state_is_closed_is_closed_after_its_use(where: str) -> None:
    state = State.open(where)
    with state.reading() as connection:
        driver = connection.connection.driver_connection
        state.close()
        assert connection.scalar(sa.select(sa.func.count()).select_from(nodes)) == 0
    assert driver is not None
    with pytest.raises(Exception, match="closed"):
        driver.cursor()


def test_a_connection_taken_after_the_state_was_closed_is_closed_after_its_use(where: str) -> None:
    state = State.open(where)
    state.close()
    with state.reading() as connection:
        driver = connection.connection.driver_connection
        assert connection.scalar(sa.select(sa.func.count()).select_from(nodes)) == 0
    assert driver is not None
    with pytest.raises(Exception, match="closed"):
        driver.cursor()


def test_writers_wait_for_one_another(state: State) -> None:
    def write() -> None:
        for _ in range(10):
            with state.transaction() as connection:
                _add(connection)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert _count(state) == 40


def test_foreign_keys_are_enforced(state: State) -> None:
    item = {"job_id": "none", "position": 0, "sop_instance_uids": [], "expected_uids": [], "missing": []}
    with pytest.raises(StoreError, match="refused a change"), state.transaction() as connection:
        connection.execute(job_items.insert().values(item))


def test_an_error_of_the_database_never_shows_values(state: State) -> None:
    same = [{"name": "n", "settings": {"host": "secret"}, "created": "", "folder": ""}] * 2
    with pytest.raises(StoreError) as raised, state.transaction() as connection:
        connection.execute(nodes.insert(), same)
    assert "secret" not in str(raised.value)
    assert "secret" not in str(raised.value.__cause__)


def test_a_full_disk_is_told_as_such(sqlite_state: State) -> None:
    def fill() -> None:
        with sqlite_state.transaction() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(audit.insert(), [{"subject": "x" * 1000, "details": {}}] * 1000)

    with pytest.raises(DiskFull, match="Make room"):
        fill()


def test_times_are_utc_text_that_sorts(tmp_path: Path) -> None:
    with State.open(tmp_path, clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) as state:
        assert state.now() == "2026-01-02T03:04:05.000000+00:00"


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("I am a shopping list, and long enough to have a header of its own.\n" * 50)
    with pytest.raises(StateUnavailable, match=r"cannot be used: file is not a database\."):
        State.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StateUnavailable, match="cannot be made"):
        State.open(tmp_path / "taken" / "workspace")


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_unavailable_and_its_password_is_not_shown() -> None:
    with pytest.raises(StateUnavailable, match="cannot be used") as raised:
        State.open("postgresql://qrkit:hidden@127.0.0.1:1/qrkit")
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("url", ["mysql://host/database", "sqlite://", "sqlite:///:memory:", "://"])
def test_other_databases_are_refused_with_advice(url: str) -> None:
    with pytest.raises(InputError, match="Give postgresql://"):
        State.open(url)


def test_an_sqlite_url_names_the_file(tmp_path: Path) -> None:
    State.open(f"sqlite:///{tmp_path / 'other.sqlite'}").close()
    assert (tmp_path / "other.sqlite").exists()


def test_a_backup_made_while_it_is_used_is_whole(sqlite_state: State, tmp_path: Path) -> None:
    AuditTable(sqlite_state).write("me", "before", "the backup")
    with (
        closing(sqlite3.connect(str(sqlite_state.engine.url.database))) as source,
        closing(sqlite3.connect(tmp_path / "backup.sqlite")) as copy,
    ):
        source.backup(copy)  # what sqlite3's .backup does
    AuditTable(sqlite_state).write("me", "after", "the backup")
    with State.open(f"sqlite:///{tmp_path / 'backup.sqlite'}") as restored:
        assert [row.action for row in AuditTable(restored).list()] == ["before"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
def test_people_of_one_group_share_a_state_where_their_umask_says_so(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        with State.open(tmp_path / "shared") as state, state.transaction():
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "shared").iterdir()}
    finally:
        os.umask(before)
    assert len(modes) >= 3
    assert set(modes.values()) == {0o660}, modes


def test_an_id_that_several_begin_with_is_refused_in_one_line(tmp_path: Path) -> None:
    ids = ("abcdef" + "0" * 26, "abcdef" + "1" * 26)
    with State.open(tmp_path) as state, state.transaction() as connection:
        for plan_id in ids:
            values: dict[str, object] = {
                "plan_id": plan_id,
                "node": "pacs",
                "user": "ann",
                "created": "",
                "folder": "",
            }
            json: dict[str, object] = {
                "request": {},
                "coverage": {},
                "funnel": [],
                "notes": [],
                "cost": {},
            }
            connection.execute(plans.insert().values(values | json))
        assert full_id(connection, plans.c.plan_id, "ABCDEF1") == ids[1]
        assert [full_id(connection, plans.c.plan_id, given) for given in ("abcde", "ffffff")] == ["abcde", "ffffff"]
        with pytest.raises(InputError) as raised:
            full_id(connection, plans.c.plan_id, "abcdef")
    assert str(raised.value) == "Several ids begin with abcdef. Give more characters."
