"""`JobItems`: the items of a job with their errors, advice and next tries.

Studies and series are named by date, description and Patient ID, from the query or plan of the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import ipywidgets
import pandas as pd

from qrkit.errors import QrkitError
from qrkit.jobs import ItemRow, JobRow, JobState
from qrkit.markup import grid, paragraph
from qrkit.tables import Level
from qrkit.words import counted, local_time
from qrkit.workspace import Job, Workspace

_SHOWN = 100
_ORDER = (JobState.RUNNING, JobState.FAILED, JobState.PARTIAL, JobState.CANCELLED, JobState.PAUSED, JobState.QUEUED)


class JobItems(ipywidgets.HTML):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows the current items of a job at each `tick`: running and failed ones first.

    Parameters
    ----------
    names
        Names of its studies and series, by Instance UID.
    """

    def __init__(self, job: Job, *, names: Mapping[str, str]) -> None:
        super().__init__()
        self._job = job
        self._names = names
        self._has_ended = False
        self.tick()

    def tick(self) -> None:
        """Show the current items; nothing is sent if nothing has changed."""
        has_ended = self._job.state.is_final
        if has_ended and self._has_ended:
            return  # thousands of items take long to read; a retried job has not ended
        self.value = items_html(self._job.status, self._names)
        self._has_ended = has_ended


def items_html(job: JobRow, names: Mapping[str, str]) -> str:
    """Return the items of a job as HTML, with the names of its studies and series by Instance UID."""
    items = sorted(job.items, key=lambda item: (_place(item), item.position))
    shown = [
        [
            _what(item, names),
            item.outcome.state_in_words,
            f"{item.outcome.stored:,}" + ("" if item.outcome.expected is None else f" of {item.outcome.expected:,}"),
            str(item.attempts),
            local_time(item.not_before),
            item.outcome.error_text or item.outcome.doubt or item.outcome.note,
        ]
        for item in items[:_SHOWN]
    ]
    more = len(items) - _SHOWN
    heads = ["Item", "State", "Objects", "Tries", "Next try", "Error and advice"]
    rest = paragraph(f"and {counted(more, 'item')} more") if more > 0 else ""
    return str(grid(heads, shown) + rest)


def _place(item: ItemRow) -> int:
    state = item.outcome.state
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def _what(item: ItemRow, names: Mapping[str, str]) -> str:
    """Return the name of an item; its UID if no name is known."""
    request = item.request
    kind = {Level.STUDY: "Study", Level.SERIES: "Series"}.get(request.level, "Objects of series")
    study = names.get(request.StudyInstanceUID, "" if request.SeriesInstanceUID else request.StudyInstanceUID)
    series = names.get(request.SeriesInstanceUID, request.SeriesInstanceUID)
    return f"{kind} {': '.join(filter(None, (study, series)))}"


_OF = {
    "StudyInstanceUID": ("StudyDate", "StudyDescription", "PatientID"),
    "SeriesInstanceUID": ("SeriesDescription",),
}


def names_of(workspace: Workspace, source: str) -> Mapping[str, str]:
    """Return names by Instance UID; empty if none is known.

    A study is named by its date, description and Patient ID, a series by its description.

    Parameters
    ----------
    source
        Id of the query or the plan of a job.
    """
    names: dict[str, str] = {}
    for frame in _frames(workspace, source):
        for key, columns in _OF.items():
            rows = frame.reindex(columns=[key, *columns]).astype("string").fillna("").drop_duplicates()
            for uid, *values in rows.itertuples(index=False):
                if any(values):
                    names.setdefault(uid, ", ".join(filter(None, values)))
    return names


def _frames(workspace: Workspace, source: str) -> Iterator[pd.DataFrame]:
    if not source:
        return
    with suppress(QrkitError):  # not a query, or its result is gone
        yield workspace.queries.read(source)
        return
    with suppress(QrkitError):
        plan = workspace.plans[source]
        yield from (plan.studies, plan.series)
