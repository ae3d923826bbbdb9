"""Rows and what is below them: keys to ask with, what children inherit, how many there should be.

It also puts the answers of several requests together into one table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qrkit.find.windows import row_keys
from qrkit.node import InformationModel
from qrkit.query.query import Query
from qrkit.query.request import Request
from qrkit.tables import WARNINGS, Level, inherited_columns, schema, unique_key, unique_keys_above
from qrkit.words import counted

_COUNTS = {
    Level.SERIES: (Level.STUDY, "NumberOfStudyRelatedSeries"),
    Level.IMAGE: (Level.SERIES, "NumberOfSeriesRelatedInstances"),
}
"""By level: the level above, and the key in which its rows count those below."""

_UIDS = frozenset({unique_key(Level.STUDY), unique_key(Level.SERIES)})

NOUNS = {
    Level.PATIENT: ("patient", "patients"),
    Level.STUDY: ("study", "studies"),
    Level.SERIES: ("series", "series"),
    Level.IMAGE: ("image", "images"),
}


@dataclass(frozen=True, slots=True)
class Parent:
    """One row above: the Unique Keys to ask with, and the values that its children inherit."""

    keys: tuple[tuple[str, str], ...] = ()
    row: Mapping[str, Any] | None = None


def parents_of(table: pa.Table, level: Level, model: InformationModel) -> list[Parent]:
    """Return the rows below which can be asked: those with all Unique Keys."""
    uniques = (*unique_keys_above(level, model), unique_key(level))
    rows = table.drop_columns([WARNINGS]).to_pylist()
    return [
        Parent(tuple((name, row[name]) for name in uniques), row)
        for row in rows
        if all(row.get(name) for name in uniques)
    ]


def own_rows(asked: Sequence[tuple[Parent, Request]], answers: Sequence[Sequence[pa.Table]]) -> list[list[pa.Table]]:
    """Return of answers the rows that belong below the row that they were asked for: some nodes ignore its UID."""
    return [[_own(one, answer) for answer in came] for (one, _), came in zip(asked, answers, strict=True)]


def _own(parent: Parent, answer: pa.Table) -> pa.Table:
    for name, value in parent.keys:
        if name in _UIDS and name in answer.column_names:
            wanted = canonical(value)
            kept = [not uid or canonical(uid) == wanted for uid in answer[name].to_pylist()]
            answer = answer if all(kept) else answer.filter(pa.array(kept, pa.bool_()))
    return answer


def canonical(uid: str) -> str:
    """Return a UID without what some nodes add to it or take from it (leading zeros, blanks).

    >>> canonical("1.2.03.0 "), canonical("1.20.0")
    ('1.2.3.0', '1.20.0')
    """
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", uid.strip(" \0"))


def inherited(query: Query, level: Level, parent: Parent, answer: pa.Table) -> pa.Table:
    """Return answers with what they lack of the row above and of the Unique Keys they were asked with."""
    row = {**(parent.row or {}), **dict(parent.keys)}
    wanted = dict.fromkeys((*inherited_columns(level), *dict(query.keys), *query.extra_keys))
    types = schema(level, wanted)
    for name in wanted:
        value = row.get(name)
        if value is not None:
            answer = _filled(answer, types.field(name), value)
    return answer


def _filled(table: pa.Table, item: pa.Field, value: object) -> pa.Table:
    scalar = pa.scalar(value, item.type)
    if item.name not in table.column_names:
        return table.append_column(item, pa.repeat(scalar, table.num_rows))
    column = table[item.name]
    if column.null_count == 0:
        return table
    return table.set_column(table.column_names.index(item.name), item, column.cast(item.type).fill_null(scalar))


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingChildren:
    """Rows with fewer children than they count."""

    places: tuple[int, ...] = ()  # which of the requests they were asked by
    # `missing` and `said`: children that did not come, of how many
    missing: int = 0
    said: int = 0

    def doubt(self, level: Level) -> str:
        """Return the reason for which an answer of a level may be incomplete.

        >>> MissingChildren(places=(0, 4), missing=3, said=120).doubt(Level.IMAGE)
        '3 of 120 images were not returned: 2 series have fewer than their NumberOfSeriesRelatedInstances'
        """
        above, count = _COUNTS[level]
        one, many = NOUNS[above]
        has, whose = ("has", "its") if len(self.places) == 1 else ("have", "their")
        lacking = f"{self.missing:,} of {self.said:,} {NOUNS[level][1]} were not returned"
        return f"{lacking}: {counted(len(self.places), one, plural=many)} {has} fewer than {whose} {count}"


def asks_for_all(parent: Parent, request: Request) -> bool:
    """Whether a request asks for all that is below a row: nothing narrows it down but the keys above."""
    return {keyword for keyword, _ in request.keys} <= {keyword for keyword, _ in parent.keys}


def expected_below(parent: Parent, request: Request, level: Level) -> int | None:
    """Return how many rows a request must bring; None if the row above has no count, or not all are asked for."""
    said = (parent.row or {}).get(_COUNTS[level][1]) if level in _COUNTS else None
    return int(said) if said is not None and asks_for_all(parent, request) else None


def are_counted(asked: Sequence[tuple[Parent, Request]], level: Level) -> bool:
    """Whether all rows above count what is below them."""
    return level in _COUNTS and all((one.row or {}).get(_COUNTS[level][1]) is not None for one, _ in asked)


def short_of(asked: Sequence[tuple[Parent, Request]], rows: pa.Table, level: Level) -> MissingChildren:
    """Return which rows, asked for all that is below them, have fewer children than the node counts there.

    `rows`: all that came of the level, before it is filtered.
    """
    if level not in _COUNTS:
        return MissingChildren()
    unique = unique_key(_COUNTS[level][0])
    came = Counter(rows[unique].to_pylist()) if unique in rows.column_names else Counter()
    short = {}
    for place, (parent, request) in enumerate(asked):
        said = expected_below(parent, request, level)
        if said:
            short[place] = (said - came[dict(parent.keys)[unique]], said)
    places = tuple(place for place, (missing, _) in short.items() if missing > 0)
    return MissingChildren(
        places=places,
        missing=sum(short[place][0] for place in places),
        said=sum(short[place][1] for place in places),
    )


ROW = {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID"),
    Level.STUDY: ("StudyInstanceUID", "PatientID"),
    Level.SERIES: ("SeriesInstanceUID", "StudyInstanceUID"),
    Level.IMAGE: ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
}
"""The keys that identify a row. Where two patients share a study, or two studies a series, both are shown."""


def joined_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of all tables; what one of them lacks is null."""
    return pa.concat_tables(tables, promote_options="permissive")


