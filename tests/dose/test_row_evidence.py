"""What the row of a study shows of its reports: it may add a class or a modality, and excludes none by itself."""

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from qrkit.dose import (
    AnswerCache,
    Need,
    NeedKind,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    from_table,
    study_rows,
    to_table,
)
from tests.dose.world import (
    CAPTURE,
    CT,
    ESR,
    MG,
    NM,
    PET,
    RDSR,
    REPORT,
    RRDSR,
    UID,
    Series,
    World,
    kept,
    one,
    policy_of,
    world_of,
)

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax 1.0")
WHOLE = ("SERIES", ())


def named(world: World, *classes: str, modalities: str | None = None) -> World:
    """The same world, whose study row names these classes, and these modalities."""
    row, series = world.studies[UID]
    codes = row.ModalitiesInStudy if modalities is None else frozenset(modalities.split())
    return World({UID: (replace(row, SOPClassesInStudy=frozenset(classes), ModalitiesInStudy=codes), series)})


@pytest.mark.parametrize(("group", "code", "image"), [("CT", "CT", CT), ("FL", "XA", CT), ("MG", "MG", MG)])
@pytest.mark.parametrize("others", [(), (REPORT,)], ids=["only the image class", "with another report"])
def test_a_row_that_names_one_class_of_many_hides_no_dose_report(
    group: str, code: str, image: str, others: tuple[str, ...]
) -> None:
    world = named(
        world_of(Series(modality=code, classes=(image,) * 9), Series(modality="SR", classes=(RDSR,))), image
    )
    assert kept(named(world, image, *others).judge(policy_of(group))) == {"2": WHOLE}


@pytest.mark.parametrize(("code", "image"), [("PT", PET), ("NM", NM)])
def test_a_row_that_names_only_the_report_hides_no_nuclear_image(code: str, image: str) -> None:
    world = world_of(Series(modality=code, classes=(image,) * 3), Series(modality="SR", classes=(REPORT,)))
    assert set(kept(named(world, REPORT).judge(policy_of("NM")))) == {"1"}


def test_a_row_excludes_a_report_where_a_probe_has_shown_that_it_names_all_classes() -> None:
    world = named(world_of(IMAGES, Series(modality="SR", classes=(REPORT,))), CT, REPORT)
    item = one(world.judge(replace(policy_of("CT"), names_all_classes=True)))
    assert (item.decision.rule, world.asked) == ("CT rules", [Need(NeedKind.SERIES, UID)])


def test_modalities_with_sr_contradict_a_row_without_a_class_of_reports() -> None:
    world = named(world_of(Series(modality="XA", classes=(CT,)), Series(modality="SR", classes=(RDSR,))), CT)
    assert kept(world.judge(replace(policy_of("FL"), names_all_classes=True))) == {"2": WHOLE}


def test_a_study_whose_classes_contradict_its_modalities_is_judged_by_its_series() -> None:
    world = named(world_of(IMAGES, Series(modality="SR", classes=(RDSR,))), CT, RDSR, modalities="MR SR")
    item = one(world.judge(policy_of("CT")))
    assert (item.group, kept([item])) == ("CT", {"2": WHOLE})
    not_requested = named(world_of(IMAGES), CT, modalities="MR")
    assert one(not_requested.judge(policy_of("MG"))).decision.rule == "modality"
    assert not_requested.asked == []


def test_modalities_that_contradict_the_whole_list_of_series_hide_no_study_of_only_reports() -> None:
    world = named(world_of(Series(modality="SR", classes=(RDSR,))), RDSR, modalities="CT SR")
    row, series = world.studies[UID]
    counted = World({UID: (replace(row, series_count=1), series)})
    assert kept(counted.judge(policy_of(sr_only=True))) == {"1": WHOLE}
    assert one(world.judge(policy_of(sr_only=True))).decision.rule == "SR only"


@pytest.mark.parametrize("modality", ["CT", "OT", "DOC"])
@pytest.mark.parametrize(
    ("group", "code", "image", "report"),
    [
        ("CT", "CT", CT, RDSR),
        ("CT", "CT", CT, ESR),
        ("FL", "XA", CT, RDSR),
        ("MG", "MG", MG, RDSR),
        ("NM", "NM", NM, RRDSR),
    ],
)
def test_a_report_whose_class_is_named_is_found_in_a_series_of_another_modality(
    group: str, code: str, image: str, report: str, modality: str
) -> None:
    images = Series(modality=code, classes=(image,) * 40, description="x")
    world = named(world_of(images, Series(modality=modality, classes=(report,))), image, report)
    items = world.judge(policy_of(group))
    assert kept(items)["2"] == WHOLE
    images_too = (group, modality) == ("MG", "CT")  # the report may be of the CT
    assert set(kept(items)) == ({"1", "2"} if images_too else {"2"})
    assert Need(NeedKind.OBJECTS, UID, f"{UID}.1") not in world.asked


def test_a_report_among_the_images_of_a_large_series_is_kept_at_image_level() -> None:
    mixed = Series(modality="CT", classes=(*(CT,) * 9, RDSR), description="x")
    assert kept(named(world_of(mixed), CT, RDSR).judge(policy_of("CT"))) == {"1": ("IMAGE", (f"{UID}.1.10",))}


