"""Keys that a node refuses: nothing else is lost, the column is named, and the next query leaves them out."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import StatusError
from qrkit.find.refused_keys import taken_keys
from qrkit.jobs import JobState
from qrkit.profile import Fill
from qrkit.simulator import Quirks
from qrkit.tables import Level
from tests.retrieve.conftest import fetch
from tests.workspace.opened import Linked, all_studies, worker_in_thread

DAY = "2026-06-30"


def run(keys: list[str], bad: set[str], limit: int = 99) -> tuple[tuple[str, ...], int]:
    """Give the keys that a node takes which refuses some of them, and more than a number; and the trials."""
    steps, trials = taken_keys(keys), 0
    try:
        tried = next(steps)
        while True:
            trials += 1
            tried = steps.send(not bad.intersection(tried) and len(tried) <= limit)
    except StopIteration as end:
        return end.value, trials


@given(st.sets(st.integers(0, 24), min_size=1, max_size=5))
def test_halves_find_exactly_the_refused_keys(bad: set[int]) -> None:
    keys = [f"key {number}" for number in range(25)]
    refused = {f"key {number}" for number in bad}
    taken, _ = run(keys, refused)
    assert list(taken) == [key for key in keys if key not in refused]


def test_one_refused_key_of_many_takes_few_trials() -> None:
    keys = [f"key {number}" for number in range(32)]
    assert max(run(keys, {key})[1] for key in keys) <= 10


def test_of_a_node_that_takes_a_number_of_keys_the_first_are_taken() -> None:
    assert run(list("abcdefgh"), set(), limit=5)[0] == tuple("abcde")


def test_a_node_that_refuses_everything_gets_a_limited_number_of_trials() -> None:
    keys = [f"key {number}" for number in range(200)]
    assert run(keys, set(keys))[0] == ()
    assert run(keys, set(keys))[1] <= 41


def test_no_key_is_refused_that_was_not_refused_by_itself() -> None:
    keys = [f"key {number}" for number in range(7)]
    assert run(keys, set())[0] == tuple(keys)
    assert run(keys[:1], set())[0] == tuple(keys[:1])


def found(linked: Linked, **what: Any) -> tuple[pd.DataFrame, dict[str, Any]]:  # noqa: ANN401 - any argument of find
    frame = linked.workspace.find("pacs", **({"date": DAY} | what))
    return frame, frame.attrs["qrkit"]["coverage"]


@pytest.mark.slow
@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0106])
@pytest.mark.parametrize("keys", [("StationName",), ("PatientName", "SOPClassesInStudy")], ids=len)
def test_a_refused_return_key_costs_its_column_alone(linked: Linked, status: int, keys: tuple[str, ...]) -> None:
    honest, _ = found(linked)
    linked.pacs.quirks = Quirks(refuse_keys=keys, refuse_keys_status=status)
    frame, coverage = found(linked)
    assert frame.drop(columns=list(keys)).equals(honest.drop(columns=list(keys)))
    assert frame[list(keys)].isna().all(axis=None)
    assert coverage["complete"]
    assert coverage["refused_keys"] == {"STUDY": list(keys)}
    assert any(note.startswith("The node refuses") and keys[0] in note for note in coverage["notes"])
    assert frame.attrs["qrkit"]["warnings"] == honest.attrs["qrkit"]["warnings"]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_keys_are_refused_at_each_level_and_the_next_query_leaves_them_out(linked: Linked, level: str) -> None:
    honest, before = found(linked, level=level)
    linked.pacs.quirks = Quirks(refuse_keys=("InstitutionName", "Rows"))
    first, coverage = found(linked, level=level)
    again, after = found(linked, level=level)
    assert len(first) == len(again) == len(honest)
    assert coverage["refused_keys"] == after["refused_keys"]
    assert after["requests"] == before["requests"]
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert profile.returns("InstitutionName", Level.SERIES).fill is Fill.REFUSED
    assert profile.from_json(profile.to_json()).refused_keys == profile.refused_keys
    assert "refused" in profile.card().html()


def test_no_row_is_asked_for_more_than_three_times_to_find_a_refused_key(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(refuse_keys=("StationName",))
    frame, _ = found(linked)
    assert sum(one.answers for one in linked.pacs.requests) <= 2 * len(frame) + 10


@pytest.mark.slow
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_a_matching_key_that_is_refused_is_matched_here(linked: Linked, level: str) -> None:
    honest, _ = found(linked, level=level, modalities=["CT"])
    linked.pacs.quirks = Quirks(refuse_keys=("ModalitiesInStudy",))
    frame, coverage = found(linked, level=level, modalities=["CT"])
    unique = "StudyInstanceUID" if level == "STUDY" else "SeriesInstanceUID"
    assert set(frame[unique]) == set(honest[unique])
    assert coverage["complete"]
    assert coverage["ignored"] == ["ModalitiesInStudy: the node refuses it, so it was matched here"]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
@pytest.mark.parametrize("keyword", ["StationName", "IssuerOfPatientID"])
def test_a_matching_key_that_is_known_as_refused_costs_no_other_column(
    linked: Linked, level: str, keyword: str
) -> None:
    linked.pacs.quirks = Quirks(refuse_keys=("StationName", "IssuerOfPatientID"))
    _, before = found(linked, level=level)
    frame, coverage = found(linked, level=level, **{keyword: "CT99"})
    by_level = [{at: sorted(keys) for at, keys in one["refused_keys"].items()} for one in (coverage, before)]
    assert by_level[0] == by_level[1]
    assert frame["InstanceAvailability"].notna().all()
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert {key for keys in profile.refused_keys.values() for key in keys} == {"StationName", "IssuerOfPatientID"}


@pytest.mark.slow
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
@pytest.mark.parametrize("what", [{"IssuerOfPatientID": "X"}, {"StationName": "CT99", "blank": "drop"}], ids=str)
def test_a_filter_that_ran_nowhere_leaves_the_answer_unproven(
    linked: Linked, level: str, what: dict[str, str]
) -> None:
    linked.pacs.quirks = Quirks(refuse_keys=("StationName", "IssuerOfPatientID"))
    keyword = next(iter(what))
    for _ in range(2):  # the second time, the keys are known as refused
        _, coverage = found(linked, level=level, **what)
        (report,) = [one for one in coverage["filters"] if one["filter"] == keyword]
        assert (report["where"], report["before"]) == ("none", report["after"])
        assert not coverage["complete"]
        assert coverage["why"][0].startswith(f"the filter {keyword} could not be applied: the node does not match it")
        assert coverage["ignored"] == [f"{keyword}: the node refuses it"]


@pytest.mark.slow
@pytest.mark.parametrize("blank", ["keep", "drop"])
def test_a_filter_of_a_refused_column_leaves_the_answer_unproven(linked: Linked, blank: str) -> None:
    linked.pacs.quirks = Quirks(refuse_keys=("StudyDescription",))
    frame, coverage = found(linked, description_include="chest", blank=blank)
    assert (len(frame) > 0, coverage["complete"]) == (blank == "keep", False)
    assert coverage["why"][0].startswith("the filter description include could not be applied")


def test_a_refused_matching_key_without_dates_does_not_ask_for_the_archive(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(refuse_keys=("StudyDescription",))
    with pytest.raises(StatusError, match="0xA900"):
        linked.workspace.find("pacs", StudyDescription="X")
    assert sum(one.answers for one in linked.pacs.requests) == 0


def test_a_node_that_refuses_every_query_is_asked_a_few_times_and_told_as_before(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC001, find_comment="index is rebuilt")
    with pytest.raises(StatusError, match="index is rebuilt"):
        found(linked)
    assert len(linked.pacs.requests) <= 3


@pytest.mark.slow
def test_a_plan_a_probe_and_a_retrieve_do_without_refused_keys(linked: Linked) -> None:
    workspace = linked.workspace
    keys = ("StationName", "NumberOfSeriesRelatedInstances")
    honest = workspace.plan("pacs", dose=["CT", "MG"], date=DAY)
    linked.pacs.quirks = Quirks(refuse_keys=keys)
    plan = workspace.plan("pacs", dose=["CT", "MG"], date=DAY, refresh=True)
    assert plan.coverage.why == ()
    assert list(plan.studies["keep"]) == list(honest.studies["keep"])
    assert [level for level, _ in plan.coverage.refused_keys] == ["STUDY", "SERIES"]
    assert any("StationName" in note for note in plan.notes)
    probed = workspace.probe("pacs")
    assert probed.returns("StationName", Level.STUDY).fill is Fill.REFUSED
    assert sum(one.verdict.value != "unknown" for one in probed.statements) > 12
    with worker_in_thread(workspace):
        job = fetch(linked, all_studies(linked.hospital)[0])
    assert (job.state, job.stored) == (JobState.COMPLETE, job.expected)
