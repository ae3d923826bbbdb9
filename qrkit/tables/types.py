"""How a DICOM value is typed in a table: the Arrow type of each value representation.

Typed are single values only; what may have several stays the DICOM text, values parted by backslashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import pyarrow as pa

from qrkit.tables.keywords import canonical_keyword, keyword_vm, keyword_vr
from qrkit.tables.levels import Level, table_columns, unique_key

WARNINGS = "warnings"
"""The column with what was wrong in a row: null, or a JSON list of ``{"keyword", "raw", "why"}``."""

_TYPES = {
    "DA": pa.date32(),
    "TM": pa.time64("us"),
    "IS": pa.int64(),
    "US": pa.int64(),
    "SS": pa.int64(),
    "UL": pa.int64(),
    "SL": pa.int64(),
    "UV": pa.int64(),
    "SV": pa.int64(),
    "DS": pa.float64(),
    "FL": pa.float64(),
    "FD": pa.float64(),
}


@lru_cache(maxsize=4096)
def arrow_type(keyword: str) -> pa.DataType:
    """Return the Arrow type of a column.

    Raises
    ------
    InputError
        If it is neither a keyword of PS3.6 nor a tag.

    >>> [str(arrow_type(keyword)) for keyword in ("StudyDate", "SeriesNumber", "ImageType")]
    ['date32[day]', 'int64', 'string']
    """
    if keyword_vm(keyword) != "1":
        return pa.string()
    return _TYPES.get(keyword_vr(keyword), pa.string())


def schema(level: Level, keywords: Iterable[str]) -> pa.Schema:
    """Return the schema of answers at a level: the level's Unique Key, the keywords, `warnings` at the end.

    Raises
    ------
    InputError
        If a keyword is neither one of PS3.6 nor a tag.

    >>> schema(Level.STUDY, ["StudyDate"]).names
    ['StudyInstanceUID', 'StudyDate', 'warnings']
    """
    names = dict.fromkeys(canonical_keyword(keyword) for keyword in keywords)
    unique = unique_key(level)
    if unique not in names:
        names = dict.fromkeys((unique, *names))
    return pa.schema([*(pa.field(name, arrow_type(name)) for name in names), pa.field(WARNINGS, pa.string())])


def schemas() -> dict[str, pa.Schema]:
    """Return the schemas of the default tables under ``PATIENT``, ``STUDY``, ``SERIES`` and ``IMAGE``."""
    return {level.value: schema(level, table_columns(level)) for level in Level}
