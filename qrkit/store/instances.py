"""The stored objects: one row for each file of a SOP Instance, and the sizes and rates on which estimates are based.

A row is made from the stored file on another thread than the one that received it, so that no sender waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qrkit.errors import InputError
from qrkit.jobs import JobState, RetrieveRequest
from qrkit.jobs.estimate import NodeHistory, SizeSample
from qrkit.store.part10 import sha256_of
from qrkit.store.schema import instance_aliases, instances, jobs
from qrkit.store.state import State, StateTable, field_names, in_parts, insert_unless_known
from qrkit.tables import Level

if TYPE_CHECKING:
    from qrkit.store.files import StoredObject

_MOST_RETRIEVES = 20
"""The newest retrieves of a node, from which its rate is taken."""

_ABOVE = ("StudyInstanceUID", "SeriesInstanceUID")

_LEAST_FOR_RATE = 1_000_000
"""With fewer, the waiting between requests is most of what is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One file of a SOP Instance."""

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
    path: str  # relative to the folder of the files, with "/"
    size: int  # bytes of the file
    sha256: str  # of the file, in hexadecimal
    source: str = ""  # name of the node that sent it
    job_id: str | None = None
    item_id: int | None = None
    received: str = ""  # UTC, ISO 8601


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceAlias:
    """The study and series by whose UIDs a file was requested, where these are not its own."""

    SOPInstanceUID: str
    path: str  # of the file, as in its row
    StudyInstanceUID: str
    SeriesInstanceUID: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlace:
    """A file, with the UIDs of its study and series or those by which it was requested."""

    SOPInstanceUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    path: str
    size: int


class InstanceTable(StateTable):
    """The objects of a workspace."""

    def add_many(self, rows: Iterable[InstanceRow], aliases: Iterable[InstanceAlias] = ()) -> None:
        """Add rows; those of files that are known already change nothing."""
        # In one order for everybody, so that two processes on PostgreSQL never wait for each other in a circle.
        ordered = sorted(rows, key=lambda row: (row.SOPInstanceUID, row.sha256))
        if not ordered:
            return
        now = self._state.now()
        values = [asdict(row) | {"received": row.received or now} for row in ordered]
        other = [asdict(alias) for alias in sorted(aliases, key=lambda alias: alias.path)]
        with self._state.transaction() as connection:
            connection.execute(insert_unless_known(connection, instances), values)
            if other:
                connection.execute(insert_unless_known(connection, instance_aliases), other)

    def stored_uids(
        self,
        *,
        sop_instance_uids: Sequence[str] | None = None,
        series: str | None = None,
        study: str | None = None,
    ) -> frozenset[str]:
        """Return the SOP Instance UIDs that are here: of those asked for, of a series, of a study."""
        conditions = _among(sop_instance_uids or ())
        for keyword, uid in (("SeriesInstanceUID", series), ("StudyInstanceUID", study)):
            if uid is not None:
                conditions += [instances.c[keyword] == uid, _requested_by({keyword: uid})]
        found: set[str] = set()
        with self._state.reading() as connection:
            for condition in conditions:
                found.update(connection.scalars(sa.select(instances.c.SOPInstanceUID).where(condition)))
        return frozenset(found)

    def by_series(self, study_uids: Sequence[str], files: Path | None = None) -> dict[str, frozenset[str]]:
        """Return the SOP Instance UIDs that are stored of some studies, by SeriesInstanceUID.

        With the folder of the `files`, objects whose file was deleted there are left out.
        """
        found: dict[str, set[str]] = {}
        for place in self._places((instances, instance_aliases), "StudyInstanceUID", study_uids):
            if files is None or (files / place.path).is_file():
                found.setdefault(place.SeriesInstanceUID, set()).add(place.SOPInstanceUID)
        return {series: frozenset(uids) for series, uids in found.items()}

    def places(self, sop_instance_uids: Sequence[str]) -> tuple[StoredPlace, ...]:
        """Return the files of some SOP Instances: by their own UIDs, and by those they were requested by."""
        return self._places((instances, instances), "SOPInstanceUID", sop_instance_uids)

    def of_classes(
        self, study_uids: Sequence[str], sop_classes: Collection[str], files: Path
    ) -> dict[str, dict[str, list[Path]]]:
        """Return the files of some SOP Classes in some studies, by SeriesInstanceUID and SOPInstanceUID.

        A SOP Instance that was sent again with other content has several files. Objects whose file was deleted in the
        folder `files` are left out.
        """
        found: dict[str, dict[str, list[Path]]] = {}
        of = (instances, instance_aliases)
        for place in self._places(of, "StudyInstanceUID", study_uids, sorted(sop_classes)):
            if (files / place.path).is_file():
                of_series = found.setdefault(place.SeriesInstanceUID, {})
                of_series.setdefault(place.SOPInstanceUID, []).append(files / place.path)
        return found

    def _places(
        self, of: tuple[sa.Table, sa.Table], keyword: str, uids: Sequence[str], sop_classes: Sequence[str] = ()
    ) -> tuple[StoredPlace, ...]:
        """Return the files with some UIDs; `of`: the tables to look in, for own UIDs and for requested ones."""
        plain = (instances.c.SOPInstanceUID, instances.c.path, instances.c.size)
        names = [*(column.name for column in plain), "StudyInstanceUID", "SeriesInstanceUID"]
        same = (instance_aliases.c[name] == instances.c[name] for name in ("SOPInstanceUID", "path"))
        joined = instances.join(instance_aliases, sa.and_(*same))
        of_class = instances.c.SOPClassUID.in_(sop_classes) if sop_classes else sa.true()
        queries = (
            (sa.select(*plain, *_series_of(instances)), of[0]),
            (sa.select(*plain, *_series_of(instance_aliases)).select_from(joined), of[1]),
        )
        with self._state.reading() as connection:
            rows = [
                row
                for some in in_parts(uids)
                for query, table in queries
                for row in connection.execute(query.where(table.c[keyword].in_(some), of_class))
            ]
        return tuple(StoredPlace(**dict(zip(names, row, strict=True))) for row in rows)

    def count(self) -> int:
        """Return how many rows there are."""
        return self._state.count(instances)

    def is_empty(self) -> bool:
        """Whether there is none; cheap, however many there are."""
        return not self._state.has(instances)

    def volume(self) -> tuple[int, int]:
        """Return how many rows there are, and the bytes of their files."""
        ((count, size),) = self._state.rows(sa.select(sa.func.count(), sa.func.sum(instances.c.size)))
        return int(count), int(size or 0)

    def list(self, filters: Mapping[str, object] | None = None, limit: int | None = None) -> tuple[InstanceRow, ...]:
        """Return the rows that have these values, by column; series by series, images in their order.

        Raises InputError if there is no such column.
        """
        names = field_names(InstanceRow)
        unknown = sorted(set(filters or {}) - set(names))
        if unknown:
            raise InputError(
                f"Instances have no column {', '.join(unknown)}.", advice=f"They have {', '.join(names)}."
            )
        above = {name: value for name, value in (filters or {}).items() if name in _ABOVE}
        own = sa.and_(sa.true(), *(instances.c[name] == value for name, value in above.items()))
        others = (instances.c[name] == value for name, value in (filters or {}).items() if name not in above)
        wanted = (
            sa.select(*(instances.c[name] for name in names))
            .where(sa.or_(own, _requested_by(above)) if above else own, *others)
            .order_by(instances.c.SeriesInstanceUID, instances.c.InstanceNumber, instances.c.SOPInstanceUID)
            .limit(limit)
        )
        # not by `value_of`, which takes longer: there may be a million rows
        return tuple(InstanceRow(**dict(zip(names, row, strict=True))) for row in self._state.rows(wanted))


def _series_of(table: sa.Table) -> tuple[sa.ColumnElement[str], sa.ColumnElement[str]]:
    return table.c.StudyInstanceUID, table.c.SeriesInstanceUID


def _requested_by(uids: Mapping[str, object]) -> sa.ColumnElement[bool]:
    """Return the condition for files that were requested by some UIDs which are not their own."""
    wanted = tuple(instance_aliases.c[name] == uid for name, uid in uids.items())
    return sa.and_(  # the SOP Instance UID has an index
        *(
            instances.c[name].in_(sa.select(instance_aliases.c[name]).where(*wanted))
            for name in ("SOPInstanceUID", "path")
        )
    )


def _among(sop_instance_uids: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    return [instances.c.SOPInstanceUID.in_(some) for some in in_parts(sop_instance_uids)]


def index_row(
    stored: StoredObject,
    *,
    source: str = "",
    job_id: str | None = None,
    item_id: int | None = None,
    received: str = "",
) -> InstanceRow:
    """Return the row of a stored object, with the SHA-256 of its file.

    `source` is the name of the node that sent it. If `received` (UTC, ISO 8601) is empty, it is the time at which the
    row is added. Raises OSError if the file cannot be read.
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


