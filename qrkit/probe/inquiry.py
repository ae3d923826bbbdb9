"""The state of a probe: the questions asked, the evidence gathered, and the rules that turn evidence into results."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from qrkit.node import InformationModel
from qrkit.probe.known_studies import KnownStudies
from qrkit.probe.questions import QueryAnswers, QueryEnd, Question
from qrkit.profile.profile import Statement
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.request import Request
from qrkit.tables import Level, levels_of, unique_key, unique_keys_above

MOST_REQUESTS = 12
"""Largest number of C-FIND requests in one probe."""

SMALL = 100
"""Number of responses after which most questions are cancelled."""

_MOST_LOSSES = 2


class ProbeEnded(Exception):
    """The probe ends early; the text is the reason for the user, or empty when all requests were used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The studies that the trials compare with.

    Attributes
    ----------
    keys
        The matching keys of these studies; the node may have more of them.
    studies
        The known StudyInstanceUIDs, in the order of the responses.
    """

    keys: tuple[tuple[str, str], ...] = ()
    studies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A result with its evidence.

    Attributes
    ----------
    answers
        Number of responses, if the result depends on missing ones; a node that stops at this number proves nothing.
    """

    verdict: Verdict = Verdict.UNKNOWN
    evidence: str
    answers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The responses to a question whose result is partly known.

    Attributes
    ----------
    what
        The question, for the evidence.
    things
        The plural of what was asked for: studies, series or images.
    fits, others
        Unique Keys that are known to match, and known not to match.
    present
        Unique Keys in the responses.
    """

    what: str
    things: str
    answers: QueryAnswers
    fits: AbstractSet[str]
    others: AbstractSet[str]
    present: AbstractSet[str]


def judge(comparison: Comparison, *, cut_at: Collection[int] = ()) -> Finding:
    """Return whether the node matched a key.

    One response that does not match proves that it did not. The opposite needs two observations: something that
    matches is present, and something that does not match is absent.

    Parameters
    ----------
    cut_at
        Numbers of responses at which the node may have stopped; such a number does not prove an omission.

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
    """One probe under way.

    Parameters
    ----------
    model
        The information model of the questions.
    relational
        Whether the node accepted relational queries in the negotiation.

    Attributes
    ----------
    known
        The known studies.
    asked
        Each question with its responses.
    sample
        The studies of the trials at STUDY level.
    study, series, images
        The study and the series that the trials below look into; empty until they are known.
    """

    def __init__(self, model: InformationModel, *, relational: bool) -> None:
        self.model = model
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
        """Ask one question.

        Raises
        ------
        ProbeEnded
            If all requests are used, or if the node no longer responds.
        """
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
