"""What is below many rows, asked for in lists: what they bring, and what is asked for alone after all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from qrkit.find.parents import Parent
from qrkit.find.uid_lists import ListedAnswers, ask_in_lists
from qrkit.query import Request
from qrkit.tables import Level

Asked = tuple[Parent, Request]
Held = Mapping[str, Sequence[str]]
STUDIES = {f"1.{number}": [f"1.{number}.{one}" for one in range(number % 3 + 1)] for number in range(60)}


def below(uids: Held, *, counts: bool = True, **keys: str) -> list[Asked]:
    """The requests for the series of each study."""
    return [
        (
            Parent((("StudyInstanceUID", uid),), {"NumberOfStudyRelatedSeries": len(held) if counts else None}),
            Request(level=Level.SERIES, keys=(("StudyInstanceUID", uid), *keys.items())),
        )
        for uid, held in uids.items()
    ]


def window_answer(request: Request, held: Held) -> pa.Table:
    """What a node answers that takes lists."""
    rows = [
        {"StudyInstanceUID": uid, "SeriesInstanceUID": series}
        for uid in request.value("StudyInstanceUID").split("\\")
        for series in held.get(uid, ())
    ]
    names = pa.schema([("StudyInstanceUID", pa.string()), ("SeriesInstanceUID", pa.string())])
    return pa.Table.from_pylist(rows, schema=names)


def ask(
    asked: Sequence[Asked], level: Level, answer: Callable[[Request], pa.Table]
) -> tuple[list[list[str]], list[int]]:
    """The SeriesInstanceUIDs that came for each, and how many requests each step had."""
    flow = ask_in_lists(asked, level)
    steps: list[int] = []
    answers: list[pa.Table] | None = None
    while True:
        try:
            requests = next(flow) if answers is None else flow.send(answers)
        except StopIteration as end:
            came: ListedAnswers = end.value
            break
        steps.append(len(requests))
        answers = [answer(one) for one in requests]
    assert sum(steps) == came.sent
    return [table["SeriesInstanceUID"].to_pylist() for (table,) in came.tables], steps


@pytest.mark.parametrize("counts", [True, False])
def test_series_of_many_studies_come_in_few_lists(*, counts: bool) -> None:
    came, steps = ask(below(STUDIES, counts=counts), Level.SERIES, lambda one: window_answer(one, STUDIES))
    assert came == list(STUDIES.values())
    assert steps == ([1] if counts else [3])


def test_a_study_that_a_list_left_short_is_asked_for_alone() -> None:
    def short(request: Request) -> pa.Table:
        table = window_answer(request, STUDIES)
        return table if table.num_rows <= 3 else table.slice(0, table.num_rows - 2)

    came, steps = ask(below(STUDIES), Level.SERIES, short)
    assert came == list(STUDIES.values())
    assert steps == [1, 1]
    flow = ask_in_lists(below(STUDIES), Level.SERIES)
    (listed,) = next(flow)
    (alone,) = flow.send([short(listed)])
    with pytest.raises(StopIteration) as end:
        flow.send([short(alone)])
    assert end.value.value.short == 1


def test_a_node_that_gives_what_was_not_in_the_list_is_asked_study_by_study() -> None:
    def everything(request: Request) -> pa.Table:
        return window_answer(request, STUDIES) if "\\" not in request.value("StudyInstanceUID") else all_of_it

    all_of_it = window_answer(Request(level=Level.SERIES, keys=(("StudyInstanceUID", "\\".join(STUDIES)),)), STUDIES)
    some = dict(list(STUDIES.items())[:20])
    came, steps = ask(below(some), Level.SERIES, everything)
    assert came == list(some.values())
    assert steps == [1, 20]


@pytest.mark.parametrize(("heeds_last", "steps"), [(True, [1, 1]), (False, [1, 1, 9])])
def test_of_studies_without_an_answer_to_further_keys_one_is_asked_for_alone(
    steps: list[int], *, heeds_last: bool
) -> None:
    held = {uid: series if number < 10 else [] for number, (uid, series) in enumerate(STUDIES.items())}
    hidden = {f"1.{number}": ["9"] for number in range(10, 20)}

    def some_only(request: Request) -> pa.Table:
        is_list = "\\" in request.value("StudyInstanceUID")
        return window_answer(request, held if is_list or heeds_last else {**held, **hidden})

    asked = below(dict(list(held.items())[:20]), Modality="SR")
    came, taken = ask(asked, Level.SERIES, some_only)
    assert came == [*list(held.values())[:10], *([[]] if heeds_last else [["9"]]) * 10]
    assert taken == steps


def test_images_are_listed_where_their_series_count_them_and_a_first_list_shows_that_it_works() -> None:
    def below_series(number: int, count: int | None) -> Asked:
        keys = (("StudyInstanceUID", f"1.{number // 4}"), ("SeriesInstanceUID", f"2.{number}"))
        row = {"NumberOfSeriesRelatedInstances": count}
        return Parent(keys, row), Request(level=Level.IMAGE, keys=keys)

    def images(request: Request, most: int = 99) -> pa.Table:
        series = request.value("SeriesInstanceUID").split("\\")[:most]
        rows = [{"SeriesInstanceUID": uid, "SOPInstanceUID": f"{uid}.{one}"} for uid in series for one in range(90)]
        names = pa.schema([("SeriesInstanceUID", pa.string()), ("SOPInstanceUID", pa.string())])
        return pa.Table.from_pylist(rows, schema=names)

    def first_alone(request: Request) -> pa.Table:
        return images(request, most=1 - ("\\" in request.value("SeriesInstanceUID")))

    asked = [below_series(number, 90) for number in range(7)] + [below_series(7, None)]
    expected = [[f"2.{number}"] * 90 for number in range(8)]
    assert ask(asked, Level.IMAGE, images) == (expected, [1, 2, 2])
    assert ask(asked, Level.IMAGE, first_alone) == (expected, [1, 8])
