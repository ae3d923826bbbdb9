"""Local filters: what no PACS offers, and what a PACS may have ignored.

They run on the rows of one level while a query is asked (`select` is what `qrkit.query.drill` wants), and each says
how many rows it left and how many it kept for want of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from qrkit.query import FilterReport, Query, Selected
from qrkit.tables import Level

Judge = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One local filter on one column.

    Attributes
    ----------
    terms
        What is sought, for the report.
    keeps
        Whether a row with this value stays.
    keeps_blank
        Whether a row without a value stays.
    is_precaution
        Whether it only repeats what the node was asked for; it is reported if it drops rows or cannot judge them.
    """

    name: str
    column: str
    terms: tuple[str, ...]
    keeps: Judge
    keeps_blank: bool = True
    is_precaution: bool = False


def select(query: Query, level: Level, table: pa.Table) -> Selected:
    """Apply the local filters of a query that belong to a level.

    Station filters at study level look at the study's own StationName. A study without ModalitiesInStudy, and a
    series without Modality, stays: nobody knows what it is.
    """
    return apply(filters_at(query, level), level, table)


def apply(filters: Sequence[Filter], level: Level, table: pa.Table) -> Selected:
    """Apply filters one after the other.

    >>> found = pa.table({"StudyDescription": ["CT Chest", "Import", None]})
    >>> selected = apply([exclude("description exclude", "StudyDescription", ("import",))], Level.STUDY, found)
    >>> selected.table["StudyDescription"].to_pylist(), selected.reports[0].after
    (['CT Chest', None], 2)
    """
    reports: list[FilterReport] = []
    for one in filters:
        before = table.num_rows
        table, blank_kept = _apply_one(one, table)
        if not one.is_precaution or table.num_rows != before or blank_kept:
            reports.append(
                FilterReport(
                    name=one.name,
                    level=level,
                    terms=one.terms,
                    before=before,
                    after=table.num_rows,
                    blank_kept=blank_kept,
                )
            )
    return Selected(table=table, reports=tuple(reports))


def filters_at(query: Query, level: Level) -> tuple[Filter, ...]:
    """Return the local filters of a query that belong to a level, in the order in which they are applied."""
    return (*_precautions(query, level), *_wanted(query, level))


def include(name: str, column: str, terms: tuple[str, ...], *, keep_blank: bool) -> Filter:
    """Return the filter that keeps rows with one of the terms in a column, as a substring in any case."""
    return Filter(name=name, column=column, terms=terms, keeps=_has_any(terms), keeps_blank=keep_blank)


def exclude(name: str, column: str, terms: tuple[str, ...]) -> Filter:
    """Return the filter that drops rows with one of the terms in a column, as a substring in any case."""
    has_any = _has_any(terms)
    return Filter(name=name, column=column, terms=terms, keeps=lambda value: not has_any(value))


def _wanted(query: Query, level: Level) -> Iterator[Filter]:
    wanted = query.filters
    if level is Level.STUDY:
        yield from _include_exclude(
            "description",
            "StudyDescription",
            (wanted.description_include, wanted.description_exclude),
            keep_blank=wanted.keep_blank,
        )
    if level is wanted.station_level:
        yield from _include_exclude(
            "station",
            "StationName",
            (wanted.station_include, wanted.station_exclude),
            keep_blank=wanted.keep_blank,
        )


def _include_exclude(
    what: str, column: str, terms: tuple[tuple[str, ...], tuple[str, ...]], *, keep_blank: bool
) -> Iterator[Filter]:
    included, excluded = terms
    if included:
        yield include(f"{what} include", column, included, keep_blank=keep_blank)
    if excluded:
        yield exclude(f"{what} exclude", column, excluded)


def _precautions(query: Query, level: Level) -> Iterator[Filter]:
    """Repeat what the node was asked for: there are PACS that ignore ModalitiesInStudy, dates or lists of UIDs."""
    codes = frozenset(query.modalities)
    column = {Level.STUDY: "ModalitiesInStudy", Level.SERIES: "Modality"}.get(level)
    if codes and column is not None:
        yield _precaution(column, query.modalities, lambda value: not codes.isdisjoint(value.split("\\")))
    if query.dates is not None and level is Level.STUDY:
        first, last = query.dates.first.isoformat(), query.dates.last.isoformat()
        yield _precaution("StudyDate", (query.dates.matching,), lambda value: first <= value <= last)
    for keyword, asked in query.keys:
        if keyword == _UNIQUE_UIDS.get(level):
            uids = frozenset(asked.split("\\"))
            yield _precaution(keyword, tuple(sorted(uids)), uids.__contains__)


def _precaution(column: str, terms: tuple[str, ...], keeps: Judge) -> Filter:
    return Filter(name=column, column=column, terms=terms, keeps=keeps, is_precaution=True)


_UNIQUE_UIDS = {
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}


def _has_any(terms: Sequence[str]) -> Judge:
    sought = [term.casefold() for term in terms]

    def has_any(value: str) -> bool:
        folded = value.casefold()
        return any(term in folded for term in sought)

    return has_any


def _apply_one(one: Filter, table: pa.Table) -> tuple[pa.Table, int]:
    """Return the rows that a filter keeps, and how many of them have no value."""
    if one.column not in table.column_names:
        column: list[str | None] = [None] * table.num_rows
    else:
        column = table[one.column].cast(pa.string()).to_pylist()
    verdicts = {value: one.keeps(value) if value else one.keeps_blank for value in set(column)}
    kept = [row for row, value in enumerate(column) if verdicts[value]]
    blank = sum(1 for row in kept if not column[row])
    return (table if len(kept) == table.num_rows else table.take(pa.array(kept, pa.int64()))), blank
