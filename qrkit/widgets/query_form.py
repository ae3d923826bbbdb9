"""`QueryForm`: what to ask, as people choose it; `QueryForm.given` is what `build_query` takes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import ipywidgets

from qrkit.plan.groups import GROUPS

DATES = ("Today", "Yesterday", "Last 7 days", "Last 30 days", "Last month", "Any date", "From … until …")
_OWN = DATES[-1]
_WIDE = ipywidgets.Layout(width="360px")
_STYLE = {"description_width": "150px"}
_TEXTS = {
    "description_include": ("Description has", "chest, abdomen", "Keeps studies whose description has one of these."),
    "description_exclude": ("Description has not", "imported", "Drops studies whose description has one of these."),
    "patient_id": ("Patient ID", "Q1*", "Exactly, or with * and ? for what may be anything."),
    "accession": ("Accession number", "", "Exactly."),
}
_ADVANCED = {
    "patient_name": ("Patient name", "DOE*", "Family name first; * and ? stand for anything."),
    "station_include": ("Station has", "CT1", "Keeps those whose station name has one of these."),
    "station_exclude": ("Station has not", "", "Drops those whose station name has one of these."),
    "study_uid": ("Study UID", "1.2.840…", "One StudyInstanceUID."),
    "time_from": ("Time from", "0800", "HHMM; needs a single day."),
    "time_until": ("Time until", "1700", "HHMM; needs a single day."),
}


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
        self.node = ipywidgets.Dropdown(options=nodes, description="Ask", style=_STYLE, layout=_WIDE)
        self.dates = ipywidgets.Dropdown(
            options=DATES, value="Last 7 days", description="Study date", style=_STYLE, layout=_WIDE
        )
        self.first = ipywidgets.DatePicker(description="From", style=_STYLE, layout=_WIDE)
        self.last = ipywidgets.DatePicker(description="Until", style=_STYLE, layout=_WIDE)
        self._own = ipywidgets.VBox([self.first, self.last])
        codes = GROUPS if dose else tuple(dict.fromkeys(code for group in GROUPS.values() for code in group))
        self.boxes = {code: _box(code) for code in (*codes, *(() if dose else ("MR", "US", "SR")))}
        self.texts = {name: _text(*told) for name, told in (_TEXTS | _ADVANCED).items()}
        advanced = [self.texts[name] for name in _ADVANCED]
        self.level = ipywidgets.Dropdown(
            options=[("Studies", "STUDY"), ("Series", "SERIES")], description="Show", style=_STYLE, layout=_WIDE
        )
        self.toshiba = _option("One image of each series where a CT study tells its dose nowhere else (Toshiba)")
        self.empty_sr = _option("Structured reports in which the node lists no objects")
        advanced += [self.toshiba, self.empty_sr] if dose else [self.level]
        folded = ipywidgets.VBox([_explained(one) for one in advanced])
        more = ipywidgets.ToggleButton(
            description="More options", tooltip="Show or hide more options", layout=ipywidgets.Layout(width="150px")
        )
        left = ipywidgets.VBox([self.node, self.dates, self._own])
        right = ipywidgets.VBox([_explained(self.texts[name]) for name in _TEXTS])
        kinds = ipywidgets.HBox(list(self.boxes.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        rows = ipywidgets.HBox([left, right], layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="16px"))
        super().__init__([rows, *([] if dose else [self._presets()]), kinds, more, folded])
        more.observe(lambda change: _show(folded, shown=change["new"]), "value")
        self.dates.observe(lambda change: _show(self._own, shown=change["new"] == _OWN), "value")
        _show(folded, shown=False)
        _show(self._own, shown=False)

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

    def _presets(self) -> ipywidgets.Widget:
        buttons = []
        for group, codes in GROUPS.items():
            button = ipywidgets.Button(
                description=f"Dose: {group}",
                tooltip=f"Tick {', '.join(codes)}",
                layout=ipywidgets.Layout(width="auto"),
            )
            button.on_click(lambda _, codes=tuple(codes): self._tick(codes))
            buttons.append(button)
        return ipywidgets.HBox(buttons, layout=ipywidgets.Layout(flex_flow="row wrap"))

    def _tick(self, codes: tuple[str, ...]) -> None:
        for code, box in self.boxes.items():
            box.value = code in codes


def _show(box: ipywidgets.Widget, *, shown: bool) -> None:
    box.layout.display = "" if shown else "none"


def _box(code: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(description=code, indent=False, layout=ipywidgets.Layout(width="72px"))


def _option(text: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(description=text, tooltip=text, indent=False, layout=ipywidgets.Layout(width="auto"))


def _text(label: str, example: str, told: str) -> ipywidgets.Text:
    return ipywidgets.Text(description=label, placeholder=example, tooltip=told, style=_STYLE, layout=_WIDE)


def _explained(widget: ipywidgets.Widget) -> ipywidgets.Widget:
    if not isinstance(widget, ipywidgets.Text):
        return widget
    told = ipywidgets.HTML(f"<span>{widget.tooltip}</span>")
    return ipywidgets.HBox([widget, told], layout=ipywidgets.Layout(flex_flow="row wrap"))
