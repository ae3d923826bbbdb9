"""The files and tables of the answers: one settled file, the fresh Parquet files, and a table for each level.

The list of files is always read from the state in one snapshot, never from a directory listing.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from qrkit.errors import StoreError
from qrkit.store.queries import DONE
from qrkit.store.schema import generations, queries
from qrkit.store.state import State
from qrkit.tables import Level


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
    LevelTables(level=Level.PATIENT.value, answers="patient_answers", newest="patients", key="PatientID"),
    LevelTables(level=Level.STUDY.value, answers="study_answers", newest="studies", key="StudyInstanceUID"),
    LevelTables(level=Level.SERIES.value, answers="series_answers", newest="series", key="SeriesInstanceUID"),
    LevelTables(level=Level.IMAGE.value, answers="image_answers", newest="images", key="SOPInstanceUID"),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshAnswer:
    """An answer that is still a Parquet file of its own; `file` is relative to the folder of the results."""

    query_id: str
    level: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files that together hold every answer, at one moment.

    Attributes
    ----------
    number
        Of the newest generation; 0 before the first.
    settled
        Its file, relative to the folder of the results; None before the first.
    fresh
        Oldest first.
    """

    number: int
    settled: str | None
    fresh: tuple[FreshAnswer, ...]


def snapshot(state: State) -> Snapshot:
    """Return the files of this moment."""
    with state.reading() as connection:
        return read_snapshot(connection)


def read_snapshot(connection: sa.Connection) -> Snapshot:
    """Return the files of this moment, within a transaction."""
    newest = connection.execute(
        sa.select(generations.c.number, generations.c.file).order_by(generations.c.number.desc()).limit(1)
    ).one_or_none()
    fresh = connection.execute(
        sa.select(queries.c.query_id, queries.c.level, queries.c.result_file)
        .where(queries.c.state == DONE, queries.c.settled_in.is_(None), queries.c.result_file.is_not(None))
        .order_by(queries.c.finished, queries.c.query_id)
    )
    return Snapshot(
        number=newest.number if newest else 0,
        settled=newest.file if newest else None,
        fresh=tuple(FreshAnswer(query_id=row.query_id, level=row.level, file=row.result_file) for row in fresh),
    )
