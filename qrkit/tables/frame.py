"""Tables of answers as plain pandas DataFrames, which is what people hold in a notebook."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qrkit.tables.types import WARNINGS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of answers as a DataFrame with one column per DICOM keyword.

    Dates are ``datetime64``, times `datetime.time`, whole numbers ``Int64``, other numbers ``float64``, all else
    ``str``; what is missing is NA. Columns of ours are left out; what was wrong in the answers is in
    ``frame.attrs["qrkit"]["warnings"]``, a list of dicts with the keys row, keyword, raw and why.
    """
    frame = to_plain_frame(table.select([name for name in table.column_names if not _is_ours(name)]))
    frame.attrs["qrkit"] = {"warnings": warnings_of(table)}
    return frame


def to_plain_frame(table: pa.Table) -> pd.DataFrame:
    """Return any table as a DataFrame with all its columns, typed as `to_frame` does.

    >>> import pyarrow as pa
    >>> to_plain_frame(pa.table({"Modality": ["CT"], "n": [2]})).dtypes.astype("str").tolist()
    ['str', 'Int64']
    """
    import pandas as pd

    names = table.column_names
    columns = {name: _as_pandas(table.column(name)) for name in names}
    return pd.DataFrame(columns, columns=pd.Index(names, dtype="str"), index=pd.RangeIndex(table.num_rows))


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


def reasons_of(warnings: Iterable[dict[str, Any]]) -> list[str]:
    """Return what was wrong in the answers in few sentences, the most frequent first, without any value of a patient.

    >>> reasons_of([{"row": 1, "keyword": "StudyDate", "raw": "abc", "why": "no date"}])
    ['StudyDate of 1 row: no date']
    """
    counts = Counter((warning["keyword"] or "an element", warning["why"]) for warning in warnings)
    return [
        f"{keyword} of {count} row{'s' if count > 1 else ''}: {why}" for (keyword, why), count in counts.most_common()
    ]


def _is_ours(name: str) -> bool:
    return name[:1].islower()


def _as_pandas(column: pa.ChunkedArray) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    values: pd.Series[Any]
    if pa.types.is_integer(column.type):
        values = column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    elif pa.types.is_date(column.type):
        values = column.to_pandas(date_as_object=False).astype("datetime64[us]")
    elif pa.types.is_time(column.type):
        values = pd.Series(column.to_pylist(), dtype="object")
    elif (
        pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_dictionary(column.type)
    ):
        values = column.to_pandas().astype("str")
    else:
        values = column.to_pandas()
    return values
