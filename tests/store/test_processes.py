import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qrkit.jobs import JobState, NewJob, RetrieveRequest
from qrkit.node import Node
from qrkit.store import sql
from qrkit.store.audit import AuditTable
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceTable
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryTable
from qrkit.store.settling import settle
from qrkit.store.state import State
from qrkit.tables import Level
from tests.store import another_process
from tests.store.objects import a_dataset, encoded

_LIMIT = 120.0
_DEAD = 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the results, or of the files."""
    return tmp_path / "folder"


def _at_once(tasks: Sequence[tuple[str, dict[str, Any]]], *, status: int = 0) -> list[Any]:
    """Do tasks in processes of their own, which all start when the last is ready; give what they answer."""
    processes = [
        subprocess.Popen(
            [sys.executable, another_process.__file__, task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for task, _ in tasks
    ]
    try:
        for process, (_, told) in zip(processes, tasks, strict=True):
            _tell(process, json.dumps(told))
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            _tell(process, "go")
        return [_answer(process, status) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str], status: int) -> object:
    answer, error = process.communicate(timeout=_LIMIT)
    assert process.returncode == status, error
    return json.loads(answer) if answer else None


def _object(uid: str, description: str) -> str:
    return f"{uid} {encoded(a_dataset(uid, SeriesDescription=description)).hex()}"


def test_six_processes_open_a_fresh_workspace_at_once(where: str) -> None:
    assert len(_at_once([("open_state", {"where": where})] * 6)) == 6
    with State.open(where) as state:
        assert JobTable(state).list() == ()


def test_six_processes_write_everything_at_once_and_nothing_is_lost(where: str, folder: Path) -> None:
    told = [{"where": where, "folder": str(folder), "me": me, "count": 15} for me in range(6)]
    assert _at_once([("write_everything", entry) for entry in told]) == [15] * 6
    with State.open(where) as state:
        assert len(NodeTable(state).list()) == 90
        assert len(AuditTable(state).list(limit=1000)) == 90
        assert {query.state for query in QueryTable(state).list(limit=1000)} == {"done"}
        assert len(JobTable(state).list(limit=1000)) == 90
        assert JobQueue(state).waiting() == 180
        rows = sql.sql(state, folder, {}, "select count(distinct StudyInstanceUID) n from studies").to_pylist()
    assert rows == [{"n": 90}]


def test_no_item_is_ever_claimed_twice_nor_an_association_too_many(where: str) -> None:
    with State.open(where) as state:
        NodeTable(state).add(Node(name="pacs", host="h", ae_title="AE"), "somebody")
        requests = tuple(RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.{number}") for number in range(20))
        ids = [JobTable(state).create(NewJob(node="pacs", requests=requests)) for _ in range(2)]
        told = [("claim_all", {"where": where, "me": me, "associations": 2}) for me in range(4)]
        claimed, seen = zip(*_at_once(told), strict=True)
        assert max(seen) == 2
        assert sorted(item_id for items in claimed for item_id in items) == [
            item.item_id for job_id in ids for item in JobTable(state).get(job_id).items
        ]
        assert sum(bool(items) for items in claimed) > 1
        for job_id in ids:
            job = JobTable(state).get(job_id)
            assert (job.state, job.stored, job.bytes) == (JobState.COMPLETE, 20, 200)
            assert {item.attempts for item in job.items} == {1}


def test_processes_that_receive_the_same_objects_at_once_keep_every_version_once(where: str, folder: Path) -> None:
    same = [_object(f"1.2.3.{number}", "one version") for number in range(100)]
    other = [_object(f"1.2.3.{number}", "another version") for number in range(100)]
    told = [
        {"where": where, "folder": str(folder), "me": me, "objects": objects}
        for me, objects in enumerate([same, other, same, other])
    ]
    assert _at_once([("receive", entry) for entry in told]) == [100] * 4
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert len(files) == 200
    with State.open(where) as state:
        assert InstanceTable(state).count() == 200
        rows = InstanceTable(state).list()
    assert {folder / row.path for row in rows} == set(files)


def test_an_answer_whose_process_ended_before_the_row_is_invisible_and_no_error(where: str, folder: Path) -> None:
    told = {"where": where, "folder": str(folder)}
    _at_once([("die_before_the_row", told)], status=_DEAD)
    assert len(list(folder.rglob("*.parquet"))) == 1
    with State.open(where) as state:
        assert sql.sql(state, folder, {}, "select * from studies").num_rows == 0
        assert [query.state for query in QueryTable(state).list()] == ["running"]
        _at_once([("write_everything", told | {"me": 1, "count": 2})])
        assert sql.sql(state, folder, {}, "select * from studies").num_rows == 2


def test_a_process_that_ends_while_settling_loses_nothing(where: str, folder: Path) -> None:
    told = {"where": where, "folder": str(folder)}
    _at_once([("write_everything", told | {"me": 1, "count": 3})])
    _at_once([("die_while_settling", told)], status=_DEAD)
    assert len(list(folder.glob("*.duckdb"))) == 1
    with State.open(where) as state:
        assert sql.sql(state, folder, {}, "select * from studies").num_rows == 3
        assert settle(state, folder, most_fresh=0) == 3
        assert len(list(folder.glob("*.duckdb"))) == 1
        assert sql.sql(state, folder, {}, "select * from studies").num_rows == 3


def test_a_process_that_ends_in_a_transaction_has_changed_nothing(where: str) -> None:
    with State.open(where) as state:
        request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
        job_id = JobTable(state).create(NewJob(node="pacs", requests=(request,)))
        _at_once([("die_in_a_transaction", {"where": where})], status=_DEAD)
        assert JobTable(state).get(job_id).state is JobState.QUEUED
        assert JobQueue(state).claim_share("w", {"pacs": 1}, most=1)


def test_what_a_dead_worker_was_fetching_is_fetched_by_another(where: str) -> None:
    with State.open(where) as state:
        jobs = JobTable(state)
        request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
        job_id = jobs.create(NewJob(node="pacs", requests=(request,)))
        _at_once([("die_while_fetching", {"where": where, "me": 1})], status=_DEAD)
        queue = JobQueue(state)
        assert queue.claim_share("worker 2", {"pacs": 1}, most=1) == ()
        assert queue.requeue_orphans(["worker 2"]) == 1
        (item,) = queue.claim_share("worker 2", {"pacs": 1}, most=1)
        assert (item.job_id, item.attempts) == (job_id, 2)


def test_an_object_whose_receiver_ended_is_swept(folder: Path) -> None:
    big = f"1.2.3.1 {encoded(a_dataset(pixels=bytes(100_000))).hex()}"
    _at_once([("die_while_receiving", {"folder": str(folder), "objects": [big]})], status=_DEAD)
    store = FileStore(folder, free_space_floor=0)
    assert len(list(store.incoming.iterdir())) == 1
    assert store.sweep() == 1
    assert list(store.incoming.iterdir()) == []


def test_readers_in_other_processes_never_lose_a_row_while_answers_are_settled(where: str, folder: Path) -> None:
    writers = [
        ("answer_and_settle", {"where": where, "folder": str(folder), "me": me, "count": 12}) for me in range(3)
    ]
    readers = [("read_all_the_time", {"where": where, "folder": str(folder), "count": 36})] * 2
    counts = _at_once([*writers, *readers])[3:]
    for seen in counts:
        assert seen == sorted(seen)
        assert seen[-1] == 36
