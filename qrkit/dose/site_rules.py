"""The rules of a site: the series that meet all criteria of a table ``[[plan.rules]]`` of `qrkit.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from qrkit.dose.facts import Need, NeedKind, SeriesRow
from qrkit.dose.groups import GROUPS, SR, SR_GROUP
from qrkit.dose.rule import Rule, RuleResult, SeriesChoice, StudyContext
from qrkit.dose.rules import LAST
from qrkit.errors import InputError
from qrkit.query.filters import as_compared

SERIES, FIRST_IMAGE = "series", "first image"
_GROUPS = (*GROUPS, SR_GROUP)
_LISTS = ("groups", "modality", "description", "description_has", "station_has", "first_image")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRule:
    """The series that a site keeps: those that meet all given criteria."""

    # `name` and `reason`: the name of the rule, and why it keeps a series
    name: str
    groups: tuple[str, ...]  # the groups in which the rule applies
    reason: str = "kept by a rule of this site"
    # `before` and `after`: name of the next or previous rule; without both the rule comes before the last one
    before: str = ""
    after: str = ""
    modality: tuple[str, ...] = ()  # modality codes of the series
    description: tuple[str, ...] = ()  # SeriesDescription without surrounding spaces; case is ignored
    # `description_has` and `station_has`: terms in the SeriesDescription or StationName, one of which is enough; case
    # is ignored
    description_has: tuple[str, ...] = ()
    station_has: tuple[str, ...] = ()
    at_most: int = 0  # largest number of instances; series of unknown size match
    first_image: tuple[str, ...] = ()  # SOP Classes of the first image
    take: str = SERIES  # `series` for the whole series, or `first image`

    def matches(self, row: SeriesRow) -> bool:
        """Return whether the row of a series meets the criteria."""
        description = as_compared(row.SeriesDescription.strip())
        return (
            (not self.modality or row.Modality in self.modality)
            and (not self.description or description in [as_compared(text.strip()) for text in self.description])
            and (not self.description_has or _has_any(description, self.description_has))
            and (not self.station_has or _has_any(as_compared(row.StationName), self.station_has))
            and (not self.at_most or row.instance_count is None or row.instance_count <= self.at_most)
        )

    @property
    def looks_inside(self) -> bool:
        """True if the rule needs the first image of each matching series."""
        return bool(self.first_image) or self.take == FIRST_IMAGE

    def needs(self, context: StudyContext) -> tuple[Need, ...]:
        """Return the needs for the first images of the matching series."""
        return (
            context.missing(NeedKind.FIRST_IMAGE, *filter(self.matches, context.series)) if self.looks_inside else ()
        )

    def judge(self, rule: Rule, context: StudyContext) -> RuleResult | None:
        """Keep the series that meet all criteria and drop the others; None if no series does."""
        choices = tuple(self._choice(row, rule, context) for row in context.series)
        return RuleResult(rule.name, rule.reason, choices) if any(choice.keep for choice in choices) else None

    def _choice(self, row: SeriesRow, rule: Rule, context: StudyContext) -> SeriesChoice:
        keep, image = self.matches(row), None
        if keep and self.looks_inside:
            image = context.first_image(row)
            keep = image is not None and (not self.first_image or image.SOPClassUID in self.first_image)
        if not keep:
            return SeriesChoice(row, False, rule.name, "not kept by this rule, but another series is")
        only = (image,) if image is not None and self.take == FIRST_IMAGE else None
        return SeriesChoice(row, True, rule.name, rule.reason, only)


def insert_site_rule(rules: list[Rule], values: object) -> None:
    """Insert a rule of ``[[plan.rules]]`` at its place; raise `InputError` if it is not valid."""
    site = _site_rule(values)
    if any(rule.name == site.name for rule in rules):
        raise InputError(f"The rule {site.name!r} exists already.", advice="Give the site's rule another name.")
    neighbour = site.before or site.after
    place = next(number for number, rule in enumerate(rules) if rule.name == LAST)
    if neighbour:
        named = [number for number, rule in enumerate(rules) if rule.name == neighbour]
        if not named:
            known = ", ".join(rule.name for rule in rules)
            raise InputError(
                f"Rule {site.name!r} of [plan] refers to the unknown rule {neighbour!r}.", advice=f"Use {known}."
            )
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


def _site_rule(values: Any) -> SiteRule:  # noqa: ANN401 - unchecked user input
    if not isinstance(values, dict) or not isinstance(values.get("name"), str) or not values["name"]:
        raise InputError("A rule of [plan] has no name.", advice="Give each rule a name.")
    name = values["name"]
    unknown = sorted(set(values) - {item.name for item in fields(SiteRule)})
    if unknown:
        raise InputError(
            f"{', '.join(unknown)} is not a setting of a rule, but rule {name!r} of [plan] has it.",
            advice=f"Use {', '.join(item.name for item in fields(SiteRule))}.",
        )
    lists = {key: _list(name, key, values[key]) for key in _LISTS if key in values}
    typed: dict[str, Any] = {**values, **lists}
    _check(name, typed)
    return SiteRule(**typed)


def _check(name: str, values: Mapping[str, Any]) -> None:
    groups = values.get("groups", ())
    if not groups or not set(groups) <= set(_GROUPS):
        raise InputError(f"Rule {name!r} of [plan] has no valid groups.", advice=f"Use some of {', '.join(_GROUPS)}.")
    if values.get("take", SERIES) not in (SERIES, FIRST_IMAGE):
        raise _invalid(name, "take", values["take"], f"Use {SERIES!r} or {FIRST_IMAGE!r}.")
    if "before" in values and "after" in values:
        raise InputError(f"Rule {name!r} of [plan] has both before and after.", advice="Remove one of them.")
    if not any(
        values.get(key) for key in ("modality", "description", "description_has", "station_has", "first_image")
    ):
        raise InputError(
            f"Rule {name!r} of [plan] has no criterion.",
            advice="Give modality, description, description_has, station_has or first_image.",
        )
    at_most = values.get("at_most", 0)
    if isinstance(at_most, bool) or not isinstance(at_most, int):
        raise InputError(
            f"{at_most!r} is not a valid at_most of rule {name!r} of [plan].", advice="Use a whole number."
        )
    for key in ("reason", "before", "after"):
        if not isinstance(values.get(key, ""), str):
            raise InputError(
                f"{values[key]!r} is not a valid {key} of rule {name!r} of [plan].", advice="Use a text."
            )


def _invalid(rule: str, key: str, value: object, advice: str) -> InputError:
    return InputError(f"{value!r} is not a valid {key} of rule {rule!r} of [plan].", advice=advice)


def _list(name: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise _invalid(name, key, value, "Use a list of texts.")
    return tuple(value)


def _has_any(text: str, terms: Sequence[str]) -> bool:
    return any(as_compared(term) in text for term in terms)
