"""`Narrowing`: filters that act on an answer that is there, at once, without asking the node again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import ipywidgets
import pandas as pd

from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.labels import field, fields, hint

_WORDS = "Words of the description, with commas between."
_DESCRIPTIONS = ("StudyDescription", "SeriesDescription")
_MODALITIES = ("ModalitiesInStudy", "Modality")


class Narrowing(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Description and modality filters for a table; each row that passes all of them is shown.

    Parameters
    ----------
    told
        Called after the table has been narrowed.
    """

    def __init__(self, *, table: ChoiceTable, told: Callable[[], object]) -> None:
        self._table = table
        self._told = told
        self._rows: list[tuple[str, frozenset[str]]] = []
        self.include = ipywidgets.Text(description="Show only those with", placeholder="chest, abdomen")
        self.exclude = ipywidgets.Text(description="Hide those with", placeholder="imported")
        self.modalities = ipywidgets.HBox(layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.count = ipywidgets.HTML()
        self.modalities.add_class("qrkit-kinds")
        words = fields([field(self.include, _WORDS), field(self.exclude, _WORDS)])
        told = hint("Only the kinds that are ticked; none: all.")
        heading = ipywidgets.HTML("<h3>Filter this answer</h3>")
        super().__init__([heading, words, ipywidgets.VBox([self.modalities, told]), self.count])
        self.add_class("qrkit-form")
        self.layout.display = "none"
        for widget in (self.include, self.exclude):
            widget.observe(lambda _: self.act(), "value")

    def show(self) -> None:
        """Offer what the answer of the table has; nothing is filtered yet."""
        frame = self._table.frame
        # Once for an answer: of five thousand rows it takes longer than a filter does.
        words = [cell.casefold() for cell in _column(frame, _DESCRIPTIONS)]
        self._rows = list(zip(words, map(_codes, _column(frame, _MODALITIES)), strict=True))
        codes = sorted({code for _, own in self._rows for code in own})
        for box in self.modalities.children:
            box.close()
        self.modalities.children = [_box(code) for code in codes]
        for box in self.modalities.children:
            box.observe(lambda _: self.act(), "value")
        self.include.value = self.exclude.value = ""
        self.layout.display = "" if len(frame) else "none"
        self.act()

    def act(self) -> None:
        """Narrow the table to what is wanted now."""
        wanted, unwanted = _terms(self.include.value), _terms(self.exclude.value)
        codes = {box.description for box in self.modalities.children if box.value}
        kept = [
            place
            for place, (words, own) in enumerate(self._rows)
            if (not wanted or any(term in words for term in wanted))
            and not any(term in words for term in unwanted)
            and (not codes or not codes.isdisjoint(own))
        ]
        self._table.narrow(kept)
        hidden = self._table.hidden
        also = f" {hidden:,} of the chosen rows {'is' if hidden == 1 else 'are'} hidden." if hidden else ""
        self.count.value = (
            f'<div role="status">{len(kept):,} of {len(self._rows):,} shown; filters apply to this answer, '
            f"the node is not asked again.{also}</div>"
        )
        self._told()


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    """Return the texts of the columns that there are, joined; empty where there is none."""
    there = [frame[name].astype(object).where(frame[name].notna(), "") for name in names if name in frame.columns]
    return (
        ["\\".join(filter(None, map(str, cells))) for cells in zip(*there, strict=True)]
        if there
        else [""] * len(frame)
    )


@lru_cache(maxsize=1_000)
def _codes(cell: str) -> frozenset[str]:
    return frozenset(code.strip() for code in cell.split("\\") if code.strip())


def _terms(text: str) -> list[str]:
    return [term.strip().casefold() for term in text.split(",") if term.strip()]


def _box(code: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(
        description=code, tooltip=f"Show those with {code}", indent=False, layout=ipywidgets.Layout(width="72px")
    )
