"""Turns needs into as few C-FIND requests as the node answers reliably.

Every PACS answers requests for one study or one series. The profile of a node may allow larger ones: lists of
StudyInstanceUIDs, SERIES by StudyDate and Modality, and IMAGE by StudyDate and SOPClassUID. Their result counts only
for studies and series where it agrees with the known counts; the others get single requests.

`NeedRequests.requests_for` does no I/O: it yields independent requests, and is sent their results.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qrkit.dose.facts import (
    Answer,
    Need,
    NeedKind,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    Unanswered,
    first_image_of,
    is_image,
    objects_by_series,
    series_by_study,
)
from qrkit.dose.groups import DOSE_CLASSES, SR, dose_class_uids
from qrkit.errors import StatusError
from qrkit.find.uid_lists import in_parts
from qrkit.find.windowed import HasAll, WindowedAnswer
from qrkit.node import InformationModel
from qrkit.profile import Extension, Profile, Subject
from qrkit.query import Request
from qrkit.query.coverage import KeysByLevel
from qrkit.tables import Level
from qrkit.uids import KEY_OBJECT_SELECTION, SR_STORAGE

SERIES_KEYS = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "StationName",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
)
IMAGE_KEYS = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")

IN_WINDOW = 240
"""Studies in one range of days, so that the result stays below common caps."""

_MANY = 10
"""Rows of a part of a study or series that may be cut off, at a node that is not known to return more."""

Read = Callable[[WindowedAnswer], dict[Need, Answer]]


@dataclass(frozen=True, slots=True)
class NeedRequest:
    """One request for the answers to some needs."""

    request: Request
    read: Read  # returns the answers to those needs that a result answers
    # whether a result answers all needs; None for a request below a single study or series
    has_all: HasAll | None = None


RequestSteps = Generator[tuple[NeedRequest, ...], Sequence[WindowedAnswer], dict[Need, Answer]]
"""Yields requests, is sent the result of each, and returns an `Answer` for each need."""


class NeedRequests:
    """Turns the needs of a plan into requests to one node.

    It needs all studies of the plan by StudyInstanceUID. The profile shows which large requests the node answers
    reliably.
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
        self._counts: dict[str, int | None] = {}

    @property
    def offers_relational(self) -> bool:
        """True to offer relational queries in associations (PS3.4 C.5.1.1.1)."""
        return self._profile.accepts(Extension.RELATIONAL)

    def learn(self, answers: Iterable[Answer]) -> None:
        """Remember how many objects the node counts in each series, if series are to be asked for in lists."""
        for answer in answers if self._profile.honours(Subject.SERIES_OF_STUDIES) else ():
            if isinstance(answer, SeriesAnswer):
                self._counts.update((row.SeriesInstanceUID, row.instance_count) for row in answer.rows)

    def requests_for(self, needs: Sequence[Need]) -> RequestSteps:
        """Yield the requests for needs, in as few steps and requests as possible."""
        answers: dict[Need, Answer] = {}
        for requests_of in (self._by_date, self._by_list):
            answers |= yield from _ask(requests_of([need for need in needs if need not in answers]))
        single = [need for need in needs if need not in answers]
        answers |= yield from _ask(self._single(need) for need in single)
        answers |= yield from _ask(again for need in single for again in self._again(need, answers[need]))
        answers |= yield from _ask(self._any_image(need) for need in single if _is_without_image(need, answers[need]))
        return answers

    def _by_date(self, needs: Sequence[Need]) -> Iterator[NeedRequest]:
        """Yield requests for the SR series, and the dose objects in them, of ranges of days."""
        if self._profile.honours(Subject.SERIES_BY_DATE_AND_MODALITY):
            for first, last, some in self._windows(needs, NeedKind.SR_SERIES):
                keys = (("StudyDate", _range(first, last)), ("Modality", SR))
                yield _of_many(_request(Level.SERIES, keys), some, self._reader_of_series(some))
        if self._profile.honours(Subject.IMAGES_BY_DATE_AND_CLASS):
            for first, last, some in self._windows(needs, NeedKind.DOSE_OBJECTS):
                keys = (("StudyDate", _range(first, last)), ("SOPClassUID", self._dose_classes))
                yield _of_many(_request(Level.IMAGE, keys), some, self._reader_of_objects(some, is_whole=False))

    def _by_list(self, needs: Sequence[Need]) -> Iterator[NeedRequest]:
        """Yield requests for the series of listed studies, and the objects of listed series."""
        if not self._profile.honours(Subject.SERIES_OF_STUDIES):
            return
        for kind in (NeedKind.SR_SERIES, NeedKind.SERIES):
            for some in in_parts([need for need in needs if need.kind is kind]):
                keys = [("StudyInstanceUID", "\\".join(need.StudyInstanceUID for need in some))]
                if kind is NeedKind.SR_SERIES and self._profile.honours(Subject.MODALITY):
                    keys.append(("Modality", SR))
                yield _of_many(_request(Level.SERIES, keys), some, self._reader_of_series(some))
        of_series = [need for need in needs if need.kind in (NeedKind.OBJECTS, NeedKind.DOSE_OBJECTS)]
        for some in in_parts(of_series):
            studies = dict.fromkeys(need.StudyInstanceUID for need in some)
            keys = [
                ("StudyInstanceUID", "\\".join(studies)),
                ("SeriesInstanceUID", "\\".join(need.SeriesInstanceUID for need in some)),
            ]
            yield _of_many(_request(Level.IMAGE, keys), some, self._reader_of_objects(some, is_whole=True))

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

    def _reader_of_series(self, needs: Sequence[Need]) -> Read:
        def read(reply: WindowedAnswer) -> dict[Need, Answer]:
            found = series_by_study(reply.table)
            answers: dict[Need, Answer] = {}
            for need in needs:
                rows = found.get(need.StudyInstanceUID, ())
                study = self._studies[need.StudyInstanceUID]
                if need.kind is NeedKind.SR_SERIES:
                    is_named = all(row.Modality for row in rows)
                    rows = tuple(row for row in rows if row.Modality == SR)
                    is_known = bool(rows) or not _has_sr(study)
                    if is_named and is_known and _is_proven(reply) and not self._are_many(rows):
                        answers[need] = SeriesAnswer(rows, only_sr=True)
                elif _are_all(rows, study.series_count, reply):
                    answers[need] = SeriesAnswer(rows)
            return answers

        return read

    def _reader_of_objects(self, needs: Sequence[Need], *, is_whole: bool) -> Read:
        """Read objects, all or of dose classes; a series without any may be empty or contain other classes."""

        def read(reply: WindowedAnswer) -> dict[Need, Answer]:
            found = objects_by_series(reply.table)
            answers: dict[Need, Answer] = {}
            for need in needs:
                rows = found.get(need.SeriesInstanceUID, ())
                count = self._counts.get(need.SeriesInstanceUID)
                if is_whole and _are_all(rows, count, reply):
                    answers[need] = ObjectsAnswer(rows)
                elif not is_whole and rows and _is_proven(reply) and not self._are_many(rows):
                    answers[need] = ObjectsAnswer(rows, is_whole=False)
            return answers

        return read

    def _are_many(self, rows: Sequence[SeriesRow] | Sequence[ObjectRow]) -> bool:
        """Return whether a part of a study or series is so large that the node may have stopped there."""
        return len(rows) >= _MANY and len(rows) > self._profile.most_rows

    def _single(self, need: Need, instance_number: str = "1") -> NeedRequest:
        """Return the request for one study or series: the Unique Keys above, one value each."""
        keys = [("StudyInstanceUID", need.StudyInstanceUID)]
        if self._model is InformationModel.PATIENT_ROOT:
            keys.insert(0, ("PatientID", self._studies[need.StudyInstanceUID].PatientID))
        if need.kind is NeedKind.SR_SERIES:
            keys.append(("Modality", SR))
        elif need.kind is not NeedKind.SERIES:
            keys.append(("SeriesInstanceUID", need.SeriesInstanceUID))
        if need.kind is NeedKind.FIRST_IMAGE:
            keys.append(("InstanceNumber", instance_number))
        level = Level.SERIES if need.kind in (NeedKind.SERIES, NeedKind.SR_SERIES) else Level.IMAGE
        return NeedRequest(_request(level, keys), lambda reply: {need: _answer(need, reply)})

    def _is_partial(self, need: Need, answer: SeriesAnswer) -> bool:
        """Return whether SR series may be missing: the node counts all series, not those of a Modality.

        A node that omits the Modality of series may also match none of them. One that ignores Modality returns all
        series; one that returns reports with another Modality does not.
        """
        if not answer.only_sr:
            is_listed = any(row.Modality == SR for row in answer.rows)
            return not is_listed and len(answer.rows) != self._studies[need.StudyInstanceUID].series_count
        is_hidden = not answer.rows and _has_sr(self._studies[need.StudyInstanceUID])
        return is_hidden or bool(answer.doubt) or self._are_many(answer.rows)

    def _again(self, need: Need, answer: Answer) -> Iterator[NeedRequest]:
        """Give what to ask after the answer to a single request: another first image, or all series of a study."""
        if _is_without_image(need, answer):
            yield self._single(need, "0")
        elif need.kind is NeedKind.SR_SERIES and isinstance(answer, SeriesAnswer) and self._is_partial(need, answer):
            every = Need(NeedKind.SERIES, need.StudyInstanceUID)
            request = self._single(every).request
            yield NeedRequest(request, lambda reply: {need: _with_rows(_answer(every, reply), answer.rows)})

    def _any_image(self, need: Need) -> NeedRequest:
        """Return the request for all objects of a series whose numbers do not start with 1 or 0."""
        every = need._replace(kind=NeedKind.OBJECTS)
        return NeedRequest(self._single(every).request, lambda reply: {need: _first(_answer(every, reply))})


