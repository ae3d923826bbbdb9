"""Arrow types of the columns, and tables as DataFrames or plain values; pandas is loaded only for a DataFrame."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from qrkit.tables.keywords import canonical_keyword, keyword_vm, keyword_vr
from qrkit.tables.levels import Level, table_columns, unique_key

if TYPE_CHECKING:
    import pandas as pd
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

    Raises InputError if it is neither a keyword of PS3.6 nor a tag.

    >>> [str(arrow_type(keyword)) for keyword in ("StudyDate", "SeriesNumber", "ImageType")]
    ['date32[day]', 'int64', 'string']
    """
    from pyarrow import type_for_alias

    is_typed = keyword_vm(keyword) == "1"
    return type_for_alias(_TYPES.get(keyword_vr(keyword), "string") if is_typed else "string")


def schema(level: Level, keywords: Iterable[str]) -> pa.Schema:
    """Return the schema of answers at a level: the level's Unique Key, the keywords, `warnings` at the end.

    Raises InputError if a keyword is neither one of PS3.6 nor a tag.

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


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of answers as a DataFrame with one column per DICOM keyword.

    Dates are ``datetime64``, times `datetime.time`, whole numbers ``Int64``, other numbers ``float64``, all else
    ``str``; what is missing is NA. Columns of ours are left out; what was wrong in the answers is in
    ``frame.attrs["qrkit"]["warnings"]``, a list of dicts with the keys row, keyword, raw and why.
    """
    frame = to_plain_frame(table.select([name for name in table.column_names if not name[:1].islower()]))
    frame.attrs["qrkit"] = {"warnings": warnings_of(table)}
    return frame


def to_plain_frame(table: pa.Table) -> pd.DataFrame:
    """Return any table as a DataFrame with all its columns, typed as `to_frame` does.

    Lists, structs and maps are lists and dicts of plain values. A column whose name was there before gets a number.

    >>> import pyarrow as pa
    >>> to_plain_frame(pa.table({"Modality": ["CT"], "n": [2]})).dtypes.astype("str").tolist()
    ['str', 'Int64']
    """
    import pandas as pd

    names = _distinct(table.column_names)
    columns = {name: _as_pandas(column) for name, column in zip(names, table.columns, strict=True)}
    return pd.DataFrame(columns, columns=pd.Index(names, dtype="str"), index=pd.RangeIndex(table.num_rows))


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which each is there once.

    >>> _distinct(["a", "a", "a_1", "a"])
    ['a', 'a_2', 'a_1', 'a_3']
    """
    taken = set(names)
    distinct: list[str] = []
    for name in names:
        chosen = name
        for number in range(1, len(names) + 1 if name in distinct else 0):
            chosen = f"{name}_{number}"
            if chosen not in taken:
                break
        taken.add(chosen)
        distinct.append(chosen)
    return distinct


def dates_as_text(column: pd.Series[Any], *, separator: str = " ") -> pd.Series[Any]:
    """Return a ``datetime64`` column as ISO text: dates alone if no value has a time of day.

    A missing value stays missing; `separator` is between date and time.

    >>> import pandas as pd
    >>> dates_as_text(pd.Series(pd.to_datetime(["2026-01-31", None]))).tolist()
    ['2026-01-31', nan]
    >>> dates_as_text(pd.Series(pd.to_datetime(["2026-01-31 08:30"])), separator="T").tolist()
    ['2026-01-31T08:30:00']
    """
    present = column.dropna()
    has_time = bool((present != present.dt.normalize()).any())
    text: pd.Series[Any] = column.dt.strftime(f"%Y-%m-%d{separator}%H:%M:%S" if has_time else "%Y-%m-%d")
    return text


def warnings_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return what was wrong in the answers, as dicts with the keys row, keyword, raw and why.

    >>> import pyarrow as pa
    >>> warnings_of(pa.table({"warnings": [None, '[{"keyword": "StudyDate", "raw": "abc", "why": "no date"}]']}))
    [{'row': 1, 'keyword': 'StudyDate', 'raw': 'abc', 'why': 'no date'}]
    """
    if WARNINGS not in table.column_names:
        return []
    texts = table.column(WARNINGS).to_pylist()
    return [{"row": row, **warning} for row, text in enumerate(texts) if text for warning in json.loads(text)]


