"""A rule, its input and its result: the context of a study, and the choices for its series."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qrkit.dose.facts import Answer, Need, NeedKind, ObjectRow, ObjectsAnswer, SeriesRow, StudyRow, Unanswered
from qrkit.dose.groups import DOSE_CLASSES, GROUPS, NO_IMAGES, SR, SR_KINDS, has_other_x_rays


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """A study in one group, with everything known about it."""

    study: StudyRow
    group: str
    series: tuple[SeriesRow, ...] = ()  # the series of the group that pass the filters
    only_sr: bool = False  # true if the study may have other series, which are not SR
    groups: tuple[str, ...] = ()  # all groups of the study; each makes a plan item, and all share the SR series
    modalities: frozenset[str] = frozenset()  # of the whole study, by its row and its known series
    options: frozenset[str] = frozenset()  # the optional rules that are on: `toshiba`, `empty_sr`
    # the SOP Classes of each type of dose object
    classes: Mapping[str, frozenset[str]] = field(default_factory=lambda: DOSE_CLASSES)
    # the classes of reports that the row of the study names, also if the row covers only a part of the study
    named_classes: frozenset[str] = frozenset()
    # true if it was shown that SOPClassesInStudy names all classes of a study; otherwise it excludes none
    names_all_classes: bool = False
    lists_values: bool = False  # true if the node lists several modalities and classes in its rows
    # the stored Enhanced SR documents without dose, by SeriesInstanceUID
    without_dose: Mapping[str, Collection[str]] = field(default_factory=dict)
    answers: Mapping[Need, Answer] = field(default_factory=dict)  # the answers of the node; see `with_answers`
    listed: Mapping[str, ObjectsAnswer] = field(default_factory=dict)  # the objects of the listed series

    @property
    def sr_series(self) -> tuple[SeriesRow, ...]:
        """The SR series, and series of another Modality in which an object is a report."""
        return tuple(row for row in self.series if row.Modality == SR or self._has_report(row))

    def _has_report(self, row: SeriesRow) -> bool:
        answer = self.listed.get(row.SeriesInstanceUID)
        return answer is not None and any(self.is_report(instance.SOPClassUID) for instance in answer.rows)

    def is_report(self, sop_class: str) -> bool:
        """Return whether a SOP Class is a dose report of the group."""
        return any(sop_class in self.classes[kind] for kind in SR_KINDS[self.group])

    @property
    def image_series(self) -> tuple[SeriesRow, ...]:
        """The series that may contain images: not SR, KO or PR."""
        return tuple(row for row in self.series if row.Modality not in NO_IMAGES)

    def may_be_of_group(self, row: SeriesRow) -> bool:
        """Return whether a series may contain images of the group; one of unknown Modality may."""
        return not row.Modality or row.Modality in GROUPS.get(self.group, ())

    @property
    def images_are_kept_too(self) -> bool:
        """True if a report does not replace the images of MG or DX, because it may be of another X-ray modality."""
        return self.group in ("MG", "DX") and has_other_x_rays(self.modalities, self.group)

    def with_answers(self, needs: Sequence[Need], answers: Sequence[Answer]) -> StudyContext:
        """Return the context with more answers; the last list of a series replaces earlier ones."""
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
        """Return a need on a series."""
        return Need(kind, self.study.StudyInstanceUID, row.SeriesInstanceUID)

    def objects(self, row: SeriesRow) -> ObjectsAnswer | None:
        """Return the known objects of a series; None if there is no answer yet, or the node failed."""
        answer = self.listed.get(row.SeriesInstanceUID)
        if answer is not None and not answer.is_whole and row.instance_count == len(answer.rows):
            return replace(answer, is_whole=True)
        return answer

    def first_image(self, row: SeriesRow) -> ObjectRow | None:
        """Return the first image of a series; None if it has none, or there is no answer yet."""
        answer = self.answers.get(self.need(NeedKind.FIRST_IMAGE, row))
        return answer.rows[0] if isinstance(answer, ObjectsAnswer) and answer.rows else None

    def has_unknown_class(self, row: SeriesRow) -> bool:
        """Return whether the node returns an object of a series without its SOP Class."""
        answer, image = self.objects(row), self.first_image(row)
        known = (*(answer.rows if answer is not None else ()), *((image,) if image is not None else ()))
        return any(not instance.SOPClassUID for instance in known)

    def missing(self, kind: NeedKind, *rows: SeriesRow) -> tuple[Need, ...]:
        """Return the needs on some series that have no answer yet."""
        needs = (self.need(kind, row) for row in rows)
        return tuple(need for need in needs if need not in self.answers)

    @property
    def unanswered(self) -> str:
        """The reason why the node did not answer a need of this study; empty if it answered all."""
        failed = (answer.reason for answer in self.answers.values() if isinstance(answer, Unanswered))
        return next(failed, "")


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """The choice of a rule for one series."""

    row: SeriesRow
    keep: bool
    rule: str
    reason: str
    objects: tuple[ObjectRow, ...] | None = None  # the wanted objects; None: all objects


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of the rule that fits a study: its reason, and a choice for each series."""

    rule: str
    reason: str
    choices: tuple[SeriesChoice, ...]


def nothing(_: StudyContext) -> tuple[Need, ...]:
    """Return no needs, for a rule that uses only series rows."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a group; the first that fits a study decides on all its series."""

    name: str
    groups: tuple[str, ...]  # the groups in which the rule applies
    reason: str  # why the rule keeps a series
    judge: Callable[[Rule, StudyContext], RuleResult | None]  # returns the result, or None if the rule does not fit
    # returns what the rule needs to know first; called until it returns no more needs
    needs: Callable[[StudyContext], tuple[Need, ...]] = nothing
    by_sr: bool = False  # true if the rule uses only the SR series of the study
    option: str = ""  # the option that turns the rule on: `toshiba` or `empty_sr`; empty: always on
    unless: str = ""  # the option that turns the rule off

    def applies(self, options: frozenset[str]) -> bool:
        """Return whether the rule is on."""
        return (not self.option or self.option in options) and self.unless not in options
