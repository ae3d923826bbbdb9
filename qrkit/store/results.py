"""The answers of queries: one Parquet file each, written once, never changed.

``<folder>/<yyyy>/<query_id>.parquet`` is written under a temporary name, renamed, and becomes visible when
`qrkit.store.queries.QueryTable.finish` names it. Besides the columns named by DICOM keyword, every answer has the
reserved ones `query_id`, `node`, `asked_at` (UTC, without a zone: DuckDB needs pytz for the other kind) and,
where the batches bring it, `warnings` (JSON list of texts, or null).

While a query is under way, a `Spool` keeps its answers on disk as they arrive, so that they need no memory and
outlive a crash. Few answers that arrive quickly never reach the disk. Others are written to
``<folder>/<query_id>-<number>.answers``, a file for each schema. It is an Arrow IPC stream without an end, so what a
process left behind is readable up to the last whole batch. Tables are read back by memory mapping.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound, StoreError
from qrkit.store.duckdb_file import read_from
from qrkit.store.quarantine import writing
from qrkit.store.queries import DONE, SPOOL_ENDING, QueryRow, QueryTable
from qrkit.store.settling import snapshot
from qrkit.store.state import State

ADDED = pa.schema([("query_id", pa.string()), ("node", pa.string()), ("asked_at", pa.timestamp("us"))])
"""The columns that the writer adds, in front of the others."""

WARNINGS = pa.field("warnings", pa.string())
"""The reserved column that is part of the batches."""

ASKED = "qrkit"
"""Key of the file's metadata for the query as JSON: level, request and user."""

_ROWS_PER_GROUP = 65_536


