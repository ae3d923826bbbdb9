"""Plans from nodes that omit what a plan needs to know: no study is lost in silence."""

import pytest

from qrkit.dose import Plan
from qrkit.simulator import Quirks
from tests.workspace.opened import Linked, StartSimulator, link

GROUPS = ("CT", "MG", "FL", "DX", "NM")


def plan_of(linked: Linked, node: str, *groups: str) -> Plan:
    return linked.workspace.plan(node, groups, date=("2026-06-19", "2026-06-30"))


def kept_studies(plan: Plan) -> set[tuple[str, str]]:
    """The StudyInstanceUID and group of each study that the plan keeps."""
    kept = plan.studies[plan.studies["keep"]]
    return set(zip(kept["StudyInstanceUID"], kept["group"], strict=True))


def kept_series(plan: Plan) -> set[str]:
    return set(plan.series[plan.series["keep"]]["SeriesInstanceUID"])


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(no_sop_class=True),
        Quirks(count_less=1),
        Quirks(missing_modality=True),
        Quirks(omit_keys=("Modality",)),
        Quirks(omit_keys=("Modality", "SOPClassesInStudy")),
        Quirks(add_to_numbers=40),
    ],
    ids=["no SOP Class", "counts too low", "blank Modality", "no Modality", "no Modality, no classes", "no image 1"],
)
def test_a_node_that_omits_what_a_plan_needs_loses_no_study(
    linked: Linked, start_simulator: StartSimulator, quirks: Quirks
) -> None:
    link(linked.workspace, start_simulator(linked.hospital, quirks=quirks), "omits")
    honest, other = plan_of(linked, "pacs", *GROUPS), plan_of(linked, "omits", *GROUPS)
    assert kept_studies(honest) <= kept_studies(other)
    assert kept_series(honest) <= kept_series(other)
    assert other.notes == ()


@pytest.mark.parametrize("every", [5, 7])
@pytest.mark.parametrize("associations", [1, 2])
def test_a_plan_repeats_what_a_node_breaks_off_now_and_then(
    linked: Linked, start_simulator: StartSimulator, every: int, associations: int
) -> None:
    pacs = start_simulator(linked.hospital, quirks=Quirks(find_abort_every=every))
    link(linked.workspace, pacs, "breaks", associations=associations)
    honest, other = plan_of(linked, "pacs", *GROUPS), plan_of(linked, "breaks", *GROUPS)
    assert other.coverage.why == ()
    assert kept_studies(honest) == kept_studies(other)
    assert kept_series(honest) == kept_series(other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(one_class_in_study=True),
        Quirks(report_modality="OT"),
        Quirks(report_modality="OT", ignore_keys=("ModalitiesInStudy",)),
        Quirks(modalities_text="/"),
        Quirks(modalities_text="*"),
    ],
    ids=["one class of many", "reports as OT", "reports as OT, key ignored", "CT/SR", "any"],
)
@pytest.mark.parametrize("is_probed", [False, True], ids=["", "probed"])
def test_a_node_whose_rows_show_a_part_or_something_else_loses_no_study(
    linked: Linked, start_simulator: StartSimulator, quirks: Quirks, *, is_probed: bool
) -> None:
    link(linked.workspace, start_simulator(linked.hospital, quirks=quirks), "odd")
    if is_probed:
        linked.workspace.probe("odd")
    honest, other = plan_of(linked, "pacs", *GROUPS), plan_of(linked, "odd", *GROUPS)
    assert any("ModalitiesInStudy of" in note for note in other.notes) is bool(quirks.modalities_text)
    assert kept_studies(honest) <= kept_studies(other)
    assert kept_series(honest) <= kept_series(other)


@pytest.mark.slow
def test_a_node_that_matches_no_study_by_its_modalities_is_found_out(
    linked: Linked, start_simulator: StartSimulator
) -> None:
    link(linked.workspace, start_simulator(linked.hospital, quirks=Quirks(no_match_by_modalities=True)), "odd")
    honest, other = plan_of(linked, "pacs", "CT"), plan_of(linked, "odd", "CT")
    assert kept_series(honest) == kept_series(other) != set()
    assert other.notes == ("The node returns no study by ModalitiesInStudy, so all studies were queried.",)


def test_a_day_without_studies_of_a_group_costs_one_query_more_and_shows_no_others(linked: Linked) -> None:
    days = ("2026-06-30", "2026-06-30")
    plan = linked.workspace.plan("pacs", "NM", date=days, description_include="no such", blank="drop")
    empty = linked.workspace.plan("pacs", "NM", date=days, patient_id="NOBODY")
    assert (len(empty.studies), empty.coverage["complete"], empty.notes) == (0, True, ())
    assert plan.funnel[-1].studies == 0
