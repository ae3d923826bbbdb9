"""The stored objects: one row for each file of a SOP Instance.

A row is made from the stored file on another thread than the one that received it, so that no sender waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from qrkit.errors import InputError, ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.store.file_names import sha256_of
from qrkit.store.files import StoredObject
from qrkit.store.header import HeaderIncomplete, ends_early, read_header
from qrkit.store.part10 import read_file_head
from qrkit.store.schema import instances
from qrkit.store.state import State, insert_unless_known

_AT_ONCE = 500
"""UIDs asked for in one statement; SQLite allows 32,766 parameters, older ones 999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One file of a SOP Instance.

    Attributes
    ----------
    path
        Relative to the folder of the files, with ``/``.
    size
        Of the file, in bytes.
    sha256
        Of the file, in hexadecimal.
    source
        Name of the node that it came from.
    received
        UTC, ISO 8601.
    """

    SOPInstanceUID: str
    SOPClassUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    TransferSyntaxUID: str
    PatientID: str | None = None
    AccessionNumber: str | None = None
    StudyDate: str | None = None
    Modality: str | None = None
    SeriesDescription: str | None = None
    StudyDescription: str | None = None
    StationName: str | None = None
    Manufacturer: str | None = None
    ManufacturerModelName: str | None = None
    InstanceNumber: int | None = None
    path: str
    size: int
    sha256: str
    source: str = ""
    job_id: str | None = None
    item_id: int | None = None
    received: str = ""


_FIELDS = tuple(item.name for item in fields(InstanceRow))


class InstanceTable:
    """The objects of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add_many(self, rows: Iterable[InstanceRow]) -> None:
        """Add rows; those of files that are known already change nothing."""
        # In one order for everybody, so that two processes on PostgreSQL never wait for each other in a circle.
        ordered = sorted(rows, key=lambda row: (row.SOPInstanceUID, row.sha256))
        if not ordered:
            return
        now = self._state.now()
        values = [asdict(row) | {"received": row.received or now} for row in ordered]
        with self._state.transaction() as connection:
            connection.execute(insert_unless_known(connection, instances), values)

    def stored_uids(
        self,
        *,
        sop_instance_uids: Sequence[str] | None = None,
        series: str | None = None,
        study: str | None = None,
    ) -> frozenset[str]:
        """Return the SOP Instance UIDs that are here: of those asked for, of a series, of a study."""
        found: set[str] = set()
        with self._state.reading() as connection:
            for condition in _conditions(sop_instance_uids, series, study):
                found.update(connection.scalars(sa.select(instances.c.SOPInstanceUID).where(condition)))
        return frozenset(found)

    def by_series(self, study_uids: Sequence[str], files: Path | None = None) -> dict[str, frozenset[str]]:
        """Return the SOP Instance UIDs that are here of some studies, by SeriesInstanceUID.

        Parameters
        ----------
        files
            The folder of the files: what somebody has deleted there is not here.
        """
        found: dict[str, set[str]] = {}
        wanted = sa.select(instances.c.SeriesInstanceUID, instances.c.SOPInstanceUID, instances.c.path)
        with self._state.reading() as connection:
            for start in range(0, len(study_uids), _AT_ONCE):
                some = study_uids[start : start + _AT_ONCE]
                for series, uid, path in connection.execute(wanted.where(instances.c.StudyInstanceUID.in_(some))):
                    if files is None or (files / path).is_file():
                        found.setdefault(series, set()).add(uid)
        return {series: frozenset(uids) for series, uids in found.items()}

    def paths(self, sop_instance_uids: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
        """Return SOP Instance UID, path and size of each file of some SOP Instances."""
        found: list[tuple[str, str, int]] = []
        with self._state.reading() as connection:
            for condition in _conditions(sop_instance_uids, None, None):
                wanted = sa.select(instances.c.SOPInstanceUID, instances.c.path, instances.c.size)
                rows = connection.execute(wanted.where(condition))
                found.extend((row.SOPInstanceUID, row.path, row.size) for row in rows)
        return tuple(found)

    def of_series(self, series_instance_uid: str) -> tuple[InstanceRow, ...]:
        """Return the rows of a series, by InstanceNumber."""
        return self.list({"SeriesInstanceUID": series_instance_uid})

    def count(self) -> int:
        """Return how many rows there are."""
        with self._state.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(instances)) or 0

    def is_empty(self) -> bool:
        """Whether there is none; cheap, however many there are."""
        with self._state.reading() as connection:
            return connection.execute(sa.select(sa.literal(1)).select_from(instances).limit(1)).first() is None

    def volume(self) -> tuple[int, int]:
        """Return how many rows there are, and the bytes of their files."""
        with self._state.reading() as connection:
            count, size = connection.execute(sa.select(sa.func.count(), sa.func.sum(instances.c.size))).one()
        return int(count), int(size or 0)

    def list(self, filters: Mapping[str, object] | None = None, limit: int | None = None) -> tuple[InstanceRow, ...]:
        """Return the rows that have these values, by column; series by series, images in their order.

        Raises
        ------
        InputError
            If there is no such column.
        """
        unknown = sorted(set(filters or {}) - set(_FIELDS))
        if unknown:
            raise InputError(
                f"Instances have no column {', '.join(unknown)}.", advice=f"They have {', '.join(_FIELDS)}."
            )
        wanted = (
            sa.select(*(instances.c[name] for name in _FIELDS))
            .where(*(instances.c[name] == value for name, value in (filters or {}).items()))
            .order_by(instances.c.SeriesInstanceUID, instances.c.InstanceNumber, instances.c.SOPInstanceUID)
            .limit(limit)
        )
        with self._state.reading() as connection:
            return tuple(_instance_row(row) for row in connection.execute(wanted))


