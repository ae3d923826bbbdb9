"""`QueryForm`: what to ask, as people choose it; `QueryForm.given` is what `build_query` takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import ipywidgets

from qrkit.dose.groups import GROUPS
from qrkit.widgets.disclosure import DisclosureButtons
from qrkit.widgets.labels import field, fields, hint

DATES = ("Today", "Yesterday", "Last 7 days", "Last 30 days", "Last month", "Any date", "From … until …")
_OWN = DATES[-1]
_NODE = "The PACS or modality that is asked."
_DATE = "When the study was made."
_FIRST = "The first day; empty: from the beginning."
_LAST = "The last day; empty: until today."
_LEVEL = "A row for each study, or for each series."
_TEXTS = {
    "description_include": ("Description has", "chest, abdomen", "Only studies whose description has one of these."),
    "description_exclude": ("Description has not", "imported", "Not those whose description has one of these."),
    "patient_id": ("Patient ID", "Q1*", "Exactly, or with * and ? for what may be anything."),
    "accession": ("Accession number", "A1234567", "Exactly, or with * and ?."),
}
_ADVANCED = {
    "patient_name": ("Patient name", "DOE*", "Family name first; * and ? stand for anything."),
    "station_include": ("Station has", "CT1", "Only those whose station name has one of these."),
    "station_exclude": ("Station has not", "TEST", "Not those whose station name has one of these."),
    "study_uid": ("Study UID", "1.2.840…", "The one study with this StudyInstanceUID."),
    "time_from": ("Time from", "0800", "Hours and minutes; with a study date of a single day."),
    "time_until": ("Time until", "1700", "Hours and minutes; with a study date of a single day."),
}
_DOSE_OPTIONS = {
    "toshiba": (
        "One image of each series (Toshiba)",
        "Fetches it where a CT study tells its dose nowhere else.",
    ),
    "empty_sr": (
        "Reports without a list",
        "Fetches structured reports in which the node lists no objects.",
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
"""What the Modality codes mean."""
_GROUPS = {"FL": "fluoroscopy and angiography", "DX": "radiography", "NM": "nuclear medicine and PET"}
"""What the dose groups mean that are not what their code says alone."""


def dates_of(preset: str, today: date) -> dict[str, str]:
    """Return the first and last day that a preset means.

    >>> dates_of("Last month", date(2026, 3, 5))
    {'date_from': '2026-02-01', 'date_until': '2026-02-28'}
    >>> dates_of("Any date", date(2026, 3, 5))
    {}
    """
    day = timedelta(days=1)
    end_of_last_month = today.replace(day=1) - day
    spans = {
        "Today": (today, today),
        "Yesterday": (today - day, today - day),
        "Last 7 days": (today - 6 * day, today),
        "Last 30 days": (today - 29 * day, today),
        "Last month": (end_of_last_month.replace(day=1), end_of_last_month),
    }
    if preset not in spans:
        return {}
    first, last = spans[preset]
    return {"date_from": first.isoformat(), "date_until": last.isoformat()}


class QueryForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The form of a query.

    Parameters
    ----------
    nodes
        Names of those that may be asked.
    dose
        Whether it asks for dose groups instead of single modalities.
    """

    def __init__(self, *, nodes: list[str], dose: bool = False) -> None:
        self._dose = dose
        self.node = ipywidgets.Dropdown(options=nodes, description="Ask")
        self.dates = ipywidgets.Dropdown(options=DATES, value="Last 7 days", description="Study date")
        self.first = ipywidgets.DatePicker(description="From")
        self.last = ipywidgets.DatePicker(description="Until")
        self.texts = {
            name: ipywidgets.Text(description=label, placeholder=example)
            for name, (label, example, _) in (_TEXTS | _ADVANCED).items()
        }
        self.level = ipywidgets.Dropdown(options=[("Studies", "STUDY"), ("Series", "SERIES")], description="Show")
        self.boxes = {code: _box(code, told) for code, told in _kinds(dose=dose).items()}
        self.toshiba, self.empty_sr = (
            ipywidgets.Checkbox(description=label, tooltip=told, indent=False)
            for label, told in _DOSE_OPTIONS.values()
        )
        own = [field(self.first, _FIRST), field(self.last, _LAST)]
        always = [field(self.node, _NODE), field(self.dates, _DATE), *own, *self._explained(_TEXTS)]
        options = [field(self.toshiba, _DOSE_OPTIONS["toshiba"][1])]
        options += [field(self.empty_sr, _DOSE_OPTIONS["empty_sr"][1])]
        folded = fields([*self._explained(_ADVANCED), *(options if dose else [field(self.level, _LEVEL)])])
        more = DisclosureButtons(("More options",), label="More options")
        super().__init__([fields(always), self._kinds_box(), more, folded])
        self.add_class("qrkit-form")
        more.observe(lambda change: _show([folded], shown=change["new"] == 0), "opened")
        self.dates.observe(lambda change: _show(own, shown=change["new"] == _OWN), "value")
        _show([folded, *own], shown=False)

    @property
    def given(self) -> dict[str, Any]:
        """What was chosen, as `Workspace.find` takes it, or `Workspace.plan` for dose groups."""
        chosen = [code for code, box in self.boxes.items() if box.value]
        values: dict[str, Any] = {name: text.value.strip() for name, text in self.texts.items() if text.value.strip()}
        values |= dates_of(self.dates.value, date.today())
        if self.dates.value == _OWN:
            values |= {"date_from": self.first.value, "date_until": self.last.value}
        if self._dose:
            return values | {"dose": chosen, "toshiba": self.toshiba.value, "empty_sr": self.empty_sr.value}
        return values | {"modalities": chosen, "level": self.level.value}

    def _explained(self, told: dict[str, tuple[str, str, str]]) -> list[ipywidgets.Widget]:
        return [field(self.texts[name], sentence) for name, (_, _, sentence) in told.items()]

    def _kinds_box(self) -> ipywidgets.Widget:
        """Return the boxes of the kinds, with what they mean; for a query, with the presets of the dose groups."""
        boxes = _row(self.boxes.values())
        boxes.add_class("qrkit-kinds")
        if self._dose:
            meanings = "; ".join(f"{code}: {told}" for code, told in _kinds(dose=True).items())
            return ipywidgets.VBox([_label("Kinds of dose"), boxes, hint(f"{meanings}. Tick at least one.")])
        told = hint("Only those ticked; none: all. Point at a code for what it means. Tick what carries dose in:")
        presets = [_label("Kinds of study"), boxes, _row([told, *self._presets()])]
        return ipywidgets.VBox(presets)

    def _presets(self) -> list[ipywidgets.Button]:
        buttons = []
        for group, codes in GROUPS.items():
            button = ipywidgets.Button(
                description=f"Dose: {group}",
                tooltip=f"Tick {', '.join(codes)}",
                layout=ipywidgets.Layout(width="auto"),
            )
            button.on_click(lambda _, codes=tuple(codes): self._tick(codes))
            button.add_class("qrkit-small")
            buttons.append(button)
        return buttons

    def _tick(self, codes: tuple[str, ...]) -> None:
        for code, box in self.boxes.items():
            box.value = code in codes


def _kinds(*, dose: bool) -> dict[str, str]:
    """Return the codes that can be ticked, with what they mean."""
    return {group: _GROUPS.get(group) or KINDS[group] for group in GROUPS} if dose else KINDS


def _show(boxes: list[ipywidgets.Widget], *, shown: bool) -> None:
    for box in boxes:
        box.layout.display = "" if shown else "none"


def _row(those: Iterable[ipywidgets.Widget]) -> ipywidgets.HBox:
    return ipywidgets.HBox(list(those), layout=ipywidgets.Layout(flex_flow="row wrap"))


def _label(text: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(f"<h3>{text}</h3>")


def _box(code: str, told: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(
        description=code, tooltip=f"{code}: {told}", indent=False, layout=ipywidgets.Layout(width="64px")
    )
