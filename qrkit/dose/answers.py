"""Answers the needs of a plan: from earlier answers, otherwise by C-FIND over several associations.

An answer on a study is valid while the node counts the same numbers of series and instances in the study. If the node
does not count them, the age of the answer decides. An answer on dose objects is valid for the SOP Classes of its
question only.

A failure on one study does not fail the plan, and all answers are stored even if the node fails later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

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
)
from qrkit.dose.groups import DOSE_CLASSES, dose_class_uids
from qrkit.dose.requests import NeedRequest, NeedRequests
from qrkit.find.session import FindSession
from qrkit.find.windowed import WindowedAnswer, WindowedFind
from qrkit.find.windows import FailureKind, failure_of
from qrkit.stop import NEVER, Stop

SCHEMA = pa.schema(
    [
        ("StudyInstanceUID", pa.string()),
        ("SeriesInstanceUID", pa.string()),
        ("ask", pa.string()),
        ("is_part", pa.bool_()),
        ("asked_at", pa.timestamp("us")),
        ("study_series", pa.int64()),
        ("study_instances", pa.int64()),
        ("classes", pa.string()),
        ("uid", pa.string()),
        ("Modality", pa.string()),
        ("SeriesDescription", pa.string()),
        ("StationName", pa.string()),
        ("SOPClassUID", pa.string()),
        ("number", pa.int64()),
        ("instances", pa.int64()),
    ]
)
"""One row per series or object; a question without any has one row without `uid`."""

_HEAD = SCHEMA.names.index("uid")
"""Number of columns that describe the question and are the same in all its rows."""

_USUAL = dose_class_uids(DOSE_CLASSES)

_SUBSTITUTES = {
    NeedKind.SR_SERIES: (NeedKind.SERIES,),
    NeedKind.DOSE_OBJECTS: (NeedKind.OBJECTS,),
}
"""Questions that cover another question as well."""

AT_ONCE = 64
"""Requests in one batch; small, so that a stop and the loss of the node take effect soon."""

PATIENCE = 3
"""Consecutive requests that may lose the association before the node counts as unreachable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """The validity of answers of a node that does not count series and instances."""

    recent: timedelta = timedelta(days=7)  # time after its StudyDate during which a study may still get reports
    of_recent: timedelta = timedelta(hours=1)  # validity of an answer on such a study
    of_others: timedelta = timedelta(days=90)  # validity of any other answer


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """One answer with its time, the counts of the study at that time, and the SOP Classes of its question."""

    answer: Answer
    asked_at: datetime
    study_series: int | None
    study_instances: int | None
    classes: str | None = None

    def holds(self, study: StudyRow, now: datetime, ages: Ages, *, is_held: bool = False) -> bool:
        """Return whether the answer is still valid for a study as the node returns it now; times are UTC, no zone.

        A series that is held already may have a later report, so only counts of instances prove its answer.
        """
        then_and_now = ((self.study_series, study.series_count), (self.study_instances, study.instance_count))
        counted = [(then, count) for then, count in then_and_now if then is not None and count is not None]
        if any(then != count for then, count in counted):
            return False
        if self.study_instances is not None and study.instance_count is not None:
            return True  # as many series prove nothing: one of them may have another report
        if is_held:
            return False
        day = _day(study.StudyDate)
        was_recent = day is None or self.asked_at - day < ages.recent
        return now - self.asked_at < (ages.of_recent if was_recent else ages.of_others)


def to_table(
    answers: Mapping[Need, Answer], studies: Mapping[str, StudyRow], asked_at: datetime, classes: str = _USUAL
) -> pa.Table:
    """Return answers as a table, without failures and doubtful answers; `asked_at` is UTC without a zone.

    `classes` are those of questions on dose objects, as `dose_class_uids` returns them.
    """
    rows = [
        (*head, *row)
        for need, answer in answers.items()
        if not isinstance(answer, Unanswered) and not answer.doubt
        for head in [_head(need, answer, studies[need.StudyInstanceUID], asked_at, classes)]
        for row in _rows(answer)
    ]
    columns: Iterable[Iterable[Any]] = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def from_table(table: pa.Table) -> dict[Need, CachedAnswer]:
    """Return the answers of tables put together, of each question the newest."""
    found: dict[Need, CachedAnswer] = {}
    for need, head, rows in _answers(table):
        is_part, asked_at, *counts_and_classes = head
        if need not in found or found[need].asked_at <= asked_at:
            found[need] = CachedAnswer(_answer(need, rows, is_part=is_part), asked_at, *counts_and_classes)
    return found


