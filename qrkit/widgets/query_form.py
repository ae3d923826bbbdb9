"""`QueryForm`: the form of a query or dose plan; `QueryForm.given` has the arguments for `build_query`."""

from __future__ import annotations

from datetime import date
from typing import Any

import ipywidgets

from qrkit.dose.groups import GROUPS
from qrkit.query.dates import dates
from qrkit.tables import Level
from qrkit.widgets.labels import DisclosureButtons, field, fields, hint
from qrkit.widgets.panel import row, title
from qrkit.workspace import Workspace

DATES = ("Today", "Yesterday", "Last 7 days", "Last 30 days", "Last month", "Any date", "Custom range")
_ANY, _OWN = DATES[-2:]
_NODE = "PACS or modality to query."
_DATE = "Date of the study."
_FIRST = "First day. Empty = no limit."
_LAST = "Last day. Empty = today."
_LEVEL = "One row per study or per series."
_TEXTS = {
    "description_include": ("Description contains", "chest, abdomen", "Any of these words, separated by commas."),
    "description_exclude": ("Exclude description", "imported", "None of these words, separated by commas."),
    "patient_id": ("Patient ID", "Q1*", "Exact ID, or use * and ? as wildcards."),
    "accession": ("Accession number", "A1234567", "Exact number, or use * and ? as wildcards."),
}
_ADVANCED = {
    "patient_name": ("Patient name", "DOE*", "Family name first. Use * and ? as wildcards."),
    "station_include": ("Station contains", "CT1", "Station name contains any of these."),
    "station_exclude": ("Exclude station", "TEST", "Station name contains none of these."),
    "study_uid": ("Study UID", "1.2.840…", "StudyInstanceUID of one study."),
    "time_from": ("From time", "0800", "Hours and minutes, on a single study date."),
    "time_until": ("Until time", "1700", "Hours and minutes, on a single study date."),
}
_DOSE_OPTIONS = {
    "toshiba": (
        "One image of each series (Toshiba)",
        "For CT studies without other dose objects.",
    ),
    "empty_sr": (
        "Reports without listed objects",
        "For structured reports whose objects the node does not list.",
    ),
}
KINDS = {
    "CT": "computed tomography",
    "MG": "mammography",
    "RF": "fluoroscopy",
    "XA": "angiography",
    "DX": "digital radiography",
    "CR": "computed radiography",
    "PX": "panoramic dental X-ray",
    "NM": "nuclear medicine",
    "PT": "PET",
    "MR": "magnetic resonance",
    "US": "ultrasound",
    "SR": "structured reports",
}
"""Meanings of the Modality codes."""
_GROUPS = {"FL": "fluoroscopy and angiography", "DX": "radiography", "NM": "nuclear medicine and PET"}
"""Meanings of dose groups that differ from their Modality code."""


def dates_of(preset: str, today: date) -> dict[str, str]:
    """Return the first and last day of a preset, as `qrkit.query.dates` reads it.

    >>> dates_of("Last month", date(2026, 3, 5))
    {'date_from': '2026-02-01', 'date_until': '2026-02-28'}
    >>> dates_of("Last 7 days", date(2026, 3, 8))
    {'date_from': '2026-03-01', 'date_until': '2026-03-08'}
    >>> dates_of("Any date", date(2026, 3, 5))
    {}
    """
    days = None if preset in (_ANY, _OWN) else dates(preset, None, None, today=today)
    return {} if days is None else {"date_from": days.first.isoformat(), "date_until": days.last.isoformat()}


class QueryForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The form of a query, or of a dose plan, which has dose groups instead of modalities."""

    def __init__(self, *, nodes: list[str], dose: bool = False) -> None:
        self._dose = dose
        self.node = ipywidgets.Dropdown(options=nodes, description="Node")
        self.dates = ipywidgets.Dropdown(options=DATES, value="Last 7 days", description="Study date")
        self.first = ipywidgets.DatePicker(description="From")
        self.last = ipywidgets.DatePicker(description="Until")
        self.texts = {
            name: ipywidgets.Text(description=label, placeholder=example)
            for name, (label, example, _) in (_TEXTS | _ADVANCED).items()
        }
        self.level = ipywidgets.Dropdown(
            options=[("Studies", Level.STUDY.value), ("Series", Level.SERIES.value)], description="Level"
        )
        self.boxes = {code: code_box(code, f"{code}: {meaning}") for code, meaning in _meanings(dose=dose).items()}
        self.toshiba, self.empty_sr = (
            ipywidgets.Checkbox(description=label, tooltip=explanation, indent=False)
            for label, explanation in _DOSE_OPTIONS.values()
        )
        own = [field(self.first, _FIRST), field(self.last, _LAST)]
        always = [field(self.node, _NODE), field(self.dates, _DATE), *own, *self._explained(_TEXTS)]
        options = [field(self.toshiba, _DOSE_OPTIONS["toshiba"][1])]
        options += [field(self.empty_sr, _DOSE_OPTIONS["empty_sr"][1])]
        folded = fields([*self._explained(_ADVANCED), *(options if dose else [field(self.level, _LEVEL)])])
        more = DisclosureButtons(("More options",), label="More options")
        super().__init__([fields(always), self._modality_boxes(), more, folded])
        self.add_class("qrkit-form")
        more.observe(lambda change: _show([folded], shown=change["new"] == 0), "opened")
        self.dates.observe(lambda change: _show(own, shown=change["new"] == _OWN), "value")
        _show([folded, *own], shown=False)

    @property
    def given(self) -> dict[str, Any]:
        """The filled-in arguments for `Workspace.find`, or with dose groups for `Workspace.plan`."""
        selected = [code for code, box in self.boxes.items() if box.value]
        values: dict[str, Any] = {name: text.value.strip() for name, text in self.texts.items() if text.value.strip()}
        values |= dates_of(self.dates.value, date.today())
        if self.dates.value == _OWN:
            values |= {"date_from": self.first.value, "date_until": self.last.value}
        if self._dose:
            return values | {"dose": selected, "toshiba": self.toshiba.value, "empty_sr": self.empty_sr.value}
        return values | ({"modalities": selected} if selected else {}) | {"level": self.level.value}

    def _explained(self, texts: dict[str, tuple[str, str, str]]) -> list[ipywidgets.Widget]:
        return [field(self.texts[name], sentence) for name, (_, _, sentence) in texts.items()]

    def _modality_boxes(self) -> ipywidgets.Widget:
        """Return the boxes of the modalities or dose groups, with their meanings and presets."""
        boxes = row(*self.boxes.values())
        boxes.add_class("qrkit-kinds")
        if self._dose:
            meanings = "; ".join(f"{code}: {meaning}" for code, meaning in _meanings(dose=True).items())
            return ipywidgets.VBox([title("Dose groups", level=3), boxes, hint(f"{meanings}. Select at least one.")])
        none_selected = hint("None selected = all modalities. Select those with dose:")
        return ipywidgets.VBox([title("Modalities", level=3), boxes, row(none_selected, *self._presets())])

    def _presets(self) -> list[ipywidgets.Button]:
        buttons = []
        for group, codes in GROUPS.items():
            button = ipywidgets.Button(
                description=f"Dose: {group}",
                tooltip=f"Select {', '.join(codes)}",
                layout=ipywidgets.Layout(width="auto"),
            )
            button.on_click(lambda _, codes=tuple(codes): self._select(codes))
            button.add_class("qrkit-small")
            buttons.append(button)
        return buttons

    def _select(self, codes: tuple[str, ...]) -> None:
        for code, box in self.boxes.items():
            box.value = code in codes


def _meanings(*, dose: bool) -> dict[str, str]:
    """Return the codes to select, with their meanings."""
    return {group: _GROUPS.get(group) or KINDS[group] for group in GROUPS} if dose else KINDS


def _show(boxes: list[ipywidgets.Widget], *, shown: bool) -> None:
    for box in boxes:
        box.layout.display = "" if shown else "none"


def nodes_to_query(workspace: Workspace) -> list[str]:
    """Return the names of the nodes that may be queried."""
    return [node.name for node in workspace.nodes if node.enabled and node.can_find]


def code_box(code: str, tip: str, *, width: str = "64px") -> ipywidgets.Checkbox:
    """Return a box to select a modality or a dose group."""
    return ipywidgets.Checkbox(description=code, tooltip=tip, indent=False, layout=ipywidgets.Layout(width=width))
