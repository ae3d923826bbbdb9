"""What holds for every archive: counts add up, nothing is without a reason, the same again, what is held is left."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.dose import PlanItem, Policy, StudyRow, count_steps, plan_tables
from tests.dose.world import (
    CAPTURE,
    CT,
    ESR,
    KEY_OBJECTS,
    NM,
    PET,
    RDSR,
    REPORT,
    RRDSR,
    Series,
    World,
    policy_of,
    with_classes,
)

Drawn = list[tuple[tuple[Series, ...], bool, str, str]]
"""Of each study its series, whether it tells its modalities, its description and its station."""

SERIES = st.builds(
    Series,
    modality=st.sampled_from(["CT", "SR", "SR", "NM", "PT", "MG", "XA", "KO", "OT", ""]),
    classes=st.lists(
        st.sampled_from([CT, RDSR, ESR, REPORT, RRDSR, PET, NM, CAPTURE, KEY_OBJECTS, ""]), max_size=4
    ).map(tuple),
    description=st.sampled_from(["", "Thorax", "Dose Info"]),
    station=st.sampled_from(["", "CT1", "CT2"]),
    number=st.none() | st.integers(1, 9),
    first=st.integers(0, 2),
    count=st.sampled_from([-1, -1, None]),
    listed=st.sampled_from([True, True, False]),
)
STUDIES = st.lists(
    st.tuples(
        st.lists(SERIES, max_size=5).map(tuple),
        st.booleans(),
        st.sampled_from(["", "CT CHEST", "imported"]),
        st.sampled_from(["", "CT1"]),
    ),
    min_size=1,
    max_size=6,
)
POLICIES = st.builds(
    policy_of,
    st.just("CT"),
    st.sampled_from(["CT", "NM"]),
    st.sampled_from(["CT", "MG", "FL", "DX"]),
    options=st.sets(st.sampled_from(["toshiba", "empty_sr"])),
    station_exclude=st.sampled_from([(), ("ct2",)]),
    station_include=st.sampled_from([(), ("ct1",)]),
    station_level=st.sampled_from(["study", "series"]),
    description_exclude=st.sampled_from([(), ("IMPORTED",)]),
    keep_blank=st.booleans(),
) | st.builds(policy_of, sr_only=st.just(True), options=st.sets(st.just("empty_sr")))


def world(drawn: Drawn, *, tells_classes: bool) -> World:
    made = World()
    for number, (series, tells, description, station) in enumerate(drawn):
        uid = f"1.2.{number}"
        codes = frozenset(one.modality for one in series if one.modality) if tells else frozenset()
        row = StudyRow(
            StudyInstanceUID=uid, ModalitiesInStudy=codes, StudyDescription=description, StationName=station
        )
        made.studies[uid] = (row, series)
    return with_classes(made) if tells_classes else made


def found(made: World) -> pa.Table:
    return pa.table({"StudyInstanceUID": list(made.studies)})


def shown(items: list[PlanItem]) -> list[tuple[object, ...]]:
    return [
        (
            item.study.StudyInstanceUID,
            item.group,
            item.decision,
            [(one.decision, one.level, one.expected) for one in item.series],
        )
        for item in items
    ]


@pytest.mark.slow
@given(drawn=STUDIES, policy=POLICIES, tells_classes=st.booleans())
def test_counts_add_up_and_every_row_has_a_reason(
    drawn: Drawn,
    policy: Policy,
    *,
    tells_classes: bool,
) -> None:
    made = world(drawn, tells_classes=tells_classes)
    items = made.judge(policy)
    tables = plan_tables(items, found(made))
    steps = count_steps(tables.studies, policy.steps())
    assert steps[0].studies == len(made.studies)
    assert steps[-1].studies == len({item.study.StudyInstanceUID for item in items if item.decision.keep})
    for before, after in pairwise(steps):
        assert before.studies - after.dropped == after.studies
    assert {item.study.StudyInstanceUID for item in items} == set(made.studies)
    for table in (tables.studies, tables.series, tables.instances):
        for rule, reason, history in zip(
            *(table[name].to_pylist() for name in ("rule", "reason", "trail")), strict=True
        ):
            assert rule
            assert reason
            assert f"{rule}: {reason}" in history
    for item in items:
        assert item.decision.keep == any(one.decision.keep for one in item.series)
        for one in item.series:
            assert one.level == ("" if not one.decision.keep else one.level)
            assert one.decision.keep == (one.level in ("SERIES", "IMAGE"))
            assert bool(one.expected) or one.level != "IMAGE"


@pytest.mark.slow
@given(drawn=STUDIES, policy=POLICIES, tells_classes=st.booleans())
def test_planning_twice_gives_the_same_and_never_asks_one_thing_twice(
    drawn: Drawn,
    policy: Policy,
    *,
    tells_classes: bool,
) -> None:
    one, other = (world(drawn, tells_classes=tells_classes) for _ in range(2))
    assert shown(one.judge(policy)) == shown(other.judge(policy))
    assert len(one.asked) == len(set(one.asked))


@pytest.mark.slow
@given(STUDIES, POLICIES, st.data())
def test_what_is_held_is_never_planned(drawn: Drawn, policy: Policy, data: st.DataObject) -> None:
    made = world(drawn, tells_classes=data.draw(st.booleans()))
    first = made.judge(policy)
    stored: dict[str, set[str]] = {}
    for uid in made.studies:
        for row, objects in made.series(uid):
            some = data.draw(st.sets(st.sampled_from([one.SOPInstanceUID for one in objects]))) if objects else set()
            if some:
                stored[row.SeriesInstanceUID] = some
    second = made.judge(policy, stored)
    before = {(item.study.StudyInstanceUID, item.group): item for item in first}
    for item in second:
        wanted = before[item.study.StudyInstanceUID, item.group]
        for old, new in zip(wanted.series, item.series, strict=True):
            here = stored.get(new.row.SeriesInstanceUID, set())
            if not new.decision.keep:
                assert old.decision == new.decision or new.decision.rule == "held"
                continue
            assert old.decision.keep
            assert not here & set(new.expected)
            if here and new.level == "SERIES":
                assert old.level == "SERIES"
                listed = {one.row.SOPInstanceUID for one in new.objects}
                assert not here & listed or not listed
