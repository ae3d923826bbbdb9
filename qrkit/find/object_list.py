"""The objects of a node below studies and series: their list, and whether that list is proven.

The list is asked from the top, as every query is, and held against what the node itself counts
(NumberOfStudyRelatedSeries, NumberOfStudyRelatedInstances, NumberOfSeriesRelatedInstances). A list that no count
confirms is not proven by anything the node returned before: longer responses rule out a cap, but no hidden rows. Then
only the counters of the retrieve can confirm it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from qrkit.errors import NodeError
from qrkit.find.hierarchy import FindAccount, ask_level
from qrkit.find.parents import Parent, canonical
from qrkit.find.uid_lists import in_parts
from qrkit.jobs import RetrieveRequest
from qrkit.node import InformationModel
from qrkit.query import Query, Request
from qrkit.query.filters import Reliance
from qrkit.tables import Level
from qrkit.uids import is_usable_uid
from qrkit.words import counted

_SERIES_COUNT, _OBJECT_COUNT = "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"
_OBJECTS_OF_SERIES = "NumberOfSeriesRelatedInstances"
_OF_OBJECT = ("SOPClassUID", "AvailableTransferSyntaxUID")
_NO_COUNT = "the node does not count its objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """One SOP Instance that a node lists; SOP Class and transfer syntaxes are empty where it does not return them."""

    SeriesInstanceUID: str
    SOPInstanceUID: str
    SOPClassUID: str = ""
    AvailableTransferSyntaxUID: str = ""  # one or several, separated by a backslash


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectList:
    """The objects that a node lists of one study, series or some images.

    Attributes
    ----------
    counted
        How many objects the node counts, as far as it does; None: it does not count them.
    is_counted
        Whether that is the count of all objects, not only of those in the series that it lists.
    silent_series
        Series that the node has without listing any of their objects, where it does not count objects.
    short_series
        Series of which fewer objects are listed than the node counts, unless whole series are missing.
    short_counts
        How many objects the node counts in each of these; 0: it does not count them.
    short
        Why the list cannot be whole; empty: nothing shows that.
    uncounted
        Why no count confirms the list; empty: it is confirmed.
    is_absent
        Whether the node lists neither the study or series itself nor anything below it.
    error
        Why the node could not be asked, if it could not.
    """

    objects: tuple[ListedObject, ...] = ()
    counted: int | None = None
    is_counted: bool = False
    silent_series: int = 0
    short_series: tuple[str, ...] = ()
    short_counts: tuple[int, ...] = ()
    short: tuple[str, ...] = ()
    uncounted: str = ""
    is_absent: bool = False
    error: NodeError | None = None

    @property
    def why(self) -> tuple[str, ...]:
        """Why the list is not proven; empty: it is."""
        return (*self.short, self.uncounted) if self.uncounted else self.short


@dataclass(slots=True)
class _Rows:
    """The rows that a node has returned, by UID."""

    studies: dict[str, dict[str, Any]] = field(default_factory=dict)
    series: defaultdict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    unnamed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    objects: defaultdict[str, dict[str, ListedObject]] = field(default_factory=lambda: defaultdict(dict))
    account: FindAccount = field(default_factory=FindAccount)


ListSteps = Generator[tuple[Request, ...], Sequence[pa.Table], "ListedRows"]
"""Yields the requests of a step, is sent a table for each, returns all rows."""

_QUERY = Query(level=Level.IMAGE)
_Asked = Sequence[tuple[Parent, Request]]


class ListedRows:
    """The rows of several requests, from which the list of each follows."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def doubt(self, reasons: Sequence[str]) -> None:
        """Take note of reasons for which rows may be missing."""
        self._rows.account.doubts += reasons

    def object_list(self, request: RetrieveRequest) -> ObjectList:
        """Return the list for one request."""
        if request.level is Level.IMAGE:
            listed = self._rows.objects[canonical(request.SeriesInstanceUID)]
            return ObjectList(objects=tuple(_chosen(listed, request)))
        if request.level is Level.SERIES:
            uid = canonical(request.SeriesInstanceUID)
            known = self._rows.series[request.StudyInstanceUID].get(uid)
            series = {uid: known or {"SeriesInstanceUID": request.SeriesInstanceUID}}
            is_absent = not known and not self._rows.objects[uid]
            return replace(self._judged(_Above(is_whole=True), series), is_absent=is_absent)
        study = self._rows.studies.get(request.StudyInstanceUID, {})
        above = _Above(
            series=study.get(_SERIES_COUNT),
            objects=study.get(_OBJECT_COUNT),
            unnamed=self._rows.unnamed[request.StudyInstanceUID],
        )
        series = self._rows.series[request.StudyInstanceUID]
        is_absent = not study and not series and not above.unnamed
        return replace(self._judged(above, series), is_absent=is_absent)

    def _judged(self, above: _Above, series: Mapping[str, Mapping[str, Any]]) -> ObjectList:
        by_series = {uid: self._rows.objects[uid] for uid in series}
        objects = [listed for some in by_series.values() for listed in some.values()]
        counts = {uid: row.get(_OBJECTS_OF_SERIES) for uid, row in series.items()}
        lost_series = max((above.series or 0) - len(series), above.unnamed)
        count, is_counted = above.count([*counts.values()], lost_series)
        few = (
            []
            if lost_series
            else [uid for uid, some in by_series.items() if len(some) < (counts[uid] or (0 if some else 1))]
        )
        silent = 0 if is_counted else sum(not by_series[uid] and not counts[uid] for uid in series) + lost_series
        uncounted = "" if is_counted else _NO_COUNT
        if count is not None and count < len(objects):
            uncounted = f"{len(objects)} listed, although the node counts {count}"
        short = [*_reasons(len(objects), count, (len(series), lost_series), silent - lost_series)]
        if self._rows.account.doubts and uncounted:  # a cap may hold for the retrieve too: its counters prove nothing
            short.append(uncounted)
            uncounted = ""
        return ObjectList(
            objects=tuple(objects),
            counted=count,
            is_counted=is_counted,
            silent_series=silent,
            short_series=tuple(str(series[uid]["SeriesInstanceUID"]) for uid in few),
            short_counts=tuple(int(counts[uid] or 0) for uid in few),
            short=tuple(short),
            uncounted=uncounted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Above:
    """The counts of a study, of series and objects; `is_whole` for a series that is asked for by itself."""

    series: int | None = None
    objects: int | None = None
    unnamed: int = 0
    is_whole: bool = False

    def count(self, counts: Sequence[int | None], lost_series: int) -> tuple[int | None, bool]:
        """Return how many objects the node counts by study or series, the larger number, and whether that is all."""
        known = [int(count) for count in counts if count is not None]
        are_all = bool(known) and len(known) == len(counts) and not lost_series
        totals = [*([sum(known)] if known else []), *([] if self.objects is None else [int(self.objects)])]
        is_counted = self.objects is not None or (are_all and (self.is_whole or self.series is not None))
        total = max(totals, default=0)  # 0 is no count: what holds nothing is not retrieved
        return total or None, is_counted and total > 0


def _reasons(listed: int, count: int | None, series: tuple[int, int], silent: int) -> Iterator[str]:
    """Give why a list cannot be whole; series listed, and series lost."""
    if series[1]:
        yield f"{series[0]} series listed, the node counts {sum(series)}"
    if count is not None and listed < count:
        yield f"{listed} listed, the node counts {count}"
    elif not listed:
        yield "the node lists no objects"
    elif silent > 0:
        yield f"no objects are listed in {counted(silent, 'series', plural='series')}"


def _chosen(listed: Mapping[str, ListedObject], request: RetrieveRequest) -> Iterator[ListedObject]:
    for uid in request.sop_instance_uids:
        unlisted = ListedObject(SeriesInstanceUID=request.SeriesInstanceUID, SOPInstanceUID=uid)
        yield listed.get(uid, unlisted)


def list_steps(requests: Sequence[RetrieveRequest], model: InformationModel, reliance: Reliance) -> ListSteps:
    """Yield what must be asked to list the objects of studies, series and images, step by step.

    First the counts of all studies, in lists of their UIDs, and of the series that are asked for by themselves; then
    the series of the studies; then the images of all series. In lists where the node is known to take them.
    """
    rows = _Rows()
    studies = {_study_keys(request, model): request for request in requests if request.level is Level.STUDY}
    series = [_series_keys(request, model) for request in requests if request.level is Level.SERIES]
    counts = (*_study_requests(list(studies)), *_series_requests(list(dict.fromkeys(series)), reliance))
    if counts:
        for request, table in zip(counts, (yield counts), strict=True):
            _keep(rows, request, table)
    below: _Asked = [
        (Parent(keys, rows.studies.get(study.StudyInstanceUID)), _request(Level.SERIES, keys, _OBJECTS_OF_SERIES))
        for keys, study in studies.items()
    ]
    if below:
        found = yield from ask_level(_QUERY, (model, Level.SERIES), below, reliance, rows.account)
        _keep(rows, Request(level=Level.SERIES), found)
    images = dict(_image_parents(requests, rows, model))
    asked: _Asked = [(Parent(keys, row), _request(Level.IMAGE, keys, *_OF_OBJECT)) for keys, row in images.items()]
    if asked:
        found = yield from ask_level(_QUERY, (model, Level.IMAGE), asked, reliance, rows.account)
        for listed in _objects(found):
            rows.objects[canonical(listed.SeriesInstanceUID)][listed.SOPInstanceUID] = listed
    return ListedRows(rows)


_Keys = tuple[tuple[str, str], ...]


def _study_keys(request: RetrieveRequest, model: InformationModel) -> _Keys:
    """Return the unique keys of a request's patient and study (PS3.4 C.4.2.1.4)."""
    patient = () if model is InformationModel.STUDY_ROOT else (("PatientID", request.patient_id),)
    return (*patient, ("StudyInstanceUID", request.StudyInstanceUID))


def _series_keys(request: RetrieveRequest, model: InformationModel) -> _Keys:
    return (*_study_keys(request, model), ("SeriesInstanceUID", request.SeriesInstanceUID))


def _request(level: Level, keys: _Keys, *returned: str) -> Request:
    return Request(level=level, keys=keys, return_keys=returned)


def _study_requests(studies: Sequence[_Keys]) -> Iterator[Request]:
    """Give the requests for the counts of studies, in lists of their UIDs, patient by patient under Patient Root."""
    for patient, uids in _by_last(studies).items():
        for some in in_parts(uids):
            keys = (*patient, ("StudyInstanceUID", "\\".join(some)))
            yield _request(Level.STUDY, keys, _SERIES_COUNT, _OBJECT_COUNT)


def _series_requests(series: Sequence[_Keys], reliance: Reliance) -> Iterator[Request]:
    """Give the requests for the counts of series: of one study at once, or of many where the node takes lists."""
    groups = _by_last(series)
    if Level.SERIES in reliance.lists and all(len(above) == 1 for above in groups):
        for pairs in in_parts([(above[0][1], uid) for above, uids in groups.items() for uid in uids]):
            listed = "\\".join(dict.fromkeys(study for study, _ in pairs))
            keys = (("StudyInstanceUID", listed), ("SeriesInstanceUID", "\\".join(uid for _, uid in pairs)))
            yield _request(Level.SERIES, keys, _OBJECTS_OF_SERIES)
        return
    for above, uids in groups.items():
        for some in in_parts(uids):
            yield _request(Level.SERIES, (*above, ("SeriesInstanceUID", "\\".join(some))), _OBJECTS_OF_SERIES)


def _by_last(keys: Sequence[_Keys]) -> dict[_Keys, list[str]]:
    groups: dict[_Keys, list[str]] = {}
    for *above, (_, uid) in keys:
        groups.setdefault(tuple(above), []).append(uid)
    return groups


def _keep(rows: _Rows, request: Request, table: pa.Table) -> None:
    """Keep the rows of studies or series; a row without the UID of its study is of the one that was asked for."""
    for row in table.to_pylist():
        study = row["StudyInstanceUID"] or request.value("StudyInstanceUID")
        if request.level is Level.STUDY:
            rows.studies.setdefault(study, row)
        elif row["SeriesInstanceUID"]:
            rows.series[study].setdefault(canonical(row["SeriesInstanceUID"]), row)
        else:
            rows.unnamed[study] += 1


def _image_parents(
    requests: Sequence[RetrieveRequest], rows: _Rows, model: InformationModel
) -> Iterator[tuple[_Keys, Mapping[str, Any] | None]]:
    """Give the series whose images are to be listed, each with its row if that is known."""
    for request in requests:
        if request.level is Level.STUDY:
            for row in rows.series[request.StudyInstanceUID].values():
                yield (*_study_keys(request, model), ("SeriesInstanceUID", row["SeriesInstanceUID"])), row
        else:
            uid = canonical(request.SeriesInstanceUID)
            yield _series_keys(request, model), rows.series[request.StudyInstanceUID].get(uid)


def _objects(found: pa.Table) -> Iterator[ListedObject]:
    for row in found.to_pylist():
        uid = row["SOPInstanceUID"]
        if uid and is_usable_uid(uid):
            yield ListedObject(
                SeriesInstanceUID=row["SeriesInstanceUID"] or "",
                SOPInstanceUID=uid,
                **{keyword: row.get(keyword) or "" for keyword in _OF_OBJECT},
            )


def not_listed(reason: str, error: NodeError | None = None) -> ObjectList:
    """Return the list of a node that cannot be asked, with the reason."""
    return ObjectList(short=(reason,), error=error)
