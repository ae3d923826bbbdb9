"""A PACS of plain values, which answers the questions of a probe as it is told to: well, or in some known bad way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from fnmatch import fnmatchcase
from typing import Any

from qrkit.node import InformationModel, Node
from qrkit.probe.probe import probe
from qrkit.probe.questions import Agreement, Offer, QueryAnswers, QueryEnd, Question
from qrkit.profile import Extension, Profile
from qrkit.query import answer_keywords
from qrkit.query.dates import parse_time
from qrkit.tables import Level

TODAY = date(2026, 6, 30)
NOW = "2026-06-30T08:15:00+00:00"
NODE = Node(name="pacs", host="10.1.2.3", ae_title="PACS")
AnswerRow = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the PACS differs from a good one.

    Attributes
    ----------
    ignored
        Matching keys that it does not look at.
    ignored_without_study
        The same, in relational queries only.
    omitted
        Return keys that it does not know.
    refused
        Ways of asking that it refuses: ``lists``, ``relational``, or matching keys.
    leaves_out
        Matching keys to which it answers nothing.
    stops_at
        The number of answers after which it stops; 0: never.
    says_so
        Whether it stops with the status 0xA700.
    heeds_cancel
        Whether it obeys C-CANCEL.
    """

    ignored: frozenset[str] = frozenset()
    ignored_without_study: frozenset[str] = frozenset()
    omitted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    leaves_out: frozenset[str] = frozenset()
    literal_wildcards: bool = False
    any_case: bool = False
    stops_at: int = 0
    says_so: bool = False
    heeds_cancel: bool = True
    agreement: Agreement = field(
        default_factory=lambda: Agreement(
            echo=True,
            find=tuple(InformationModel),
            get=(InformationModel.STUDY_ROOT,),
            move=(InformationModel.STUDY_ROOT,),
            extensions={InformationModel.STUDY_ROOT: (Extension.RELATIONAL,)},
        )
    )