def _conditions(
    sop_instance_uids: Sequence[str] | None, series: str | None, study: str | None
) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    asked = list(sop_instance_uids or ())
    conditions.extend(
        instances.c.SOPInstanceUID.in_(asked[start : start + _AT_ONCE]) for start in range(0, len(asked), _AT_ONCE)
    )
    if series is not None:
        conditions.append(instances.c.SeriesInstanceUID == series)
    if study is not None:
        conditions.append(instances.c.StudyInstanceUID == study)
    return conditions


def _instance_row(row: sa.Row[Any]) -> InstanceRow:
    return InstanceRow(**dict(zip(_FIELDS, row, strict=True)))


def index_row(
    stored: StoredObject,
    *,
    source: str = "",
    job_id: str | None = None,
    item_id: int | None = None,
    received: str = "",
) -> InstanceRow:
    """Return the row of a stored object, with the SHA-256 of its file.

    Parameters
    ----------
    source
        Name of the node that it came from.
    job_id, item_id
        What it was fetched for, where it was.
    received
        UTC, ISO 8601; empty: when the row is added.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    said: dict[str, Any] = {
        keyword: None if value == "" else value for keyword, value in asdict(stored.header).items()
    }
    said["SOPClassUID"] = said["SOPClassUID"] or stored.arrival.sop_class_uid
    return InstanceRow(
        **said,
        TransferSyntaxUID=stored.arrival.transfer_syntax_uid,
        path=stored.relative,
        size=stored.path.stat().st_size,
        sha256=sha256_of(stored.path),
        source=source,
        job_id=job_id,
        item_id=item_id,
        received=received,
    )


def stored_file(folder: Path, relative: str) -> StoredObject:
    """Return the stored object of a file that is in its place but was never listed.

    Raises
    ------
    ObjectUnreadable
        If it is no DICOM file, or was cut.
    OSError
        If it cannot be read.
    """
    path = folder / relative
    with path.open("rb") as file:
        head = read_file_head(file)
        file.seek(head.data_set_start)
        data_set = file.read()
        try:
            header = read_header(data_set, head.transfer_syntax_uid, whole=True)
        except HeaderIncomplete as error:
            raise ObjectUnreadable(f"{relative} is not whole.") from error
        if ends_early(data_set, head.transfer_syntax_uid):
            raise ObjectUnreadable(f"{relative} is not whole.")
    arrival = Arrival(
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        transfer_syntax_uid=head.transfer_syntax_uid,
        sender=head.sender,
    )
    return StoredObject(path=path, relative=relative, size=path.stat().st_size, header=header, arrival=arrival)


def filed_object(folder: Path, receipt: Path) -> StoredObject | None:
    """Return the object of a receipt; None where it is not in its place.

    Raises
    ------
    ObjectUnreadable
        If it is no DICOM file.
    OSError
        If it cannot be read.
    """
    said = stored_file(folder, receipt.relative_to(folder).as_posix())
    place, uid = folder / said.header.StudyInstanceUID / said.header.SeriesInstanceUID, said.header.SOPInstanceUID
    path = next((one for one in place.glob(f"{uid}*.dcm") if one.samefile(receipt)), None)
    if path is None:
        return None
    return replace(said, path=path, relative=path.relative_to(folder).as_posix(), receipt=receipt)
