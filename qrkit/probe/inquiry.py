"""The memory of a probe under way: what it may still ask, what it asked and heard, what follows from it."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qrkit.node import InformationModel
from qrkit.probe.judgement import Judged
from qrkit.probe.known import Known
from qrkit.probe.questions import Ended, Heard, Question
from qrkit.profile.profile import Statement
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.request import Request
from qrkit.tables import Level, levels_of, unique_key, unique_keys_above

MOST_REQUESTS = 12
"""C-FIND requests of one probe, at most."""

SMALL = 100
"""Answers after which a question is cancelled, as a rule."""

_MOST_LOSSES = 2


class Enough(Exception):
    """The probe ends here; why is said to people, or empty where it is nothing special."""


class Inquiry:
    """One probe.

    Parameters
    ----------
    model
        Under which it asks.
    relational
        Whether relational queries were accepted when they were offered.

    Attributes
    ----------
    known
        What it learnt of the studies.
    asked
        Each question with what was heard.
    """

    def __init__(self, model: InformationModel, *, relational: bool) -> None:
        self.model = model
        self.known = Known()
        self.asked: list[tuple[Question, Heard]] = []
        self._judged: dict[Subject, Judged] = {}
        self._relational = relational

    @property
    def has_series(self) -> bool:
        """Whether the information model goes down to series and images."""
        return Level.SERIES in levels_of(self.model)

    @property
    def left(self) -> int:
        """How many requests may still be sent."""
        return MOST_REQUESTS - len(self.asked)

    @property
    def cut_at(self) -> frozenset[int]:
        """The numbers of answers of questions about studies so far: where the node may have stopped."""
        return frozenset(heard.count for question, heard in self.asked if question.request.level is Level.STUDY)

    def ask(
        self,
        level: Level,
        keys: Sequence[tuple[str, str]],
        returned: Sequence[str],
        what: str,
        limit: int = SMALL,
    ) -> Generator[Question, Heard, Heard]:
        """Ask one question.

        Raises
        ------
        Enough
            If no more requests may be sent, or the node must be left alone.
        """
        if self.left <= 0:
            raise Enough
        wanted = tuple(keyword for keyword in returned if keyword not in dict(keys))
        question = Question(
            request=Request(level=level, keys=tuple(keys), return_keys=wanted),
            model=self.model,
            limit=limit,
            relational=self._relational,
            what=what,
        )
        heard = yield question
        self.asked.append((question, heard))
        if heard.ended is Ended.SILENT:
            raise Enough(f"The probe ended early: {heard.failure}")
        if sum(one.ended is Ended.LOST for _, one in self.asked) >= _MOST_LOSSES:
            raise Enough(f"The probe ended early, since it was cut off {_MOST_LOSSES} times: {heard.failure}")
        if level is Level.STUDY:
            self.known.learn_studies(heard.rows)
        return heard

    def above(self, level: Level, study: str, series: str = "") -> tuple[tuple[str, str], ...]:
        """Return the Unique Keys above a level, of one study or series."""
        values = {**self.known.studies.get(study, {}), "StudyInstanceUID": study, "SeriesInstanceUID": series}
        return tuple((key, str(values[key])) for key in unique_keys_above(level, self.model) if values.get(key))

    def present(self, heard: Heard, level: Level) -> frozenset[str]:
        """Return the Unique Keys that came."""
        key = unique_key(level)
        return frozenset(str(row[key]) for row in heard.rows if row.get(key))

    def say(self, subject: Subject, judged: Judged) -> None:
        """Keep a verdict; what is known is not replaced by the unknown."""
        before = self._judged.get(subject)
        if before is None or judged.verdict is not Verdict.UNKNOWN:
            self._judged[subject] = judged

    def statements(self, cap: int | None) -> tuple[Statement, ...]:
        """Return the verdicts, without those that rest on answers at whose number the node stops."""
        return tuple(_statement(subject, judged, cap) for subject, judged in self._judged.items())

    def verdict(self, subject: Subject) -> Verdict:
        """Return the verdict so far."""
        said = self._judged.get(subject)
        return said.verdict if said else Verdict.UNKNOWN


def _statement(subject: Subject, judged: Judged, cap: int | None) -> Statement:
    if cap is not None and judged.answers == cap:
        return Statement(subject=subject, evidence=f"{judged.evidence}; but the node stops at {cap} answers")
    return Statement(subject=subject, verdict=judged.verdict, evidence=judged.evidence)
