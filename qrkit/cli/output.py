"""Output: tables in four formats on stdout, sentences for people on stderr.

A table on the terminal shows only the columns that fit, so that no word and no UID is broken into pieces.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qrkit.cli.options import Format
from qrkit.errors import InputError, QrkitError
from qrkit.tables import Records, dates_as_text
from qrkit.words import local_time, printable

if TYPE_CHECKING:
    import pandas as pd

OUTPUT_CLOSED = 141
"""The exit status that shells give to a command whose output was closed: 128 and the number of SIGPIPE."""
GAP = 3
"""Blanks between two columns."""

_LONG = 30
"""Columns with longer words, such as UIDs and paths, come after the others, unless one is the first column."""

_USEFUL = (
    "StudyDate",
    "StudyTime",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "ModalitiesInStudy",
    "SeriesDescription",
    "StudyDescription",
    "PatientID",
    "PatientName",
    "AccessionNumber",
    "StationName",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "state",
    "row_count",
    "expected",
    "stored",
    "node",
    "level",
    "error",
)
"""The most useful columns of a result, and of a list of queries or jobs."""

SHOWN_ROWS = 100
"""Rows of a table on the terminal; the other formats always have all."""

_WIDEST = 64
"""Characters that a column has room for without its words being broken: a UID's."""

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
"""Times of the state; people are shown them by their own clock."""

_ELSEWHERE = "Print to a file on a disk with room, or to a terminal."


def columns_that_fit(
    cells: Mapping[str, Sequence[str]], width: int, *, requested: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the columns to be shown, in their order: the requested and the useful ones first, as many as fit.

    A text may be broken between its words, so a column is as wide as its longest word. The first column is always
    shown if it is an id of ours, which other commands ask for. Values are those that are printed, and the width is
    that of the terminal, in characters.

    >>> answers = {"StudyInstanceUID": ["1.2.840." + 40 * "9"], "StudyDate": ["2026-01-31"], "PatientID": ["Q1"]}
    >>> columns_that_fit(answers, 40)
    ('StudyDate', 'PatientID')
    >>> columns_that_fit(answers, 200)
    ('StudyInstanceUID', 'StudyDate', 'PatientID')
    """
    needs = {name: least_width(name, values) for name, values in cells.items()}
    names = list(needs)
    chosen: set[str] = set()
    left = width

    def rank(name: str) -> tuple[int, int]:
        place = names.index(name)
        return (0, place) if name in requested else _rank(name, place, needs[name])

    for name in sorted(names, key=rank):
        if needs[name] + GAP <= left or not chosen:
            chosen.add(name)
            left -= needs[name] + GAP
    return tuple(name for name in names if name in chosen)


def least_width(name: str, values: Sequence[str]) -> int:
    """Return the length of the longest word of a column, its name included.

    >>> least_width("Modality", ["CT", "Mammography Screening"])
    11
    """
    return max(len(name), *(len(word) for value in values for word in value.split()), 0)


def _rank(name: str, place: int, need: int) -> tuple[int, int]:
    if place == 0 and name.endswith("_id"):
        return 0, 0
    if need > _LONG:
        return 3, place
    if name in _USEFUL:
        return 1, _USEFUL.index(name)
    return 2, place


class _Words(Console):
    """The console on stderr. A command does not fail if stderr cannot be written."""

    def _write_buffer(self) -> None:
        with contextlib.suppress(OSError):
            super()._write_buffer()


stderr = _Words(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print a sentence on stderr."""
    stderr.print(text, markup=False, soft_wrap=True)


def print_text(text: str) -> None:
    """Print words on stdout, where they are what was asked for."""
    with printing() as out:
        out.write(text + "\n")


def print_json(value: object) -> None:
    """Print a value as JSON on stdout."""
    print_bytes(_json(value))


@contextlib.contextmanager
def printing() -> Iterator[TextIO]:
    """Give stdout, and write all that is printed there; a reader that closes its end early is not an error."""
    out = sys.stdout
    if out is None:
        raise QrkitError("There is nowhere to print to: stdout is closed.", advice=_ELSEWHERE)
    try:
        yield out
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise QrkitError(f"The output cannot be written: {error.strerror}.", advice=_ELSEWHERE) from error


def discard_stdout() -> None:
    """Let what is left for stdout go nowhere, so that Python does not complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_frame(
    frame: pd.DataFrame, form: Format, output: Path | None = None, *, requested: Collection[str] = ()
) -> None:
    """Print a DataFrame as `print_records` prints plain values; requested columns are shown before others."""
    if form is Format.TABLE and output is None:
        filled = [str(name) for name in frame.columns if _has_values(frame[name].dropna())]
        _print_table(_plain_records(frame.head(SHOWN_ROWS)), total=len(frame), filled=filled, requested=requested)
    elif form is Format.PARQUET:
        _write(_parquet(frame), output)
    else:
        print_records(_plain_records(frame), form, output)


def print_records(table: Records, form: Format, output: Path | None = None) -> None:
    """Print a table, or write it to a file; JSON is a list of one object per row, with ISO dates and null."""
    if form is Format.TABLE and output is None:
        filled = [name for name in table.columns if _has_values(_values(table, name))]
        _print_table(table, total=len(table), filled=filled)
        return
    if form is Format.PARQUET:
        content = _parquet(table.frame())
    elif form is Format.JSON:
        content = _json([{name: row.get(name) for name in table.columns} for row in table.rows])
    else:
        content = _csv(table)
    _write(content, output)


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        print_bytes(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}.") from error


def print_bytes(content: bytes) -> None:
    """Print what other programs read on stdout: it is UTF-8, whatever the terminal speaks."""
    with printing() as out:
        out.buffer.write(content)


def _json(value: object) -> bytes:
    return (json.dumps(_valid(value), indent=2, ensure_ascii=False, default=_as_text) + "\n").encode()


def _valid(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """Return a value without numbers that JSON does not have: NaN is null, an infinite one is a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _valid(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(item) for item in value]
    return value


def _as_text(value: object) -> str:
    """Return what JSON has no type for as text: bytes in hexadecimal digits, moments in ISO 8601."""
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _compact(value: Any) -> Any:  # noqa: ANN401 - a cell
    """Return a list or a struct as the text of its JSON, bytes as hexadecimal digits; all else as it is."""
    if isinstance(value, list | dict | tuple):
        return json.dumps(_valid(value), ensure_ascii=False, default=_as_text)
    return value.hex() if isinstance(value, bytes) else value


def _csv(table: Records) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_compact(row.get(name)) for name in table.columns] for row in table.rows)
    return text.getvalue().encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    """Return a DataFrame as Parquet; a column of values of several kinds becomes the text of their JSON."""
    import pyarrow as pa

    buffer = io.BytesIO()
    plain = frame.copy(deep=False)
    plain.attrs = {}
    for name in plain.columns[plain.dtypes == "object"]:
        try:
            pa.array(plain[name], from_pandas=True)
        except (pa.ArrowException, OverflowError):
            plain[name] = [None if value is None else str(_compact(value)) for value in plain[name]]
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _plain_records(frame: pd.DataFrame) -> Records:
    """Return a DataFrame as plain values, with dates as ISO texts: a date without a time of day, where it is one."""
    import pandas as pd

    columns = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            column = dates_as_text(column, separator="T")
        columns[str(name)] = [_plain(value) for value in column.astype("object")]
    rows = zip(*columns.values(), strict=True)
    return Records.of((dict(zip(columns, row, strict=True)) for row in rows), list(columns))


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell
    import pandas as pd

    if isinstance(value, list | dict | tuple):
        return value
    if hasattr(value, "tolist"):  # an array, or a number of NumPy's
        return value.tolist()
    return None if pd.isna(value) else value


