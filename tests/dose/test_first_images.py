"""The first image of a series, at nodes that number images oddly, ignore the number, or do not return it."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from qrkit.dose import (
    Answer,
    AnswerCache,
    Need,
    NeedKind,
    NeedRequests,
    ObjectRow,
    ObjectsAnswer,
    StudyRow,
    Unanswered,
)
from qrkit.dose.answers import CachedAnswer
from qrkit.dose.facts import first_image_of
from qrkit.find.windowed import WindowedAnswer
from qrkit.profile import Profile
from qrkit.query import Request
from tests.dose.test_answers import NOW
from tests.dose.world import KEY_OBJECTS, NM, PET, STATES, UID, Series, World, kept, one, policy_of, world_of

NEED = Need(NeedKind.FIRST_IMAGE, "1.2", "1.2.1")
STUDIES = {"1.2": StudyRow(StudyInstanceUID="1.2")}
FIRST = "1.2.1.1"


def rows(*numbers: int | None, sop_class: str = PET) -> tuple[ObjectRow, ...]:
    return tuple(ObjectRow(f"1.2.1.{place}", sop_class, number) for place, number in enumerate(numbers, 1))


def asked(objects: Sequence[ObjectRow], *, ignores: bool = False, omits: bool = False) -> tuple[ObjectsAnswer, int]:
    """The answer to the need for the first image of these objects, and the number of requests."""

    def reply(request: Request) -> WindowedAnswer:
        number = "" if ignores else request.value("InstanceNumber")
        found = [row for row in objects if not number or row.InstanceNumber == int(number)]
        columns = {
            "SeriesInstanceUID": ["1.2.1"] * len(found),
            "SOPInstanceUID": [row.SOPInstanceUID for row in found],
            "SOPClassUID": [row.SOPClassUID for row in found],
            "InstanceNumber": pa.array([None if omits else row.InstanceNumber for row in found], pa.int64()),
        }
        return WindowedAnswer(table=pa.table(columns))

    asking = NeedRequests(STUDIES, Profile.unknown("pacs")).requests_for([NEED])
    sent = 0
    try:
        requests = next(asking)
        while True:
            sent += len(requests)
            requests = asking.send([reply(one.request) for one in requests])
    except StopIteration as end:
        answer = end.value[NEED]
    assert isinstance(answer, ObjectsAnswer)
    return answer, sent


@pytest.mark.parametrize(
    ("numbers", "requests"),
    [
        ((1, 2, 0), 1),
        ((0, 2, 3), 2),
        ((5, 7, 8), 3),
        ((-3, 7), 3),
        ((12, None, 13), 3),
        ((None, None), 3),
    ],
)
def test_the_first_image_is_number_1_then_0_then_the_smallest_then_any(
    numbers: tuple[int | None, ...], requests: int
) -> None:
    assert asked(rows(*numbers)) == (ObjectsAnswer(rows(*numbers)[:1]), requests)
    answer, sent = asked(rows(*reversed(numbers)), ignores=True)
    assert [row.InstanceNumber for row in answer.rows] == [numbers[0]]
    assert sent == 1 or numbers == (None, None)


def test_a_node_that_matches_the_number_and_does_not_return_it_is_believed() -> None:
    answer, sent = asked(rows(2, 1), omits=True)
    assert ([row.SOPInstanceUID for row in answer.rows], sent) == (["1.2.1.2"], 1)


@pytest.mark.parametrize("sop_class", [KEY_OBJECTS, STATES, "1.2.840.10008.5.1.4.1.1.66.1"])
def test_an_object_without_pixels_is_the_first_image_only_without_any_other(sop_class: str) -> None:
    other = ObjectRow("1.2.1.9", sop_class, 1)
    assert asked((other, *rows(4, 5)))[0].rows[0].SOPInstanceUID == FIRST
    assert first_image_of([other]) == other


def test_a_series_without_listed_objects_has_no_first_image() -> None:
    assert asked(()) == (ObjectsAnswer(()), 3)


def test_a_series_that_an_earlier_version_found_without_a_first_image_is_asked_again() -> None:
    known = {NEED: CachedAnswer(ObjectsAnswer(()), NOW, None, None)}
    assert AnswerCache(known, STUDIES, now=NOW).recall([NEED]) == {}
    found = {NEED: CachedAnswer(ObjectsAnswer(rows(7)), NOW, None, None)}
    assert AnswerCache(found, STUDIES, now=NOW).recall([NEED]) == {NEED: ObjectsAnswer(rows(7))}


class SilentOnOne(World):
    """A world that answers no question on the second series."""

    def answer(self, need: Need) -> Answer:
        return Unanswered("0xC001") if need.SeriesInstanceUID == f"{UID}.2" else super().answer(need)


@pytest.mark.parametrize("modality", ["NM", "PT"])
def test_a_series_that_is_dropped_because_its_first_image_was_not_answered_is_a_doubt(modality: str) -> None:
    series = Series(modality=modality, classes=(NM if modality == "NM" else PET,) * 2)
    item = one(SilentOnOne(world_of(series, series).studies).judge(policy_of("NM")))
    assert set(kept([item])) == {"1"}
    assert item.doubts == ("the node did not answer: 0xC001",)