def _is_without_image(need: Need, answer: Answer) -> bool:
    return need.kind is NeedKind.FIRST_IMAGE and isinstance(answer, ObjectsAnswer) and not answer.rows


def _first(answer: Answer) -> Answer:
    """Return the first image of a list of all objects of a series."""
    image = first_image_of(answer.rows) if isinstance(answer, ObjectsAnswer) else None
    return answer if image is None else ObjectsAnswer((image,))


def _has_sr(study: StudyRow) -> bool:
    """Return whether the row of a study shows that it has structured reports."""
    reports = (uid for uid in study.SOPClassesInStudy if uid.startswith(SR_STORAGE) and uid != KEY_OBJECT_SELECTION)
    return SR in study.ModalitiesInStudy or any(reports)


def _ask(requests: Iterable[NeedRequest]) -> RequestSteps:
    """Yield requests, if there are any, and return what their results answer."""
    asked = tuple(requests)
    replies = (yield asked) if asked else ()
    return {
        need: answer
        for request, reply in zip(asked, replies, strict=True)
        for need, answer in request.read(reply).items()
    }


def _of_many(request: Request, needs: Sequence[Need], read: Read) -> NeedRequest:
    return NeedRequest(request, read, lambda table: len(read(WindowedAnswer(table=table))) == len(needs))


