"""What is asked for: groups, options and filters, and the steps at which studies can be dropped, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qrkit.plan.case import Rule
from qrkit.plan.groups import DOSE_CLASSES, GROUPS, SR_GROUP
from qrkit.plan.outcome import HELD
from qrkit.plan.rules import RULES
from qrkit.query import Filters
from qrkit.selection import Filter, exclude, include
from qrkit.tables import Level

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
        return (*of_studies, MODALITY, *only, *of_series, *of_rules, UNANSWERED, HELD)

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
