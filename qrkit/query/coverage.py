"""How far an answer can be trusted to be all: the plain values of the history, which a notebook shows in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from qrkit.markup import Markup, bullets, grid, paragraph, strong
from qrkit.words import counted

if TYPE_CHECKING:
    from IPython.lib.pretty import PrettyPrinter

_HAPPENED = ("splits", "failures")
"""What is told of the windows, if there were any."""

_WORTH_TELLING = 1.0
"""Seconds of the node's time below which nothing is said of them."""


class Coverage(dict[str, Any]):
    """The coverage of an answer: a plain dict, as JSON and `attrs` hold it, that can tell about itself.

    `complete` and `why`, the reasons against it; the `assumptions` that it rests on; how many `windows` and
    `requests` it took, with `splits` and `failures`; the windows `asked`, where a request took more than one; the
    keys that the node `ignored`; the `load` that it was for the node; `not_found`, the values of lists for which
    nothing was found, by keyword; and the local `filters`, with how many rows were there before and after each.

    >>> print(Coverage(complete=False, why=["500 answers look like a limit"], requests=1))
    Not proven complete: 500 answers look like a limit. 1 C-FIND request.
    """

    __slots__ = ()

    @property
    def is_known(self) -> bool:
        """Whether there was an answer; one that failed has no coverage."""
        return "complete" in self

    def lines(self) -> tuple[str, ...]:
        """Return what it says, a sentence each; what it says of filters comes last."""
        return (*self.sentences(), *self._filter_lines())

    def __str__(self) -> str:
        return " ".join(self.lines())

    def sentences(self) -> Iterator[str]:
        """Yield whether the answer is complete, and what it took."""
        if not self.is_known:
            yield "There was no answer."
            return
        yield "Complete." if self["complete"] else f"Not proven complete: {'; '.join(self.get('why', ()))}."
        yield from self._not_found()
        for assumption in self.get("assumptions", ()):
            yield f"Assumed: {assumption}."
        if "requests" in self:
            yield f"{self._effort()}."
        if load := self._load():
            yield f"{load}."

    def _not_found(self) -> Iterator[str]:
        """Yield how many values of each list found nothing; `not_found` has them, which may tell who somebody is."""
        for keyword, values in self.get("not_found", {}).items():
            yield f"Nothing found for {counted(len(values), f'{keyword} value')} of the list."

    def _effort(self) -> str:
        windows = int(self.get("windows", 1) or 1)
        over = f" over {counted(windows, 'window')}" if windows > 1 else ""
        parts = [f"{self[name]:,} {name[:-1] if self[name] == 1 else name}" for name in _HAPPENED if self.get(name)]
        happened = f" ({', '.join(parts)})" if parts else ""
        return counted(int(self["requests"]), "C-FIND request") + over + happened

    def _load(self) -> str:
        """Return what the query cost the node; an empty text where that was not measured, or was next to nothing."""
        load: Mapping[str, Any] = self.get("load") or {}
        if load.get("seconds", 0) < _WORTH_TELLING and load.get("waited", 0) < _WORTH_TELLING:
            return ""
        most = f", at most {load['busiest']} at a time" if load.get("busiest", 0) > 1 else ""
        waited = f"; {load['waited']:,.1f} s were waited to spare it" if load["waited"] >= _WORTH_TELLING else ""
        return f"The node worked on them for {load['seconds']:,.1f} s in all{most}{waited}"

    def _filter_lines(self) -> Iterator[str]:
        for told in self.get("filters", ()):
            blank = f", {told['blank_kept']:,} of them because blank" if told.get("blank_kept") else ""
            yield f"{filter_words(told)}, {told['filter']}: {told['after']:,} of {told['before']:,} kept{blank}."

    def _cost(self) -> str:
        return " ".join(f"{told}." for told in (self._effort(), self._load()) if told)

    def _repr_pretty_(self, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's protocol
        printer.text("\n".join(self.lines()))  # type: ignore[no-untyped-call] # IPython's own

    def _repr_html_(self) -> str:
        if not self.is_known or self["complete"]:
            said = " ".join((*self._not_found(), self._cost() if self.is_known else ""))
            shown = paragraph(strong(next(self.sentences())), " ", said)
        else:
            said = " ".join((*self._not_found(), self._cost()))
            shown = Markup(paragraph(strong("Not proven complete:")) + bullets(self.get("why", ())) + paragraph(said))
        return shown + filters_table(self)


def filter_words(told: Mapping[str, Any]) -> str:
    """Return where a filter of a coverage ran, as a sentence begins with it; filters of old answers were local."""
    return {"node": "Filter at the node only", "both": "Filter at the node and here"}.get(
        told.get("where", ""), "Local filter"
    )


def filters_table(coverage: Coverage) -> Markup:
    """Return what the local filters left, a row each; nothing where there were none."""
    told = coverage.get("filters", ())
    if not told:
        return Markup("")
    rows = [
        [
            one["filter"],
            one.get("where", "local"),
            str(one.get("level", "")).lower(),
            ", ".join(one.get("terms", ())),
            one["before"],
            one["after"],
            one.get("blank_kept", 0),
        ]
        for one in told
    ]
    return grid(["filter", "where", "level", "terms", "before", "after", "kept because blank"], rows)