class ResultWriter:
    """Writes the answer of one query, batch by batch; without `commit` it leaves nothing."""

    def __init__(
        self,
        folder: Path,  # of the results
        *,
        query_id: str,
        node: str,
        asked_at: datetime,  # with its time zone
        schema: pa.Schema | None = None,  # of the batches; if it is None, that of the first batch
        asked: Mapping[str, Any] | None = None,  # the request and the user, which the file keeps if the state is lost
    ) -> None:
        self._folder = folder
        self._name = f"{asked_at.astimezone(UTC):%Y}/{query_id}.parquet"
        self._values = (query_id, node, asked_at.astimezone(UTC).replace(tzinfo=None))
        self._schema = schema
        self._asked = dict(asked or {})
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._parquet: pq.ParquetWriter | None = None
        self._part = folder / f"{self._name}.part"
        self.row_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the file is thrown away, now or by the next settling
            if self._parquet is not None:
                self._parquet.close()
        with suppress(OSError):
            self._part.unlink()

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows.

        Raises DiskFull if the disk is full; StoreError if the columns differ from those of the batches before, or it
        cannot be written.
        """
        if self._schema is None:
            self._schema = batch.schema
        if not batch.schema.equals(self._schema):
            raise StoreError(
                f"The batches of query {self._values[0]} have different columns: {batch.schema.names} "
                f"after {self._schema.names}."
            )
        self._waiting.append(batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch]))
        self._waiting_rows += batch.num_rows
        self.row_count += batch.num_rows
        if self._waiting_rows >= _ROWS_PER_GROUP:
            self._flush()

    def commit(self) -> str:
        """Put the file in its place and return its name, relative to the folder, for `QueryTable.finish`.

        Raises DiskFull or StoreError if it cannot be written.
        """
        parquet = self._flush()
        with writing(f"The result of query {self._values[0]}"):
            parquet.close()
            self._parquet = None
            with self._part.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut might leave a row without its answer
            self._part.replace(self._folder / self._name)
        return self._name

    def _flush(self) -> pq.ParquetWriter:
        """Write what waits: small batches would become small row groups, which are slow to read."""
        schema = self._schema if self._schema is not None else pa.schema([])
        rows = pa.concat_tables([schema.empty_table(), *self._waiting])
        with writing(f"The result of query {self._values[0]}"):
            if self._parquet is None:
                self._part.parent.mkdir(parents=True, exist_ok=True)
                told = result_schema(schema)
                told = told.with_metadata({**(told.metadata or {}), ASKED: json.dumps(self._asked)})
                self._parquet = pq.ParquetWriter(self._part, told, compression="zstd")
            self._parquet.write_table(self._with_added(rows), row_group_size=_ROWS_PER_GROUP)
        self._waiting.clear()
        self._waiting_rows = 0
        return self._parquet

    def _with_added(self, rows: pa.Table) -> pa.Table:
        added = [
            pa.repeat(pa.scalar(value, field.type), self._waiting_rows)
            for value, field in zip(self._values, ADDED, strict=True)
        ]
        return pa.table([*added, *rows.columns], schema=result_schema(rows.schema))


class Results:
    """The answers of a workspace; their files are in `folder`."""

    def __init__(self, state: State, folder: Path) -> None:
        self.folder = folder
        self._state = state

    def writer(self, query_id: str, *, schema: pa.Schema | None = None) -> ResultWriter:
        """Return the writer for the answer of a query that is running. Raises NotFound if there is no such query."""
        query = QueryTable(self._state).get(query_id)
        return ResultWriter(
            self.folder,
            query_id=query_id,
            node=query.node,
            asked_at=datetime.fromisoformat(query.started),
            schema=schema,
            asked={"level": query.level, "request": dict(query.request), "user": query.user},
        )

    def read(self, query_id: str) -> pa.Table:
        """Return the answer of a query. Raises NotFound if there is no such query, or it has no answer."""
        return self._read(query_id, 0, None)

    def read_page(self, query_id: str, offset: int, limit: int) -> pa.Table:
        """Return some rows of the answer of a query, from row `offset` (0 is the first), at most `limit`.

        Raises NotFound if there is no such query, or it has no answer; InputError if offset or limit is negative.
        """
        if offset < 0 or limit < 0:
            raise InputError(f"A page starts at row 0 or later and has 0 rows or more, not {offset} and {limit}.")
        return self._read(query_id, offset, limit)

    def _read(self, query_id: str, offset: int, limit: int | None) -> pa.Table:
        """Read the result from the file that the state names.

        It may be settled, and much later its file deleted, after the state was asked: then the state knows
        better by now.
        """
        query = self._answered(query_id)
        query_id = query.query_id
        if query.settled_in is None:
            try:
                return _read_parquet(self.folder / str(query.result_file), offset, limit)
            except FileNotFoundError as error:
                query = self._answered(query_id)
                if query.settled_in is None:
                    raise StoreError(
                        f"The result of query {query_id} is gone: {self.folder / str(query.result_file)} "
                        "is not there.",
                        advice=Advice(
                            "Restore the results folder, or run the query again", Action.RERUN_QUERY, query_id
                        ),
                    ) from error
        return read_from(self.folder / str(snapshot(self._state).settled), query_id, offset, limit)

    def _answered(self, query_id: str) -> QueryRow:
        query = QueryTable(self._state).get(query_id)
        if query.state != DONE:
            raise NotFound(
                f"Query {query_id} has no result: it is {query.outcome.rstrip('.')}.",
                advice=Advice(action=Action.RERUN_QUERY, subject=query_id),
            )
        return query


def result_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of an answer whose batches have this one.

    Raises StoreError if the batches bring a reserved column that is not theirs.
    """
    taken = sorted(set(schema.names) & set(ADDED.names))
    if taken:
        raise StoreError(f"The batches of a result cannot have {', '.join(taken)}: the writer adds them.")
    return pa.schema([*ADDED, *schema], metadata=schema.metadata)


def _read_parquet(path: Path, offset: int, limit: int | None) -> pa.Table:
    """Read rows of a Parquet file, and of its row groups only those that have them."""
    try:
        with pq.ParquetFile(path) as parquet:
            if limit is None:
                return parquet.read().slice(offset)
            groups, before, seen = [], 0, 0
            for number in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(number).num_rows
                if seen + rows <= offset:
                    before += rows
                elif seen < offset + limit:
                    groups.append(number)
                seen += rows
            return parquet.read_row_groups(groups).slice(offset - before, limit)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The result {path} cannot be read: {error}.") from error