def newest(table: pa.Table) -> pa.Table:
    """Return of several answers to one question the newest."""
    last: dict[tuple[str, str, str], datetime] = {}
    columns = [table[name].to_pylist() for name in ("StudyInstanceUID", "SeriesInstanceUID", "ask", "asked_at")]
    for *question, asked_at in zip(*columns, strict=True):
        place = tuple(question)
        last[place] = max(asked_at, last.get(place, asked_at))
    rows = zip(*columns, strict=True)
    return table.filter(pa.array([asked_at == last[tuple(question)] for *question, asked_at in rows], pa.bool_()))


class AnswerCache:
    """The earlier answers of one node that are still valid at `now`, which is UTC without a zone."""

    def __init__(
        self,
        known: Mapping[Need, CachedAnswer],
        studies: Mapping[str, StudyRow],
        *,
        now: datetime,
        ages: Ages | None = None,
        classes: str = _USUAL,
        held: Collection[str] = (),  # SeriesInstanceUIDs of which objects are stored
    ) -> None:
        self._held = held
        self._known = known
        self._studies = studies
        self._now = now
        self._ages = ages or Ages()
        self._classes = classes

    def recall(self, needs: Iterable[Need]) -> dict[Need, Answer]:
        """Return the valid answers to needs."""
        return {need: answer for need in needs if (answer := self._recall(need)) is not None}

    def _recall(self, need: Need) -> Answer | None:
        study = self._studies[need.StudyInstanceUID]
        for kind in (need.kind, *_SUBSTITUTES.get(need.kind, ())):
            known = self._known.get(Need(kind, need.StudyInstanceUID, need.SeriesInstanceUID))
            if known is None or known.classes not in (None, self._classes):
                continue
            if need.kind is NeedKind.FIRST_IMAGE and not _rows_of(known.answer):
                continue  # an earlier version looked for the numbers 1 and 0 only
            if known.holds(study, self._now, self._ages, is_held=self._is_held(need, study, known.answer)):
                return known.answer
        return None

    def _is_held(self, need: Need, study: StudyRow, answer: Answer) -> bool:
        """Return whether an answer is on a series that is held, or lists one without a count of series."""
        if not isinstance(answer, SeriesAnswer):
            return need.SeriesInstanceUID in self._held
        return study.series_count is None and any(row.SeriesInstanceUID in self._held for row in answer.rows)


def _rows_of(answer: Answer) -> tuple[SeriesRow, ...] | tuple[ObjectRow, ...]:
    return () if isinstance(answer, Unanswered) else answer.rows


def _head(
    need: Need, answer: SeriesAnswer | ObjectsAnswer, study: StudyRow, asked_at: datetime, classes: str
) -> tuple[Any, ...]:
    """Return the columns that describe the question; the SOP Classes only of an answer that is limited to them."""
    is_part = answer.only_sr if isinstance(answer, SeriesAnswer) else not answer.is_whole
    limits = classes if is_part and isinstance(answer, ObjectsAnswer) else None
    counts = (study.series_count, study.instance_count)
    return need.StudyInstanceUID, need.SeriesInstanceUID, need.kind.value, is_part, asked_at, *counts, limits


def _rows(answer: SeriesAnswer | ObjectsAnswer) -> Iterator[tuple[Any, ...]]:
    if not answer.rows:
        yield (None,) * 7
    for row in answer.rows:
        if isinstance(row, SeriesRow):
            texts = (row.SeriesInstanceUID, row.Modality, row.SeriesDescription, row.StationName, None)
            yield (*texts, row.SeriesNumber, row.instance_count)
        else:
            yield (row.SOPInstanceUID, None, None, None, row.SOPClassUID, row.InstanceNumber, None)


