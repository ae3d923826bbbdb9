"""What another process does to a workspace in `test_processes`: a task, told by JSON, answered by JSON.

It says that it is ready, waits for a line, does its task and prints what came of it.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from qrkit.errors import NotFound
from qrkit.jobs import ItemOutcome, JobState, NewJob, RetrieveRequest
from qrkit.node import Node
from qrkit.query import Coverage
from qrkit.receipt import Arrival
from qrkit.store import sql
from qrkit.store.files import FileStore, StoredObject
from qrkit.store.instances import InstanceTable, index_row
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import BatchTable, JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryTable
from qrkit.store.results import ResultWriter
from qrkit.store.settling import settle, snapshot, write_generation
from qrkit.store.state import State
from qrkit.tables import Level

_EXIT_DEAD = 9


def open_state(where: str, **_: object) -> str:
    """Open a state, and give its time."""
    with State.open(where) as state:
        return state.now()


def write_everything(where: str, folder: str, me: int, count: int) -> int:
    """Add nodes, answered queries and jobs."""
    with State.open(where) as state:
        for number in range(count):
            NodeTable(state).add(Node(name=f"node {me} {number}", host="h", ae_title="AE"), f"process {me}")
            _answer(state, Path(folder), f"{me}.{number}")
            request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.{me}.{number}")
            JobTable(state).create(NewJob(node="pacs", requests=(request, request)))
    return count


def claim_all(where: str, me: int, associations: int, **_: object) -> tuple[list[int], int]:
    """Claim and finish items until none is left; give their ids, and the most associations seen at a time.

    The first item is held until others have all further associations, so that they surely compete.
    """
    claimed: list[int] = []
    most = 0
    with State.open(where) as state:
        queue, under_way, batches = JobQueue(state), RunningItems(state), BatchTable(state)
        while queue.waiting():
            batch_id = f"{me}.{len(claimed)}"
            items = queue.claim_share(f"worker {me}", {"pacs": associations}, most=1, batch_id=batch_id)
            while items and not claimed and batches.by_node()["pacs"] < associations and queue.waiting():
                pass
            most = max(most, batches.by_node().get("pacs", 0))
            for item in items:  # none: the others have all associations
                claimed.append(item.item_id)
                under_way.progress(item.item_id, ItemOutcome(state=JobState.RUNNING, stored=1))
                under_way.finish_item(
                    item.item_id, ItemOutcome(state=JobState.COMPLETE, expected=1, stored=1, bytes=10)
                )
                batches.end(batch_id)
    return claimed, most


def receive(where: str, folder: str, me: int, objects: list[str], **_: object) -> int:
    """Take objects, told by their UID and the bytes after it, in hexadecimal, and list them."""
    told: list[StoredObject] = []
    store = FileStore(Path(folder), free_space_floor=0, indexed=told.append)
    for entry in objects:
        uid, data_set = entry.split(" ")
        incoming = store.begin(
            Arrival(
                sop_class_uid="1.2.3",
                sop_instance_uid=uid,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                sender=f"PROCESS{me}",
            )
        )
        incoming.write(memoryview(bytes.fromhex(data_set)))
        incoming.commit()
    with State.open(where) as state:
        InstanceTable(state).add_many([index_row(stored) for stored in told])
    return len(told)


def answer_and_settle(where: str, folder: str, me: int, count: int) -> int:
    """Answer queries and settle all that is fresh again and again."""
    with State.open(where) as state:
        for number in range(count):
            _answer(state, Path(folder), f"{me}.{number}")
            settle(state, Path(folder), most_fresh=0)
    return count


def read_all_the_time(where: str, folder: str, count: int, **_: object) -> list[int]:
    """Count the rows again and again, until there are as many as expected, and give all counts."""
    counts = [0]
    with State.open(where) as state:
        while counts[-1] < count:
            table = sql.sql(state, Path(folder), {}, "select count(*) n from study_answers")
            counts.append(int(table["n"][0].as_py()))
    return counts


def die_before_the_row(where: str, folder: str, **_: object) -> None:
    """End without a word after the Parquet file is in its place, before its row."""
    with State.open(where) as state:
        query_id = QueryTable(state).begin("pacs", "STUDY", {}, "tester")
        with _writer(state, Path(folder), query_id) as writer:
            writer.write(_rows("lost"))
            writer.commit()
            os._exit(_EXIT_DEAD)


def die_while_settling(where: str, folder: str, **_: object) -> None:
    """End without a word after the settled file is in its place, before its row."""
    with State.open(where) as state:
        write_generation(Path(folder), snapshot(state))
        os._exit(_EXIT_DEAD)


def die_in_a_transaction(where: str, **_: object) -> None:
    """End without a word while a transaction is open."""
    with State.open(where) as state, state.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'failed'")
        os._exit(_EXIT_DEAD)


def die_while_fetching(where: str, me: int, **_: object) -> None:
    """End without a word while an item is running."""
    with State.open(where) as state:
        if not JobQueue(state).claim_share(f"worker {me}", {"pacs": 1}, most=1):
            raise NotFound("Nothing waits.")
        os._exit(_EXIT_DEAD)


def die_while_receiving(folder: str, objects: list[str], **_: object) -> None:
    """End without a word while an object is being written."""
    store = FileStore(Path(folder), free_space_floor=0)
    uid, data_set = objects[0].split(" ")
    arrival = Arrival(sop_class_uid="1.2.3", sop_instance_uid=uid, transfer_syntax_uid="1.2.840.10008.1.2.1")
    store.begin(arrival).write(memoryview(bytes.fromhex(data_set)))
    os._exit(_EXIT_DEAD)


def _answer(state: State, folder: Path, uid: str) -> None:
    queries = QueryTable(state)
    query_id = queries.begin("pacs", "STUDY", {}, "tester")
    with _writer(state, folder, query_id) as writer:
        writer.write(_rows(uid))
        name = writer.commit()
    queries.finish(query_id, 1, Coverage(), name)


def _writer(state: State, folder: Path, query_id: str) -> ResultWriter:
    asked_at = datetime.fromisoformat(QueryTable(state).get(query_id).started)
    return ResultWriter(folder, query_id=query_id, node="pacs", asked_at=asked_at)


def _rows(uid: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"StudyInstanceUID": uid}])


_TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task
    for task in (
        open_state,
        write_everything,
        claim_all,
        receive,
        answer_and_settle,
        read_all_the_time,
        die_before_the_row,
        die_while_settling,
        die_in_a_transaction,
        die_while_fetching,
        die_while_receiving,
    )
}


def main() -> None:
    """Do the task that stands on the command line."""
    told = json.loads(sys.stdin.readline())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(_TASKS[sys.argv[1]](**told)))


if __name__ == "__main__":
    main()
