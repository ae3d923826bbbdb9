"""What recurs, in the state: claimed once, missed runs made up for, overlapping ones refused and listed."""

from datetime import UTC, datetime

import pytest

from qrkit.errors import InputError, NotFound
from qrkit.recurrence import parse_recurrence
from qrkit.store.schedules import NewSchedule, ScheduleTable
from qrkit.store.state import State
from tests.store.conftest import Clock

NODES = ("pacs",)


@pytest.fixture
def table(state: State, clock: Clock) -> ScheduleTable:
    clock.moment = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
    return ScheduleTable(state)


def nightly(name: str = "night") -> NewSchedule:
    return NewSchedule(
        name=name,
        node="pacs",
        kind="query",
        what={"date": "yesterday"},
        recurrence=parse_recurrence("daily at 02:00"),
        retrieve={},
        user="me",
    )


def test_a_schedule_is_claimed_once_when_it_is_due(table: ScheduleTable, clock: Clock) -> None:
    table.add(nightly())
    assert table.claim("w", NODES) is None
    clock.turn_on(3_600)
    assert table.claim("w", ("other",)) is None
    claimed = table.claim("w", NODES)
    assert claimed is not None
    schedule, run = claimed
    assert (schedule.name, run.state, run.missed) == ("night", "running", 0)
    assert table.claim("w2", NODES) is None
    assert table.get("night").next_due == "2026-03-02T02:00:00.000000+00:00"


def test_a_clock_that_was_wrong_keeps_no_schedule_waiting(table: ScheduleTable, clock: Clock) -> None:
    clock.turn_on(10 * 86_400)
    table.add(nightly())
    clock.turn_on(-10 * 86_400)
    table.correct_due()
    assert table.get("night").next_due == "2026-03-01T02:00:00.000000+00:00"


def test_of_several_missed_runs_one_is_made(table: ScheduleTable, clock: Clock) -> None:
    table.add(nightly())
    clock.turn_on(3 * 86_400 + 7_200)
    claimed = table.claim("w", NODES)
    assert claimed is not None
    assert claimed[1].missed == 3
    assert table.claim("w", NODES) is None


def test_an_overlapping_run_is_refused_and_listed(table: ScheduleTable, clock: Clock) -> None:
    table.add(nightly())
    clock.turn_on(3_600)
    first = table.claim("w", NODES)
    clock.turn_on(1 * 86_400)
    second = table.claim("w", NODES)
    assert first is not None
    assert second is not None
    assert (second[1].state, second[1].error) == ("refused", f"Run {first[1].run_id} was still under way.")
    table.finish(first[1].run_id, "complete")
    clock.turn_on(1 * 86_400)
    third = table.claim("w", NODES)
    assert third is not None
    assert [run.state for run in table.runs("night")] == ["running", "refused", "complete"]


def test_a_paused_schedule_is_not_due_and_a_removed_one_is_gone(table: ScheduleTable, clock: Clock) -> None:
    table.add(nightly())
    with pytest.raises(InputError, match="already"):
        table.add(nightly())
    table.pause("night")
    clock.turn_on(2 * 86_400)
    assert table.claim("w", NODES) is None
    table.resume("night")
    assert table.claim("w", NODES) is None  # what it missed while it was paused was meant to be left out
    table.run_now("night")
    assert table.claim("w", NODES) is not None
    table.remove("night")
    with pytest.raises(NotFound, match="no schedule 'night'"):
        table.get("night")
    table.add(nightly())
    assert table.runs("night") == ()


def test_a_run_of_a_dead_worker_is_made_again_but_not_for_ever(table: ScheduleTable, clock: Clock) -> None:
    table.add(nightly())
    clock.turn_on(3_600)
    assert table.claim("dead", NODES) is not None
    assert table.interrupt_orphans(["dead"]) == 0
    assert table.interrupt_orphans(["alive"]) == 1
    assert table.claim("dead", NODES) is not None
    assert table.interrupt_orphans(["alive"]) == 1
    assert table.claim("dead", NODES) is None
    assert [run.state for run in table.runs("night")] == ["interrupted", "interrupted"]
    clock.turn_on(1 * 86_400)
    claimed = table.claim("dead", NODES)
    assert claimed is not None
    table.note(claimed[1].run_id, job_id="a job goes on without its worker")
    assert table.interrupt_orphans(["alive"]) == 0
