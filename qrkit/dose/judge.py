"""Judges studies by filters, group, rules and stored objects, without I/O: it yields needs and is sent answers.

`StudyJudge.study` judges one study. `together` judges many in parallel, so that few requests answer their needs.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from qrkit.dose.doubts import NO_SERIES_OF_SR, agrees, with_object_doubts, with_series_doubts
from qrkit.dose.facts import (
    Answer,
    Need,
    NeedKind,
    SeriesAnswer,
    StudyRow,
    Unanswered,
    modalities_of,
    needs_of,
    with_modalities,
)
from qrkit.dose.groups import BESIDE_SR, SR, SR_GROUP, belongs, group_of, groups_of
from qrkit.dose.outcome import (
    ALREADY_STORED,
    UNDECIDED,
    Decision,
    PlanItem,
    SeriesOutcome,
    StoredUids,
    must_be_listed,
    outcome_of,
)
from qrkit.dose.policy import MODALITY, ONLY_SR, UNANSWERED, Policy
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.sr_rules import (
    empty_sr_series,
    is_named_elsewhere,
    kinds_by_study,
    with_documents_read,
    with_unknown_classes,
)
from qrkit.dose.stations import StationResult, by_station, filter_reason, last_filter, passes

Result = TypeVar("Result")
JudgeSteps = Generator[tuple[Need, ...], Sequence[Answer], Result]
"""Yields needs, is sent one answer for each in the same order, and returns the result."""

_NO_RULE = "no series contains dose according to the {group} rules"
_STORED = "all its dose objects are stored already"
_NO_CODE = "no series of a requested modality"


def together(tasks: Iterable[JudgeSteps[Result]]) -> Generator[tuple[Need, ...], Mapping[Need, Answer], list[Result]]:
    """Judge many studies in parallel: yield their next needs, each need once, and return the results."""
    results: dict[int, Result] = {}
    known: dict[Need, Answer] = {}
    waiting: list[tuple[int, JudgeSteps[Result], tuple[Need, ...]]] = []
    for place, task in enumerate(tasks):
        _advance(place, task, None, waiting, results)
    while waiting:
        needs = tuple(dict.fromkeys(need for _, _, needs in waiting for need in needs if need not in known))
        if needs:
            answers = yield needs
            known.update((need, answers[need]) for need in needs)
        ready, waiting = waiting, []
        for place, task, needs in ready:
            _advance(place, task, [known[need] for need in needs], waiting, results)
    return [results[place] for place in range(len(results))]


def _advance(
    place: int,
    task: JudgeSteps[Result],
    answers: Sequence[Answer] | None,
    waiting: list[tuple[int, JudgeSteps[Result], tuple[Need, ...]]],
    results: dict[int, Result],
) -> None:
    try:
        needs = next(task) if answers is None else task.send(answers)
    except StopIteration as end:
        results[place] = end.value
    else:
        waiting.append((place, task, needs))


class StudyJudge:
    """Judges studies by one policy.

    Parameters
    ----------
    stored
        The objects that are stored already.
    """

    def __init__(self, policy: Policy, stored: StoredUids | None = None) -> None:
        self.policy = policy
        self.stored = stored or StoredUids()
        self._rules = {group: policy.rules_of(group) for group in policy.judged_groups}
        self._study_filters = policy.study_filters()
        self._series_filters = policy.series_filters()

    def study(self, study: StudyRow) -> JudgeSteps[tuple[PlanItem, ...]]:
        """Judge one study; the result is one item for each of its groups."""
        decision = self._filtered(study)
        if not decision.keep:
            group = SR_GROUP if self.policy.sr_only else group_of(study.ModalitiesInStudy, self.policy.groups)
            return (PlanItem(study, group, self._also_without_code(study, decision)),)
        modalities, answer = study.ModalitiesInStudy, None
        if not modalities or self.policy.sr_only or self._is_contradictory(study):
            (answer,) = yield (Need(NeedKind.SERIES, study.StudyInstanceUID),)
            if isinstance(answer, Unanswered):
                return (_unanswered(study, "", decision, answer.reason),)
            answer = yield from _with_modalities(study, answer)
            modalities = _modalities(answer, study)
        if self.policy.sr_only:
            return ((yield from self._only_sr(study, decision, modalities, answer)),)
        groups = groups_of(modalities, self.policy.groups)
        return (yield from self._items(study, decision, groups, answer))

    def report(self, study: StudyRow, group: str) -> JudgeSteps[tuple[PlanItem, ...]]:
        """Judge a study of only reports for a group, of which another study may need the report."""
        decision = self._filtered(study)
        if not decision.keep:
            return (PlanItem(study, group, decision),)
        return ((yield from self._item(self._case(study, group, (group,)), decision, None)),)

    def _is_contradictory(self, study: StudyRow) -> bool:
        """Return whether SOPClassesInStudy shows a requested group that ModalitiesInStudy does not."""
        requested, shown = self.policy.groups, modalities_of(study.SOPClassesInStudy)
        both = groups_of(study.ModalitiesInStudy | shown, requested)
        return both != groups_of(study.ModalitiesInStudy, requested)

    def _filtered(self, study: StudyRow) -> Decision:
        """Apply all filters of studies, so that the history contains each filter that drops the study."""
        decision = UNDECIDED
        for study_filter in self._study_filters:
            if not passes(study_filter, getattr(study, study_filter.column)):
                decision = decision.dropped(study_filter.name, filter_reason(study_filter))
        return decision

    def _also_without_code(self, study: StudyRow, decision: Decision) -> Decision:
        modalities = study.ModalitiesInStudy
        if self.policy.sr_only or not modalities or groups_of(modalities, self.policy.groups):
            return decision
        return decision.dropped(MODALITY, _NO_CODE)

    def _only_sr(
        self, study: StudyRow, decision: Decision, modalities: frozenset[str], answer: Answer | None
    ) -> JudgeSteps[PlanItem]:
        others = modalities - {SR} - BESIDE_SR
        if SR not in modalities:
            return _without_sr(_dropped(study, "", decision.dropped(MODALITY, _NO_CODE), answer), answer)
        if others:
            reason = "contains more than structured reports"
            return _without_sr(_dropped(study, SR_GROUP, decision.dropped(ONLY_SR, reason), answer), answer)
        return (yield from self._item(self._case(study, SR_GROUP, (SR_GROUP,)), decision, answer))

    def _items(
        self, study: StudyRow, decision: Decision, groups: tuple[str, ...], answer: Answer | None
    ) -> JudgeSteps[tuple[PlanItem, ...]]:
        if not groups:
            return (_dropped(study, "", decision.dropped(MODALITY, _NO_CODE), answer),)
        items: list[PlanItem] = []
        if answer is None and self._share_all_series(study, groups):
            (answer,) = yield (Need(NeedKind.SERIES, study.StudyInstanceUID),)
            answer = yield from _with_modalities(study, answer)
        for group in groups:
            context = self._case(study, group, groups)
            items.append((yield from self._item(context, decision, answer)))
        if len(groups) == len(self.policy.groups):
            return tuple(items)
        seen = {outcome.row.Modality for item in items for outcome in item.series}
        by_series = groups_of(study.ModalitiesInStudy | seen, self.policy.groups)
        if len(by_series) > len(groups):  # the series show a group, which ModalitiesInStudy did not
            return (yield from self._items(study, decision, by_series, answer))
        return tuple(items)

    def _share_all_series(self, study: StudyRow, groups: tuple[str, ...]) -> bool:
        """Return whether one list of all series serves several groups better than a question for each."""
        rules = self._rules
        contexts = [self._case(study, group, groups) for group in groups] if len(groups) > 1 else []
        asking = [context for context in contexts if not self._is_settled(context, rules[context.group])]
        return len(asking) > 1 and not all(self._sr_first(context, rules[context.group]) for context in asking)

    def _case(self, study: StudyRow, group: str, groups: tuple[str, ...]) -> StudyContext:
        return StudyContext(
            study=study,
            group=group,
            groups=groups,
            modalities=study.ModalitiesInStudy,
            options=self.policy.options,
            classes=self.policy.classes,
            named_classes=study.SOPClassesInStudy,
            names_all_classes=self.policy.names_all_classes,
            lists_values=self.policy.lists_values,
            without_dose=self.stored.without_dose,
        )

    def _item(self, context: StudyContext, decision: Decision, answer: Answer | None) -> JudgeSteps[PlanItem]:
        """Judge a study under one group, by its SR series alone if they are sufficient."""
        study, rules = context.study, self._rules[context.group]
        if answer is None and self._is_settled(context, rules):
            return PlanItem(study, context.group, decision.dropped(*_no_rule(context.group)))
        if answer is None and self._sr_first(context, rules):
            (some,) = yield (Need(NeedKind.SR_SERIES, study.StudyInstanceUID),)
            some = yield from _with_modalities(study, some)
            item = yield from self._by_series(context, decision, some)
            if item is not None:
                return with_series_doubts(item, some)
        if answer is None:
            (answer,) = yield (Need(NeedKind.SERIES, study.StudyInstanceUID),)
            answer = yield from _with_modalities(study, answer)
        item = yield from self._by_series(context, decision, answer)
        if item is None:
            item = PlanItem(study, context.group, decision.dropped(*_no_rule(context.group)))
        return with_series_doubts(item, answer)

    def _is_settled(self, context: StudyContext, rules: Sequence[Rule]) -> bool:
        """Return whether the study row shows that no rule fits."""
        return (
            not self._series_filters and all(rule.by_sr for rule in rules) and kinds_by_study(context) == frozenset()
        )

    def _sr_first(self, context: StudyContext, rules: Sequence[Rule]) -> bool:
        """Return whether to ask for the SR series first: if that is cheap or certainly sufficient."""
        if not rules or not rules[0].by_sr or context.images_are_kept_too:
            return False
        if self.policy.sr_first:
            modalities = context.study.ModalitiesInStudy
            return not modalities or SR in modalities or all(rule.by_sr for rule in rules)
        return bool(kinds_by_study(context)) and not self._series_filters

    def _by_series(self, context: StudyContext, decision: Decision, answer: Answer) -> JudgeSteps[PlanItem | None]:
        """Judge a study by its series; None if only its SR series are known and not sufficient."""
        if isinstance(answer, Unanswered):
            return _unanswered(context.study, context.group, decision, answer.reason)
        if not isinstance(answer, SeriesAnswer):
            raise TypeError(f"the series of a study were answered by {type(answer).__name__}")
        rows = answer.rows
        if len(context.groups) > 1:
            rows = tuple(row for row in rows if belongs(row.Modality, context.group, context.groups))
        stations = by_station(rows, answer.rows, self._series_filters)
        if answer.only_sr and stations.dropped:
            return None  # the images may pass
        if rows and not stations.passed and not answer.only_sr:
            last = last_filter(stations.dropped, self._series_filters)
            return PlanItem(context.study, context.group, decision.dropped(last.rule, last.reason), stations.dropped)
        study = (
            context.study if agrees(context.study, answer) else replace(context.study, SOPClassesInStudy=frozenset())
        )
        modalities = _modalities(answer, study)
        context = replace(context, study=study, series=stations.passed, modalities=modalities, only_sr=answer.only_sr)
        return (yield from self._ruled(context, decision, stations))

    def _ruled(
        self, context: StudyContext, decision: Decision, stations: StationResult
    ) -> JudgeSteps[PlanItem | None]:
        for rule in self._rules[context.group]:
            if context.only_sr and not rule.by_sr:
                return None
            while needs := rule.needs(context):
                context = context.with_answers(needs, (yield needs))
            result = rule.judge(rule, context)
            if result is not None:
                result = with_documents_read(context, with_unknown_classes(context, result) or result)
                return (yield from self._without_stored(context, decision, result, stations))
            if context.unanswered:
                return _unanswered(context.study, context.group, decision, context.unanswered)
        if context.only_sr and (self._series_filters or is_named_elsewhere(context)):
            return None
        possible = with_unknown_classes(context, None)
        if possible is not None:
            possible = with_documents_read(context, possible)
            return (yield from self._without_stored(context, decision, possible, stations))
        name, reason = _no_rule(context.group)
        nothing = RuleResult(name, reason, tuple(SeriesChoice(row, False, name, reason) for row in context.series))
        nothing = with_documents_read(context, nothing)
        series = (SeriesOutcome(one.row, UNDECIDED.dropped(name, one.reason)) for one in nothing.choices)
        end = decision.dropped(name, nothing.reason)
        item = PlanItem(context.study, context.group, end, (*stations.dropped, *series), empty_sr_series(context))
        return with_object_doubts(item, context, ())

    def _without_stored(
        self, context: StudyContext, decision: Decision, result: RuleResult, stations: StationResult
    ) -> JudgeSteps[PlanItem]:
        """Skip the objects that are stored already."""
        result = replace(result, choices=tuple(map(stations.noted, result.choices)))
        needs = context.missing(
            NeedKind.OBJECTS,
            *(
                choice.row
                for choice in result.choices
                if must_be_listed(choice, context.objects(choice.row), self.stored.of(choice.row))
            ),
        )
        if needs:
            context = context.with_answers(needs, (yield needs))
        series = tuple(
            outcome_of(choice, context.objects(choice.row), self.stored.of(choice.row)) for choice in result.choices
        )
        decision = decision.kept(result.rule, result.reason)
        if not any(outcome.decision.keep for outcome in series):
            decision = decision.dropped(ALREADY_STORED, _STORED)
        unclear = (
            0
            if any(choice.keep and choice.row.Modality == SR for choice in result.choices)
            else empty_sr_series(context)
        )
        item = PlanItem(context.study, context.group, decision, (*stations.dropped, *series), unclear)
        return with_object_doubts(item, context, result.choices)


def _with_modalities(study: StudyRow, answer: Answer) -> JudgeSteps[Answer]:
    """Return the series of a study, with the missing modalities filled in."""
    if not isinstance(answer, SeriesAnswer) or all(row.Modality for row in answer.rows):
        return answer
    objects: dict[Need, Answer] = {}
    while needs := needs_of(study.StudyInstanceUID, answer, objects):
        objects |= zip(needs, (yield needs), strict=True)
    return with_modalities(study, answer, objects)


def _without_sr(item: PlanItem, answer: Answer | None) -> PlanItem:
    """Return an item with the doubt of a study that has only SR by ModalitiesInStudy, and none by its series."""
    modalities = item.study.ModalitiesInStudy
    shown = {row.Modality for row in answer.rows} if isinstance(answer, SeriesAnswer) else {SR}
    if SR not in modalities or modalities - {SR} - BESIDE_SR or SR in shown:
        return item
    return replace(item, doubts=(NO_SERIES_OF_SR, *item.doubts))


def _no_rule(group: str) -> tuple[str, str]:
    return f"{group} rules", _NO_RULE.format(group=group)


def _modalities(answer: Answer, study: StudyRow) -> frozenset[str]:
    """Return the modalities of a study, including those of its series.

    All series as the node counts them decide alone, where ModalitiesInStudy contradicts them.
    """
    if not isinstance(answer, SeriesAnswer):
        return study.ModalitiesInStudy
    shown = frozenset(row.Modality for row in answer.rows)
    if shown and "" not in shown and len(answer.rows) == study.series_count and not answer.doubt:
        return shown
    return study.ModalitiesInStudy | shown - {""}


def _unanswered(study: StudyRow, group: str, decision: Decision, why: str) -> PlanItem:
    return PlanItem(study, group, decision.dropped(UNANSWERED, why))


def _dropped(study: StudyRow, group: str, decision: Decision, answer: Answer | None) -> PlanItem:
    """Return the item of a study that is dropped as a whole, with its known series."""
    rows = answer.rows if isinstance(answer, SeriesAnswer) else ()
    series = tuple(SeriesOutcome(row, UNDECIDED.dropped(decision.rule, decision.reason)) for row in rows)
    return with_series_doubts(PlanItem(study, group, decision, series), answer)
