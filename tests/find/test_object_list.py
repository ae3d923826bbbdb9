"""The list of objects below studies and series, and what proves it: no network, answers by hand."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from qrkit.find.object_list import ListedRows, ObjectList, list_steps
from qrkit.jobs import RetrieveRequest
from qrkit.node import InformationModel
from qrkit.query import Request, answer_keywords
from qrkit.query.filters import Reliance
from qrkit.tables import Level

STUDY = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
SERIES = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1", SeriesInstanceUID="1.1")
SERIES_COUNT, OBJECT_COUNT = "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"
OBJECTS_OF_SERIES = "NumberOfSeriesRelatedInstances"
MODEL = InformationModel.STUDY_ROOT

Archive = Mapping[str, Mapping[str, Sequence[str]]]
"""SOP Instance UIDs that the node lists, by study and series."""

ARCHIVE: Archive = {"1": {"1.1": ("1.1.1", "1.1.2"), "1.2": ("1.2.1",)}, "2": {"2.1": ("2.1.1",)}}


class ByHand:
    """A node that lists an archive and counts as it is told."""

    def __init__(self, counts: Mapping[str, int], archive: Archive = ARCHIVE) -> None:
        self._counts = counts
        self._archive = archive
        self.asked: list[Request] = []

    def answer(self, request: Request) -> pa.Table:
        self.asked.append(request)
        names = answer_keywords(request, MODEL)
        rows = [row for row in self._rows(request.level) if self._matches(request, row)]
        return pa.table({name: [row.get(name) for row in rows] for name in names})

    def _rows(self, level: Level) -> Sequence[dict[str, object]]:
        studies = [(study, series) for study, series in self._archive.items()]
        if level is Level.STUDY:
            counts = {name: self._counts[name] for name in (SERIES_COUNT, OBJECT_COUNT) if name in self._counts}
            return [{"StudyInstanceUID": study, **counts} for study, _ in studies]
        above = [
            ({"StudyInstanceUID": study, "SeriesInstanceUID": uid}, uid, objects)
            for study, series in studies
            for uid, objects in series.items()
        ]
        if level is Level.SERIES:
            return [{**keys, OBJECTS_OF_SERIES: self._counts.get(uid)} for keys, uid, _ in above]
        return [
            {**keys, "SOPInstanceUID": one, "SOPClassUID": "1.2.3"} for keys, _, objects in above for one in objects
        ]

    @staticmethod
    def _matches(request: Request, row: Mapping[str, object]) -> bool:
        return all(row.get(key) in value.split("\\") for key, value in request.keys)


def listed(node: ByHand, *requests: RetrieveRequest, reliance: Reliance | None = None) -> ListedRows:
    steps = list_steps(requests, MODEL, reliance or Reliance())
    asked = next(steps)
    while True:
        try:
            asked = steps.send([node.answer(request) for request in asked])
        except StopIteration as end:
            rows: ListedRows = end.value
            return rows


def of_study(counts: Mapping[str, int]) -> ObjectList:
    return listed(ByHand(counts), STUDY).object_list(STUDY)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({SERIES_COUNT: 2, OBJECT_COUNT: 3}, ()),
        ({OBJECT_COUNT: 3}, ()),
        ({SERIES_COUNT: 2, "1.1": 2, "1.2": 1}, ()),
        ({OBJECT_COUNT: 5}, ("3 listed, the node counts 5",)),
        ({"1.1": 4, "1.2": 1, OBJECT_COUNT: 3}, ("3 listed, the node counts 5",)),
        ({SERIES_COUNT: 3, OBJECT_COUNT: 4}, ("2 series listed, the node counts 3", "3 listed, the node counts 4")),
        ({}, ("the node does not count its objects",)),
        ({"1.1": 2, "1.2": 1}, ("the node does not count its objects",)),  # there may be series that it hides
        ({SERIES_COUNT: 2}, ("the node does not count its objects",)),
        ({OBJECT_COUNT: 2}, ("3 listed, although the node counts 2",)),
    ],
)
def test_a_list_is_proven_by_the_counts_of_the_node(counts: Mapping[str, int], why: tuple[str, ...]) -> None:
    assert of_study(counts).why == why


def test_a_series_that_lists_fewer_objects_than_it_counts_is_named() -> None:
    short = of_study({SERIES_COUNT: 2, "1.1": 2, "1.2": 4})
    assert (short.counted, short.short_series) == (6, ("1.2",))


def test_a_series_without_listed_objects_is_silent_unless_it_is_counted() -> None:
    archive = {"1": {"1.1": ("1.1.1",), "1.2": ()}}
    silent = listed(ByHand({}, archive), STUDY).object_list(STUDY)
    assert (silent.silent_series, silent.short[0]) == (1, "no objects are listed in 1 series")
    known = listed(ByHand({OBJECT_COUNT: 3}, archive), STUDY).object_list(STUDY)
    assert (known.silent_series, known.short) == (0, ("1 listed, the node counts 3",))


def test_a_series_is_held_against_its_own_count() -> None:
    counted = listed(ByHand({"1.1": 3}), SERIES).object_list(SERIES)
    assert (counted.counted, counted.is_counted, counted.why) == (3, True, ("2 listed, the node counts 3",))


def test_images_are_their_own_list() -> None:
    images = RetrieveRequest(
        level=Level.IMAGE, StudyInstanceUID="1", SeriesInstanceUID="1.1", sop_instance_uids=("1.1.2", "9")
    )
    found = listed(ByHand({}), images).object_list(images)
    assert [(one.SOPInstanceUID, one.SOPClassUID) for one in found.objects] == [("1.1.2", "1.2.3"), ("9", "")]
    assert found.why == ()


def test_the_counts_of_all_studies_are_asked_for_at_once() -> None:
    other = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="2")
    node = ByHand({})
    listed(node, STUDY, other)
    assert [(one.level, one.value("StudyInstanceUID")) for one in node.asked[:3]] == [
        (Level.STUDY, "1\\2"),
        (Level.SERIES, "1"),
        (Level.SERIES, "2"),
    ]
    assert len(node.asked) == 1 + 2 + 3


def test_where_a_node_takes_lists_three_requests_are_enough() -> None:
    node = ByHand({SERIES_COUNT: 2, "1.1": 2, "1.2": 1, "2.1": 1})
    other = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="2")
    rows = listed(node, STUDY, other, reliance=Reliance(lists=frozenset({Level.SERIES, Level.IMAGE})))
    assert len(rows.object_list(STUDY).objects) == 3
    assert [one.level for one in node.asked if "\\" in one.value("StudyInstanceUID")] == [
        Level.STUDY,
        Level.SERIES,
        Level.IMAGE,
    ]
