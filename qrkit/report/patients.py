"""The columns that identify patients or staff, which a report leaves out unless requested."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from qrkit.query import Query

_PEOPLE = frozenset(
    {
        "AccessionNumber",
        "AdditionalPatientHistory",
        "AdmittingDiagnosesDescription",
        "EthnicGroup",
        "IssuerOfPatientID",
        "NameOfPhysiciansReadingStudy",
        "Occupation",
        "OperatorsName",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "OtherPatientNames",
        "PerformingPhysicianName",
        "PhysiciansOfRecord",
        "ReferringPhysicianName",
        "StudyID",
    }
)
LEFT_OUT = "(left out)"


def is_about_people(keyword: str) -> bool:
    """Whether a column identifies people; all names that begin with Patient do.

    >>> is_about_people("PatientBirthDate"), is_about_people("StudyDate"), is_about_people("0010,0010")
    (True, False, True)
    """
    # A key without a name in PS3.6 may contain anything.
    return keyword.startswith("Patient") or keyword in _PEOPLE or not keyword[:1].isalpha()


def without_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the columns that identify people."""
    return frame.drop(columns=[name for name in frame.columns if is_about_people(str(name))])


def question_without_people(query: Query) -> Query:
    """Return a query for display, with values that identify people replaced."""
    keys = tuple((key, LEFT_OUT if is_about_people(key) else value) for key, value in query.keys)
    return replace(query, keys=keys)
