"""Answers of several requests put together."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from qrkit.tables import Level, unique_key

ROW = {level: (unique_key(level),) for level in Level} | {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID"),
    Level.STUDY: ("StudyInstanceUID", "PatientID"),
}
"""What tells the rows of a table apart. There are archives in which two patients share a study: both are shown."""


def union(tables: Sequence[pa.Table], level: Level) -> pa.Table:
    """Return all rows, the first of each Unique Key; rows without one are all kept.

    At PATIENT level a patient is a PatientID of an IssuerOfPatientID; a study of two patients has a row for each.

    >>> two = [pa.table({"StudyInstanceUID": ["1.2", None]}), pa.table({"StudyInstanceUID": ["1.2", "1.3", None]})]
    >>> union(two, Level.STUDY)["StudyInstanceUID"].to_pylist()
    ['1.2', None, '1.3', None]
    """
    return first_rows(tables, ROW[level])


def conform(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Return a table with exactly the wanted columns; what it has not is null.

    >>> conform(pa.table({"a": [1]}), pa.schema([("b", pa.string())])).to_pydict()
    {'b': [None]}
    """
    columns = [
        table[item.name].cast(item.type) if item.name in table.column_names else pa.nulls(table.num_rows, item.type)
        for item in wanted
    ]
    return pa.table(columns, schema=wanted)


def first_rows(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    """Return the first row of each combination of values, and all rows whose first value is blank."""
    joined = pa.concat_tables(tables, promote_options="permissive")
    if names[0] not in joined.column_names:
        return joined
    columns = [joined[name].to_pylist() for name in names if name in joined.column_names]
    seen: set[tuple[str | None, ...]] = set()
    kept: list[int] = []
    for row, key in enumerate(zip(*columns, strict=True)):
        if not key[0] or key not in seen:
            seen.add(key)
            kept.append(row)
    return joined if len(kept) == joined.num_rows else joined.take(kept)
