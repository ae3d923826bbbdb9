import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock

from qrkit.errors import StoreError
from qrkit.store import sql
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.store.settling import Snapshot, adopt_generation, settle, snapshot, write_generation
from qrkit.store.state import State
from tests.store.answers import STUDY, answer, studies
from tests.store.conftest import Clock


def _count(state: State, results: Results, table: str = "study_answers") -> int:
    answered = sql.sql(state, results.folder, {"STUDY": STUDY}, f"select count(*) n from {table}")  # noqa: S608 - ours
    return int(answered["n"][0].as_py())


def _names(results: Results) -> list[str]:
    return sorted(path.name for path in results.folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _settle(state: State, results: Results, *, delay: float = 900.0) -> int:
    return settle(state, results.folder, most_fresh=0, delay=delay)


def test_few_answers_stay_as_they_are(sqlite_state: State, results: Results) -> None:
    answer(sqlite_state, results, studies(["1"]))
    assert settle(sqlite_state, results.folder) == 0
    assert snapshot(sqlite_state).settled is None


@pytest.mark.slow
def test_settling_changes_nothing_for_those_who_ask(sqlite_state: State, results: Results) -> None:
    ids = [
        answer(sqlite_state, results, studies([f"{n}.{m}" for m in range(50)]), node=f"n{n % 2}") for n in range(5)
    ]
    ids.append(answer(sqlite_state, results))
    other = pa.RecordBatch.from_pylist([{"SeriesInstanceUID": "7", "InstitutionName": "x"}])
    ids.append(answer(sqlite_state, results, other, level="SERIES"))
    before = [results.read(query_id) for query_id in ids]
    page = results.read_page(ids[1], 10, 5)
    assert _settle(sqlite_state, results) == 7
    assert snapshot(sqlite_state).fresh == ()
    for query_id, table in zip(ids, before, strict=True):
        assert results.read(query_id).equals(table)
    assert results.read_page(ids[1], 10, 5).equals(page)
    assert _count(sqlite_state, results) == 250
    assert _count(sqlite_state, results, "series") == 1


def test_settled_and_fresh_answers_are_one_table(sqlite_state: State, results: Results) -> None:
    answer(sqlite_state, results, studies(["1", "2"], series=1))
    _settle(sqlite_state, results)
    answer(sqlite_state, results, studies(["2"], series=9))
    rows = sql.sql(
        sqlite_state,
        results.folder,
        {},
        "select StudyInstanceUID u, NumberOfStudyRelatedSeries n from studies order by 1",
    )
    assert rows.to_pylist() == [{"u": "1", "n": 1}, {"u": "2", "n": 9}]


@pytest.mark.slow
def test_each_generation_has_all_answers_before_it(sqlite_state: State, results: Results, clock: Clock) -> None:
    ids = []
    for generation in range(1, 4):
        ids += [answer(sqlite_state, results, studies([f"{generation}.{n}"])) for n in range(3)]
        assert _settle(sqlite_state, results) == 3
        assert snapshot(sqlite_state).number == generation
        clock.turn_on(3600)
    assert _count(sqlite_state, results) == 9
    assert [results.read(query_id).num_rows for query_id in ids] == [1] * 9
    assert QueryTable(sqlite_state).get(ids[0]).settled_in == 1


def test_what_was_settled_is_removed_later(sqlite_state: State, results: Results, clock: Clock) -> None:
    ids = [answer(sqlite_state, results, studies(["1"]))]
    _settle(sqlite_state, results)
    ids.append(answer(sqlite_state, results, studies(["2"])))
    _settle(sqlite_state, results)
    assert len([name for name in _names(results) if name.endswith(".parquet")]) == 2
    assert len([name for name in _names(results) if name.endswith(".duckdb")]) == 2
    clock.turn_on(1000)
    _settle(sqlite_state, results)
    assert [Path(name).suffix for name in _names(results)] == [".duckdb"]
    assert QueryTable(sqlite_state).get(ids[0]).result_file is None
    assert [results.read(query_id)["StudyInstanceUID"].to_pylist() for query_id in ids] == [["1"], ["2"]]


def test_a_reader_goes_on_reading_what_it_began_with(sqlite_state: State, results: Results, clock: Clock) -> None:
    answer(sqlite_state, results, studies(["1"]))
    _settle(sqlite_state, results)
    answer(sqlite_state, results, studies(["2"]))
    with sql.connect(sqlite_state, results.folder, {}) as connection:
        _settle(sqlite_state, results)
        clock.turn_on(600)
        _settle(sqlite_state, results)
        assert connection.execute("select count(*) from studies").fetchall() == [(2,)]


def test_another_process_that_settles_is_not_waited_for(sqlite_state: State, results: Results) -> None:
    answer(sqlite_state, results, studies(["1"]))
    with FileLock(results.folder / ".settle.lock"):
        assert _settle(sqlite_state, results) == 0
    assert _settle(sqlite_state, results) == 1


def test_a_column_whose_type_changed_comes_back_as_it_was(sqlite_state: State, results: Results) -> None:
    number = pa.RecordBatch.from_pylist([{"StudyInstanceUID": "1", "Private": 5}])
    text = pa.RecordBatch.from_pylist([{"StudyInstanceUID": "2", "Private": "five"}])
    ids = [answer(sqlite_state, results, batch) for batch in (number, text)]
    before = [results.read(query_id) for query_id in ids]
    _settle(sqlite_state, results)
    assert all(results.read(query_id).equals(table) for query_id, table in zip(ids, before, strict=True))


def test_a_missing_answer_stops_the_settling_and_leaves_all_as_it_was(sqlite_state: State, results: Results) -> None:
    answer(sqlite_state, results, studies(["1"]))
    kept = answer(sqlite_state, results, studies(["2"]))
    next(path for path in results.folder.rglob("*.parquet") if path.stem != kept).unlink()
    with pytest.raises(StoreError):
        _settle(sqlite_state, results)
    assert snapshot(sqlite_state).number == 0
    assert _names(results) == [f"{kept}.parquet"]
    assert results.read(kept).num_rows == 1


def test_a_second_settler_without_the_lock_loses_and_nothing_else(sqlite_state: State, results: Results) -> None:
    answer(sqlite_state, results, studies(["1"]))
    before = snapshot(sqlite_state)
    ours, theirs = (write_generation(results.folder, before) for _ in range(2))
    adopt_generation(sqlite_state, before, theirs)
    with pytest.raises(StoreError):
        adopt_generation(sqlite_state, before, ours)
    assert snapshot(sqlite_state).settled == theirs
    assert _count(sqlite_state, results) == 1


def test_whoever_loses_against_another_machine_leaves_no_file(
    sqlite_state: State, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(sqlite_state, results, studies(["1"]))

    def write_after_another(folder: Path, before: Snapshot) -> str:
        adopt_generation(sqlite_state, before, write_generation(folder, before))
        return write_generation(folder, before)

    monkeypatch.setattr("qrkit.store.settling.write_generation", write_after_another)
    with pytest.raises(StoreError):
        _settle(sqlite_state, results)
    assert [name for name in _names(results) if name.endswith(".duckdb")] == [snapshot(sqlite_state).settled]


def test_parts_of_answers_that_were_never_finished_are_removed_after_a_day(
    sqlite_state: State, results: Results
) -> None:
    answer(sqlite_state, results, studies(["1"]))
    parts = [results.folder / "2026" / f"{name}.parquet.part" for name in ("old", "new")]
    for part in parts:
        part.write_bytes(b"x")
    os.utime(parts[0], (time.time() - 90_000,) * 2)
    _settle(sqlite_state, results)
    assert [part.exists() for part in parts] == [False, True]


@pytest.mark.slow
def test_readers_never_miss_a_row_while_answers_are_settled(sqlite_state: State, results: Results) -> None:
    known = [answer(sqlite_state, results, studies([str(n)])) for n in range(3)]
    failures: list[str] = []
    done = threading.Event()

    def read() -> None:
        least = 3
        while not done.is_set():
            count = _count(sqlite_state, results)
            if count < least or any(results.read(query_id).num_rows != 1 for query_id in known):
                failures.append(f"{count} rows after {least}")
            least = count

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for n in range(3, 20):
            answer(sqlite_state, results, studies([str(n)]))
            if n % 3 == 0:
                _settle(sqlite_state, results)
    finally:
        done.set()
        for reader in readers:
            reader.join(60)
    assert failures == []
    assert _count(sqlite_state, results) == 20