@dataclass(slots=True, kw_only=True)
class Pacs:
    """Answers questions; `studies` are rows with a list ``series``, whose rows have a list ``images``."""

    studies: Sequence[AnswerRow]
    habits: Habits = field(default_factory=Habits)
    asked: list[Question] = field(default_factory=list)
    offered: list[Offer] = field(default_factory=list)

    def probed(self, node: Node = NODE, today: date = TODAY) -> Profile:
        """The profile that a probe of it gives."""
        steps = probe(node, today=today, probed=NOW)
        step = next(steps)
        while True:
            try:
                step = steps.send(self._agree(step) if isinstance(step, Offer) else self.answer(step))
            except StopIteration as end:
                profile: Profile = end.value
                return profile

    def _agree(self, offer: Offer) -> Agreement:
        self.offered.append(offer)
        return self.habits.agreement

    def answer(self, question: Question) -> QueryAnswers:
        """What it answers to one question."""
        self.asked.append(question)
        keys = dict(question.request.keys)
        why = self._refusal(question, keys)
        if why:
            return QueryAnswers(ended=QueryEnd.FAILED, status=0xA900, failure=why)
        ignored = self.habits.ignored
        if question.request.level is not Level.STUDY and "StudyInstanceUID" not in keys:
            ignored |= self.habits.ignored_without_study
        matched = {keyword: value for keyword, value in keys.items() if keyword not in ignored}
        found = [row for row in self._rows(question.request.level) if self._fits(row, matched)]
        if self.habits.leaves_out & keys.keys():
            found = []
        return self._heard(question, found)

    def _refusal(self, question: Question, keys: Mapping[str, str]) -> str:
        habits, level = self.habits, question.request.level
        if "lists" in habits.refused and any("\\" in value for value in keys.values()):
            return "no lists"
        if "relational" in habits.refused:
            above = {Level.SERIES: ("StudyInstanceUID",), Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID")}
            if any(keyword not in keys for keyword in above.get(level, ())):
                return "no relational queries"
        return "a key is not supported" if habits.refused & keys.keys() else ""

    def _rows(self, level: Level) -> Iterator[AnswerRow]:
        for study in self.studies:
            if level is Level.STUDY:
                yield study
                continue
            for series in study["series"]:
                if level is Level.SERIES:
                    yield {**study, **series}
                else:
                    yield from ({**study, **series, **image} for image in series["images"])

    def _fits(self, row: AnswerRow, keys: Mapping[str, str]) -> bool:
        return all(self._matches(keyword, value, row.get(keyword)) for keyword, value in keys.items())

    def _matches(self, keyword: str, value: str, stored: Any) -> bool:  # noqa: ANN401 - a value of a row
        if keyword == "StudyDate":
            first, _, last = value.partition("-")
            return stored is not None and first <= f"{stored:%Y%m%d}" <= (last or first)
        if keyword == "StudyTime":
            first, _, last = value.partition("-")
            return stored is not None and parse_time(first) <= stored <= parse_time(last)
        if keyword in ("ModalitiesInStudy", "StudyInstanceUID"):
            return bool(set(value.split("\\")) & set(str(stored).split("\\")))
        if keyword == "StudyDescription":
            return self._matches_text(value, str(stored or ""))
        return str(stored) == value

    def _matches_text(self, value: str, stored: str) -> bool:
        if self.habits.any_case:
            value, stored = value.casefold(), stored.casefold()
        return value == stored if self.habits.literal_wildcards else fnmatchcase(stored, value.replace("[", "[[]"))

    def _heard(self, question: Question, found: Sequence[AnswerRow]) -> QueryAnswers:
        habits, limit = self.habits, question.limit
        cut = bool(habits.stops_at) and len(found) > habits.stops_at
        sent = found[: habits.stops_at] if cut else found
        names = [name for name in answer_keywords(question.request, question.model) if name not in habits.omitted]
        rows = tuple({name: row.get(name) for name in names} for row in sent[:limit])
        was_cancelled = len(sent) >= limit
        count, ended = len(sent), QueryEnd.SUCCESS
        if was_cancelled and habits.heeds_cancel:
            count, ended = limit, QueryEnd.CANCELLED
        elif cut and habits.says_so:
            ended = QueryEnd.FAILED
        return QueryAnswers(
            rows=rows,
            element_counts={name: len(rows) for name in names},
            count=count,
            ended=ended,
            was_cancelled=was_cancelled,
            after_cancel=2.0 if was_cancelled and not habits.heeds_cancel else 0.0,
            status=0xA700 if ended is QueryEnd.FAILED else 0,
            failure="0xA700" if ended is QueryEnd.FAILED else "",
        )


def made_study(
    number: int, day: date, codes: Sequence[str], *, text: str = "", moment: time | None = None, images: int = 2
) -> AnswerRow:
    """A study with one series of each modality."""
    uid = f"1.2.{number}"
    series = [
        {
            "SeriesInstanceUID": f"{uid}.{place}",
            "SeriesNumber": place,
            "Modality": code,
            "NumberOfSeriesRelatedInstances": images,
            "images": [
                {"SOPInstanceUID": f"{uid}.{place}.{at}", "SOPClassUID": f"1.2.840.{code}", "InstanceNumber": at}
                for at in range(1, images + 1)
            ],
        }
        for place, code in enumerate(codes, 1)
    ]
    return {
        "StudyInstanceUID": uid,
        "StudyDate": day,
        "StudyTime": moment or time(8 + number % 12, number % 60),
        "StudyDescription": text or f"{codes[0]} of part {number % 3}",
        "ModalitiesInStudy": "\\".join(codes),
        "SOPClassesInStudy": "\\".join(f"1.2.840.{code}" for code in codes),
        "NumberOfStudyRelatedSeries": len(codes),
        "NumberOfStudyRelatedInstances": images * len(codes),
        "PatientID": f"P{number}",
        "series": series,
    }
