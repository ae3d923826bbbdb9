r"""Unites the rows of one study, series or patient: there are nodes with a row for each modality or accession number.

Of values that differ, modalities, accession numbers and all attributes of several values become a set, parted by a
backslash; of counts the largest stays; of all others the one that answers the query, or else the first. The row warns
of the values that did not stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qrkit.find.parents import NOUNS, ROW, has_all_values, joined_tables
from qrkit.query.matches import Judge, Match
from qrkit.tables import WARNINGS, Level, keyword_vm, read_modalities, unique_key
from qrkit.words import counted, listed

_MODALITIES = frozenset({"ModalitiesInStudy", "Modality"})
_SETS = _MODALITIES | {"AccessionNumber"}
_COUNT = "NumberOf"
_DIFFERS = "another row of the same {what} has this value"

Judges = Mapping[str, Judge]
"""By column: whether a value answers what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class United:
    """Rows of which each is another study, series or patient, and in which columns several rows of one differed."""

    table: pa.Table
    differences: Mapping[str, frozenset[str]] = field(default_factory=dict)  # column names by Unique Key


def united_rows(tables: Sequence[pa.Table], names: Sequence[str], judges: Judges | None = None) -> United:
    r"""Return one row for each combination of values of some columns, and all rows whose first value is blank.

    A row without one of the further values belongs to the only row that can be meant.

    >>> two = pa.table({"StudyInstanceUID": ["1.2"] * 2, "AccessionNumber": ["A1", "A2"]})
    >>> united_rows([two], ["StudyInstanceUID"]).table.to_pylist()
    [{'StudyInstanceUID': '1.2', 'AccessionNumber': 'A1\\A2'}]
    """
    joined = joined_tables(tables)
    if has_all_values(joined, names[0]) and pc.count_distinct(joined[names[0]]).as_py() == joined.num_rows:
        return United(table=joined)
    groups = _groups(joined, names)
    if len(groups) == joined.num_rows:
        return United(table=joined)
    table = joined.take(pa.array([rows[0] for rows in groups], pa.int64()))
    several = {place: rows for place, rows in enumerate(groups) if len(rows) > 1}
    flat = iter(joined.take(pa.array([row for rows in several.values() for row in rows], pa.int64())).to_pylist())
    changes: dict[str, dict[int, object]] = {}
    differences: dict[str, frozenset[str]] = {}
    for place, rows in several.items():
        own = [next(flat) for _ in rows]
        first = own[0]
        if all(row == first for row in own):
            continue
        united, differing = _united(own, names[0], judges or {})
        if differing:
            differences[first[names[0]]] = frozenset(differing)
        for name, value in united.items():
            if value != first[name]:
                changes.setdefault(name, {})[place] = value
    return United(table=_changed(table, changes), differences=differences)


def notes_on(differences: Mapping[Level, Mapping[str, frozenset[str]]]) -> Iterator[str]:
    """Yield sentences on united rows, by the columns in which they differed."""
    for level, columns in differences.items():
        if columns:
            one, many = NOUNS[level]
            were = "was" if len(columns) == 1 else "were"
            keywords = listed(sorted(frozenset().union(*columns.values())))
            number = counted(len(columns), one, plural=many)
            yield f"{number} {were} returned in several rows, which are united; they differ in {keywords}."


def union(tables: Sequence[pa.Table], level: Level) -> pa.Table:
    """Return all rows, those of one Unique Key united; rows without one are all kept.

    At PATIENT level a patient is a PatientID of an IssuerOfPatientID; a study of two patients has a row for each.

    >>> two = [pa.table({"StudyInstanceUID": uids}) for uids in (["1.2", None], ["1.2", "1.3", None])]
    >>> union(two, Level.STUDY)["StudyInstanceUID"].to_pylist()
    ['1.2', None, '1.3', None]
    """
    return united_rows(tables, ROW[level]).table


