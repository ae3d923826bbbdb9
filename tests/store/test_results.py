import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qrkit.errors import DiskFull, InputError, NotFound, StoreError
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results, ResultWriter
from qrkit.store.state import State
from tests.store.answers import STUDY, answer, studies

_ASKED = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=2)))


def _writer(folder: Path) -> ResultWriter:
    return ResultWriter(folder, query_id="q1", node="pacs", asked_at=_ASKED)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_batches_become_one_file_named_by_year_and_query(tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        writer.write(studies(["1.2", "1.3"]))
        writer.write(pa.Table.from_batches([studies(["1.4"])]))
        assert writer.commit() == "2026/q1.parquet"
        assert writer.row_count == 3
    assert _files(tmp_path) == ["2026/q1.parquet"]
    metadata = pq.read_metadata(tmp_path / "2026/q1.parquet")
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert metadata.num_row_groups == 1


def test_every_row_carries_query_node_and_the_time_in_utc(tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        writer.write(studies(["1.2"]))
        name = writer.commit()
    table = pq.read_table(tmp_path / name)
    assert table.column_names == ["query_id", "node", "asked_at", *STUDY.names]
    row = table.to_pylist()[0]
    assert (row["query_id"], row["node"]) == ("q1", "pacs")
    assert row["asked_at"] == datetime(2026, 3, 1, 7, 30)  # noqa: DTZ001 - UTC, without a zone
    assert row["ModalitiesInStudy"] == ["CT", "SR"]


def test_an_answer_that_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with _writer(tmp_path) as writer:
            for _ in range(70):
                writer.write(studies([str(number) for number in range(1000)]))
            assert _files(tmp_path) == ["2026/q1.parquet.part"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _files(tmp_path) == []


def test_batches_of_different_columns_are_refused(tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        writer.write(studies(["1.2"]))
        with pytest.raises(StoreError, match="different columns"):
            writer.write(pa.RecordBatch.from_pylist([{"StudyInstanceUID": "1.2"}]))


def test_reserved_columns_are_the_writers_own(tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        writer.write(pa.RecordBatch.from_pylist([{"node": "mine"}]))
        with pytest.raises(StoreError, match="cannot have node"):
            writer.commit()


def test_an_answer_without_rows_has_its_columns(results: Results, sqlite_state: State) -> None:
    table = results.read(answer(sqlite_state, results))
    assert table.num_rows == 0
    assert table.schema.field("StudyDate").type == pa.date32()


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")
    with _writer(tmp_path / "results") as writer, pytest.raises(StoreError, match="cannot be written"):
        writer.commit()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "q1.parquet.part").symlink_to("/dev/full")
    with _writer(tmp_path) as writer:
        writer.write(studies(["1.2"]))
        with pytest.raises(DiskFull, match="cannot be written"):
            writer.commit()
    assert _files(tmp_path) == []


def test_an_answer_is_read_as_it_was_written(results: Results, sqlite_state: State) -> None:
    query_id = answer(sqlite_state, results, studies(["1.2", None]), studies(["1.4"]))
    table = results.read(query_id)
    assert table["StudyInstanceUID"].to_pylist() == ["1.2", None, "1.4"]
    assert set(table["query_id"].to_pylist()) == {query_id}


@pytest.mark.slow
def test_a_page_has_the_rows_asked_for_across_row_groups(results: Results, sqlite_state: State) -> None:
    batches = [studies([str(number) for number in range(start, start + 50_000)]) for start in (0, 50_000, 100_000)]
    query_id = answer(sqlite_state, results, *batches)
    assert pq.read_metadata(next(results.folder.rglob("*.parquet"))).num_row_groups > 1
    for offset, limit in [(0, 10), (65_530, 12), (99_999, 2), (149_998, 10), (200_000, 5), (7, 0)]:
        uids = results.read_page(query_id, offset, limit)["StudyInstanceUID"].to_pylist()
        assert uids == [str(number) for number in range(offset, min(offset + limit, 150_000))]


def test_a_page_before_the_first_row_is_refused(results: Results, sqlite_state: State) -> None:
    query_id = answer(sqlite_state, results)
    with pytest.raises(InputError, match="starts at row 0"):
        results.read_page(query_id, -1, 10)


def test_a_query_that_has_not_finished_has_no_answer(results: Results, sqlite_state: State) -> None:
    queries = QueryTable(sqlite_state)
    query_id = queries.begin("pacs", "STUDY", {}, "ann")
    with results.writer(query_id) as writer:
        writer.write(studies(["1.2"]))
        writer.commit()
    with pytest.raises(NotFound, match="has no result: it is running"):
        results.read(query_id)
    queries.fail(query_id, "The node was lost.")
    with pytest.raises(NotFound, match=r"it is failed: The node was lost\. Run"):
        results.read(query_id)


def test_an_answer_whose_file_was_taken_away_says_so(results: Results, sqlite_state: State) -> None:
    query_id = answer(sqlite_state, results)
    next(results.folder.rglob("*.parquet")).unlink()
    with pytest.raises(StoreError, match="is gone"):
        results.read(query_id)


def test_a_damaged_answer_is_a_store_error(results: Results, sqlite_state: State) -> None:
    query_id = answer(sqlite_state, results)
    next(results.folder.rglob("*.parquet")).write_bytes(b"not parquet")
    with pytest.raises(StoreError, match="cannot be read"):
        results.read(query_id)


def test_the_year_is_that_of_utc(tmp_path: Path) -> None:
    late = datetime(2026, 12, 31, 23, 30, tzinfo=timezone(-timedelta(hours=2)))
    with ResultWriter(tmp_path, query_id="q", node="n", asked_at=late, schema=STUDY) as writer:
        assert writer.commit() == f"{late.astimezone(UTC):%Y}/q.parquet" == "2027/q.parquet"


def test_warnings_travel_with_their_rows(results: Results, sqlite_state: State) -> None:
    row = {"StudyInstanceUID": "1.2", "warnings": json.dumps(["InstanceNumber is no integer"])}
    batch = pa.RecordBatch.from_pylist([row], schema=STUDY)
    table = results.read(answer(sqlite_state, results, batch))
    assert json.loads(table["warnings"][0].as_py()) == ["InstanceNumber is no integer"]