def _is_proven(reply: WindowedAnswer) -> bool:
    return reply.error is None and not reply.doubts


def _are_all(rows: Sequence[SeriesRow] | Sequence[ObjectRow], count: int | None, reply: WindowedAnswer) -> bool:
    """Return whether the rows of a study or series are all: by its count, otherwise if the result is proven."""
    return len(rows) >= count if count else bool(rows) and _is_proven(reply)


def _with_rows(answer: Answer, others: tuple[SeriesRow, ...]) -> Answer:
    """Return the series of a study, with those that another request has found."""
    if not isinstance(answer, SeriesAnswer):
        return answer
    known = {row.SeriesInstanceUID for row in answer.rows}
    return replace(answer, rows=(*answer.rows, *(row for row in others if row.SeriesInstanceUID not in known)))


def refused_keys(profile: Profile) -> KeysByLevel:
    """Return the keys that the requests of a plan lack, since the node refuses them."""
    wanted = {Level.SERIES: SERIES_KEYS, Level.IMAGE: IMAGE_KEYS}
    refused = profile.refused_keys
    found = {level: tuple(key for key in keys if key in refused.get(level, {})) for level, keys in wanted.items()}
    return tuple((level.value, keys) for level, keys in found.items() if keys)


def _request(level: Level, keys: Iterable[tuple[str, str]]) -> Request:
    matching = tuple(keys)
    returned = SERIES_KEYS if level is Level.SERIES else IMAGE_KEYS
    given = {keyword for keyword, _ in matching}
    return Request(level=level, keys=matching, return_keys=tuple(key for key in returned if key not in given))


def _answer(need: Need, reply: WindowedAnswer) -> Answer:
    """Return the answer from the result of a single request; match locally what a node may ignore."""
    if reply.error is not None:
        return Unanswered(reply.error.message.rstrip("."), is_error=isinstance(reply.error, StatusError))
    doubt = next(iter(reply.doubts), "")
    if need.kind in (NeedKind.SERIES, NeedKind.SR_SERIES):
        rows = series_by_study(reply.table, study_instance_uid=need.StudyInstanceUID).get(need.StudyInstanceUID, ())
        if need.kind is NeedKind.SERIES or any(row.Modality not in ("", SR) for row in rows):
            return SeriesAnswer(rows, doubt=doubt)  # all series, also where the node ignores Modality
        return SeriesAnswer(rows, only_sr=True, doubt=doubt)  # also those of which the node omits the Modality
    found = objects_by_series(reply.table, series_instance_uid=need.SeriesInstanceUID)
    objects = found.get(need.SeriesInstanceUID, ())
    if need.kind is not NeedKind.FIRST_IMAGE:
        return ObjectsAnswer(objects, doubt=doubt)
    numbers = {row.InstanceNumber for row in objects}
    is_list = len(numbers) > 1  # of all objects, from a node that ignores InstanceNumber
    first = first_image_of(objects if is_list else [row for row in objects if row.InstanceNumber in (0, 1, None)])
    if first is None or not (is_list or is_image(first)):
        return ObjectsAnswer(doubt=doubt)
    return ObjectsAnswer((first,))


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"
