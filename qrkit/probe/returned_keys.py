"""The returned keys of all responses: whether they have values, and in which character set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from qrkit.probe.inquiry import Finding
from qrkit.probe.questions import QueryAnswers, Question
from qrkit.profile.profile import Returned
from qrkit.profile.subjects import Fill, Verdict
from qrkit.tables import Level, unique_key
from qrkit.words import counted

_LOOKED_AT = {
    Level.STUDY: (
        "StudyTime",
        "StudyDescription",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "StationName",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: (
        "SeriesNumber",
        "Modality",
        "SeriesDescription",
        "StationName",
        "NumberOfSeriesRelatedInstances",
    ),
    Level.IMAGE: ("SOPClassUID", "InstanceNumber"),
}
_NARROWING = frozenset({"StudyDate", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber"})

Exchanges = Sequence[tuple[Question, QueryAnswers]]


def returned_keys(asked: Exchanges) -> tuple[Returned, ...]:
    """Return how each key is filled, over the questions that do not match on it."""
    return tuple(
        _returned(level, keyword, [pair for pair in asked if _tells(pair[0], level, keyword)])
        for level, keywords in _LOOKED_AT.items()
        for keyword in keywords
    )


def _tells(question: Question, level: Level, keyword: str) -> bool:
    request = question.request
    return (
        request.level is level
        and keyword in (*request.return_keys, *dict(request.keys))
        and _NARROWING.issuperset(keyword for keyword, _ in request.keys)
    )


def _returned(level: Level, keyword: str, asked: Exchanges) -> Returned:
    total = sum(len(answers.rows) for _, answers in asked)
    if not total:
        return Returned(level=level, keyword=keyword)
    filled = sum(row.get(keyword) is not None for _, answers in asked for row in answers.rows)
    element_counts = sum(answers.element_counts.get(keyword, 0) for _, answers in asked)
    if filled == total:
        fill = Fill.FILLED
    elif filled:
        fill = Fill.PARTLY
    else:
        fill = Fill.EMPTY if element_counts else Fill.NOT_RETURNED
    evidence = f"{filled} of {total} responses had a value, {max(element_counts - filled, 0)} were empty"
    return Returned(level=level, keyword=keyword, fill=fill, evidence=evidence)


def character_sets(asked: Exchanges) -> tuple[str, ...]:
    """Return the character sets that responses name, most frequent first; an empty text for none."""
    counts = Counter(str(row.get("SpecificCharacterSet") or "") for row in _rows(asked))
    return tuple(name for name, _ in counts.most_common())


def judge_character_set(asked: Exchanges) -> Finding:
    """Return whether text is in the character set of its response."""
    odd = sum(answers.undecodable_texts for _, answers in asked)
    beyond = [row for row in _rows(asked) if not _is_ascii(row)]
    unnamed = sum(not row.get("SpecificCharacterSet") for row in beyond)
    if odd:
        return Finding(
            verdict=Verdict.IGNORED, evidence=f"text in {counted(odd, 'response')} is not in the named character set"
        )
    if unnamed:
        return Finding(
            verdict=Verdict.IGNORED,
            evidence=f"text beyond ASCII in {counted(unnamed, 'response')} without a named character set",
        )
    if beyond:
        return Finding(
            verdict=Verdict.HONOURED,
            evidence=f"text beyond ASCII in {counted(len(beyond), 'response')} is in the named character set",
        )
    return Finding(evidence="no response had text beyond ASCII")


def repeated_answers(asked: Exchanges) -> str:
    """Return a sentence on repeated responses, or an empty text."""
    doubled = 0
    for question, answers in asked:
        keys = [row[unique] for row in answers.rows if row.get(unique := unique_key(question.request.level))]
        doubled += len(keys) - len(set(keys))
    return f"The node repeated {counted(doubled, 'response')}; each counts once." if doubled else ""


def _rows(asked: Exchanges) -> Iterable[dict[str, Any]]:
    return (dict(row) for _, answers in asked for row in answers.rows)


def _is_ascii(row: dict[str, Any]) -> bool:
    return all(value.isascii() for value in row.values() if isinstance(value, str))
