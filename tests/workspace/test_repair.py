"""Files of a workspace that are damaged or gone: what is said, and what `qrkit repair` makes of it."""

import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

import qrkit
from qrkit.errors import QrkitError, StoreError, StoreInUse, WorkerError
from qrkit.query import build_query
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceTable, index_row
from qrkit.store.queries import FAILED, QueryTable
from qrkit.store.results import Results
from qrkit.store.settling import settle
from qrkit.store.state import FILE_NAME, State
from qrkit.workspace import Workspace
from tests.store.answers import answer, studies
from tests.store.objects import a_dataset, an_arrival, encoded
from tests.workspace.opened import worker_in_thread

OBJECTS = 40
ASKED = build_query(today=date(2026, 1, 31), level="STUDY", PatientID="Q*").to_json()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nodes, objects, two settled answers and a fresh one, that nobody has open."""
    where = tmp_path / "workspace"
    monkeypatch.setenv("QRKIT_WORKSPACE", str(where))
    with qrkit.open(where) as workspace:
        for number in range(30):
            workspace.nodes.add(f"pacs{number}", host="10.1.2.3", port=104, ae_title="P", description="d" * 2000)
        table, files = InstanceTable(workspace._state), FileStore(where / "files", free_space_floor=0)
        for number in range(OBJECTS):
            uid = f"1.2.3.{number}"
            incoming = files.begin(an_arrival(uid))
            incoming.write(memoryview(encoded(a_dataset(uid, pixels=bytes(5000)))))
            table.add_many([index_row(incoming.commit(), source="pacs0")])
        results = Results(workspace._state, where / "results")
        for number in range(2):
            answer(workspace._state, results, studies([f"1.{number}"]), request=ASKED)
        assert settle(workspace._state, results.folder, most_fresh=0) == 2
        answer(workspace._state, results, studies(["1.2"]), request=ASKED)
    return where


def settled(folder: Path) -> Path:
    (file,) = (folder / "results").glob("settled-*.duckdb")
    return file


def forget_parquet(folder: Path) -> None:
    """Have what was settled long ago."""
    with State.open(folder) as state:
        settle(state, folder / "results", delay=-1)


def cut(path: Path, share: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])


def overwrite(path: Path, at: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * size)


def damaged(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.damaged-*")]


def studies_of(folder: Path) -> set[str]:
    with qrkit.open(folder) as workspace:
        return set(workspace.sql("SELECT StudyInstanceUID FROM studies")["StudyInstanceUID"])


def test_a_workspace_that_is_whole_stays_as_it_is(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.dcm")}
    assert str(qrkit.repair()) == "Nothing is damaged."
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.dcm")} == before


@pytest.mark.parametrize(
    "damage", [cut, lambda path: overwrite(path, 8192, 40_000), Path.unlink], ids=["cut", "overwritten", "gone"]
)
def test_settled_answers_that_are_damaged_come_from_the_parquet_files_that_are_still_there(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    file = settled(folder)
    damage(file)
    was_there = file.exists()
    with qrkit.open(folder) as workspace, pytest.raises(StoreError, match="qrkit repair"):
        workspace.sql("SELECT * FROM studies")
    done = qrkit.repair(folder)
    assert (done.is_whole, len(damaged(folder))) == (True, int(was_there))
    assert "2 settled results saved." in done.done
    assert studies_of(folder) == {"1.0", "1.1", "1.2"}
    assert str(qrkit.repair(folder)) == "Nothing is damaged."


def test_answers_that_are_nowhere_else_are_said_to_be_lost_and_the_others_can_be_read(folder: Path) -> None:
    forget_parquet(folder)
    cut(settled(folder))
    done = qrkit.repair(folder)
    assert not done.is_whole
    assert "qrkit queries rerun" in done.lost[0]
    assert len(damaged(folder)) == 1
    assert studies_of(folder) == {"1.2"} | ({"1.0", "1.1"} if "saved" in str(done) else set())
    with State.open(folder) as state:
        lost = QueryTable(state).list(state=FAILED)
        assert all("lost with a damaged file" in row.error for row in lost)
        assert len(lost) == 2


def test_of_a_fresh_answer_that_is_cut_nothing_else_is_lost(folder: Path) -> None:
    with State.open(folder) as state:
        newest = QueryTable(state).list(1)[0]
    cut(folder / "results" / str(newest.result_file))
    done = qrkit.repair(folder)
    assert newest.query_id in done.lost[0]
    assert studies_of(folder) == {"1.0", "1.1"}


def test_settled_answers_of_another_duckdb_are_not_taken_for_damaged(folder: Path) -> None:
    file = settled(folder)
    with file.open("r+b") as opened:
        opened.seek(12)
        opened.write(struct.pack("<Q", 9_999))
    with pytest.raises(StoreError, match="another version of DuckDB"):
        qrkit.repair(folder)
    assert file.exists()
    assert damaged(folder) == []


def test_settled_answers_that_another_program_writes_to_are_not_taken_for_damaged(folder: Path) -> None:
    file = settled(folder)
    held = f"import duckdb, sys; held = duckdb.connect({str(file)!r}); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        told = f"is open for writing in another program, process {other.pid}"
        with pytest.raises(StoreInUse, match=told):
            qrkit.repair(folder)
        with qrkit.open(folder) as workspace, pytest.raises(StoreInUse, match=told):
            workspace.sql("select count(*) from studies")
        other.communicate()
    assert damaged(folder) == []
    assert file.exists()


def test_a_write_ahead_log_that_somebody_left_beside_settled_answers_changes_nothing(folder: Path) -> None:
    settled(folder).with_name(settled(folder).name + ".wal").write_bytes(b"left behind" * 100)
    assert studies_of(folder) == {"1.0", "1.1", "1.2"}


def test_a_state_that_is_gone_is_told_and_what_is_in_the_folder_is_listed_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forget_parquet(folder)
    for path in folder.glob(f"{FILE_NAME}*"):
        path.unlink()
    with qrkit.open(folder) as workspace:
        assert "Add them to the list: qrkit repair." in caplog.text
        assert any("qrkit repair" in problem for problem in workspace.health().problems)
        settle(workspace._state, folder / "results", most_fresh=0)
    assert settled(folder).exists(), "answers that nobody else knows were thrown away"
    done = qrkit.repair(folder)
    assert done.done == (
        f"{OBJECTS} objects in the folder were not listed; now they are.",
        "3 results in the folder and not in the history; now listed.",
    )
    assert studies_of(folder) == {"1.0", "1.1", "1.2"}
    with qrkit.open(folder) as workspace:
        assert len(workspace.files) == OBJECTS
        row = workspace.queries.show(str(workspace.queries.list()["query_id"][0]))
        assert (row.node, row.user, dict(row.request)) == ("pacs", "tester", dict(ASKED))
        assert row.outcome == "1 row, may be incomplete"
    assert str(qrkit.repair(folder)) == "Nothing is damaged."


@pytest.mark.parametrize("damage", ["cut", "a page in the middle", "no database"])
def test_of_a_damaged_state_all_is_saved_that_can_be_read(folder: Path, damage: str) -> None:
    path = folder / FILE_NAME
    if damage == "cut":
        cut(path, 0.85)  # what describes the tables is in the first 300 kB
    elif damage == "no database":
        overwrite(path, 0, 4096)
    else:
        with State.open(folder) as state, state.reading() as connection:
            pages = connection.exec_driver_sql("SELECT pageno FROM dbstat WHERE name = 'instances' ORDER BY pageno")
            page = pages.scalars().all()[-1]
        overwrite(path, (page - 1) * 4096, 4096)
    with pytest.raises(QrkitError, match="qrkit repair"), qrkit.open(folder) as workspace:
        repr(workspace.files.list().to_string() + str(workspace.nodes.list()))
    before = path.read_bytes()
    done = qrkit.repair(folder)
    assert not done.is_whole
    (aside,) = (one for one in folder.glob("*.damaged-*") if not one.name.endswith(("-wal", "-shm")))
    assert aside.read_bytes() == before
    with qrkit.open(folder) as workspace:
        assert len(workspace.files) == OBJECTS
        if damage == "cut":
            assert 0 < len(workspace.nodes) <= 30
        if damage == "a page in the middle":
            assert len(workspace.nodes) == 30
            assert set(workspace.files.list()["source"]) >= {"pacs0"}
    assert studies_of(folder) == {"1.0", "1.1", "1.2"}
    assert str(qrkit.repair(folder)) == "Nothing is damaged."


def test_objects_that_were_cut_are_put_aside_and_those_of_the_same_size_when_all_are_read(folder: Path) -> None:
    one, other, *_ = sorted((folder / "files").rglob("*.dcm"))
    cut(one)
    overwrite(other, other.stat().st_size - 100, 50)
    done = qrkit.repair(folder)
    assert done.lost == ("1 object missing or damaged. Retrieve the series again.",)
    assert [name.partition(".damaged")[0] for name in damaged(folder)] == [one.name]
    qrkit.repair(folder, thorough=True)
    assert {name.partition(".damaged")[0] for name in damaged(folder)} == {one.name, other.name}


def test_nothing_is_repaired_while_a_worker_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRKIT_SITE", workspace.settings.site)
    with worker_in_thread(workspace), pytest.raises(WorkerError, match="worker runs"):
        qrkit.repair(workspace.settings.workspace)
