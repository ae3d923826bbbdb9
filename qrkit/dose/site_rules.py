"""A site's own rules and SOP Classes, from the table ``[plan]`` of `qrkit.toml`; see docs/dose_plan.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from qrkit.dose.facts import Need, NeedKind, SeriesRow
from qrkit.dose.groups import DOSE_CLASSES, GROUPS, SR, SR_GROUP
from qrkit.dose.plan import Budget
from qrkit.dose.policy import Policy
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.rules import RULES
from qrkit.errors import InputError
from qrkit.uids import is_valid_uid

SERIES, FIRST_IMAGE = "series", "first image"
_GROUPS = (*GROUPS, SR_GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRule:
    """Which series a site keeps: those that meet everything that is given.

    Attributes
    ----------
    name, reason
        What it is called, and why a series is kept by it.
    groups
        Whose studies it judges.
    before, after
        Name of the rule of each group that it comes before or after; without either it is the last.
    modality
        Modality codes of the series.
    description
        SeriesDescription, trimmed, in any case.
    description_has, station_has
        Terms of which the SeriesDescription or StationName has one, in any case.
    at_most
        Most instances; series of unknown size count.
    first_image
        SOP Classes of the first image.
    take
        ``series``, or ``first image`` of each.
    """

    name: str
    groups: tuple[str, ...]
    reason: str = "a rule of this site keeps it"
    before: str = ""
    after: str = ""
    modality: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    description_has: tuple[str, ...] = ()
    station_has: tuple[str, ...] = ()
    at_most: int = 0
    first_image: tuple[str, ...] = ()
    take: str = SERIES

    def matches(self, row: SeriesRow) -> bool:
        """Whether a series meets what can be told without looking into it."""
        description = row.SeriesDescription.strip().casefold()
        return (
            (not self.modality or row.Modality in self.modality)
            and (not self.description or description in [one.strip().casefold() for one in self.description])
            and (not self.description_has or _has_any(description, self.description_has))
            and (not self.station_has or _has_any(row.StationName.casefold(), self.station_has))
            and (not self.at_most or row.instance_count is None or row.instance_count <= self.at_most)
        )

    @property
    def looks_inside(self) -> bool:
        """Whether it must know the first image of each series that matches."""
        return bool(self.first_image) or self.take == FIRST_IMAGE

    def needs(self, context: StudyContext) -> tuple[Need, ...]:
        """Return the need for the first images of the series that match."""
        return (
            context.missing(NeedKind.FIRST_IMAGE, *filter(self.matches, context.series)) if self.looks_inside else ()
        )

    def judge(self, rule: Rule, context: StudyContext) -> RuleResult | None:
        """Keep what meets everything, and drop the rest; None if nothing does."""
        choices = tuple(self._choice(row, rule, context) for row in context.series)
        return RuleResult(rule.name, rule.reason, choices) if any(one.keep for one in choices) else None

    def _choice(self, row: SeriesRow, rule: Rule, context: StudyContext) -> SeriesChoice:
        keep, image = self.matches(row), None
        if keep and self.looks_inside:
            image = context.first_image(row)
            keep = image is not None and (not self.first_image or image.SOPClassUID in self.first_image)
        if not keep:
            return SeriesChoice(row, False, rule.name, "another series of the study is the one that this rule keeps")
        only = (image,) if image is not None and self.take == FIRST_IMAGE else None
        return SeriesChoice(row, True, rule.name, rule.reason, only)


def site_policy(table: Any) -> Policy:  # noqa: ANN401 - whatever somebody has written
    """Return the policy of a site, without what is asked for.

    Parameters
    ----------
    table
        ``[plan]`` as TOML gives it: ``rules`` and ``classes``; the budget is `site_budget`'s.

    Raises
    ------
    InputError
        If it is not valid; the message names what is not.

    >>> rule = {"name": "protocol", "groups": ["CT"], "description": ["patient protocol"], "after": "ESR"}
    >>> [one.name for one in site_policy({"rules": [rule]}).rules_of("CT")][:3]
    ['RDSR', 'ESR', 'protocol']
    """
    if not isinstance(table, dict):
        raise InputError("[plan] of qrkit.toml is a table.")
    unknown = sorted(set(table) - {"rules", "classes", *_BUDGET})
    if unknown:
        raise InputError(f"[plan] has no {', '.join(unknown)}; it has rules, classes, {', '.join(_BUDGET)}.")
    listed = table.get("rules", [])
    if not isinstance(listed, list):
        raise InputError("The rules of a site are tables that begin with [[plan.rules]].")
    rules = list(RULES)
    for values in listed:
        _insert(rules, _site_rule(values))
    return Policy(rules=tuple(rules), classes=_classes(table.get("classes", {})))


def site_budget(table: Mapping[str, Any]) -> Budget:
    """Return what a retrieve of a plan may cost at a site without being asked about.

    Raises
    ------
    InputError
        If a number is none.

    >>> site_budget({"most_objects": 500})
    Budget(objects=500, bytes=0)
    """
    for name in _BUDGET:
        value = table.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{name} of [plan] is a number of at least 0, not {value!r}.")
    return Budget(objects=table.get("most_objects", 0), bytes=table.get("most_bytes", 0))


_BUDGET = ("most_objects", "most_bytes")
_LISTS = ("groups", "modality", "description", "description_has", "station_has", "first_image")


def _site_rule(values: Any) -> SiteRule:  # noqa: ANN401 - whatever somebody has written
    if not isinstance(values, dict) or not isinstance(values.get("name"), str) or not values["name"]:
        raise InputError("A rule of [plan] needs a name.")
    name = values["name"]
    unknown = sorted(set(values) - {item.name for item in fields(SiteRule)})
    if unknown:
        raise InputError(f"Rule {name!r} of [plan] has {', '.join(unknown)}, which no rule has.")
    lists = {key: _list(name, key, values[key]) for key in _LISTS if key in values}
    typed: dict[str, Any] = {**values, **lists}
    _check(name, typed)
    return SiteRule(**typed)


def _check(name: str, values: Mapping[str, Any]) -> None:
    groups = values.get("groups", ())
    if not groups or not set(groups) <= set(_GROUPS):
        raise InputError(f"Rule {name!r} of [plan] needs groups, some of {', '.join(_GROUPS)}.")
    if values.get("take", SERIES) not in (SERIES, FIRST_IMAGE):
        raise InputError(f"Rule {name!r} of [plan] takes {SERIES!r} or {FIRST_IMAGE!r}, not {values['take']!r}.")
    if "before" in values and "after" in values:
        raise InputError(f"Rule {name!r} of [plan] comes before one rule or after one, not both.")
    if not any(
        values.get(key) for key in ("modality", "description", "description_has", "station_has", "first_image")
    ):
        raise InputError(f"Rule {name!r} of [plan] says nothing of the series that it keeps.")
    at_most = values.get("at_most", 0)
    if isinstance(at_most, bool) or not isinstance(at_most, int):
        raise InputError(f"at_most of rule {name!r} of [plan] is a number, not {at_most!r}.")
    for key in ("reason", "before", "after"):
        if not isinstance(values.get(key, ""), str):
            raise InputError(f"{key} of rule {name!r} of [plan] is a text, not {values[key]!r}.")


def _list(name: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise InputError(f"{key} of rule {name!r} of [plan] is a list of texts, not {value!r}.")
    return tuple(value)


def _insert(rules: list[Rule], site: SiteRule) -> None:
    """Put a rule in its place among those of its groups."""
    if any(rule.name == site.name for rule in rules):
        raise InputError(f"There is a rule {site.name!r} already.")
    beside = site.before or site.after
    place = len(rules)
    if beside:
        named = [number for number, rule in enumerate(rules) if rule.name == beside]
        if not named:
            known = ", ".join(rule.name for rule in rules)
            raise InputError(f"Rule {site.name!r} of [plan] stands beside {beside!r}, but there are {known}.")
        place = named[0] + bool(site.after)
    made = Rule(
        name=site.name,
        groups=site.groups,
        reason=site.reason,
        judge=site.judge,
        needs=partial(SiteRule.needs, site),
        by_sr=site.modality == (SR,),
    )
    rules.insert(place, made)


def _classes(table: Any) -> Mapping[str, frozenset[str]]:  # noqa: ANN401 - whatever somebody has written
    """Return the SOP Classes of each kind, with those that the site adds."""
    if not isinstance(table, dict) or not set(table) <= set(DOSE_CLASSES):
        raise InputError(f"[plan.classes] has lists of SOP Class UIDs for {', '.join(DOSE_CLASSES)}.")
    added: dict[str, Sequence[str]] = {}
    for kind, listed in table.items():
        wrong = [uid for uid in listed if not isinstance(uid, str) or not is_valid_uid(uid)] if listed else []
        if not isinstance(listed, list) or wrong:
            raise InputError(f"{kind} of [plan.classes] is a list of SOP Class UIDs, not {listed!r}.")
        added[kind] = listed
    return {kind: usual | frozenset(added.get(kind, ())) for kind, usual in DOSE_CLASSES.items()}


def _has_any(text: str, terms: Sequence[str]) -> bool:
    return any(term.casefold() in text for term in terms)