def with_warnings(table: pa.Table, warnings: Mapping[int, Mapping[str, str]]) -> pa.Table:
    """Return a table with one more warning in some rows, by their number.

    >>> import pyarrow as pa
    >>> marked = with_warnings(pa.table({"n": [1, 2]}), {1: {"keyword": "n", "raw": "2", "why": "even"}})
    >>> warnings_of(marked)
    [{'row': 1, 'keyword': 'n', 'raw': '2', 'why': 'even'}]
    """
    import pyarrow as pa

    if not warnings:
        return table
    has_any = WARNINGS in table.column_names
    texts: list[str | None] = table[WARNINGS].to_pylist() if has_any else [None] * table.num_rows
    for row, warning in warnings.items():
        texts[row] = json.dumps([*json.loads(texts[row] or "[]"), dict(warning)], ensure_ascii=False)
    rest = table.drop_columns([WARNINGS]) if has_any else table
    return rest.append_column(WARNINGS, pa.array(texts, pa.string()))


def reasons_of(warnings: Iterable[dict[str, Any]]) -> list[str]:
    """Return what was wrong in the answers in few sentences, the most frequent first, without any value of a patient.

    >>> reasons_of([{"row": 1, "keyword": "StudyDate", "raw": "abc", "why": "no date"}])
    ['StudyDate of 1 row: no date']
    """
    counts = Counter((warning["keyword"] or "an element", warning["why"]) for warning in warnings)
    return [
        f"{keyword} of {count} row{'s' if count > 1 else ''}: {why}" for (keyword, why), count in counts.most_common()
    ]


def _as_pandas(column: pa.ChunkedArray) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    values: pd.Series[Any]
    kind = column.type
    if pa.types.is_integer(kind):
        values = column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    elif pa.types.is_decimal(kind) and kind.scale == 0:
        values = _whole_numbers(column)
    elif pa.types.is_date(kind):
        values = _dates(column)
    elif pa.types.is_time(kind):
        values = pd.Series(column.to_pylist(), dtype="object")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        values = _texts(column)
    elif pa.types.is_nested(kind) or pa.types.is_interval(kind):
        values = pd.Series([_plain(value, kind) for value in column.to_pylist()], dtype="object")
    else:
        values = column.to_pandas()
    return values


def _whole_numbers(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return whole numbers that DuckDB sums in 128 bits; as Python's own where one is beyond 64 bits."""
    import pandas as pd

    numbers = [None if value is None else int(value) for value in column.to_pylist()]
    is_short = all(number is None or -(2**63) <= number < 2**63 for number in numbers)
    return pd.Series(numbers, dtype="Int64" if is_short else "object")


def _dates(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return dates; as text where one is beyond those of pandas, as DuckDB's infinity is."""
    import pandas as pd
    import pyarrow as pa

    dates: pd.Series[Any]
    try:
        dates = column.to_pandas(date_as_object=False).astype("datetime64[us]")
    except (pa.ArrowException, pd.errors.OutOfBoundsDatetime, OverflowError):
        dates = _texts(column.cast(pa.string()))
    return dates


def _texts(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return texts as pandas keeps them in Arrow, without a Python object for each."""
    import pandas as pd
    import pyarrow as pa

    plain = column.cast(pa.large_string())
    kept_in_arrow: Any = pd.Series(dtype="str").dtype
    return pd.Series(kept_in_arrow.__from_arrow__(plain))


def _plain(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - a value of any type
    """Return a value of a nested type as lists, dicts and plain values; an interval as text.

    >>> import pyarrow as pa
    >>> _plain([("k", [1])], pa.map_(pa.string(), pa.list_(pa.int64())))
    {'k': [1]}
    """
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_map(kind):
        pairs = [(_plain(key, kind.key_type), _plain(item, kind.item_type)) for key, item in value]
        return dict(pairs) if all(isinstance(key, str) for key, _ in pairs) else [list(pair) for pair in pairs]
    if pa.types.is_struct(kind):
        return {item.name: _plain(value[item.name], item.type) for item in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    return f"{value.months} months {value.days} days {value.nanoseconds / 1e9:g} s" if _is_interval(kind) else value


def _is_interval(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_interval(kind))


@dataclass(frozen=True, slots=True)
class Records:
    """A table of plain values.

    `columns`: their names, in order. `rows`: one mapping per row; a column that it lacks is empty.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Self:
        """Return the table of some rows.

        >>> table = Records.of([{"node": "pacs", "port": 104}], ["node", "port"])
        >>> len(table), table.select(["port"]).rows
        (1, ({'port': 104},))
        """
        return cls(columns=tuple(columns), rows=tuple(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, columns: Sequence[str]) -> Records:
        """Return the table with some of its columns, in this order."""
        return Records.of(({name: row.get(name) for name in columns} for row in self.rows), columns)

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame; whole numbers stay such where some are missing."""
        import pandas as pd

        frame = pd.DataFrame(list(self.rows), columns=list(self.columns))
        for name in frame.columns[frame.dtypes == "float64"]:
            values = [value for row in self.rows if (value := row.get(name)) is not None]
            if values and all(type(value) is int for value in values):
                frame[name] = pd.array([row.get(name) for row in self.rows], dtype="Int64")
        return frame
