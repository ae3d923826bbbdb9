"""The policy of a plan: groups, options, filters and rules, and the steps that may drop a study, in their order.

The table ``[plan]`` of `qrkit.toml` adds the rules, SOP Classes and budget of a site (docs/dose_plan.md). The tally
counts doubts and remarks while studies are judged, so that the plan shows each of them once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrkit.advice import Action, Advice
from qrkit.dose.facts import SeriesRow, StudyRow
from qrkit.dose.groups import DOSE_CLASSES, GROUPS, SR_GROUP
from qrkit.dose.outcome import ALREADY_STORED, PlanItem, ShortList
from qrkit.dose.plan import Budget
from qrkit.dose.rule import Rule
from qrkit.dose.rules import RULES
from qrkit.dose.site_rules import insert_site_rule
from qrkit.errors import InputError
from qrkit.query import Filters
from qrkit.query.filters import Filter, text_filters
from qrkit.tables import Level
from qrkit.uids import is_valid_uid
from qrkit.words import counted

MODALITY = "modality"
ONLY_SR = "SR only"
UNANSWERED = "unanswered"

_BUDGET = ("most_objects", "most_bytes")

_LISTED = {Level.SERIES: ("series", "study", "studies"), Level.IMAGE: ("objects", "series", "series")}
"""By level: what is listed, and in what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy by which studies are judged."""

    groups: tuple[str, ...] = ()  # the requested groups, in the order of their queries; none with `sr_only`
    sr_only: bool = False
    options: frozenset[str] = frozenset()  # the optional rules that are on: `toshiba`, `empty_sr`
    filters: Filters = field(default_factory=Filters)  # filters of descriptions and stations
    rules: tuple[Rule, ...] = RULES  # in their order, with those of the site
    # the SOP Classes of each type of dose object, with those of the site
    classes: Mapping[str, frozenset[str]] = field(default_factory=lambda: DOSE_CLASSES)
    # true if few requests list the SR series of many studies, so that they are asked for first
    sr_first: bool = False
    # true if it was shown that SOPClassesInStudy names all classes of a study; otherwise it excludes none
    names_all_classes: bool = False
    lists_values: bool = False  # true if the node lists several modalities and classes in its rows

    @property
    def judged_groups(self) -> tuple[str, ...]:
        """The groups in which studies are judged."""
        return (SR_GROUP,) if self.sr_only else tuple(group for group in GROUPS if group in self.groups)

    def rules_of(self, group: str) -> tuple[Rule, ...]:
        """Return the active rules of a group, in their order."""
        return tuple(rule for rule in self.rules if group in rule.groups and rule.applies(self.options))

    def study_filters(self) -> tuple[Filter, ...]:
        """Return the filters of studies, in their order."""
        return tuple(text_filters(self.filters, Level.STUDY))

    def series_filters(self) -> tuple[Filter, ...]:
        """Return the filters of series, in their order."""
        return tuple(text_filters(self.filters, Level.SERIES))

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps that may drop a study, in their order.

        >>> Policy(groups=("CT",)).steps()
        ('modality', 'CT rules', 'unanswered', 'held')
        """
        of_studies = [study_filter.name for study_filter in self.study_filters()]
        only = [ONLY_SR] if self.sr_only else []
        of_series = [series_filter.name for series_filter in self.series_filters()]
        of_rules = [f"{group} rules" for group in self.judged_groups]
        return (*of_studies, MODALITY, *only, *of_series, *of_rules, UNANSWERED, ALREADY_STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts over plan items."""

    empty_sr: int = 0  # dropped SR series without objects of a known class
    short: frozenset[ShortList] = frozenset()  # the lists of series and objects with fewer rows than the node counts
    # studies of which another list may be incomplete, by the reason
    doubtful: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)  # studies that could not be judged, by the reason
    # `blank_studies` and `blank_series`: studies and series that a filter keeps because their value is
    # missing or cannot be read, by the filter's name
    blank_studies: Counter[str] = field(default_factory=Counter)
    blank_series: Counter[str] = field(default_factory=Counter)
    odd_modalities: int = 0  # studies whose ModalitiesInStudy is not written as DICOM does, and was read
    unknown_modalities: int = 0  # studies without ModalitiesInStudy that can be read

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            empty_sr=self.empty_sr + other.empty_sr,
            short=self.short | other.short,
            doubtful=self.doubtful + other.doubtful,
            unanswered=self.unanswered + other.unanswered,
            blank_studies=self.blank_studies + other.blank_studies,
            blank_series=self.blank_series + other.blank_series,
            odd_modalities=self.odd_modalities + other.odd_modalities,
            unknown_modalities=self.unknown_modalities + other.unknown_modalities,
        )

    def doubts(self) -> Iterator[str]:
        """Yield the reasons why the plan may lack studies, series or objects."""
        count = self.unanswered.total()
        if count:
            yield f"{counted(count, 'study')} could not be judged: {next(iter(self.unanswered))}"
        for level, (children, parent, parents) in _LISTED.items():
            short = [one for one in self.short if one.level is level]
            if short:
                where = counted(len(short), parent, plural=parents)
                listed, count = sum(one.listed for one in short), sum(one.counted for one in short)
                numbers = f"{listed} listed, the node counts {count}"
                yield f"the node counts more {children} than it lists in {where}: {numbers}"
        for why, number in self.doubtful.items():
            yield f"the lists of {counted(number, 'study')} may be incomplete: {why}"

    def notes(self, policy: Policy) -> Iterator[str]:
        """Yield remarks for the user."""
        if self.unanswered:
            number = counted(self.unanswered.total(), "study")
            option = ", or leave out SR only" if policy.sr_only else ""
            yield f"The plan has nothing of {number} with the rule unanswered. Retrieve them whole{option}."
        if self.empty_sr and "empty_sr" not in policy.options:
            what = f"no objects of a known class in {self.empty_sr} SR series"
            text = f"The node lists {what}. They may be dose reports. Include them"
            yield str(Advice(text, Action.INCLUDE_EMPTY_REPORTS))
        for name, count in self.blank_studies.items():
            yield f"Filter {name} keeps {counted(count, 'study')} without a readable value."
        for name, count in self.blank_series.items():
            yield f"Filter {name} keeps {counted(count, 'series')} without a readable value."
        if self.odd_modalities:
            number = counted(self.odd_modalities, "study")
            yield f"ModalitiesInStudy of {number} has other separators or letters than DICOM; it was read."
        if self.unknown_modalities:
            number = counted(self.unknown_modalities, "study")
            yield f"ModalitiesInStudy of {number} is missing or has no codes; the series decided."


def tally(items: Sequence[PlanItem], policy: Policy) -> Tally:
    """Count the doubts and remarks of plan items; what several items of a study share counts once."""
    unanswered = {item.study.StudyInstanceUID: item.decision.reason for item in items if _is_unanswered(item)}
    doubts = {(item.study.StudyInstanceUID, why) for item in items for why in item.doubts}
    empty_sr: dict[str, int] = {}
    for item in items:
        if item.empty_sr:
            empty_sr[item.study.StudyInstanceUID] = max(item.empty_sr, empty_sr.get(item.study.StudyInstanceUID, 0))
    studies = {item.study.StudyInstanceUID: item.study for item in items}
    series = {outcome.row.SeriesInstanceUID: outcome.row for item in items for outcome in item.series}
    return Tally(
        empty_sr=sum(empty_sr.values()),
        short=frozenset(one for item in items for one in item.short),
        doubtful=Counter(why for _, why in sorted(doubts)),
        unanswered=Counter(unanswered.values()),
        blank_studies=_blank(policy.study_filters(), studies.values()),
        blank_series=_blank(policy.series_filters(), series.values()),
        odd_modalities=sum(study.has_odd_modalities for study in studies.values()),
        unknown_modalities=sum(not study.ModalitiesInStudy for study in studies.values()),
    )


def _is_unanswered(item: PlanItem) -> bool:
    return item.decision.rule == UNANSWERED


def _blank(filters: Sequence[Filter], rows: Collection[StudyRow | SeriesRow]) -> Counter[str]:
    """Return how many rows each filter keeps because it cannot judge their value: it is missing, or cannot be read.

    A filter that excludes terms keeps a row without a value anyway.
    """
    counts: Counter[str] = Counter()
    for one in filters:
        values = [getattr(row, one.column) for row in rows] if one.keeps_blank else []
        counts[one.name] = sum(one.is_blank(value) and (bool(value) or _is_include(one)) for value in values)
    return +counts


def _is_include(text_filter: Filter) -> bool:
    return text_filter.name.endswith("include")


def site_policy(table: Any) -> Policy:  # noqa: ANN401 - unchecked user input
    """Return the policy of a site, without groups, options and filters.

    It uses ``rules`` and ``classes`` of the table ``[plan]``, and `site_budget` the rest. Raise `InputError` if the
    table is not valid.

    >>> protocol = {"name": "protocol", "groups": ["CT"], "description": ["patient protocol"], "after": "ESR"}
    >>> [rule.name for rule in site_policy({"rules": [protocol]}).rules_of("CT")][:3]
    ['RDSR', 'ESR', 'protocol']
    """
    if not isinstance(table, dict):
        raise InputError("[plan] in qrkit.toml is not a table.", advice="Begin it with [plan].")
    unknown = sorted(set(table) - {"rules", "classes", *_BUDGET})
    if unknown:
        raise InputError(
            f"{', '.join(unknown)} is not a setting of [plan].", advice=f"Use rules, classes, {', '.join(_BUDGET)}."
        )
    listed = table.get("rules", [])
    if not isinstance(listed, list):
        raise InputError("The rules in [plan] are not a list of tables.", advice="Begin a rule with [[plan.rules]].")
    rules = list(RULES)
    for values in listed:
        insert_site_rule(rules, values)
    return Policy(rules=tuple(rules), classes=_classes(table.get("classes", {})))


def site_budget(table: Mapping[str, Any]) -> Budget:
    """Return the budget of a site for the retrieve of a plan; raise `InputError` if a value is not a number.

    >>> site_budget({"most_objects": 500})
    Budget(objects=500, bytes=0)
    """
    for name in _BUDGET:
        value = table.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{value!r} is not a valid {name} of [plan].", advice="Use 0 or a larger whole number.")
    return Budget(objects=table.get("most_objects", 0), bytes=table.get("most_bytes", 0))


def _classes(table: Any) -> Mapping[str, frozenset[str]]:  # noqa: ANN401 - unchecked user input
    """Return the SOP Classes of each type, including those of the site."""
    if not isinstance(table, dict) or not set(table) <= set(DOSE_CLASSES):
        raise InputError(
            "[plan.classes] is not a table of dose object types.",
            advice=f"Use lists of SOP Class UIDs for {', '.join(DOSE_CLASSES)}.",
        )
    added: dict[str, Sequence[str]] = {}
    for kind, listed in table.items():
        wrong = [uid for uid in listed if not isinstance(uid, str) or not is_valid_uid(uid)] if listed else []
        if not isinstance(listed, list) or wrong:
            raise InputError(
                f"{listed!r} is not a valid {kind} of [plan.classes].", advice="Use a list of SOP Class UIDs."
            )
        added[kind] = listed
    return {kind: usual | frozenset(added.get(kind, ())) for kind, usual in DOSE_CLASSES.items()}
