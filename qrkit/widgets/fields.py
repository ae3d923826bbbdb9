"""`field` and `fields`: a form's fields, each with its label above and a sentence below; they fit any width."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import ipywidgets

FIELDS_CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
"""Their look; a widget that is always beside them brings it along."""

_LABEL = {"description_width": "auto"}


def field(widget: ipywidgets.Widget, told: str = "") -> ipywidgets.VBox:
    """Return a widget with a sentence that explains it; it is read out with the widget too."""
    widget.style, widget.layout.width = _LABEL, "auto"
    if told and not isinstance(widget, ipywidgets.Checkbox):
        widget.tooltip = told
    made = ipywidgets.VBox([widget, *([hint(told)] if told else [])])
    made.add_class("qrkit-field")
    return made


def fields(those: Iterable[ipywidgets.Widget]) -> ipywidgets.VBox:
    """Return fields beside each other, as many in a row as there is room for."""
    made = ipywidgets.VBox(list(those))
    made.add_class("qrkit-fields")
    return made


def hint(told: str) -> ipywidgets.HTML:
    """Return a sentence that explains what stands above it."""
    made = ipywidgets.HTML(f"<span>{escape(told)}</span>")
    made.add_class("qrkit-hint")
    return made
