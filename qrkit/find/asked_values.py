"""The values of a query's lists, such as accession numbers: which the node returned, and why others are missing.

Only a value whose request was answered by nothing, and provably so, was not found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from qrkit.find.windowed import WindowedAnswer
from qrkit.node import InformationModel
from qrkit.query import Coverage
from qrkit.query.local_matching import local_judge, modality_judge
from qrkit.query.matches import Match
from qrkit.query.matching import has_wildcard, takes_list
from qrkit.query.query import Query
from qrkit.query.request import Request
from qrkit.tables import Level, unique_key, unique_keys_above

ByKeyword = tuple[tuple[str, tuple[str, ...]], ...]
"""Values of lists, by keyword."""

_HOMES = {unique_key(Level.SERIES): Level.SERIES, unique_key(Level.IMAGE): Level.IMAGE}
"""The levels of keys that take lists; of all others STUDY."""

_REASONS = ("not_found", "excluded", "not_returned", "unanswered")
"""Names of the fields of missing values; a later reason counts more."""

_ORDER = list(Level)
_ALL = ""
"""Stands for all values of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingValues:
    """Values of lists without a row, by keyword, as `Coverage` has them."""

    not_found: ByKeyword = ()
    excluded: ByKeyword = ()
    not_returned: ByKeyword = ()
    unanswered: ByKeyword = ()

    def with_answers_alone(self, query: Query, alone: MissingValues) -> MissingValues:
        """Return the values once those that were not found were asked for alone, by `query`.

        A value that has rows without the other criteria was excluded by these.
        """
        (keyword, asked), *_ = query.keys
        values = set(asked.split("\\"))
        reasons = {reason: dict(getattr(alone, reason)).get(keyword, ()) for reason in _REASONS}
        missing = {value for some in reasons.values() for value in some}
        reasons["excluded"] = tuple(value for value in asked.split("\\") if value not in missing)
        merged: dict[str, ByKeyword] = {}
        for reason in _REASONS:
            known = dict(getattr(self, reason))
            before = known.pop(keyword, ())
            kept = tuple(value for value in before if reason != "not_found" or value not in values)
            merged[reason] = _filled({**known, keyword: (*kept, *reasons[reason])})
        return MissingValues(**merged)


