"""One study under one group, with all that is known of it: what the rules look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qrkit.dose.facts import Answer, Need, NeedKind, ObjectRow, ObjectsAnswer, SeriesRow, StudyRow, Unanswered
from qrkit.dose.groups import DOSE_CLASSES, NO_IMAGES, SR


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """A study that is judged under a group.

    Attributes
    ----------
    series
        Those that belong to the group, and that no filter dropped.
    only_sr
        Whether there may be series besides, which are no SR.
    is_split
        Whether the study is a PET/CT or the like, judged as two work items that share its SR series.
    options
        Rules that must be asked for, and were: ``toshiba``, ``empty_sr``.
    classes
        The SOP Classes of each kind of dose object.
    answers, listed
        What the node has said of its series, and the objects of those that were listed; see `learnt`.
    """

    study: StudyRow
    group: str
    series: tuple[SeriesRow, ...] = ()
    only_sr: bool = False
    is_split: bool = False
    options: frozenset[str] = frozenset()
    classes: Mapping[str, frozenset[str]] = field(default_factory=lambda: DOSE_CLASSES)
    answers: Mapping[Need, Answer] = field(default_factory=dict)
    listed: Mapping[str, ObjectsAnswer] = field(default_factory=dict)

    @property
    def sr_series(self) -> tuple[SeriesRow, ...]:
        """The SR series."""
        return tuple(row for row in self.series if row.Modality == SR)

    @property
    def image_series(self) -> tuple[SeriesRow, ...]:
        """The series that may hold images: not SR, KO or PR."""
        return tuple(row for row in self.series if row.Modality not in NO_IMAGES)

    def with_answers(self, needs: Sequence[Need], answers: Sequence[Answer]) -> StudyContext:
        """Return the case with what the node has answered; of a series that was listed twice, the last counts."""
        listed = {
            need.SeriesInstanceUID: answer
            for need, answer in zip(needs, answers, strict=True)
            if need.kind is not NeedKind.FIRST_IMAGE and isinstance(answer, ObjectsAnswer)
        }
        return replace(
            self,
            answers={**self.answers, **dict(zip(needs, answers, strict=True))},
            listed={**self.listed, **listed} if listed else self.listed,
        )

    def need(self, kind: NeedKind, row: SeriesRow) -> Need:
        """Return the need to know something of a series."""
        return Need(kind, self.study.StudyInstanceUID, row.SeriesInstanceUID)

    def objects(self, row: SeriesRow) -> ObjectsAnswer | None:
        """Return what is known of the objects of a series; None if nobody has asked, or the node failed to answer."""
        answer = self.listed.get(row.SeriesInstanceUID)
        if answer is not None and not answer.is_whole and row.instance_count == len(answer.rows):
            return replace(answer, is_whole=True)
        return answer

    def first_image(self, row: SeriesRow) -> ObjectRow | None:
        """Return the first image of a series; None where there is none, or nobody has asked."""
        answer = self.answers.get(self.need(NeedKind.FIRST_IMAGE, row))
        return answer.rows[0] if isinstance(answer, ObjectsAnswer) and answer.rows else None

    def missing(self, kind: NeedKind, *rows: SeriesRow) -> tuple[Need, ...]:
        """Return the needs, for some series, that have not been asked yet."""
        needs = (self.need(kind, row) for row in rows)
        return tuple(need for need in needs if need not in self.answers)

    @property
    def unanswered(self) -> str:
        """Why the node did not answer something that was asked of this study; empty if it answered all."""
        failed = (answer.why for answer in self.answers.values() if isinstance(answer, Unanswered))
        return next(failed, "")


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """What a rule says of one series.

    Attributes
    ----------
    objects
        The only objects that are wanted of it; None: all of them.
    """

    row: SeriesRow
    keep: bool
    rule: str
    reason: str
    objects: tuple[ObjectRow, ...] | None = None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What the rule that fits a study says: of the study, and of each of its series."""

    rule: str
    reason: str
    choices: tuple[SeriesChoice, ...]


def nothing(_: StudyContext) -> tuple[Need, ...]:
    """Return no needs: a rule that looks at series alone."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a group; the first that fits a study decides on all its series.

    Attributes
    ----------
    groups
        Whose studies it judges.
    reason
        Why a series is kept by it, as a sentence without its end.
    judge
        Gives the verdict, or None if the rule does not fit.
    needs
        What it must know of the series before that; asked again until it needs nothing more.
    by_sr
        Whether the SR series of the study are all that it looks at.
    option
        What must be asked for, or it is passed over: ``toshiba``, ``empty_sr``; empty: always.
    unless
        What must not be asked for.
    """

    name: str
    groups: tuple[str, ...]
    reason: str
    judge: Callable[[Rule, StudyContext], RuleResult | None]
    needs: Callable[[StudyContext], tuple[Need, ...]] = nothing
    by_sr: bool = False
    option: str = ""
    unless: str = ""

    def applies(self, options: frozenset[str]) -> bool:
        """Whether the rule is on."""
        return (not self.option or self.option in options) and self.unless not in options
