"""Answers of queries for tests."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from qrkit.query import Coverage
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.store.state import State

STUDY = pa.schema(
    [
        ("StudyInstanceUID", pa.string()),
        ("StudyDate", pa.date32()),
        ("ModalitiesInStudy", pa.list_(pa.string())),
        ("NumberOfStudyRelatedSeries", pa.int64()),
        ("warnings", pa.string()),
    ]
)


def studies(uids: Sequence[str | None], *, series: int = 1) -> pa.RecordBatch:
    """Give a batch with these StudyInstanceUIDs."""
    rows = [
        {
            "StudyInstanceUID": uid,
            "StudyDate": None,
            "ModalitiesInStudy": ["CT", "SR"],
            "NumberOfStudyRelatedSeries": series,
            "warnings": None,
        }
        for uid in uids
    ]
    return pa.RecordBatch.from_pylist(rows, schema=STUDY)


def answer(
    state: State,
    results: Results,
    *batches: pa.RecordBatch,
    node: str = "pacs",
    level: str = "STUDY",
    request: Mapping[str, object] | None = None,
) -> str:
    """Ask and answer a query with these batches, and give its id."""
    queries = QueryTable(state)
    query_id = queries.begin(node, level, request or {}, "tester")
    with results.writer(query_id, schema=batches[0].schema if batches else STUDY) as writer:
        for batch in batches:
            writer.write(batch)
        name = writer.commit()
    queries.finish(query_id, writer.row_count, Coverage(), name)
    return query_id
