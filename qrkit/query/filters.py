"""Local filters: those that no PACS offers, and the matching keys that a PACS may have ignored.

They run on the rows of one level during a query, and each reports how many rows it kept and how many of these have no
value.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from qrkit.character_sets import folded
from qrkit.query.coverage import FilterReport, Where
from qrkit.query.local_matching import is_identifier, local_judge, modality_judge
from qrkit.query.matches import ESCAPES, Judge, Match
from qrkit.query.query import Filters, Query
from qrkit.tables import Level, belongs_to, keyword_vr, read_modalities, with_warnings

if TYPE_CHECKING:
    import pyarrow as pa

_SHARE = 3
"""One in how many rows surely does not match, at least, where a node ignores a key."""

_WHY_KEPT = {
    Match.ALIKE: "written in another way than the query; the row is kept, since the node returned it",
    Match.UNSURE: "not comparable with the query; the row is kept",
    Match.NO: "does not match the query; the row is kept, since the node returned it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Rows that local filters left over, and what each filter did."""

    table: pa.Table
    reports: tuple[FilterReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """The known matching of a node, by keyword; a keyword in neither set is unknown."""

    honoured: frozenset[str] = frozenset()  # matched as PS3.4 says
    # ignored or refused: not asked to be matched where the query stays narrow without, and matched here
    unmatched: frozenset[str] = frozenset()
    # levels at which several rows above may be asked for at once, by a list of their UIDs
    lists: frozenset[Level] = frozenset()

    def without(self, keywords: Iterable[str]) -> Reliance:
        """Return the same for a query some of whose keys the node does not match, for what is asked in them."""
        unmatched = self.unmatched | set(keywords)
        return replace(self, honoured=self.honoured - unmatched, unmatched=unmatched)


Select: TypeAlias = "Callable[[Query, Level, pa.Table], Selected]"
"""Applies the local filters that belong to a level; `qrkit.query.filters.select` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One local filter on one column."""

    name: str
    column: str
    terms: tuple[str, ...]  # what is sought, for the report
    judge: Judge  # whether a row with this value stays: it does unless it surely does not match
    keeps_blank: bool = True  # whether a row without a value stays, or without one that could be read
    # BOTH: a precaution that repeats what the node was asked for; reported if it drops rows or cannot judge them
    where: Where = Where.LOCAL
    # how many values that surely do not match show, if frequent, that the node ignores the key; 0: any
    evidence: int = 0
    is_text: bool = False  # whether values are free text, of which some may not be decoded
    is_modality: bool = False

    def is_blank(self, value: str | None) -> bool:
        """Whether there is no value, or text that could not be decoded."""
        return not value or (self.is_text and ESCAPES.search(value) is not None)


def select(
    query: Query,
    level: Level,
    table: pa.Table,
    *,
    local: Collection[str] = (),
    honoured: Collection[str] = (),
    unjudged: Collection[str] = (),
) -> Selected:
    """Apply the local filters of a query that belong to a level.

    Station filters at study level look at the study's own StationName. A row without a value for a matching key, such
    as a study without ModalitiesInStudy, stays, since the value is unknown.

    The node is known not to match the keys `local`, so that they are matched here alone, and to match the keys
    `honoured`. The keys `unjudged` are asked for, but not matched here.

    A row that the node returned for a key is dropped only if the node ignores that key: by what is known of it, or
    because too many of the rows surely do not match.
    """
    filters = (
        replace(one, evidence=max(one.evidence, 1)) if one.where is Where.BOTH and one.name in honoured else one
        for one in filters_at(query, level, local=local)
        if one.name not in unjudged
    )
    return apply(tuple(filters), level, table)


def select_sure(query: Query, level: Level, table: pa.Table, *, sure: Collection[str], others: Select) -> Selected:
    """Apply the filters of the keys `sure`, by which only rows stay that surely match, and then the others."""
    filters = tuple(_strict(one) for one in filters_at(query, level, local=sure) if one.name in sure)
    first = apply(filters, level, table)
    rest = others(query, level, first.table)
    return replace(rest, reports=(*first.reports, *rest.reports))


def _strict(one: Filter) -> Filter:
    """Return a filter that only keeps rows that surely match."""
    return replace(one, judge=_sure(lambda value: one.judge(value) is Match.YES), keeps_blank=False)


def apply(filters: Sequence[Filter], level: Level, table: pa.Table) -> Selected:
    """Apply filters one after the other.

    >>> import pyarrow as pa
    >>> found = pa.table({"StudyDescription": ["CT Chest", "Import", None]})
    >>> selected = apply([exclude("description exclude", "StudyDescription", ("import",))], Level.STUDY, found)
    >>> selected.table["StudyDescription"].to_pylist(), selected.reports[0].after
    (['CT Chest', None], 2)
    """
    reports: list[FilterReport] = []
    for one in filters:
        before = table.num_rows
        table, seen = _apply_one(one, table)
        if one.where is Where.LOCAL or table.num_rows != before or seen.blank or seen.unsure or seen.odd:
            judged_none = one.where is Where.BOTH and seen.blank == before
            reports.append(
                FilterReport(
                    name=one.name,
                    level=level,
                    terms=one.terms,
                    before=before,
                    after=table.num_rows,
                    blank_kept=seen.blank,
                    unsure_kept=seen.unsure,
                    reread=seen.odd,
                    where=Where.NODE if judged_none else one.where,
                )
            )
    return Selected(table=table, reports=tuple(reports))


_COLUMNS = {"description": "StudyDescription", "station": "StationName"}
"""The columns of text filters, by the first word of their names."""


def with_places(
    reports: Iterable[FilterReport], unmatched: Collection[str], refused: Iterable[tuple[str, Collection[str]]]
) -> tuple[FilterReport, ...]:
    """Return reports with `Where.NONE` for filters that ran nowhere: not at the node, and on no value here.

    The node does not match the keys `unmatched`, and was not asked for the columns `refused`, by level. The
    modalities of studies are not among these keys: their series are asked.

    >>> report = FilterReport(name="StationName", level=Level.STUDY, terms=("CT1",), before=4, after=4, blank_kept=4)
    >>> [with_places([report], unmatched, [])[0].where.value for unmatched in ({"StationName"}, ())]
    ['none', 'local']
    """
    no_column = {(level, key) for level, keys in refused for key in keys}

    def is_vain(report: FilterReport) -> bool:
        column = _COLUMNS.get(report.name.partition(" ")[0])
        if column is not None:
            return report.before > 0 and (report.level.value, column) in no_column
        is_blank = 0 < report.before == report.blank_kept
        return is_blank and report.name in unmatched and report.name != "ModalitiesInStudy"

    return tuple(replace(report, where=Where.NONE) if is_vain(report) else report for report in reports)


def filters_at(query: Query, level: Level, *, local: Collection[str] = ()) -> tuple[Filter, ...]:
    """Return the local filters of a query at a level, in the order of their application; `local` as in `select`."""
    return (*_matching(query, level, local), *text_filters(query.filters, level))


def include(name: str, column: str, terms: tuple[str, ...], *, keep_blank: bool) -> Filter:
    """Return the filter that keeps rows with one of the terms in a column, as a substring in any case."""
    judge = _sure(_has_any(terms))
    return Filter(name=name, column=column, terms=terms, judge=judge, keeps_blank=keep_blank, is_text=True)


def exclude(name: str, column: str, terms: tuple[str, ...]) -> Filter:
    """Return the filter that drops rows with one of the terms in a column, as a substring in any case."""
    has_any = _has_any(terms)
    return Filter(name=name, column=column, terms=terms, judge=_sure(lambda value: not has_any(value)), is_text=True)


def text_filters(filters: Filters, level: Level) -> Iterator[Filter]:
    """Yield the filters of descriptions and stations that belong to a level, in their order."""
    levels = {"description": Level.STUDY, "station": filters.station_level}
    for what, column in _COLUMNS.items():
        if levels[what] is not level:
            continue
        if included := getattr(filters, f"{what}_include"):
            yield include(f"{what} include", column, included, keep_blank=filters.keep_blank)
        if excluded := getattr(filters, f"{what}_exclude"):
            yield exclude(f"{what} exclude", column, excluded)


def _matching(query: Query, level: Level, local: Collection[str]) -> Iterator[Filter]:
    """Repeat what the node was asked for: there are PACS that ignore ModalitiesInStudy, dates or lists of UIDs."""
    codes = frozenset(query.modalities)
    column = {Level.STUDY: "ModalitiesInStudy", Level.SERIES: "Modality"}.get(level)
    if codes and column is not None:
        yield Filter(
            name=column,
            column=column,
            terms=query.modalities,
            judge=modality_judge(codes),
            where=_where(column, local),
            is_modality=True,
        )
    for keyword, asked in _keys_at(query, level):
        judge = local_judge(keyword, asked)
        if judge is not None:
            terms = tuple(sorted(set(asked.split("\\"))))
            yield Filter(
                name=keyword,
                column=keyword,
                terms=terms,
                judge=judge,
                where=_where(keyword, local),
                evidence=_evidence(keyword),
            )


def _keys_at(query: Query, level: Level) -> Iterator[tuple[str, str]]:
    """Yield the matching keys that can be judged by the rows of a level."""
    if level is Level.STUDY:
        if query.dates is not None:
            yield "StudyDate", query.dates.matching
        if query.times is not None:
            yield "StudyTime", query.times.matching
    for keyword, asked in query.keys:
        if level in _homes(keyword, query.level):
            yield keyword, asked


def _homes(keyword: str, lowest: Level) -> tuple[Level, ...]:
    """Return the levels at which a key is judged: the lowest that has it, down to the query's own.

    What is said of patients is the same at STUDY level, where Study Root has it. StationName is not: that of a study
    says nothing on its series.
    """
    order = list(Level)
    limit = max(lowest, Level.STUDY, key=order.index)
    levels = [level for level in belongs_to(keyword) if order.index(level) <= order.index(limit)]
    if not levels:
        return (limit,)
    return (Level.PATIENT, Level.STUDY) if levels[0] is Level.PATIENT else (levels[-1],)


def _evidence(keyword: str) -> int:
    """Return how many values show that a node ignores a key: people and orders may have a second name or number."""
    return 2 if keyword_vr(keyword) == "PN" or is_identifier(keyword) else 0


def _where(keyword: str, local: Collection[str]) -> Where:
    return Where.LOCAL if keyword in local else Where.BOTH


def as_compared(text: str) -> str:
    r"""Return the form in which descriptions are compared: case folded, equivalent letters the same (NFKC).

    >>> as_compared("\uff23\uff34 SCHA\u0308DEL") == as_compared("ct sch\xe4del")
    True
    """
    return folded(unicodedata.normalize("NFKC", text))


def _has_any(terms: Sequence[str]) -> Callable[[str], bool]:
    sought = [as_compared(term) for term in terms]

    def has_any(value: str) -> bool:
        text = as_compared(value)
        return any(term in text for term in sought)

    return has_any


def _sure(passes: Callable[[str], bool]) -> Judge:
    return lambda value: Match.YES if passes(value) else Match.NO


@dataclass(frozen=True, slots=True)
class _Seen:
    """How many of the rows that a filter kept have no value, one that may match, or an odd one."""

    blank: int
    unsure: int
    odd: int


def _apply_one(one: Filter, table: pa.Table) -> tuple[pa.Table, _Seen]:
    """Return the rows that a filter keeps, those that only may match marked, and what it saw in them."""
    import pyarrow as pa

    if one.column not in table.column_names:
        column: list[str | None] = [None] * table.num_rows
    else:
        column = table[one.column].cast(pa.string()).to_pylist()
    counts = Counter(column)
    blank = {value for value in counts if one.is_blank(value)}
    verdicts: dict[str | None, Match] = {value: one.judge(value) for value in counts if value and value not in blank}
    dropped = _dropped(one, verdicts, counts) | (set() if one.keeps_blank else blank)
    kept = [row for row, value in enumerate(column) if value not in dropped]
    values = [column[row] for row in kept]
    marks = {
        row: {"keyword": one.column, "raw": value or "", "why": _WHY_KEPT[verdicts[value]]}
        for row, value in enumerate(values)
        if value in verdicts and verdicts[value] is not Match.YES
    }
    is_odd = {value for value in verdicts if one.is_modality and read_modalities(value).is_odd}
    seen = _Seen(
        blank=sum(value in blank for value in values),
        unsure=len(marks),
        odd=sum(value in is_odd for value in values),
    )
    table = table if len(kept) == table.num_rows else table.take(pa.array(kept, pa.int64()))
    return with_warnings(table, marks), seen


def _dropped(one: Filter, verdicts: Mapping[str | None, Match], counts: Mapping[str | None, int]) -> set[str | None]:
    """Return the values that cost a row.

    Where the node ignores the key, what only a node may take for a match does not match.
    """
    wrong = {value for value, match in verdicts.items() if match is Match.NO}
    alike = {value for value, match in verdicts.items() if match is Match.ALIKE}
    frequent = _SHARE * sum(counts[value] for value in wrong) > sum(counts[value] for value in verdicts)
    if one.where is Where.LOCAL or (frequent and len(wrong) >= one.evidence):
        return wrong | alike
    return set() if one.evidence else wrong