def test_a_study_with_a_report_in_an_sr_series_is_not_searched_further() -> None:
    world = named(
        world_of(IMAGES, Series(modality="SR", classes=(RDSR,)), Series(modality="OT", classes=(CT,))), RDSR
    )
    assert kept(world.judge(policy_of("CT"))) == {"2": WHOLE}
    assert {need.kind for need in world.asked} == {NeedKind.SR_SERIES}


def test_two_dose_reports_of_one_study_are_both_kept() -> None:
    reports = [Series(modality="SR", classes=(RDSR,)), Series(modality="SR", classes=(RDSR, RDSR))]
    assert kept(world_of(IMAGES, *reports).judge(policy_of("CT"))) == {"2": WHOLE, "3": WHOLE}


def test_as_many_series_do_not_prove_that_an_answer_still_holds() -> None:
    now = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - in UTC, as it is kept
    study = StudyRow(StudyInstanceUID="1", StudyDate="20260630", series_count=2)
    need = Need(NeedKind.SERIES, "1")
    known = from_table(to_table({need: SeriesAnswer()}, {"1": study}, now))

    def holds(row: StudyRow, **later: int) -> bool:
        return bool(AnswerCache(known, {"1": row}, now=now + timedelta(**later)).recall([need]))

    assert holds(study, minutes=30)
    assert not holds(study, minutes=61)
    assert not holds(replace(study, series_count=3), minutes=1)


def test_an_answer_on_a_held_series_holds_only_while_instances_are_counted() -> None:
    now = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - in UTC, as it is kept
    need = Need(NeedKind.OBJECTS, "1", "1.1")
    for study in (StudyRow(StudyInstanceUID="1"), StudyRow(StudyInstanceUID="1", series_count=2)):
        for counted in (study, replace(study, instance_count=9)):
            known = from_table(to_table({need: ObjectsAnswer()}, {"1": counted}, now))
            later = now + timedelta(minutes=1)
            assert need in AnswerCache(known, {"1": counted}, now=later).recall([need])
            is_proven = counted.instance_count is not None
            assert (need in AnswerCache(known, {"1": counted}, now=later, held={"1.1"}).recall([need])) is is_proven


def test_a_list_with_a_held_series_holds_only_while_series_are_counted() -> None:
    now = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - in UTC, as it is kept
    need = Need(NeedKind.SERIES, "1")
    for study, is_proven in (
        (StudyRow(StudyInstanceUID="1"), False),
        (StudyRow(StudyInstanceUID="1", series_count=1), True),
    ):
        known = from_table(to_table({need: SeriesAnswer((SeriesRow("1.1", "SR"),))}, {"1": study}, now))
        cache = AnswerCache(known, {"1": study}, now=now + timedelta(minutes=1), held={"1.1"})
        assert (need in cache.recall([need])) is is_proven


# ModalitiesInStudy and Modality as they come


@pytest.mark.parametrize(
    ("text", "codes", "is_odd"),
    [
        ("CT\\SR", {"CT", "SR"}, False),
        ("CT,SR", {"CT", "SR"}, True),
        ("CT/SR", {"CT", "SR"}, True),
        ("ct\\sr", {"CT", "SR"}, True),
        ("CT;SR", {"CT", "SR"}, True),
        ("CT|SR", {"CT", "SR"}, True),
        (" 'CT' ; \"SR\" ", {"CT", "SR"}, True),
        ("['CT', 'SR']", {"CT", "SR"}, True),
        ("*", set(), False),
        ("", set(), False),
        (None, set(), False),
        ("several", set(), False),
    ],
)
def test_modalities_are_read_as_codes_however_they_are_written(
    text: str | None, codes: set[str], *, is_odd: bool
) -> None:
    table = pa.table({"StudyInstanceUID": ["1"], "ModalitiesInStudy": pa.array([text], pa.string())})
    row = study_rows(table)["1"]
    assert row.ModalitiesInStudy == codes
    assert row.has_odd_modalities is is_odd


def test_a_study_in_two_rows_has_unknown_modalities_if_those_of_a_row_are() -> None:
    table = pa.table(
        {"StudyInstanceUID": ["1", "1"], "PatientID": ["a", "b"], "ModalitiesInStudy": ["MR", "all of them"]}
    )
    assert study_rows(table)["1"].ModalitiesInStudy == frozenset()


def test_a_report_in_a_small_series_of_modality_ot_is_found_where_the_node_names_no_classes() -> None:
    other = Series(modality="OT", classes=(RDSR,))
    world = world_of(IMAGES, other)
    assert kept(world.judge(policy_of("CT"))) == {"2": WHOLE}
    with_report = world_of(IMAGES, Series(modality="SR", classes=(RDSR,)), other)
    with_report.judge(policy_of("CT"))
    assert Need(NeedKind.OBJECTS, UID, f"{UID}.3") not in with_report.asked


def test_a_large_series_of_modality_ot_is_not_asked_for() -> None:
    world = world_of(IMAGES, Series(modality="OT", classes=(CAPTURE,) * 40))
    assert kept(world.judge(policy_of("CT"))) == {}
    assert Need(NeedKind.OBJECTS, UID, f"{UID}.2") not in world.asked
