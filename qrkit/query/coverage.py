"""Whether an answer is all there is: the value that goes with every answer, its JSON, and how people read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from qrkit.markup import Markup, bullets, grid, paragraph, strong
from qrkit.tables import Level
from qrkit.words import counted, listed

if TYPE_CHECKING:
    from IPython.lib.pretty import PrettyPrinter

_WORTH_TELLING = 1.0
"""Seconds of the node's time below which they are not mentioned."""

_MISSING = ("not_found", "excluded", "not_returned", "unanswered")

_NO_ANSWER = "There was no answer."


KeysByLevel = tuple[tuple[str, tuple[str, ...]], ...]
"""Keys that were not requested, by level."""


class Where(Enum):
    """Where a filter ran.

    NODE
        At the node alone: no row has a value to judge by here.
    LOCAL
        Here alone: no PACS offers it, or this node does not match the key.
    BOTH
        At the node, and again here, since nodes ignore keys and say success.
    NONE
        Nowhere: the node does not match the key, and no row has a value to judge by here.
    """

    NODE = "node"
    LOCAL = "local"
    BOTH = "both"
    NONE = "none"


_PLACES = {
    Where.NODE: "Filter at the node only",
    Where.LOCAL: "Local filter",
    Where.BOTH: "Filter at the node and here",
    Where.NONE: "Filter not applied",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterReport:
    """The report of a filter."""

    name: str  # such as `description include`, or the keyword of a matching key
    level: Level  # of the rows it was applied to
    terms: tuple[str, ...]  # what was sought
    before: int  # number of rows before it
    after: int  # and after it
    blank_kept: int = 0  # rows kept because they have no value to judge by
    unsure_kept: int = 0  # rows kept because their value may match
    reread: int = 0  # rows whose value is not written as DICOM does, and was read all the same
    where: Where = Where.LOCAL

    def sentence(self) -> str:
        """Return what it did, in words."""
        blank = f", {self.blank_kept:,} of them because blank" if self.blank_kept else ""
        its = "its" if self.unsure_kept == 1 else "their"
        unsure = f", {self.unsure_kept:,} of them because {its} value may match" if self.unsure_kept else ""
        reread = f"; {counted(self.reread, 'value')} not written as DICOM does could be read" if self.reread else ""
        return f"{_PLACES[self.where]}, {self.name}: {self.after:,} of {self.before:,} kept{blank}{unsure}{reread}."

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "filter": self.name,
            "where": self.where.value,
            "level": self.level.value,
            "terms": list(self.terms),
            "before": self.before,
            "after": self.after,
            "blank_kept": self.blank_kept,
            "unsure_kept": self.unsure_kept,
            "reread": self.reread,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` gave; one of an old result lacks where it ran, which was local."""
        return cls(
            name=values["filter"],
            level=Level.parse(values["level"]),
            terms=tuple(values.get("terms", ())),
            before=values["before"],
            after=values["after"],
            blank_kept=values.get("blank_kept", 0),
            unsure_kept=values.get("unsure_kept", 0),
            reread=values.get("reread", 0),
            where=Where(values.get("where", "local")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The requests to a node and the time they took."""

    requests: int = 0
    answers: int = 0
    seconds: float = 0.0  # time the node worked on them, added up over all associations
    waited: float = 0.0  # seconds waited before requests, for the pause and to back off
    busiest: int = 0  # most requests under way at once

    def __add__(self, other: Load) -> Load:
        """Return the load of both, one after the other.

        >>> Load(requests=1, waited=0.5, busiest=2) + Load(requests=3, busiest=1)
        Load(requests=4, answers=0, seconds=0.0, waited=0.5, busiest=2)
        """
        return Load(
            requests=self.requests + other.requests,
            answers=self.answers + other.answers,
            seconds=self.seconds + other.seconds,
            waited=self.waited + other.waited,
            busiest=max(self.busiest, other.busiest),
        )

    def to_json(self) -> dict[str, int | float]:
        """Return it as plain values, seconds to the millisecond."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "waited": round(self.waited, 3)}

    def sentence(self) -> str:
        """Return what the query cost the node; empty where that was next to nothing."""
        if max(self.seconds, self.waited) < _WORTH_TELLING:
            return ""
        most = f", at most {self.busiest} at a time" if self.busiest > 1 else ""
        waited = f"; {self.waited:,.1f} s were waited to spare it" if self.waited >= _WORTH_TELLING else ""
        return f"The node worked on them for {self.seconds:,.1f} s in all{most}{waited}."


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWindow:
    """One window that a request was asked in."""

    window: str  # what it covers, in words without what could name a patient
    count: int | None  # rows in its answer; None if it failed
    failure: str = ""
    split: bool = False  # whether smaller windows were asked after it

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, without what does not apply."""
        failure = {"failure": self.failure} if self.failure else {}
        return {"window": self.window, "count": self.count, **failure, **({"split": True} if self.split else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How far an answer is proven to be all there is.

    Attributes
    ----------
    why
        Reasons for which rows may be missing; without any, the answer is complete.
    assumptions
        What the answer rests on besides the node's honesty.
    windows, splits, failures
        In how many windows it was asked; how many of them were split, and how many failed.
    asked
        The first of these windows, where a request took more than one.
    ignored
        Keys that the node ignored, and why that is known.
    requests
        C-FIND requests; None where that is not known.
    load
        What they cost the node; None where it was not measured.
    keys_unsupported
        Whether the node said that it does not support some optional key (0xFF01).
    refused_keys
        Keys that were not requested, by level, since the node returns an error with them: their columns are empty.
    filters
        What each filter left.
    not_found
        Values of lists that were requested and provably answered by nothing, by keyword. They may identify a patient.
    excluded
        Values with a study that has none of the requested modalities, or does not match another key.
    not_returned
        Values for which rows were returned, but none has them: the node leaves the key out, or returned other values.
    unanswered
        Values without a row whose request was not answered, or not in full.
    notes
        Sentences on what was queried otherwise than it was given.

    >>> print(Coverage(why=("500 answers look like a limit",), requests=1))
    May be incomplete: 500 answers look like a limit. 1 C-FIND request.
    """

    why: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    windows: int = 1
    splits: int = 0
    failures: int = 0
    asked: tuple[AskedWindow, ...] = ()
    ignored: tuple[str, ...] = ()
    requests: int | None = None
    load: Load | None = None
    keys_unsupported: bool = False
    refused_keys: KeysByLevel = ()
    filters: tuple[FilterReport, ...] = ()
    not_found: tuple[tuple[str, tuple[str, ...]], ...] = ()
    excluded: tuple[tuple[str, tuple[str, ...]], ...] = ()
    not_returned: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unanswered: tuple[tuple[str, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be missing."""
        return not self.why

    @property
    def verdict(self) -> str:
        """Whether nothing can be missing, as part of a sentence; with the reasons against it."""
        return "complete" if self.is_complete else f"may be incomplete: {'; '.join(self.why)}"

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any plain value
        """Return a value by its name in the JSON.

        >>> Coverage(why=("cut off",))["complete"]
        False
        """
        return self.to_json()[name]

    def keys(self) -> Iterable[str]:
        """Return the names in the JSON, so that `dict` takes a coverage."""
        return self.to_json().keys()

    def sentences(self) -> Iterator[str]:
        """Yield whether the answer is complete, and what it took."""
        yield f"{self.verdict[0].upper()}{self.verdict[1:]}."
        yield from self.notes
        yield from self._not_found()
        for assumption in self.assumptions:
            yield f"Assumed: {assumption}."
        yield from self._cost()

    def lines(self) -> tuple[str, ...]:
        """Return it as sentences; those of filters are last."""
        return (*self.sentences(), *(report.sentence() for report in self.filters))

    def __str__(self) -> str:
        return " ".join(self.lines())

    def missing_values(self) -> Iterator[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]]:
        """Yield the values of lists without a row, by keyword, each kind with a sentence that takes their names."""
        yield "Nothing found for {}.", self.not_found
        yield "The modalities or other keys of the query exclude all studies of {}.", self.excluded
        yield "Rows were returned for {}, but none has the value.", self.not_returned
        yield "No complete answer for {}.", self.unanswered

    def _not_found(self) -> Iterator[str]:
        for sentence, missing in self.missing_values():
            for keyword, values in missing:
                yield sentence.format(f"{counted(len(values), f'{keyword} value')} of the list")

    def _cost(self) -> Iterator[str]:
        if self.requests is not None:
            over = f" over {counted(self.windows, 'window')}" if self.windows > 1 else ""
            events = [counted(self.splits, "split")] if self.splits else []
            events += [counted(self.failures, "failure")] if self.failures else []
            among = f" ({', '.join(events)})" if events else ""
            yield f"{counted(self.requests, 'C-FIND request')}{over}{among}."
        if self.load is not None and (told := self.load.sentence()):
            yield told

    def to_json(self) -> CoverageJson:
        """Return it as plain values, as the history and `attrs` hold it."""
        return CoverageJson(
            {
                "complete": self.is_complete,
                "why": list(self.why),
                "assumptions": list(self.assumptions),
                "windows": self.windows,
                "splits": self.splits,
                "failures": self.failures,
                "asked": [window.to_json() for window in self.asked],
                "ignored": list(self.ignored),
                **({} if self.requests is None else {"requests": self.requests}),
                **({} if self.load is None else {"load": self.load.to_json()}),
                "keys_unsupported": self.keys_unsupported,
                **({"refused_keys": _lists(self.refused_keys)} if self.refused_keys else {}),
                "filters": [report.to_json() for report in self.filters],
                **self.missing_json(),
                **({"notes": list(self.notes)} if self.notes else {}),
            }
        )

    def missing_json(self) -> dict[str, dict[str, list[str]]]:
        """Return the values of lists without a row as plain values, without what does not apply."""
        return {name: _lists(getattr(self, name)) for name in _MISSING if getattr(self, name)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the coverage that `to_json` gave; of an old version's, what it lacks is as if there were none."""
        plain = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
        if not values.get("complete", True) and not lists.get("why"):
            lists["why"] = ("the reason was not recorded",)
        nested: dict[str, Any] = {
            "asked": tuple(AskedWindow(**window) for window in values.get("asked", ())),
            "filters": tuple(FilterReport.from_json(report) for report in values.get("filters", ())),
            **{
                name: tuple((key, tuple(some)) for key, some in values.get(name, {}).items())
                for name in (*_MISSING, "refused_keys")
            },
            "load": Load(**values["load"]) if values.get("load") else None,
        }
        return cls(**(plain | lists | nested))

    def _repr_pretty_(self, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        printer.text("\n".join(self.lines()))  # type: ignore[no-untyped-call] # IPython's own

    def _repr_html_(self) -> str:
        cost = " ".join((*self.notes, *self._not_found(), *self._cost()))
        if self.is_complete:
            shown = Markup(paragraph(strong("Complete."), " ", cost))
        else:
            shown = Markup(paragraph(strong("May be incomplete:")) + bullets(self.why) + paragraph(cost))
        return shown + _filters_table(self.filters)


def empty_columns(refused_keys: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Yield a sentence on the columns that are empty at each level, since the node refuses their keys.

    >>> next(empty_columns([("STUDY", ("StationName",))]))
    'The node refuses StationName at STUDY level, so this column is empty.'
    """
    for level, keys in refused_keys:
        columns = "this column is" if len(keys) == 1 else "these columns are"
        yield f"The node refuses {listed(keys)} at {level} level, so {columns} empty."


def all_keys(some: Iterable[Iterable[tuple[str, Sequence[str]]]]) -> KeysByLevel:
    """Return the keys of several requests by level, each once.

    >>> all_keys([[("STUDY", ("StudyID",))], [("STUDY", ("StudyID", "StationName"))]])
    (('STUDY', ('StudyID', 'StationName')),)
    """
    found: dict[str, dict[str, None]] = {}
    for level, keys in (pair for pairs in some for pair in pairs):
        found.setdefault(level, {}).update(dict.fromkeys(keys))
    return tuple((level, tuple(keys)) for level, keys in found.items())


def _lists(pairs: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    return {key: list(some) for key, some in pairs}


class CoverageJson(dict[str, Any]):
    """The JSON of a coverage, as `attrs` hold it, that a notebook shows in words; empty if there was no answer."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(Coverage.from_json(self)) if self else _NO_ANSWER

    def _repr_pretty_(self, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: FBT001 - IPython's protocol
        if self:
            Coverage.from_json(self)._repr_pretty_(printer, cycle)
        else:
            printer.text(_NO_ANSWER)  # type: ignore[no-untyped-call] # IPython's own

    def _repr_html_(self) -> str:
        return Coverage.from_json(self)._repr_html_() if self else paragraph(strong(_NO_ANSWER))


def _filters_table(reports: Iterable[FilterReport]) -> Markup:
    """Return what filters left, a row each; nothing where there were none."""
    rows = [
        [
            report.name,
            report.where.value,
            report.level.value.lower(),
            ", ".join(report.terms),
            report.before,
            report.after,
            report.blank_kept,
            report.unsure_kept,
        ]
        for report in reports
    ]
    head = ["filter", "where", "level", "terms", "before", "after", "kept because blank", "kept because unsure"]
    return grid(head, rows) if rows else Markup("")
