"""What a retrieve may be asked for: tables of answers, UIDs, a query's id; always as requests in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from qrkit.errors import InputError
from qrkit.job import RetrieveRequest

_LEVELS = (("SOPInstanceUID", "IMAGE"), ("SeriesInstanceUID", "SERIES"), ("StudyInstanceUID", "STUDY"))


def requests_from_frame(frame: pd.DataFrame, *, with_patients: bool) -> tuple[RetrieveRequest, ...]:
    """Return one request per study or series of a table; images are asked for series by series.

    Parameters
    ----------
    with_patients
        Whether requests name their patient, as Patient Root wants it; under Study Root a study is asked for once,
        even where two patients share it.

    Raises
    ------
    InputError
        If the table has no UIDs, or lacks those above.
    """
    level = next((level for keyword, level in _LEVELS if keyword in frame.columns), "")
    if not level:
        raise InputError("The table has no StudyInstanceUID; give the rows of a find.")
    needed = [keyword for keyword, of in reversed(_LEVELS) if keyword in frame.columns]
    lacking = [
        keyword for keyword in ("StudyInstanceUID", "SeriesInstanceUID")[: _depth(level)] if keyword not in needed
    ]
    if lacking:
        raise InputError(f"The table lacks {', '.join(lacking)}, which a {level} retrieve needs.")
    chosen = frame if with_patients else frame.drop(columns="PatientID", errors="ignore")
    rows = chosen.astype("object").where(chosen.notna(), "").to_dict("records")
    if level == "IMAGE":
        return _image_requests(rows)
    return tuple(
        dict.fromkeys(
            RetrieveRequest(
                level=level,
                StudyInstanceUID=str(row["StudyInstanceUID"]),
                SeriesInstanceUID=str(row.get("SeriesInstanceUID", "")),
                patient_id=str(row.get("PatientID", "")),
            )
            for row in rows
        )
    )


def requests_from_uids(
    study_uids: Iterable[str], series_uids: Sequence[str], known: pd.DataFrame
) -> tuple[RetrieveRequest, ...]:
    """Return requests for studies, or for series, given by UID.

    Parameters
    ----------
    known
        Rows with StudyInstanceUID, PatientID and, for series, SeriesInstanceUID of earlier answers: a PACS wants
        the keys above, which people seldom have at hand.

    Raises
    ------
    InputError
        If the study of a series is neither given nor known.
    """
    studies = tuple(dict.fromkeys(study_uids))
    rows = known.astype("object").where(known.notna(), "").to_dict("records")
    patients = {str(row["StudyInstanceUID"]): str(row["PatientID"]) for row in rows}
    if not series_uids:
        return tuple(
            RetrieveRequest(level="STUDY", StudyInstanceUID=uid, patient_id=patients.get(uid, "")) for uid in studies
        )
    study_of = {str(row.get("SeriesInstanceUID", "")): str(row["StudyInstanceUID"]) for row in rows}
    requests = []
    for uid in dict.fromkeys(series_uids):
        study = study_of.get(uid) or (studies[0] if len(studies) == 1 else "")
        if not study:
            raise InputError(
                f"The study of series {uid} is not known.", advice="Give its StudyInstanceUID too, or find it first."
            )
        requests.append(
            RetrieveRequest(
                level="SERIES", StudyInstanceUID=study, SeriesInstanceUID=uid, patient_id=patients.get(study, "")
            )
        )
    return tuple(requests)


def _image_requests(rows: Sequence[dict[object, object]]) -> tuple[RetrieveRequest, ...]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        series = (str(row["StudyInstanceUID"]), str(row["SeriesInstanceUID"]), str(row.get("PatientID", "")))
        groups.setdefault(series, []).append(str(row["SOPInstanceUID"]))
    return tuple(
        RetrieveRequest(
            level="IMAGE",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            sop_instance_uids=tuple(dict.fromkeys(uids)),
            patient_id=patient,
        )
        for (study, series, patient), uids in groups.items()
    )


def _depth(level: str) -> int:
    return {"STUDY": 1, "SERIES": 2, "IMAGE": 2}[level]
