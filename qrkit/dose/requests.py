"""Turns needs into as few C-FIND requests as the node answers reliably.

Every PACS answers requests for one study or one series. The profile of a node may allow larger ones: lists of
StudyInstanceUIDs, SERIES by StudyDate and Modality, and IMAGE by StudyDate and SOPClassUID. Their result counts only
for studies and series where it agrees with the known counts; the others get single requests.

`NeedRequests.requests_for` does no I/O: it yields independent requests, and is sent their results.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from qrkit.dose.facts import (
    Answer,
    Need,
    NeedKind,
    ObjectsAnswer,
    SeriesAnswer,
    StudyRow,
    Unanswered,
    objects_by_series,
    series_by_study,
)
from qrkit.dose.groups import DOSE_CLASSES, SR, dose_class_uids
from qrkit.find.windows import looks_capped
from qrkit.node import InformationModel
from qrkit.profile import Extension, Profile, Subject
from qrkit.query import Request
from qrkit.tables import Level

SERIES_KEYS = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "StationName",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)
IMAGE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")

LISTED = 90
"""UIDs in one list: an Identifier of about 6 kB, and a number of responses that is not a common cap."""

IN_WINDOW = 240
"""Studies in one range of days, so that the result stays below common caps."""

RequestSteps = Generator[tuple[Request, ...], Sequence[Any], dict[Need, Answer]]
"""Yields requests, is sent one table or `Unanswered` for each, and returns an `Answer` for each need."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """One request, and the function that reads the answers to its needs from the result."""

    request: Request
    read: Callable[[pa.Table], dict[Need, Answer]]


class NeedRequests:
    """Turns the needs of a plan into requests to one node.

    Parameters
    ----------
    studies
        All studies of the plan, by StudyInstanceUID.
    profile
        Shows which large requests the node answers reliably.
    classes
        The SOP Classes of each type of dose object.
    """

    def __init__(
        self,
        studies: Mapping[str, StudyRow],
        profile: Profile,
        *,
        model: InformationModel = InformationModel.STUDY_ROOT,
        classes: Mapping[str, frozenset[str]] = DOSE_CLASSES,
    ) -> None:
        self._studies = studies
        # A Patient Root request has one PatientID, so it cannot list studies of several patients.
        self._profile = profile if model is InformationModel.STUDY_ROOT else Profile.unknown(profile.node)
        self._model = model
        self._dose_classes = dose_class_uids(classes)

    @property
    def offers_relational(self) -> bool:
        """True to offer relational queries in associations (PS3.4 C.5.1.1.1)."""
        return self._profile.accepts(Extension.RELATIONAL)

    def requests_for(self, needs: Sequence[Need]) -> RequestSteps:
        """Yield the requests for needs, in as few steps and requests as possible."""
        answers: dict[Need, Answer] = {}
        for batches_of in (self._by_date, self._by_list):
            batches = list(batches_of([need for need in needs if need not in answers]))
            if not batches:
                continue
            replies = yield tuple(batch.request for batch in batches)
            for batch, reply in zip(batches, replies, strict=True):
                if not isinstance(reply, Unanswered):
                    answers |= batch.read(reply)
        rest = [need for need in needs if need not in answers]
        for instance_number in ("1", "0"):
            if not rest:
                break
            replies = yield tuple(self._single(need, instance_number) for need in rest)
            found = {need: _answer(need, reply) for need, reply in zip(rest, replies, strict=True)}
            answers |= found
            rest = [need for need in rest if need.kind is NeedKind.FIRST_IMAGE and found[need] == ObjectsAnswer()]
        return answers

    def _by_date(self, needs: Sequence[Need]) -> Iterator[_Batch]:
        """Yield requests for the SR series, and the dose objects in them, of ranges of days."""
        if self._profile.honours(Subject.SERIES_BY_DATE_AND_MODALITY):
            for first, last, some in self._windows(needs, NeedKind.SR_SERIES):
                keys = (("StudyDate", _range(first, last)), ("Modality", SR))
                yield _Batch(_request(Level.SERIES, keys), self._reader_of_series(some))
        if self._profile.honours(Subject.IMAGES_BY_DATE_AND_CLASS):
            for first, last, some in self._windows(needs, NeedKind.DOSE_OBJECTS):
                keys = (("StudyDate", _range(first, last)), ("SOPClassUID", self._dose_classes))
                yield _Batch(_request(Level.IMAGE, keys), _reader_of_dose_objects(some))

    def _by_list(self, needs: Sequence[Need]) -> Iterator[_Batch]:
        """Yield requests for the series of listed studies, and the objects of listed series."""
        if not self._profile.honours(Subject.SERIES_OF_STUDIES):
            return
        for kind in (NeedKind.SR_SERIES, NeedKind.SERIES):
            for some in _lists(need for need in needs if need.kind is kind):
                keys = [("StudyInstanceUID", "\\".join(need.StudyInstanceUID for need in some))]
                if kind is NeedKind.SR_SERIES and self._profile.honours(Subject.MODALITY):
                    keys.append(("Modality", SR))
                yield _Batch(_request(Level.SERIES, keys), self._reader_of_series(some))
        of_series = [need for need in needs if need.kind in (NeedKind.OBJECTS, NeedKind.DOSE_OBJECTS)]
        for some in _lists(of_series):
            studies = dict.fromkeys(need.StudyInstanceUID for need in some)
            keys = [
                ("StudyInstanceUID", "\\".join(studies)),
                ("SeriesInstanceUID", "\\".join(need.SeriesInstanceUID for need in some)),
            ]
            yield _Batch(_request(Level.IMAGE, keys), _reader_of_objects(some))

    def _windows(self, needs: Sequence[Need], kind: NeedKind) -> Iterator[tuple[str, str, list[Need]]]:
        """Yield ranges of days with their needs; studies without a date get other requests."""
        by_day: dict[str, list[Need]] = {}
        for need in needs:
            if need.kind is kind and (day := self._studies[need.StudyInstanceUID].StudyDate):
                by_day.setdefault(day, []).append(need)
        some: list[Need] = []
        first = last = ""
        for day in sorted(by_day):
            if some and len(some) + len(by_day[day]) > IN_WINDOW:
                yield first, last, some
                some = []
            first, last = (first if some else day), day
            some = some + by_day[day]
        if some:
            yield first, last, some

    def _reader_of_series(self, needs: Sequence[Need]) -> Callable[[pa.Table], dict[Need, Answer]]:
        def read(table: pa.Table) -> dict[Need, Answer]:
            found = series_by_study(table)
            capped = _looks_cut_off(table, found, [need.StudyInstanceUID for need in needs])
            answers: dict[Need, Answer] = {}
            for need in needs:
                rows = found.get(need.StudyInstanceUID, ())
                study = self._studies[need.StudyInstanceUID]
                if need.kind is NeedKind.SR_SERIES:
                    rows = tuple(row for row in rows if row.Modality == SR)
                    is_known = not capped and (bool(rows) or SR not in study.ModalitiesInStudy)
                    answer = SeriesAnswer(rows, only_sr=True)
                else:
                    is_known = len(rows) == study.series_count if study.series_count else bool(rows) and not capped
                    answer = SeriesAnswer(rows)
                if is_known:
                    answers[need] = answer
            return answers

        return read

    def _single(self, need: Need, instance_number: str) -> Request:
        """Return the request for one study or series: the Unique Keys above, one value each."""
        keys = [("StudyInstanceUID", need.StudyInstanceUID)]
        if self._model is InformationModel.PATIENT_ROOT:
            keys.insert(0, ("PatientID", self._studies[need.StudyInstanceUID].PatientID))
        if need.kind is NeedKind.SERIES:
            return _request(Level.SERIES, keys)
        if need.kind is NeedKind.SR_SERIES:
            return _request(Level.SERIES, [*keys, ("Modality", SR)])
        keys.append(("SeriesInstanceUID", need.SeriesInstanceUID))
        if need.kind is NeedKind.FIRST_IMAGE:
            keys.append(("InstanceNumber", instance_number))
        return _request(Level.IMAGE, keys)


def _request(level: Level, keys: Iterable[tuple[str, str]]) -> Request:
    matching = tuple(keys)
    returned = SERIES_KEYS if level is Level.SERIES else IMAGE_KEYS
    given = {keyword for keyword, _ in matching}
    return Request(level=level, keys=matching, return_keys=tuple(key for key in returned if key not in given))


def _reader_of_dose_objects(needs: Sequence[Need]) -> Callable[[pa.Table], dict[Need, Answer]]:
    """Read objects of dose classes; a series without any may be empty or contain other classes."""

    def read(table: pa.Table) -> dict[Need, Answer]:
        found = objects_by_series(table)
        if _looks_cut_off(table, found, [need.SeriesInstanceUID for need in needs]):
            return {}
        return {
            need: ObjectsAnswer(found[need.SeriesInstanceUID], is_whole=False)
            for need in needs
            if need.SeriesInstanceUID in found
        }

    return read


def _reader_of_objects(needs: Sequence[Need]) -> Callable[[pa.Table], dict[Need, Answer]]:
    def read(table: pa.Table) -> dict[Need, Answer]:
        found = objects_by_series(table)
        if _looks_cut_off(table, found, [need.SeriesInstanceUID for need in needs]):
            return {}
        return {
            need: ObjectsAnswer(found[need.SeriesInstanceUID]) for need in needs if need.SeriesInstanceUID in found
        }

    return read


def _looks_cut_off(table: pa.Table, found: Collection[str], wanted: Iterable[str]) -> bool:
    """Return whether the number of responses is a common cap and something is missing."""
    return looks_capped(table.num_rows) and not all(uid in found for uid in wanted)


def _answer(need: Need, reply: Any) -> Answer:  # noqa: ANN401 - a pyarrow.Table, untyped, or Unanswered
    """Return the answer from the result of a single request; match locally what a node may ignore."""
    if isinstance(reply, Unanswered):
        return reply
    if need.kind in (NeedKind.SERIES, NeedKind.SR_SERIES):
        rows = series_by_study(reply, study_instance_uid=need.StudyInstanceUID).get(need.StudyInstanceUID, ())
        if need.kind is NeedKind.SERIES:
            return SeriesAnswer(rows)
        if any(row.Modality not in ("", SR) for row in rows):  # the node ignores Modality and returns all series
            return SeriesAnswer(rows)
        return SeriesAnswer(tuple(row for row in rows if row.Modality), only_sr=True)
    found = objects_by_series(reply, series_instance_uid=need.SeriesInstanceUID)
    objects = found.get(need.SeriesInstanceUID, ())
    if need.kind is not NeedKind.FIRST_IMAGE:
        return ObjectsAnswer(objects)
    return ObjectsAnswer(tuple(image for image in objects if image.InstanceNumber in (0, 1, None))[:1])


def _lists(needs: Iterable[Need]) -> Iterator[list[Need]]:
    waiting = iter(needs)
    while some := list(islice(waiting, LISTED)):
        yield some


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"