def repeats(table: pa.Table, level: Level) -> bool:
    """Whether a Unique Key has several rows.

    >>> repeats(pa.table({"StudyInstanceUID": ["1.2", None, None]}), Level.STUDY)
    False
    """
    if unique_key(level) not in table.column_names:
        return False
    uids = table[unique_key(level)]
    return bool(pc.count_distinct(uids).as_py() < pc.count(uids).as_py())


def has_all_values(table: pa.Table, name: str) -> bool:
    """Whether a column has a value in each row."""
    if name not in table.column_names:
        return False
    column = table[name]
    return column.null_count == 0 and not pc.any(pc.equal(column, "")).as_py()


def distinct_rows(table: pa.Table, level: Level) -> pa.Table:
    """Return the rows, those without a Unique Key once for each content: windows overlap, and nodes repeat rows.

    >>> distinct_rows(pa.table({"StudyInstanceUID": ["1.2", None, None]}), Level.STUDY).num_rows
    2
    """
    if has_all_values(table, unique_key(level)):
        return table
    keys = row_keys(table, level)
    if all(is_unique for _, is_unique in keys):
        return table
    first: dict[str, int] = {}
    for row, (key, is_unique) in enumerate(keys):
        if not is_unique:
            first.setdefault(key, row)
    kept = [row for row, (key, is_unique) in enumerate(keys) if is_unique or first[key] == row]
    return table if len(kept) == table.num_rows else table.take(kept)


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
