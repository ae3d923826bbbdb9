"""What a probe has learnt of the studies of a node: enough to know what the next answers should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from qrkit.probe.questions import AnswerRow

# What else a study may hold besides what it was made for; other codes tell studies apart better.
_SECONDARY = frozenset({"SR", "PR", "KO", "OT", "DOC", "SC", "REG", "SEG", "AU"})
_LISTS = frozenset({"ModalitiesInStudy", "SOPClassesInStudy"})
CONTRAST = ("MR", "CT", "US", "NM", "DX", "MG", "ES", "ECG", "IVUS", "OPT")
"""Modality codes of which any study lacks some, most frequent first."""


class KnownStudies:
    """Studies by their StudyInstanceUID, and the series of those that were looked at."""

    def __init__(self) -> None:
        self.studies: dict[str, dict[str, Any]] = {}
        self.series: dict[str, dict[str, dict[str, Any]]] = {}

    def add_studies(self, rows: Iterable[AnswerRow]) -> None:
        """Take in answers at STUDY level; an empty value never replaces one.

        There are archives in which two patients share a study: it has then what either of its answers tells.
        """
        for row in rows:
            uid = row.get("StudyInstanceUID")
            if uid:
                kept = self.studies.setdefault(str(uid), {})
                told = {keyword: value for keyword, value in row.items() if value is not None}
                both = _LISTS & told.keys() & kept.keys()
                kept |= told | {keyword: _union(kept[keyword], told[keyword]) for keyword in both}

    def add_series(self, study: str, rows: Iterable[AnswerRow]) -> None:
        """Take in all series of a study, as the hierarchical way gives them."""
        self.series[study] = {
            str(row["SeriesInstanceUID"]): dict(row) for row in rows if row.get("SeriesInstanceUID")
        }

    def codes(self, study: str) -> frozenset[str] | None:
        """Return the modalities of a study, by its ModalitiesInStudy, else by its series; None: unknown."""
        text = self.studies.get(study, {}).get("ModalitiesInStudy")
        if text:
            return frozenset(part for part in str(text).split("\\") if part)
        found = [row.get("Modality") for row in self.series.get(study, {}).values()]
        return frozenset(str(code) for code in found) if found and all(found) else None

    def on(self, studies: Iterable[str], first: date, last: date) -> tuple[set[str], set[str]]:
        """Return those of some studies that are of some days, and those that are not; undated ones are neither."""
        dated = {uid: self.studies[uid].get("StudyDate") for uid in studies}
        inside = {uid for uid, day in dated.items() if day is not None and first <= day <= last}
        return inside, {uid for uid, day in dated.items() if day is not None} - inside

    def with_code(self, studies: Iterable[str], code: str) -> tuple[set[str], set[str]]:
        """Return those of some studies that have a modality, and those that have not."""
        told = {uid: codes for uid in studies if (codes := self.codes(uid)) is not None}
        having = {uid for uid, codes in told.items() if code in codes}
        return having, set(told) - having

    def distinguishing_code(self, studies: Sequence[str]) -> str:
        """Return a modality that a few of some studies have and others have not; empty if there is none."""
        told = [codes for uid in studies if (codes := self.codes(uid)) is not None]
        counts = Counter(code for codes in told for code in codes)
        telling = {code: count for code, count in counts.items() if count < len(told)}
        return min(telling, key=lambda code: (code in _SECONDARY, telling[code] < 2, telling[code], code), default="")

    def contrast_code(self, studies: Iterable[str]) -> str:
        """Return a modality that none of some studies has."""
        present = {code for uid in studies for code in self.codes(uid) or ()}
        return next((code for code in CONTRAST if code not in present), "")

    def busiest_day(self) -> date | None:
        """Return the day with most known studies, the latest of several."""
        days = Counter(row["StudyDate"] for row in self.studies.values() if row.get("StudyDate"))
        return max(days, key=lambda day: (days[day], day), default=None)

    def subject_study(self, studies: Sequence[str]) -> str:
        """Return the study to look into: with most modalities, then the fewest series; empty if there is none."""
        return min(studies, key=self._rank, default="")

    def companion(self, studies: Sequence[str], study: str) -> str:
        """Return another study with few series; empty if there is none."""
        others = [uid for uid in studies if uid != study]
        return min(others, key=lambda uid: (_count(self.studies[uid], "NumberOfStudyRelatedSeries"), uid), default="")

    def _rank(self, study: str) -> tuple[bool, int, bool, int, str]:
        codes = self.codes(study) or frozenset()
        count = _count(self.studies[study], "NumberOfStudyRelatedSeries")
        day = self.studies[study].get("StudyDate")
        is_alone = not codes or day is None or len(self.on(self.studies, day, day)[0]) < 2
        kinds = len(codes) or len(str(self.studies[study].get("SOPClassesInStudy") or "").split("\\"))
        return count > 50, -min(kinds, 2) - ("SR" in codes and len(codes) > 1), is_alone, count, study


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The studies that the questions are about.

    Attributes
    ----------
    keys
        What narrows a query down to them; there may be more than the known ones.
    studies
        StudyInstanceUIDs that are known, in the order of the answers.
    """

    keys: tuple[tuple[str, str], ...]
    studies: tuple[str, ...]


def _union(first: str, second: str) -> str:
    return "\\".join(dict.fromkeys(part for part in (*first.split("\\"), *second.split("\\")) if part))


def _count(row: Mapping[str, Any], keyword: str) -> int:
    value = row.get(keyword)
    return value if isinstance(value, int) and value > 0 else 10