_MOST_WAITING = 4_194_304
"""Bytes that wait in memory at most."""

_OLDEST = 5.0
"""Seconds that answers wait in memory, until the next ones."""


class Batch:
    """One batch of answers: `content` in memory, or None if it is in a file from `offset`."""

    __slots__ = ("content", "offset", "schema")

    def __init__(self, content: pa.RecordBatch) -> None:
        self.content: pa.RecordBatch | None = content
        self.schema: pa.Schema = content.schema
        self.offset = 0


class Spool:
    """The answers of one query, in batches, from any thread; its files are removed at the end of the block."""

    def __init__(self, folder: Path, query_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._query_id = query_id
        self._clock = clock
        self._files: list[tuple[pa.Schema, Path, BinaryIO]] = []
        self._waiting: list[Batch] = []
        self._size = 0
        self._since = 0.0
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, path, file in self._files:
            with suppress(OSError):
                file.close()
            with suppress(OSError):  # Windows removes no file that is mapped; the next reader of the history does
                path.unlink()
        self._files.clear()

    def add(self, content: pa.RecordBatch) -> Batch:
        """Keep a batch. Raises DiskFull or StoreError if it cannot be written."""
        batch = Batch(content)
        with self._lock:
            now = self._clock()
            self._since = self._since if self._waiting else now
            self._waiting.append(batch)
            self._size += content.nbytes
            if self._size >= _MOST_WAITING or now - self._since >= _OLDEST:
                self._write()
        return batch

    def table(self, batches: Sequence[Batch]) -> pa.Table:
        """Return the batches of one request as a table."""
        with self._lock:
            contents = [batch.content for batch in batches]
            paths = {id(schema): path for schema, path, _ in self._files}
        mapped: dict[Path, pa.MemoryMappedFile] = {}

        def read(batch: Batch) -> pa.RecordBatch:
            path = paths[id(batch.schema)]
            source = mapped.get(path) or mapped.setdefault(path, pa.memory_map(str(path)))
            source.seek(batch.offset)
            return ipc.read_record_batch(ipc.read_message(source), batch.schema)

        return pa.Table.from_batches(
            [read(batch) if content is None else content for batch, content in zip(batches, contents, strict=True)]
        )

    def everything(self) -> list[pa.Table]:
        """Return all batches so far, a table for each schema."""
        with self._lock:
            self._write()
            paths = [path for _, path, _ in self._files]
        return [read_left_behind(path) for path in paths]

    def _write(self) -> None:
        with writing("The received rows of a query"):
            for batch in self._waiting:
                if batch.content is None:
                    continue
                batch.schema, file = self._file(batch.schema)
                batch.offset = file.tell()
                file.write(batch.content.serialize())
                batch.content = None
            for _, _, file in self._files:
                file.flush()
        self._waiting.clear()
        self._size = 0

    def _file(self, schema: pa.Schema) -> tuple[pa.Schema, BinaryIO]:
        """Return the file for batches of a schema, and that schema as it was first seen."""
        for known, _, file in self._files:
            if known.equals(schema):
                return known, file
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._query_id}-{len(self._files)}{SPOOL_ENDING}"
        opened = path.open("wb")
        self._files.append((schema, path, opened))
        opened.write(schema.serialize())
        return schema, opened


def read_left_behind(path: Path) -> pa.Table:
    """Return the whole batches of a file that a process left behind; none if it has none."""
    try:
        with pa.memory_map(str(path)) as source, ipc.open_stream(source) as stream:
            return pa.Table.from_batches(list(_whole(stream)), stream.schema)
    except (OSError, pa.ArrowException):
        return pa.table({})


def _whole(stream: ipc.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    with suppress(OSError, pa.ArrowException, StopIteration):
        while True:
            yield stream.read_next_batch()