def _groups(table: pa.Table, names: Sequence[str]) -> list[list[int]]:
    """Return the rows of each combination of values, in the order of their first ones."""
    if names[0] not in table.column_names:
        return [[row] for row in range(table.num_rows)]
    columns = [table[name].to_pylist() for name in names if name in table.column_names]
    groups: dict[tuple[object, ...], list[int]] = {}
    further: dict[object, list[tuple[object, ...]]] = {}
    for row, values in enumerate(zip(*columns, strict=True)):
        key = tuple(value or None for value in values) if values[0] else (None, row)
        if key not in groups:
            further.setdefault(values[0], []).append(key)
        groups.setdefault(key, []).append(row)
    for unique, keys in further.items():
        if unique and len(keys) > 1:
            _join_blanks(groups, keys)
    return sorted(groups.values())


def _join_blanks(groups: dict[tuple[object, ...], list[int]], keys: Sequence[tuple[object, ...]]) -> None:
    """Put the rows that lack a value to those of the only combination that has it."""
    for key in keys:
        if None not in key:
            continue
        fitting = [
            other
            for other in keys
            if other in groups
            and sum(value is None for value in other) < sum(value is None for value in key)
            and all(mine is None or mine == its for mine, its in zip(key, other, strict=True))
        ]
        if len(fitting) == 1:
            groups[fitting[0]] = sorted(groups[fitting[0]] + groups.pop(key))


def _united(rows: Sequence[Mapping[str, Any]], unique: str, judges: Judges) -> tuple[dict[str, Any], set[str]]:
    """Return the values of one row for several, and the columns in which these differ."""
    what = next(NOUNS[level][0] for level in Level if unique_key(level) == unique)
    warnings = _warnings(rows)
    united: dict[str, Any] = {}
    differing: set[str] = set()
    for name in rows[0]:
        values = list(dict.fromkeys(row[name] for row in rows if row[name] not in (None, "")))
        if name == WARNINGS or len(values) < 2:
            united[name] = values[0] if values else rows[0][name]
            continue
        differing.add(name)
        united[name] = _one_value(name, values, judges.get(name))
        for other in () if _is_set(name, values) else values:
            if other != united[name]:
                warnings.append({"keyword": name, "raw": _text(other), "why": _DIFFERS.format(what=what)})
    if WARNINGS in united:
        kept = list({json.dumps(one, ensure_ascii=False): None for one in warnings})
        united[WARNINGS] = f"[{', '.join(kept)}]" if kept else None
    return united, differing


def _warnings(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [warning for row in rows for warning in json.loads(row.get(WARNINGS) or "[]")]


def _one_value(name: str, values: Sequence[Any], judge: Judge | None) -> object:
    if _is_set(name, values):
        return "\\".join(dict.fromkeys(_parts(name, values)))
    if name.startswith(_COUNT):
        return max(values)
    if judge is None:
        return values[0]
    answers = {value: judge(_text(value)) for value in values}
    return next(value for match in Match for value in values if answers[value] is match)


def _is_set(name: str, values: Sequence[object]) -> bool:
    return isinstance(values[0], str) and (name in _SETS or keyword_vm(name) != "1")


def _parts(name: str, values: Sequence[str]) -> Iterator[str]:
    for value in values:
        known = read_modalities(value).known if name in _MODALITIES else None
        yield from sorted(known) if known else filter(None, value.split("\\"))


def _text(value: object) -> str:
    """Return a value as a table has it as text."""
    return value.isoformat("microseconds") if isinstance(value, time) else str(value)


def _changed(table: pa.Table, changes: Mapping[str, Mapping[int, object]]) -> pa.Table:
    for name, values in changes.items():
        column = table[name].to_pylist()
        for place, value in values.items():
            column[place] = value
        place, item = table.column_names.index(name), table.schema.field(name)
        table = table.set_column(place, item, pa.array(column, item.type))
    return table
