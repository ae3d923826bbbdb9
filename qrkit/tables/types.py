"""How a DICOM value is typed in a table: the Arrow type of each value representation.

Typed are single values only; what may have several stays the DICOM text, values parted by backslashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from qrkit.tables.keywords import canonical_keyword, keyword_vm, keyword_vr
from qrkit.tables.levels import Level, table_columns, unique_key

if TYPE_CHECKING:
    import pyarrow as pa

WARNINGS = "warnings"
"""The column with what was wrong in a row: null, or a JSON list of ``{"keyword", "raw", "why"}``."""

_TYPES = {
    "DA": "date32",
    "TM": "time64[us]",
    **dict.fromkeys(("IS", "US", "SS", "UL", "SL", "UV", "SV"), "int64"),
    **dict.fromkeys(("DS", "FL", "FD"), "float64"),
}
"""The names of the Arrow types; every other value is a string."""


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
    from pyarrow import type_for_alias

    is_typed = keyword_vm(keyword) == "1"
    return type_for_alias(_TYPES.get(keyword_vr(keyword), "string") if is_typed else "string")


def schema(level: Level, keywords: Iterable[str]) -> pa.Schema:
    """Return the schema of answers at a level: the level's Unique Key, the keywords, `warnings` at the end.

    Raises
    ------
    InputError
        If a keyword is neither one of PS3.6 nor a tag.

    >>> schema(Level.STUDY, ["StudyDate"]).names
    ['StudyInstanceUID', 'StudyDate', 'warnings']
    """
    import pyarrow as pa

    names = dict.fromkeys(canonical_keyword(keyword) for keyword in keywords)
    unique = unique_key(level)
    if unique not in names:
        names = dict.fromkeys((unique, *names))
    return pa.schema([*(pa.field(name, arrow_type(name)) for name in names), pa.field(WARNINGS, pa.string())])


def schemas() -> dict[str, pa.Schema]:
    """Return the schemas of the default tables under ``PATIENT``, ``STUDY``, ``SERIES`` and ``IMAGE``."""
    return {level.value: schema(level, table_columns(level)) for level in Level}