class AskedValues:
    """The values of a query's lists, and how the node answered for each.

    Parameters
    ----------
    query
        Asks for them.
    model
        Of the node.
    """

    def __init__(self, query: Query, model: InformationModel) -> None:
        self._model = model
        self._has_modality = modality_judge(frozenset(query.modalities)) if query.modalities else None
        self._keys = {keyword: asked.split("\\") for keyword, asked in query.keys if takes_list(keyword)}
        self._seen: dict[str, set[str]] = {keyword: set() for keyword in self._keys}
        self._excluded: dict[str, set[str]] = {keyword: set() for keyword in self._keys}
        self._unproven: dict[str, set[str]] = {keyword: set() for keyword in self._keys}
        self._odd: dict[str, set[str]] = {keyword: set() for keyword in self._keys}

    def take(self, requests: Sequence[Request], answers: Sequence[WindowedAnswer]) -> None:
        """Take the answers to requests, before any local filter."""
        for keyword in self._keys:
            for request, answer in zip(requests, answers, strict=True):
                self._take(keyword, request, answer)

    def _take(self, keyword: str, request: Request, answer: WindowedAnswer) -> None:
        asked = request.value(keyword).split("\\")
        is_single = len(asked) == 1 and asked != [_ALL]
        depth = _ORDER.index(request.level) - _ORDER.index(_HOMES.get(keyword, Level.STUDY))
        if asked == [_ALL] and depth > 0:
            return
        is_above = asked == [_ALL] and depth < 0
        if answer.error is not None or answer.doubts or (is_above and _has_blanks(answer.table, request.level)):
            self._unproven[keyword].update(asked)
        if not answer.table.num_rows or keyword not in answer.table.column_names:
            return
        fitting, others = self._by_modality(answer.table)
        excluded = set(_values(others, keyword))
        self._excluded[keyword] |= excluded
        seen = set(_values(fitting, keyword))
        if not seen | excluded and is_single and keyword in unique_keys_above(request.level, self._model):
            seen = set(asked)  # what is below a row need not return its key
        self._seen[keyword] |= seen
        if not (seen := seen | excluded) or (is_single and not _has(seen, keyword, asked[0])):
            self._odd[keyword].update(asked)

    def _by_modality(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the rows that may have a modality of the query, and those that surely do not."""
        if self._has_modality is None or "ModalitiesInStudy" not in rows.column_names:
            return rows, rows.slice(0, 0)
        values = rows["ModalitiesInStudy"].to_pylist()
        fits = [not value or self._has_modality(value) is not Match.NO for value in values]
        return rows.filter(pa.array(fits, pa.bool_())), rows.filter(pa.array([not one for one in fits], pa.bool_()))

    def missing(self, *, has_rows: bool = False, ignored: Collection[str] = ()) -> MissingValues:
        """Return the values without a row, by the reason.

        Parameters
        ----------
        has_rows
            Whether the result has rows; where a key has a single value, they are of this one.
        ignored
            Keys that the node ignored, so that the answer for any value was the answer for all.
        """
        reasons: dict[str, dict[str, tuple[str, ...]]] = {reason: {} for reason in _REASONS}
        for keyword, asked in self._keys.items():
            if has_rows and len(asked) == 1:
                continue
            unproven, odd = self._unproven[keyword], self._odd[keyword]
            if keyword in ignored:
                unproven, odd = ({_ALL} if unproven else set()), set()
            for value in asked:
                if not _has(self._seen[keyword], keyword, value):
                    is_odd, is_unproven = not odd.isdisjoint({value, _ALL}), not unproven.isdisjoint({value, _ALL})
                    reason = "unanswered" if is_unproven else "not_returned" if is_odd else "not_found"
                    if not is_unproven and _has(self._excluded[keyword], keyword, value):
                        reason = "excluded"
                    reasons[reason][keyword] = (*reasons[reason].get(keyword, ()), value)
        return MissingValues(**{reason: tuple(values.items()) for reason, values in reasons.items()})


def _has_blanks(rows: pa.Table, level: Level) -> bool:
    """Return whether rows of a level lack their Unique Key, so that nothing can be queried below them."""
    unique = unique_key(level)
    if unique not in rows.column_names:
        return bool(rows.num_rows)
    return not all(str(value or "").strip() for value in rows[unique].to_pylist())


def _values(table: pa.Table, keyword: str) -> Iterator[str]:
    for value in set(table[keyword].cast(pa.string()).to_pylist()):
        yield from (part.strip(" ") for part in (value or "").split("\\") if part.strip(" "))


def _has(seen: Collection[str], keyword: str, value: str) -> bool:
    """Whether a value was returned, or one that it matches by wildcards."""
    judge = local_judge(keyword, value) if has_wildcard(keyword, value) else None
    return value in seen or (judge is not None and any(judge(one) is not Match.NO for one in seen))


def without_wildcards(coverage: Coverage, keywords: Collection[str]) -> MissingValues:
    """Return the missing values of a coverage, at a node that does not match wildcards in some keys."""
    found, unanswered = dict(coverage.not_found), dict(coverage.unanswered)
    for keyword in found.keys() & set(keywords):
        wild = tuple(value for value in found[keyword] if has_wildcard(keyword, value))
        found[keyword] = tuple(value for value in found[keyword] if value not in wild)
        unanswered[keyword] = (*unanswered.get(keyword, ()), *wild)
    return MissingValues(
        not_found=_filled(found),
        excluded=coverage.excluded,
        not_returned=coverage.not_returned,
        unanswered=_filled(unanswered),
    )


def queries_for_values_alone(query: Query, not_found: ByKeyword, ignored: Collection[str] = ()) -> Iterator[Query]:
    r"""Yield the queries for values that were not found without other criteria, on the same days.

    There is none for a list that is the only criterion, for values with wildcards and for keys that the node ignored,
    which would return the whole archive, and for UIDs of series and objects.

    >>> query = Query(keys=(("AccessionNumber", "A1\\A2\\A*"), ("ModalitiesInStudy", "CT")))
    >>> [alone.keys for alone in queries_for_values_alone(query, (("AccessionNumber", ("A1", "A*")),))]
    [(('AccessionNumber', 'A1'),)]
    """
    level = Level.PATIENT if query.level is Level.PATIENT else Level.STUDY
    for keyword, values in not_found:
        single = [value for value in values if not has_wildcard(keyword, value)]
        others = any(other != keyword for other, _ in query.keys) or query.modalities
        if single and others and keyword not in _HOMES and keyword not in ignored:
            yield Query(level=level, keys=((keyword, "\\".join(single)),), dates=query.dates, times=query.times)


def missing_from_all(coverages: Sequence[Coverage]) -> MissingValues:
    """Return the values that are missing from all answers of one question in parts, each by its worst reason.

    >>> parts = [Coverage(not_found=(("PatientID", ("1", "2")),)), Coverage(unanswered=(("PatientID", ("2", "3")),))]
    >>> missing_from_all(parts).unanswered, missing_from_all(parts).not_found
    ((('PatientID', ('2',)),), ())
    """
    reasons: dict[str, dict[str, tuple[str, ...]]] = {reason: {} for reason in _REASONS}
    parts = [_reasons(coverage) for coverage in coverages]
    for pair in parts[0] if parts else ():
        if all(pair in part for part in parts):
            reason = max((part[pair] for part in parts), key=list(reasons).index)
            reasons[reason][pair[0]] = (*reasons[reason].get(pair[0], ()), pair[1])
    return MissingValues(**{reason: tuple(values.items()) for reason, values in reasons.items()})


def _reasons(coverage: Coverage) -> Mapping[tuple[str, str], str]:
    return {
        (keyword, value): reason
        for reason in _REASONS
        for keyword, values in getattr(coverage, reason)
        for value in values
    }


def _filled(values: Mapping[str, tuple[str, ...]]) -> ByKeyword:
    return tuple((keyword, some) for keyword, some in values.items() if some)