def _print_table(table: Records, *, total: int, filled: Sequence[str], requested: Collection[str] = ()) -> None:
    """Print the first rows, in the columns that fit the terminal of those that are filled in any of `total` rows."""
    console = Console(highlight=False)
    shown = table.select(filled if total else table.columns).rows[:SHOWN_ROWS]
    names = list(filled) if total else list(table.columns)
    cells = {name: [_cell(row[name]) for row in shown] for name in names}
    fitting = columns_that_fit(cells, console.width, requested=requested)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in fitting:
        is_numeric = _is_numeric([row[name] for row in shown])
        width = min(least_width(name, cells[name]), _WIDEST)
        grid.add_column(name, justify="right" if is_numeric else "left", overflow="fold", min_width=width)
    for row in zip(*(cells[name] for name in fitting), strict=True):
        grid.add_row(*(escape(cell) for cell in row))
    with printing():
        console.print(grid)
    _say_what_is_hidden(table.columns, total, names, fitting)


def _say_what_is_hidden(columns: Sequence[str], total: int, filled: Sequence[str], fitting: Sequence[str]) -> None:
    if total > SHOWN_ROWS:
        say(f"Showing the first {SHOWN_ROWS} of {total} rows. Use --format csv, json or parquet for all of them.")
    narrow = [name for name in filled if name not in fitting]
    if narrow:
        say(f"Columns that do not fit: {', '.join(narrow)}. Use --format csv, json or parquet for all columns.")
    empty = [name for name in columns if name not in filled]
    if empty:
        say(f"Empty columns not shown: {', '.join(empty)}.")


def _values(table: Records, name: str) -> list[Any]:
    return [value for row in table.rows if (value := row.get(name)) is not None]


def _has_values(present: Sequence[Any] | pd.Series[Any]) -> bool:
    return len(present) > 0 and not all(isinstance(value, str | list) and not value for value in present)


def _is_numeric(column: Sequence[Any]) -> bool:
    present = [value for value in column if value is not None]
    return bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)


def _cell(value: Any) -> str:  # noqa: ANN401 - a cell
    if isinstance(value, list):
        return str(len(value)) if value else ""
    if value is None:
        return ""
    value = _compact(value)
    return local_time(value) if isinstance(value, str) and _UTC.fullmatch(value) else printable(str(value))
