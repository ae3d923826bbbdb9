"""How studies are asked by ModalitiesInStudy, an optional key (PS3.4 C.6.2.1.2).

Some nodes ignore it, others leave it out of their answers. Nothing here does I/O: the steps yield requests, and are
sent their answers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from qrkit.node import InformationModel
from qrkit.query.request import Request
from qrkit.tables import Level, levels_of, read_modalities, unique_key, unique_keys_above
from qrkit.words import counted

KEYWORD = "ModalitiesInStudy"
MOST_STUDIES = 500
"""Studies whose series are looked at for their modalities, a request each."""

_UNSEEN = (
    "no study was returned for ModalitiesInStudy, and whether the node matches that key is not known: give dates, "
    "to match it here"
)

_FEW = 2
"""Further codes that are asked at once, though none is known to be heeded."""

ModalitySteps = Generator[tuple[Request, ...], Sequence[pa.Table], "ModalityAnswers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityAnswers:
    """The answers to requests for studies by modality."""

    asked: int  # how many requests were sent in all
    tables: list[list[pa.Table]]  # the answers to each of the requests
    contradiction: str = ""  # what came that was not asked for, or only without the key; empty: nothing
    doubt: str = ""  # why there may be studies though none came; empty: none


def ask_by_modality(
    requests: Sequence[Request], codes: Sequence[str], *, is_honoured: bool, is_narrow: bool
) -> ModalitySteps:
    """Ask each request for the first code, and decide by the answers how to ask for the others.

    Where studies come that say they do not have the code, ModalitiesInStudy is no reliable key: the rest is asked
    once without it, not once for each further code. The first answer alone will not do, even if the node seems to
    have answered with everything: it may match a key rightly whose values it tells only in part. The same holds
    where studies tell no modalities at all, and two codes bring the same studies.

    A node may match no study by the key, such as one that matches Modality at STUDY level. If no code brings any
    study, each request is sent once more without it, unless it is not narrow: it would be for a whole archive. A node
    that is known to honour the key is believed.
    """
    tables: list[list[pa.Table]] = [[] for _ in requests]
    asked = yield from _ask_codes(requests, codes[:1], tables)
    rest = list(codes[1:])
    told = [known for (answer,) in tables for known in _told_modalities(answer)]
    others = [known for known in told if codes[0] not in known]
    if not told and len(rest) > _FEW and any(answer.num_rows for (answer,) in tables):
        asked += yield from _ask_codes(requests, rest[:1], tables)
        rest = rest[1:]
        is_ignored = all(_uids(one) == _uids(other) for one, other in tables)
    else:
        is_ignored = bool(others)
    if rest:
        asked += yield from _ask_codes(requests, [""] if is_ignored else rest, tables)
    came = counted(len(others), "study")
    said = f"ModalitiesInStudy {codes[0]} returned {came} without a series of {codes[0]}" if others else ""
    if is_honoured or any(answer.num_rows for answers in tables for answer in answers):
        return ModalityAnswers(asked=asked, tables=tables, contradiction=said)
    if not is_narrow:
        return ModalityAnswers(asked=asked, tables=tables, doubt=_UNSEEN)
    asked += yield from _ask_codes(requests, [""], tables)
    unmatched = {uid for *_, answer in tables for uid in _with_modalities(answer, frozenset(codes))}
    came = counted(len(unmatched), "study")
    said = f"ModalitiesInStudy returned no study, and {came} without it" if unmatched else ""
    return ModalityAnswers(asked=asked, tables=tables, contradiction=said)


def _with_modalities(studies: pa.Table, codes: frozenset[str]) -> Iterator[str]:
    """Yield the studies that have a modality of some, or may have it."""
    for uid, value in zip(_column(studies, unique_key(Level.STUDY)), _column(studies, KEYWORD), strict=True):
        if read_modalities(value).may_be_one_of(codes):
            yield uid


def _ask_codes(
    requests: Sequence[Request], codes: Sequence[str], tables: list[list[pa.Table]]
) -> Generator[tuple[Request, ...], Sequence[pa.Table], int]:
    """Ask each request for each code, add what comes to its tables, and return how many were asked."""
    following = tuple(one.with_key(KEYWORD, code) for one in requests for code in codes)
    answers = yield following
    for place, answer in enumerate(answers):
        tables[place // len(codes)].append(answer)
    return len(following)


def series_requests(studies: pa.Table, model: InformationModel) -> list[tuple[int, Request]]:
    """Return the requests for the series of studies, whose modalities are those of the study, with the study's row.

    There is one for each row whose ModalitiesInStudy is no list of codes. A blank is one only where no row has codes:
    otherwise the node says of a study what it knows. There is none if the information model has no series.
    """
    told = _column(studies, KEYWORD)
    are_known = [read_modalities(value).are_known for value in told]
    if Level.SERIES not in levels_of(model):
        return []
    names = [*unique_keys_above(Level.STUDY, model), unique_key(Level.STUDY)]
    columns = [_column(studies, name) for name in names]
    return [
        (
            row,
            Request(level=Level.SERIES, keys=tuple(zip(names, uids, strict=True)), return_keys=("Modality",)),
        )
        for row, uids in enumerate(zip(*columns, strict=True))
        if all(uids) and not are_known[row] and (told[row].strip() or not any(are_known))
    ]


def with_modalities(studies: pa.Table, rows: Sequence[int], series: Sequence[pa.Table]) -> pa.Table:
    """Return studies, some rows with the modalities of their series; as they were where one series has none."""
    values: list[str | None] = [value or None for value in _column(studies, KEYWORD)]
    for row, table in zip(rows, series, strict=True):
        codes = _column(table, "Modality")
        values[row] = "\\".join(sorted(set(codes))) if codes and all(codes) else values[row]
    column = pa.array(values, pa.string())
    if KEYWORD not in studies.column_names:
        return studies.append_column(KEYWORD, column)
    return studies.set_column(studies.column_names.index(KEYWORD), KEYWORD, column)


def _told_modalities(studies: pa.Table) -> Iterator[frozenset[str]]:
    """Yield the modalities of each study that names them, in all of its rows."""
    known: dict[str | int, frozenset[str]] = {}
    unknown: set[str | int] = set()
    rows = zip(_column(studies, unique_key(Level.STUDY)), _column(studies, KEYWORD), strict=True)
    for row, (uid, value) in enumerate(rows):
        modalities = read_modalities(value)
        known[uid or row] = known.get(uid or row, frozenset()) | modalities.codes
        if not modalities.are_known:
            unknown.add(uid or row)
    return (codes for study, codes in known.items() if study not in unknown)


def _uids(studies: pa.Table) -> set[str]:
    return set(_column(studies, unique_key(Level.STUDY)))


def _column(table: pa.Table, name: str) -> list[str]:
    if name not in table.column_names:
        return [""] * table.num_rows
    return [value or "" for value in table[name].to_pylist()]
