"""What is asked for: groups, options and filters, and the steps at which studies can be dropped, in their order.

What people should know of a plan besides its rows: counted while studies are judged, said once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qrkit.dose.groups import DOSE_CLASSES, GROUPS, SR_GROUP
from qrkit.dose.outcome import ALREADY_STORED, PlanItem
from qrkit.dose.rule import Rule
from qrkit.dose.rules import RULES
from qrkit.query import Filters
from qrkit.query.filters import Filter, exclude, include
from qrkit.tables import Level
from qrkit.words import counted

MODALITY = "modality"
ONLY_SR = "SR only"
UNANSWERED = "unanswered"
STATIONS = ("station include", "station exclude")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How studies are judged.

    Attributes
    ----------
    groups
        Those that are requested, in the order of their queries; none with `sr_only`.
    options
        Rules that are on only if asked for: ``toshiba``, ``empty_sr``.
    filters
        Of descriptions and stations.
    rules, classes
        The rules in their order, and the SOP Classes of each kind of dose object; a site may have added some.
    sr_first
        Whether the SR series of many studies come in few requests, so that they are asked for before all series.
    """

    groups: tuple[str, ...] = ()
    sr_only: bool = False
    options: frozenset[str] = frozenset()
    filters: Filters = field(default_factory=Filters)
    rules: tuple[Rule, ...] = RULES
    classes: Mapping[str, frozenset[str]] = field(default_factory=lambda: DOSE_CLASSES)
    sr_first: bool = False

    @property
    def judged_groups(self) -> tuple[str, ...]:
        """The groups that studies are judged under."""
        return (SR_GROUP,) if self.sr_only else tuple(group for group in GROUPS if group in self.groups)

    def rules_of(self, group: str) -> tuple[Rule, ...]:
        """Return the rules of a group that are on, in their order."""
        return tuple(rule for rule in self.rules if group in rule.groups and rule.applies(self.options))

    def study_filters(self) -> tuple[Filter, ...]:
        """Return the filters of studies, in their order."""
        wanted, keep_blank = self.filters, self.filters.keep_blank
        found = []
        if wanted.description_include:
            found.append(
                include("description include", "StudyDescription", wanted.description_include, keep_blank=keep_blank)
            )
        if wanted.description_exclude:
            found.append(exclude("description exclude", "StudyDescription", wanted.description_exclude))
        return (*found, *self._station_filters(Level.STUDY))

    def series_filters(self) -> tuple[Filter, ...]:
        """Return the filters of series, in their order."""
        return self._station_filters(Level.SERIES)

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps at which a study can be dropped, in their order.

        >>> Policy(groups=("CT",)).steps()
        ('modality', 'CT rules', 'unanswered', 'held')
        """
        of_studies = [one.name for one in self.study_filters()]
        only = [ONLY_SR] if self.sr_only else []
        of_series = [one.name for one in self.series_filters()]
        of_rules = [f"{group} rules" for group in self.judged_groups]
        return (*of_studies, MODALITY, *only, *of_series, *of_rules, UNANSWERED, ALREADY_STORED)

    def _station_filters(self, level: Level) -> tuple[Filter, ...]:
        wanted = self.filters
        if wanted.station_level is not level:
            return ()
        found = []
        if wanted.station_include:
            found.append(include(STATIONS[0], "StationName", wanted.station_include, keep_blank=wanted.keep_blank))
        if wanted.station_exclude:
            found.append(exclude(STATIONS[1], "StationName", wanted.station_exclude))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is counted of work items.

    Attributes
    ----------
    empty_sr
        SR series without objects that anybody could tell the class of, and that are not kept.
    unlisted
        Studies that no rule fits, and in which the node counts more series than it lists.
    unanswered
        Studies that could not be judged, by the reason.
    blank_studies, blank_series
        What include filters keep for want of a value, by the filter's name.
    """

    empty_sr: int = 0
    unlisted: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    blank_studies: Counter[str] = field(default_factory=Counter)
    blank_series: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            empty_sr=self.empty_sr + other.empty_sr,
            unlisted=self.unlisted + other.unlisted,
            unanswered=self.unanswered + other.unanswered,
            blank_studies=self.blank_studies + other.blank_studies,
            blank_series=self.blank_series + other.blank_series,
        )

    def doubts(self) -> Iterator[str]:
        """Give why the plan may lack studies."""
        count = self.unanswered.total()
        if count:
            yield f"{counted(count, 'study')} could not be judged: {next(iter(self.unanswered))}"
        if self.unlisted:
            yield f"in {counted(self.unlisted, 'study')} that no rule fits, the node counts more series than it lists"

    def notes(self, policy: Policy) -> Iterator[str]:
        """Give what people should know besides."""
        if self.empty_sr and "empty_sr" not in policy.options:
            yield f"The node lists no objects in {self.empty_sr} SR series, perhaps dose reports: empty_sr may help."
        for name, count in self.blank_studies.items():
            yield f"Filter {name} lets {counted(count, 'study')} pass, without a value to judge by."
        for name, count in self.blank_series.items():
            yield f"Filter {name} lets {counted(count, 'series')} pass, without a value to judge by."


def tally(items: Sequence[PlanItem], policy: Policy) -> Tally:
    """Count what people should know of work items."""
    unanswered = Counter(item.decision.reason for item in items if item.decision.rule == UNANSWERED)
    blank_studies: Counter[str] = Counter()
    for one in _includes(policy.study_filters()):
        blank = {item.study.StudyInstanceUID for item in items if not getattr(item.study, one.column)}
        blank_studies += Counter({one.name: len(blank)})
    blank_series: Counter[str] = Counter()
    for one in _includes(policy.series_filters()):
        series = (outcome.row for item in items for outcome in item.series)
        blank = {row.SeriesInstanceUID for row in series if not row.StationName}
        blank_series += Counter({one.name: len(blank)})
    return Tally(
        empty_sr=sum(item.empty_sr for item in items),
        unlisted=sum(1 for item in items if item.unlisted and item.decision.rule == f"{item.group} rules"),
        unanswered=unanswered,
        blank_studies=blank_studies,
        blank_series=blank_series,
    )


def _includes(filters: Sequence[Filter]) -> Iterator[Filter]:
    return (one for one in filters if one.name.endswith("include") and one.keeps_blank)