def _answers(table: pa.Table) -> Iterator[tuple[Need, tuple[Any, ...], list[tuple[Any, ...]]]]:
    """Yield the consecutive rows of each answer."""
    asks = {kind.value: kind for kind in NeedKind}
    last: tuple[Any, ...] = ()
    rows: list[tuple[Any, ...]] = []
    for values in zip(*(_shared(_column(table, name)) for name in SCHEMA.names), strict=True):
        head = values[:_HEAD]
        if head != last:
            if rows:
                yield Need(asks[last[2]], last[0], last[1]), last[3:], rows
            last, rows = head, []
        rows.append(values[_HEAD:])
    if rows:
        yield Need(asks[last[2]], last[0], last[1]), last[3:], rows


def _answer(need: Need, rows: list[tuple[Any, ...]], *, is_part: bool) -> Answer:
    found = [row for row in rows if row[0] is not None]
    if need.kind in (NeedKind.SERIES, NeedKind.SR_SERIES):
        series = tuple(
            SeriesRow(uid, modality, description, station, number, instances)
            for uid, modality, description, station, _, number, instances in found
        )
        return SeriesAnswer(series, only_sr=is_part)
    return ObjectsAnswer(tuple(ObjectRow(row[0], row[4], row[5]) for row in found), is_whole=not is_part)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column; files of earlier versions have no column of SOP Classes."""
    if name in table.column_names:
        column: pa.ChunkedArray = table[name]
        return column
    return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])


def _shared(column: pa.ChunkedArray) -> Iterable[Any]:
    """Return the values of a column, equal ones as one object: a million rows repeat a few values."""
    if not (pa.types.is_string(column.type) or pa.types.is_timestamp(column.type)):
        values: Iterable[Any] = column.to_pylist()
        return values
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    return (None if index is None else texts[index] for index in encoded.indices.to_pylist())


@lru_cache(maxsize=10_000)
def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a StudyDate has no zone
    except ValueError:
        return None


class AnswerSession:
    """Answers needs from the cache or by C-FIND, and keeps the new answers at the end.

    The block that opens this session opens the associations of `session` with the node.
    """

    def __init__(
        self,
        session: FindSession,
        find: WindowedFind,
        need_requests: NeedRequests,
        cache: AnswerCache,
        *,
        keep: Callable[[Mapping[Need, Answer]], None],
        stop: Stop = NEVER,
    ) -> None:
        self._session = session
        self.find = find
        self._need_requests = need_requests
        self._cache = cache
        self._keep = keep
        self._stop = stop
        self._asked: dict[Need, Answer] = {}
        self._lost = 0

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)
        if self._asked:
            self._keep(self._asked)

    @property
    def requests(self) -> int:
        """Number of C-FIND requests sent."""
        return self._session.requests

    def answer(self, needs: Sequence[Need]) -> Mapping[Need, Answer]:
        """Return the answers to needs.

        Raise `NodeError` if the node is no longer reachable, `Cancelled` if `stop` wants it.
        """
        answers = self._cache.recall(needs)
        rest = [need for need in needs if need not in answers]
        if rest:
            asked = self._ask_for(rest)
            self._asked |= asked
            answers |= asked
        self._need_requests.learn(answers.values())
        return answers

    def _ask_for(self, needs: Sequence[Need]) -> Mapping[Need, Answer]:
        asking = self._need_requests.requests_for(needs)
        try:
            requests = next(asking)
            while True:
                replies: list[WindowedAnswer] = []
                for start in range(0, len(requests), AT_ONCE):
                    replies += self._ask(requests[start : start + AT_ONCE])
                requests = asking.send(replies)
        except StopIteration as end:
            answers: Mapping[Need, Answer] = end.value
            return answers

    def _ask(self, requests: Sequence[NeedRequest]) -> list[WindowedAnswer]:
        """Return the result of each request, or its error.

        Raise `NodeError` if the node is away, or has broken off several requests in a row.
        """
        self._stop.check()
        self._session.forget_lost()
        replies = self.find.try_ask([one.request for one in requests], [one.has_all for one in requests])
        for reply in replies:
            kind = None if reply.error is None else failure_of(reply.error).kind
            self._lost = self._lost + 1 if kind is FailureKind.BROKEN else 0
            if reply.error is not None and (kind is FailureKind.AWAY or self._lost == PATIENCE):
                raise reply.error
        return replies
