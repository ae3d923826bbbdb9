"""What the tables of answers are called, by Query/Retrieve level (PS3.4 C.3)."""

from __future__ import annotations

from dataclasses import dataclass

from qrkit.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTables:
    """The tables of one level.

    Attributes
    ----------
    answers
        Every row of every answer.
    newest
        Of those, the newest row of each node and key.
    key
        The unique key of the level.
    """

    level: str
    answers: str
    newest: str
    key: str


LEVELS = (
    LevelTables(level="PATIENT", answers="patient_answers", newest="patients", key="PatientID"),
    LevelTables(level="STUDY", answers="study_answers", newest="studies", key="StudyInstanceUID"),
    LevelTables(level="SERIES", answers="series_answers", newest="series", key="SeriesInstanceUID"),
    LevelTables(level="IMAGE", answers="image_answers", newest="images", key="SOPInstanceUID"),
)


def of_level(level: str) -> LevelTables:
    """Return the tables of a level.

    Raises
    ------
    StoreError
        If there is no such level.
    """
    for tables in LEVELS:
        if tables.level == level:
            return tables
    raise StoreError(f"There are answers of level PATIENT, STUDY, SERIES and IMAGE, not {level!r}.")
