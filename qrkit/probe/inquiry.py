"""The state of a probe: the known studies, the questions, and the rules that turn evidence into results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Any

from qrkit.node import InformationModel
from qrkit.probe.questions import AnswerRow, QueryAnswers, QueryEnd, Question
from qrkit.profile import Statement
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.request import Request
from qrkit.tables import Level, levels_of, read_modalities, unique_key, unique_keys_above

# modalities that accompany others; they distinguish studies poorly
_SECONDARY = frozenset({"SR", "PR", "KO", "OT", "DOC", "SC", "REG", "SEG", "AU"})
_LISTS = frozenset({"ModalitiesInStudy", "SOPClassesInStudy"})
CONTRAST = ("MR", "CT", "US", "NM", "DX", "MG", "ES", "ECG", "IVUS", "OPT")
"""Common Modality codes, most frequent first; each study lacks some of them."""

MOST_REQUESTS = 12
"""Largest number of C-FIND requests in one probe."""

SMALL = 100
"""Number of responses after which most questions are cancelled."""

THINGS = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "images"}
"""The plural of what a question asks for at each level."""

_MOST_LOSSES = 2


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
                for keyword in both:
                    parts = f"{kept[keyword]}\\{given[keyword]}".split("\\")
                    given[keyword] = "\\".join(dict.fromkeys(filter(None, parts)))
                kept |= given

    def add_series(self, study: str, rows: Iterable[AnswerRow]) -> None:
        """Add all series of a study, from the hierarchy."""
        self.series[study] = {
            str(row["SeriesInstanceUID"]): dict(row) for row in rows if row.get("SeriesInstanceUID")
        }

    def codes(self, study: str) -> frozenset[str] | None:
        """Return the modalities of a study by its ModalitiesInStudy or its series; None if unknown."""
        told = self.studies.get(study, {}).get("ModalitiesInStudy")
        if known := read_modalities(str(told or "")).known:
            return known
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


def _count(row: Mapping[str, Any], keyword: str) -> int:
    value = row.get(keyword)
    return value if isinstance(value, int) and value > 0 else 10


class ProbeEnded(Exception):
    """The probe ends early; the text is the reason for the user, or empty when all requests were used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The studies that the trials compare with."""

    keys: tuple[tuple[str, str], ...] = ()
    """The matching keys of these studies; the node may have more of them."""
    studies: tuple[str, ...] = ()
    """The known StudyInstanceUIDs, in the order of the responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A result with its evidence."""

    verdict: Verdict = Verdict.UNKNOWN
    evidence: str
    answers: int | None = None
    """Number of responses that a result from missing ones needs; a node that stops there proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The responses to a question whose result is partly known; each set contains Unique Keys."""

    what: str
    """The question, for the evidence."""
    things: str
    """The plural of what was asked for: studies, series or images."""
    answers: QueryAnswers
    fits: AbstractSet[str]
    """Known to match."""
    others: AbstractSet[str]
    """Known not to match."""
    present: AbstractSet[str]
    """In the responses."""


def judge(comparison: Comparison, *, cut_at: Collection[int] = ()) -> Finding:
    """Return whether the node matched a key.

    One response that does not match proves that it did not. The opposite needs two observations: something that
    matches is present, and something that does not match is absent. At `cut_at` responses the node may have stopped;
    such a number does not prove an omission.

    >>> answers = QueryAnswers(count=2, rows=({}, {}))
    >>> comparison = Comparison(
    ...     what="CT", things="studies", answers=answers, fits={"a"}, others={"b"}, present={"a"}
    ... )
    >>> judge(comparison).evidence
    'CT: the node returned 1 of 1 studies known to match, and none of 1 known not to match'
    """
    what, things, answers = comparison.what, comparison.things, comparison.answers
    if answers.is_refusal:
        return Finding(verdict=Verdict.REFUSED, evidence=f"{what}: {answers.failure}")
    wrong = comparison.present & comparison.others
    if wrong:
        evidence = f"{what}: {len(wrong)} of {len(comparison.present)} returned {things} are known not to match"
        return Finding(verdict=Verdict.IGNORED, evidence=evidence)
    found = comparison.fits & comparison.present
    share = f"the node returned {len(found)} of {len(comparison.fits)} {things} known to match"
    if answers.is_whole and found != comparison.fits:
        is_cut = bool(answers.count) and answers.count in cut_at
        return (
            Finding(evidence=f"{what}: the node may have stopped at {answers.count} responses")
            if is_cut
            else Finding(verdict=Verdict.REFUSED, evidence=f"{what}: {share}", answers=answers.count)
        )
    if not found or not comparison.others:
        why = f"all {len(found)} known {things} match" if found else f"no {things} are known to match"
        return Finding(evidence=f"{what}: {why}, so there is no contrast")
    return Finding(
        verdict=Verdict.HONOURED,
        evidence=f"{what}: {share}, and none of {len(comparison.others)} known not to match",
        answers=answers.count,
    )


def judge_pair(away: Comparison, there: Comparison) -> Finding:
    """Judge two questions together: nothing known matches the first, and everything known matches the second."""
    finding, found, absent = judge(there), there.fits & there.present, away.others - away.present
    if finding.verdict is not Verdict.UNKNOWN or not found or not absent:
        return finding
    return Finding(
        verdict=Verdict.HONOURED,
        evidence=f"{there.what}: the node returned {len(found)} of {len(there.fits)} {there.things}; {away.what}: "
        f"none of {len(absent)} known not to match",
        answers=there.answers.count,
    )


class Inquiry:
    """One probe under way under an information model; `relational` if the node accepted relational queries.

    `asked` has each question with its responses, and `sample` the studies of the trials at STUDY level. The trials
    below look into `study`, `series` and `images`, which are empty until they are known.
    """

    def __init__(self, model: InformationModel, *, today: date, relational: bool) -> None:
        self.model = model
        self.today = today
        self.known = KnownStudies()
        self.asked: list[tuple[Question, QueryAnswers]] = []
        self.sample = Sample()
        self.study = ""
        self.series = ""
        self.images: Mapping[str, Mapping[str, Any]] = {}
        self._findings: dict[Subject, Finding] = {}
        self._relational = relational

    @property
    def has_series(self) -> bool:
        """True if the information model has SERIES and IMAGE levels."""
        return Level.SERIES in levels_of(self.model)

    @property
    def cut_at(self) -> frozenset[int]:
        """The numbers of responses to questions on studies so far: the node may have stopped there."""
        return frozenset(answers.count for question, answers in self.asked if question.request.level is Level.STUDY)

    def ask(
        self,
        level: Level,
        keys: Sequence[tuple[str, str]],
        returned: Sequence[str],
        what: str,
        limit: int = SMALL,
    ) -> Generator[Question, QueryAnswers, QueryAnswers]:
        """Ask one question; raise ProbeEnded if all requests are used, or if the node no longer responds."""
        if len(self.asked) >= MOST_REQUESTS:
            raise ProbeEnded
        wanted = tuple(keyword for keyword in returned if keyword not in dict(keys))
        question = Question(
            request=Request(level=level, keys=tuple(keys), return_keys=wanted),
            model=self.model,
            limit=limit,
            relational=self._relational,
            what=what,
        )
        answers = yield question
        self.asked.append((question, answers))
        if answers.ended is QueryEnd.SILENT:
            raise ProbeEnded(f"The probe ended early: {answers.failure}")
        if sum(earlier.ended is QueryEnd.LOST for _, earlier in self.asked) >= _MOST_LOSSES:
            raise ProbeEnded(f"The probe ended early after {_MOST_LOSSES} lost associations: {answers.failure}")
        if level is Level.STUDY:
            self.known.add_studies(answers.rows)
        return answers

    def above(self, level: Level, study: str, series: str = "") -> tuple[tuple[str, str], ...]:
        """Return the Unique Keys above a level for one study or series."""
        values = {**self.known.studies.get(study, {}), "StudyInstanceUID": study, "SeriesInstanceUID": series}
        return tuple((key, str(values[key])) for key in unique_keys_above(level, self.model) if values.get(key))

    def present(self, answers: QueryAnswers, level: Level) -> frozenset[str]:
        """Return the Unique Keys in responses."""
        key = unique_key(level)
        return frozenset(str(row[key]) for row in answers.rows if row.get(key))

    def comparison(
        self, what: str, answers: QueryAnswers, level: Level, matching: Mapping[str, bool | None]
    ) -> Comparison:
        """Return how responses compare with what is known of each Unique Key: whether it matches, None if unknown."""
        return Comparison(
            what=what,
            things=THINGS[level],
            answers=answers,
            fits={uid for uid, fit in matching.items() if fit},
            others={uid for uid, fit in matching.items() if fit is False},
            present=self.present(answers, level),
        )

    def record(self, subject: Subject, finding: Finding) -> None:
        """Record a result; an unknown result never replaces a known one."""
        before = self._findings.get(subject)
        if before is None or finding.verdict is not Verdict.UNKNOWN:
            self._findings[subject] = finding

    def statements(self, cap: int | None) -> tuple[Statement, ...]:
        """Return the results; one that depends on missing responses is unknown if the node stopped at the cap."""
        return tuple(_statement(subject, finding, cap) for subject, finding in self._findings.items())

    def is_open(self, subject: Subject) -> bool:
        """Return whether there is no result on a subject yet."""
        return self.verdict(subject) is Verdict.UNKNOWN

    def verdict(self, subject: Subject) -> Verdict:
        """Return the result so far."""
        finding = self._findings.get(subject)
        return finding.verdict if finding else Verdict.UNKNOWN


def _statement(subject: Subject, finding: Finding, cap: int | None) -> Statement:
    if cap is not None and finding.answers == cap:
        return Statement(subject=subject, evidence=f"{finding.evidence}; but the node stops at {cap} responses")
    return Statement(subject=subject, verdict=finding.verdict, evidence=finding.evidence)
