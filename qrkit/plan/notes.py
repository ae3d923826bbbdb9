"""What people should know of a plan besides its rows: counted while studies are judged, said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qrkit.plan.outcome import Item
from qrkit.plan.policy import UNANSWERED, Policy
from qrkit.selection import Filter
from qrkit.words import counted


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


def tally(items: Sequence[Item], policy: Policy) -> Tally:
    """Count what people should know of work items."""
    unanswered = Counter(item.fate.reason for item in items if item.fate.rule == UNANSWERED)
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
        unlisted=sum(1 for item in items if item.unlisted and item.fate.rule == f"{item.group} rules"),
        unanswered=unanswered,
        blank_studies=blank_studies,
        blank_series=blank_series,
    )


def _includes(filters: Sequence[Filter]) -> Iterator[Filter]:
    return (one for one in filters if one.name.endswith("include") and one.keeps_blank)
