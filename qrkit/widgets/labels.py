"""The labels of the pages: headings, explained fields, buttons that open more, links, and results in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, quote

import anywidget
import ipywidgets
import pandas as pd
import traitlets

from qrkit.tables import modality_label, read_modalities

NAMES = {"job": "jobs", "query": "history"}
"""The kinds of things that an address may name, with their pages."""

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)

_HEADINGS = {
    "PatientID": "Patient ID",
    "PatientBirthDate": "Birth date",
    "PatientSex": "Sex",
    "StudyInstanceUID": "Study UID",
    "SeriesInstanceUID": "Series UID",
    "SOPInstanceUID": "Object UID",
    "SOPClassUID": "Object class",
    "SOPClassesInStudy": "Object classes",
    "StudyDescription": "Study",
    "SeriesDescription": "Series",
    "ModalitiesInStudy": "Modalities",
    "StationName": "Station",
    "NumberOfPatientRelatedStudies": "Studies of patient",
    "NumberOfStudyRelatedSeries": "Series in study",
    "NumberOfStudyRelatedInstances": "Objects in study",
    "NumberOfSeriesRelatedInstances": "Objects in series",
    "InstanceAvailability": "Availability",
    "RetrieveAETitle": "Stored at (AE title)",
    "StudyID": "Study ID",
    "IssuerOfPatientID": "Issuer of patient ID",
    "ae_title": "AE title",
    "keep": "Retrieve",
    "group": "Group",
    "rule": "Rule",
    "user": "User",
    "created": "Created",
    "started": "Started",
    "row_count": "Rows",
    "stored": "Objects stored",
    "expected": "Objects expected",
    "bytes": "Size (MB)",
    "columns": "Changed columns",
    "reason": "Reason",
    "job_id": "Job ID",
    "query_id": "Query ID",
    "can_find": "Queries (C-FIND)",
    "can_get": "C-GET",
    "can_move": "C-MOVE",
    "can_store": "Receives objects",
    "enabled": "Enabled",
    "not_before": "Next try",
    "asked": "Query",
}

_HERE = Path(__file__).parent

FIELDS_CSS = (_HERE / "labels.css").read_text(encoding="utf-8")
"""The style of forms; a widget that is on each page with a form loads it."""

_LABEL = {"description_width": "auto"}

_MODALITIES_SHOWN = 6


def share(page: str, what: str, identifier: str) -> ipywidgets.HTML:
    """Return a link to a job or a query, which can be sent to anyone with an account."""
    link = escape(f"{page}.ipynb?{what}={quote(identifier)}")
    return ipywidgets.HTML(f'<a class="qrkit-share" href="{link}">Link to this {escape(what)}</a>')


def named_in(address: str) -> tuple[str, str]:
    """Return the kind and the id that the query string of an address names; both are empty if it names nothing.

    An invalid id is replaced by ``?``, so that the page reports it as not found.

    >>> named_in("job=4f2a-1&x=1"), named_in("job=<b>"), named_in("")
    (('job', '4f2a-1'), ('job', '?'), ('', ''))
    """
    given = parse_qs(address)
    for what in NAMES:
        if given.get(what):
            identifier = given[what][0]
            return what, identifier if _ID.fullmatch(identifier) else "?"
    return "", ""


def heading(name: str) -> str:
    """Return the heading of a column, in words.

    >>> heading("StudyDate"), heading("NumberOfStudyRelatedInstances"), heading("row_count"), heading("LossyImage")
    ('Study date', 'Objects in study', 'Rows', 'Lossy image')
    """
    if name in _HEADINGS:
        return _HEADINGS[name]
    words = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|\d+|[A-Z]", name) or [name]
    label = " ".join(word if word.isupper() else word.lower() for word in words)
    return label[:1].upper() + label[1:]


def headings(names: Iterable[str]) -> dict[str, str]:
    """Return the heading of each column by its name; if two are the same, the later one keeps its name.

    >>> headings(["StudyDate", "study_date"])
    {'StudyDate': 'Study date', 'study_date': 'study_date'}
    """
    found: dict[str, str] = {}
    for name in names:
        label = heading(name)
        found[name] = name if label in found.values() else label
    return found


def legend(labels: dict[str, str]) -> str:
    """Return hidden HTML with the column name of each heading, which the page shows on hover and focus."""
    pairs = "".join(
        f'<span data-heading="{escape(words)}" data-keyword="{escape(name)}"></span>'
        for name, words in labels.items()
    )
    return f'<div class="qrkit-legend" hidden>{pairs}</div>'


def field(widget: ipywidgets.Widget, explanation: str = "") -> ipywidgets.VBox:
    """Return a widget with a sentence that explains it; screen readers read it with the widget."""
    widget.style, widget.layout.width = _LABEL, "auto"
    if explanation and not isinstance(widget, ipywidgets.Checkbox):
        widget.tooltip = explanation
    made = ipywidgets.VBox([widget, *([hint(explanation)] if explanation else [])])
    made.add_class("qrkit-field")
    return made


def fields(widgets: Iterable[ipywidgets.Widget]) -> ipywidgets.VBox:
    """Return fields in rows, as many in a row as fit."""
    made = ipywidgets.VBox(list(widgets))
    made.add_class("qrkit-fields")
    return made


def hint(explanation: str) -> ipywidgets.HTML:
    """Return a sentence that explains the widget above it."""
    made = ipywidgets.HTML(f"<span>{escape(explanation)}</span>")
    made.add_class("qrkit-hint")
    return made


def modalities_in_words(frame: pd.DataFrame) -> str:
    r"""Return the number of rows of each modality; empty if the frame has no modalities.

    >>> modalities_in_words(pd.DataFrame({"ModalitiesInStudy": ["CT\\SR", "CT", None, "ct/sr"]}))
    '2 CT with SR, 1 CT, 1 of unknown modality'
    """
    column = next((name for name in ("ModalitiesInStudy", "Modality") if name in frame.columns), None)
    if column is None or frame.empty:
        return ""
    counts = Counter(frame[column].map(_modality))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{number:,} {modality}" for modality, number in ordered[:_MODALITIES_SHOWN]]
    others = sum(number for _, number in ordered[_MODALITIES_SHOWN:])
    return ", ".join(shown + [f"{others:,} others"] * bool(others))


def _modality(cell: object) -> str:
    label = modality_label(cell)
    if label == "unknown":
        return "of unknown modality"
    return f"{label} with SR" if label != "SR" and "SR" in read_modalities(str(cell)).codes else label


class DisclosureButtons(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """Buttons that open something below them, with `aria-expanded`, which ipywidgets lacks.

    `opened` is the position of the open one; -1: none. Screen readers get `label`, the name of the group, and
    `description`, the text of an open chart.
    """

    _esm = _HERE / "disclosure.js"
    _css = (_HERE / "disclosure.css").read_text(encoding="utf-8") + FIELDS_CSS  # they also open fields

    label = traitlets.Unicode().tag(sync=True)
    labels: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    opened = traitlets.Int(-1).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, labels: Sequence[str], *, label: str) -> None:
        super().__init__(labels=list(labels), label=label)

    @traitlets.validate("opened")
    def _check(self, proposal: dict[str, int]) -> int:
        if not -1 <= proposal["value"] < len(self.labels):  # a browser may send anything
            raise traitlets.TraitError("There is no such button.")
        return proposal["value"]
