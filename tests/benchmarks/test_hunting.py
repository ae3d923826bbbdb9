"""What the hunts call a fault."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.hunting import Answer, Case, Truth, bounded, compared, errors_are_faults
from benchmarks.hunting_retrieves import judge_item
from qrkit.jobs import ItemOutcome, JobState
from qrkit.simulator import Quirks, small_hospital

CASE = Case(number=0, quirks=Quirks(), is_probed=False, model="study-root", plan=False, what={"level": "STUDY"})
ALL = Answer(rows=frozenset({"1.1", "1.2"}), coverage={"complete": True, "filters": []})
TRUTH = Truth(small_hospital(studies=0, days=0))


@pytest.mark.parametrize(
    ("came", "word", "is_fault"),
    [
        ({}, "all, complete", False),
        ({"rows": frozenset({"1.1"})}, "MISSING", True),
        ({"rows": frozenset({"1.1"}), "nameless": 1}, "all, some without a unique key", False),
        ({"rows": frozenset(), "coverage": {"complete": False}}, "missing, and reported", False),
        ({"rows": frozenset({"1.1", "1.2", "1.3"})}, "MORE", True),
    ],
)
def test_rows_that_are_missing_are_a_fault_unless_that_is_reported(
    came: dict[str, Any], word: str, *, is_fault: bool
) -> None:
    told, fault = compared(CASE, ALL, replace(ALL, **came), TRUTH)
    assert (told, bool(fault)) == (word, is_fault)


@pytest.mark.parametrize(
    ("outcome", "here", "word", "is_fault"),
    [
        ({"state": JobState.COMPLETE, "proven": True}, 5, "complete", False),
        ({"state": JobState.COMPLETE, "proven": True}, 4, "MISSING", True),
        ({"state": JobState.COMPLETE, "proven": False}, 5, "UNPROVEN without a reason", True),
        ({"state": JobState.COMPLETE, "proven": False, "why": ("x",)}, 4, "missing, unproven", False),
        ({"state": JobState.PARTIAL}, 4, "NO ERROR", True),
        ({"state": JobState.PARTIAL, "error": "x"}, 4, "missing, partial", False),
        ({"state": JobState.PARTIAL, "error": "x"}, 5, "too cautious, partial", False),
    ],
)
def test_objects_that_are_missing_are_a_fault_unless_that_is_reported(
    outcome: dict[str, Any], here: int, word: str, *, is_fault: bool
) -> None:
    told, fault = judge_item(ItemOutcome(**outcome), 5, here)
    assert (told, bool(fault)) == (word, is_fault)


def test_an_error_of_another_kind_and_a_request_without_an_end_are_faults() -> None:
    def fails() -> tuple[str, str]:
        raise ZeroDivisionError

    assert bounded(fails, 20.0)[0] == "EXCEPTION"
    with errors_are_faults() as logged:
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
    assert "ZeroDivisionError" in logged[0]
    is_over = threading.Event()

    def hangs() -> tuple[str, str]:
        while not is_over.wait(0.01):
            time.sleep(0)
        return "all, complete", ""

    timer = threading.Timer(0.1, is_over.set)
    timer.start()
    word, fault = bounded(hangs, 0.05)
    timer.join()
    assert (word, "in hangs" in fault) == ("HANG", True)
