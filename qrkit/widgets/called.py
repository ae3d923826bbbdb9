"""What people call the studies and series of a retrieve, from the answer or the plan that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import pandas as pd

from qrkit.errors import QrkitError
from qrkit.workspace import Workspace

_OF = {
    "StudyInstanceUID": ("StudyDate", "StudyDescription", "PatientID"),
    "SeriesInstanceUID": ("SeriesDescription",),
}


def names_of(workspace: Workspace, source: str) -> Mapping[str, str]:
    """Return what people call them, by Instance UID; empty where nothing is known.

    A study is called by its date, its description and the Patient ID, a series by its description.

    Parameters
    ----------
    source
        Id of the query or the plan of a job.
    """
    names: dict[str, str] = {}
    for frame in _frames(workspace, source):
        for key, columns in _OF.items():
            told = frame.reindex(columns=[key, *columns]).astype("string").fillna("").drop_duplicates()
            for uid, *values in told.itertuples(index=False):
                if any(values):
                    names.setdefault(uid, ", ".join(filter(None, values)))
    return names


def _frames(workspace: Workspace, source: str) -> Iterator[pd.DataFrame]:
    if not source:
        return
    with suppress(QrkitError):  # it is no query, or its answer is not kept any more
        yield workspace.queries.read(source)
        return
    with suppress(QrkitError):
        plan = workspace.plans[source]
        yield from (plan.studies, plan.series)
