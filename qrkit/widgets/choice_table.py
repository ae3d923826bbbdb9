"""`ChoiceTable`: a table of which rows can be chosen, by mouse or keyboard, under any sort and search."""

from __future__ import annotations

import ipywidgets
import pandas as pd
import traitlets

from qrkit.widgets.answer_table import SHOWN, table

_FIRST = (
    "StudyDate",
    "StudyTime",
    "PatientID",
    "ModalitiesInStudy",
    "Modality",
    "StudyDescription",
    "SeriesDescription",
    "StationName",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "AccessionNumber",
    "PatientName",
)


class ChoiceTable(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows `frame`; `chosen` has the positions of the rows that are chosen."""

    chosen = traitlets.Tuple()

    def __init__(self, *, frame: pd.DataFrame | None = None, first: tuple[str, ...] = _FIRST) -> None:
        super().__init__()
        self._first = first
        self.frame = pd.DataFrame()
        if frame is not None:
            self.show(frame)

    def show(self, frame: pd.DataFrame) -> None:
        """Show another table, of which nothing is chosen."""
        self.frame = frame
        self.chosen = ()
        names = [name for name in self._first if name in frame.columns]
        names += [name for name in frame.columns if name not in names and frame[name].notna().any()]
        shown = table(frame[names])
        shown.observe(self._choose, "selected_rows")
        self.children = (shown,)

    def rows(self) -> pd.DataFrame:
        """Return the chosen rows, as they are in `frame`."""
        chosen = self.frame.iloc[list(self.chosen)]
        chosen.attrs = dict(self.frame.attrs)
        return chosen

    def _choose(self, change: dict[str, list[int]]) -> None:
        size = min(len(self.frame), SHOWN)  # a browser may send anything
        self.chosen = tuple(sorted({row for row in change["new"] if 0 <= row < size}))