def node_history(state: State, node: str) -> NodeHistory:
    """Return sizes and rates of earlier retrieves from a node."""
    kinds = (instances.c.source, instances.c.Modality, instances.c.SOPClassUID)
    with state.reading() as connection:
        rows = connection.execute(
            sa.select(*kinds, sa.func.count(), sa.func.sum(instances.c.size)).group_by(*kinds)
        ).all()
        retrieves = connection.execute(
            sa.select(jobs.c.bytes, jobs.c.started, jobs.c.finished)
            .where(
                jobs.c.node == node,
                jobs.c.state.in_((JobState.COMPLETE.value, JobState.PARTIAL.value)),
                jobs.c.started.is_not(None),
                jobs.c.finished.is_not(None),
            )
            .order_by(jobs.c.finished.desc())
            .limit(_MOST_RETRIEVES)
        ).all()
    samples = tuple(
        SizeSample(node=node, modality=modality or "", sop_class=sop_class, objects=int(objects), bytes=int(size))
        for node, modality, sop_class, objects, size in rows
    )
    return NodeHistory(node=node, samples=samples, bytes_per_second=_rate(retrieves))


def held_bytes(state: State, requests: Sequence[RetrieveRequest]) -> int:
    """Return how many bytes are here already of what is asked for."""
    wanted: dict[Level, set[str]] = {Level.STUDY: set(), Level.SERIES: set(), Level.IMAGE: set()}
    for request in requests:
        uids = {Level.STUDY: (request.StudyInstanceUID,), Level.SERIES: (request.SeriesInstanceUID,)}
        wanted[request.level].update(uids.get(request.level, request.sop_instance_uids))
    keys = {
        Level.STUDY: instances.c.StudyInstanceUID,
        Level.SERIES: instances.c.SeriesInstanceUID,
        Level.IMAGE: instances.c.SOPInstanceUID,
    }
    total = 0
    with state.reading() as connection:
        for level, some in wanted.items():
            for part in in_parts(sorted(some)):
                total += connection.scalar(sa.select(sa.func.sum(instances.c.size)).where(keys[level].in_(part))) or 0
    return int(total)


def _rate(retrieves: Sequence[sa.Row[int, str, str]]) -> float | None:
    fetched = sum(size for size, _, _ in retrieves)
    seconds = sum(
        (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
        for _, started, finished in retrieves
    )
    return fetched / seconds if seconds > 0 and fetched >= _LEAST_FOR_RATE else None
