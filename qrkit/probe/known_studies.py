"""The studies that a probe knows, from which it predicts the next results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from qrkit.probe.questions import AnswerRow

# modalities that accompany others; they distinguish studies poorly
_SECONDARY = frozenset({"SR", "PR", "KO", "OT", "DOC", "SC", "REG", "SEG", "AU"})
_LISTS = frozenset({"ModalitiesInStudy", "SOPClassesInStudy"})
CONTRAST = ("MR", "CT", "US", "NM", "DX", "MG", "ES", "ECG", "IVUS", "OPT")
"""Common Modality codes, most frequent first; each study lacks some of them."""


class KnownStudies:
    """Studies by StudyInstanceUID, and the series of some of them."""

    def __init__(self) -> None:
        self.studies: dict[str, dict[str, Any]] = {}
        self.series: dict[str, dict[str, dict[str, Any]]] = {}

    def add_studies(self, rows: Iterable[AnswerRow]) -> None:
        """Add rows at STUDY level; an empty value never replaces another.

        In some archives two patients share a study, which then has the values of both rows.
        """
        for row in rows:
            uid = row.get("StudyInstanceUID")
            if uid:
                kept = self.studies.setdefault(str(uid), {})
                given = {keyword: value for keyword, value in row.items() if value is not None}
                both = _LISTS & given.keys() & kept.keys()
                kept |= given | {keyword: _union(kept[keyword], given[keyword]) for keyword in both}

    def add_series(self, study: str, rows: Iterable[AnswerRow]) -> None:
        """Add all series of a study, from the hierarchy."""
        self.series[study] = {
            str(row["SeriesInstanceUID"]): dict(row) for row in rows if row.get("SeriesInstanceUID")
        }

    def codes(self, study: str) -> frozenset[str] | None:
        """Return the modalities of a study by its ModalitiesInStudy or its series; None if unknown."""
        text = self.studies.get(study, {}).get("ModalitiesInStudy")
        if text:
            return frozenset(part for part in str(text).split("\\") if part)
        found = [row.get("Modality") for row in self.series.get(study, {}).values()]
        return frozenset(str(code) for code in found) if found and all(found) else None

    def on(self, studies: Iterable[str], first: date, last: date) -> tuple[set[str], set[str]]:
        """Return the studies within some days, and the others; studies without a date are in neither set."""
        dated = {uid: self.studies[uid].get("StudyDate") for uid in studies}
        inside = {uid for uid, day in dated.items() if day is not None and first <= day <= last}
        return inside, {uid for uid, day in dated.items() if day is not None} - inside

    def with_code(self, studies: Iterable[str], code: str) -> tuple[set[str], set[str]]:
        """Return the studies with a modality, and those without it."""
        known = {uid: codes for uid in studies if (codes := self.codes(uid)) is not None}
        having = {uid for uid, codes in known.items() if code in codes}
        return having, set(known) - having

    def distinguishing_code(self, studies: Sequence[str]) -> str:
        """Return a modality of only a few of the studies; empty if there is none."""
        known = [codes for uid in studies if (codes := self.codes(uid)) is not None]
        counts = Counter(code for codes in known for code in codes)
        telling = {code: count for code, count in counts.items() if count < len(known)}
        return min(telling, key=lambda code: (code in _SECONDARY, telling[code] < 2, telling[code], code), default="")

    def contrast_code(self, studies: Iterable[str]) -> str:
        """Return a modality that none of the studies has."""
        present = {code for uid in studies for code in self.codes(uid) or ()}
        return next((code for code in CONTRAST if code not in present), "")

    def busiest_day(self) -> date | None:
        """Return the day with most known studies, the latest of equal ones."""
        days = Counter(row["StudyDate"] for row in self.studies.values() if row.get("StudyDate"))
        return max(days, key=lambda day: (days[day], day), default=None)

    def subject_study(self, studies: Sequence[str]) -> str:
        """Return the reference study: most modalities, then fewest series; empty if there is none."""
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


def _union(first: str, second: str) -> str:
    return "\\".join(dict.fromkeys(part for part in (*first.split("\\"), *second.split("\\")) if part))


def _count(row: Mapping[str, Any], keyword: str) -> int:
    value = row.get(keyword)
    return value if isinstance(value, int) and value > 0 else 10
