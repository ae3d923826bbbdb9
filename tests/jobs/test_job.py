"""Jobs as values: what may be asked for, and what becomes of a job from its items."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, RetrieveRequest, job_state, job_to_json, outcome
from qrkit.node import Method
from qrkit.tables import Level


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"level": "PATIENT"}, "'PATIENT' is not a valid retrieve level"),
        ({"level": "STUDY", "StudyInstanceUID": ""}, "'' is not a valid UID in a STUDY retrieve"),
        ({"level": "STUDY", "StudyInstanceUID": "../x"}, "'../x' is not a valid UID"),
        ({"level": "SERIES"}, "'' is not a valid UID"),
        ({"level": "IMAGE", "SeriesInstanceUID": "1.3"}, "at least one SOPInstanceUID"),
        ({"level": "IMAGE", "SeriesInstanceUID": "1.3", "sop_instance_uids": ("1.4", "x")}, "'x' is not a valid UID"),
        ({"level": "IMAGE", "sop_instance_uids": ("1.4",)}, "'' is not a valid UID"),
    ],
)
def test_a_request_that_cannot_be_made_says_why(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RetrieveRequest(**({"StudyInstanceUID": "1.2"} | values))


def test_requests_of_each_level_can_be_made() -> None:
    RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
    RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    RetrieveRequest(level=Level.IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.3", sop_instance_uids=("1.4",))


COMPLETE, PARTIAL, FAILED, CANCELLED, RUNNING, QUEUED = (
    JobState.COMPLETE,
    JobState.PARTIAL,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.RUNNING,
    JobState.QUEUED,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], COMPLETE),
        ([COMPLETE, COMPLETE], COMPLETE),
        ([FAILED, FAILED], FAILED),
        ([CANCELLED, CANCELLED], CANCELLED),
        ([COMPLETE, FAILED], PARTIAL),
        ([PARTIAL, FAILED], PARTIAL),
        ([COMPLETE, CANCELLED], CANCELLED),
        ([FAILED, CANCELLED], CANCELLED),
        ([QUEUED, QUEUED], QUEUED),
        ([QUEUED, RUNNING], RUNNING),
        ([COMPLETE, QUEUED], RUNNING),
    ],
)
def test_the_state_of_a_job_follows_from_its_items(states: list[JobState], expected: JobState) -> None:
    assert job_state([ItemOutcome(state=state) for state in states]) is expected


@given(st.lists(st.sampled_from(JobState), min_size=1))
def test_a_job_is_complete_only_if_every_item_is_and_final_only_then(states: list[JobState]) -> None:
    state = job_state([ItemOutcome(state=item) for item in states])
    assert (state is COMPLETE) == all(item is COMPLETE for item in states)
    assert state.is_final == all(item.is_final for item in states)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"expected": ["1", "2"], "stored": {"1", "2"}}, COMPLETE),
        ({"expected": ["1", "2"], "stored": {"1", "2", "3"}}, COMPLETE),
        ({"expected": ["1"], "stored": {"1"}, "error": "aborted"}, COMPLETE),
        ({"expected": ["1"], "stored": {"1"}, "cancelled": True}, COMPLETE),
        ({"expected": ["1", "2"], "stored": {"1"}}, PARTIAL),
        ({"expected": ["1", "2"], "stored": {"1"}, "cancelled": True}, CANCELLED),
        ({"expected": ["1"], "stored": set()}, FAILED),
        ({"expected": [], "stored": set()}, FAILED),
        ({"expected": None, "stored": {"1"}}, COMPLETE),
        ({"expected": None, "stored": {"1"}, "error": "0xB000"}, PARTIAL),
        ({"expected": None, "stored": set()}, FAILED),
    ],
)
def test_the_state_of_an_item_is_what_is_stored_against_what_was_expected(
    values: dict[str, Any], expected: JobState
) -> None:
    assert outcome(**values) is expected


uid_sets = st.sets(st.integers(0, 5).map(str))


@given(expected=uid_sets, stored=uid_sets, cancelled=st.booleans())
def test_an_item_with_a_missing_object_is_never_complete(
    expected: set[str], stored: set[str], *, cancelled: bool
) -> None:
    state = outcome(expected=sorted(expected), stored=stored, cancelled=cancelled)
    if expected - stored:
        assert state is not COMPLETE


def test_a_job_is_printed_as_json() -> None:
    item = ItemRow(
        item_id=1,
        job_id="j",
        position=0,
        request=RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2"),
        outcome=ItemOutcome(
            state=PARTIAL, expected=2, stored=1, missing=("1.4",), received=1, bytes=10, error="lost"
        ),
    )
    job = JobRow(
        job_id="j",
        node="pacs",
        method=Method.GET,
        destination="",
        user="anna",
        source="",
        state=PARTIAL,
        created="2026-01-01T00:00:00Z",
        expected=2,
        stored=1,
        bytes=10,
        items=(item,),
    )
    assert repr(job) == "Job j: partial, 1 of 2 objects stored"
    assert (
        repr(replace(job, stored=2, state=COMPLETE, proven=True)) == "Job j: complete, 2 of 2 objects stored, proven"
    )
    printed = json.loads(json.dumps(job_to_json(job)))
    assert printed["state"] == "partial"
    assert (printed["expected"], printed["stored"], printed["bytes"]) == (2, 1, 10)
    assert printed["items"][0]["missing"] == ["1.4"]
    assert printed["items"][0]["SeriesInstanceUID"] is None
