"""`heading`: what people call a column; the DICOM keyword behind it is told when somebody points at it.

`field` and `fields`: a form's fields, each with its label above and a sentence below; they fit any width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

import ipywidgets

_WORDS = {
    "PatientID": "Patient ID",
    "PatientBirthDate": "Born",
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
    "RetrieveAETitle": "Held by (AE title)",
    "StudyID": "Study ID",
    "IssuerOfPatientID": "Issuer of patient ID",
    "ae_title": "AE title",
    "keep": "To fetch",
    "group": "Kind",
    "rule": "What decided",
    "user": "By",
    "created": "Created",
    "started": "Asked at",
    "row_count": "Rows",
    "stored": "Objects here",
    "expected": "Objects expected",
    "bytes": "Size (MB)",
    "columns": "What has changed",
    "reason": "Why",
    "job_id": "Job",
    "query_id": "Query",
    "can_find": "May be queried",
    "can_get": "Sends by C-GET",
    "can_move": "Sends by C-MOVE",
    "can_store": "Takes objects",
    "enabled": "In use",
    "not_before": "Next try",
}


def heading(name: str) -> str:
    """Return a column's name as people say it.

    >>> heading("StudyDate"), heading("NumberOfStudyRelatedInstances"), heading("row_count"), heading("LossyImage")
    ('Study date', 'Objects in study', 'Rows', 'Lossy image')
    """
    if name in _WORDS:
        return _WORDS[name]
    words = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|\d+|[A-Z]", name) or [name]
    told = " ".join(word if word.isupper() else word.lower() for word in words)
    return told[:1].upper() + told[1:]


def headings(names: Iterable[str]) -> dict[str, str]:
    """Return the heading of each column, by its name; where two would be the same, the later keeps its own name.

    >>> headings(["StudyDate", "study_date"])
    {'StudyDate': 'Study date', 'study_date': 'study_date'}
    """
    found: dict[str, str] = {}
    for name in names:
        told = heading(name)
        found[name] = name if told in found.values() else told
    return found


def legend(told: dict[str, str]) -> str:
    """Return the names behind headings, as a page keeps them for whoever points at a heading: escaped HTML."""
    pairs = "".join(
        f'<span data-heading="{escape(words)}" data-keyword="{escape(name)}"></span>' for name, words in told.items()
    )
    return f'<div class="qrkit-legend" hidden>{pairs}</div>'


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
