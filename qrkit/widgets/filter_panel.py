"""`FilterPanel`: filters of a result, which act at once and send nothing to the node."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import ipywidgets
import pandas as pd

from qrkit.widgets.labels import field, fields, hint
from qrkit.widgets.selectable_table import SelectableTable
from qrkit.words import comma_list, counted, out_of

_WORDS = "Words in the description, separated by commas."
_DESCRIPTIONS = ("StudyDescription", "SeriesDescription")
_MODALITIES = ("ModalitiesInStudy", "Modality")


class FilterPanel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Description and modality filters of a table; rows that pass all filters are shown.

    Parameters
    ----------
    on_change
        Called after the filters have been applied.
    """

    def __init__(self, *, table: SelectableTable, on_change: Callable[[], object]) -> None:
        self._table = table
        self._on_change = on_change
        self._rows: list[tuple[str, frozenset[str]]] = []
        self.include = ipywidgets.Text(description="Show rows containing", placeholder="chest, abdomen")
        self.exclude = ipywidgets.Text(description="Hide rows containing", placeholder="imported")
        self.modalities = ipywidgets.HBox(layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.count = ipywidgets.HTML()
        self.modalities.add_class("qrkit-kinds")
        words = fields([field(self.include, _WORDS), field(self.exclude, _WORDS)])
        none_selected = hint("None selected = all modalities.")
        heading = ipywidgets.HTML("<h3>Filter these results</h3>")
        super().__init__([heading, words, ipywidgets.VBox([self.modalities, none_selected]), self.count])
        self.add_class("qrkit-form")
        self.layout.display = "none"
        for widget in (self.include, self.exclude):
            widget.observe(lambda _: self.apply(), "value")

    def show(self) -> None:
        """Offer the modalities of the table; nothing is filtered yet."""
        frame = self._table.frame
        # Once for each result: for five thousand rows this takes longer than a filter.
        words = [cell.casefold() for cell in _column(frame, _DESCRIPTIONS)]
        self._rows = list(zip(words, map(_codes, _column(frame, _MODALITIES)), strict=True))
        codes = sorted({code for _, own in self._rows for code in own})
        for box in self.modalities.children:
            box.close()
        self.modalities.children = [_box(code) for code in codes]
        for box in self.modalities.children:
            box.observe(lambda _: self.apply(), "value")
        self.include.value = self.exclude.value = ""
        self.layout.display = "" if len(frame) else "none"
        self.apply()

    def apply(self) -> None:
        """Show the rows that pass the filters."""
        wanted, unwanted = _terms(self.include.value), _terms(self.exclude.value)
        codes = {box.description for box in self.modalities.children if box.value}
        kept = [
            place
            for place, (words, own) in enumerate(self._rows)
            if (not wanted or any(term in words for term in wanted))
            and not any(term in words for term in unwanted)
            and (not codes or not codes.isdisjoint(own))
        ]
        self._table.filter_rows(kept)
        hidden = self._table.hidden
        also = f" {counted(hidden, 'selected row')} hidden." if hidden else ""
        shown = out_of(len(kept), len(self._rows), "row")
        self.count.value = f'<div role="status">{shown} shown. Filters apply to these results only.{also}</div>'
        self._on_change()


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    """Return the texts of the existing columns, joined; empty if there is no such column."""
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
    return [term.casefold() for term in comma_list(text)]


def _box(code: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(
        description=code, tooltip=f"Show rows with {code}", indent=False, layout=ipywidgets.Layout(width="72px")
    )
