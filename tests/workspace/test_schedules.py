"""What recurs: asked by the worker, new objects fetched, told with query, plan and job."""

import datetime as dt
import re
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from qrkit.errors import InputError, NotFound
from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.store.schema import schedules
from qrkit.store.state import as_text
from qrkit.tables import Level
from tests.cli.commands import Here
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, files_of, worker_in_thread

LIMIT = 60.0


def ended(linked: Linked, name: str, count: int) -> list[str]:
    """Wait until a schedule has so many runs that have ended; give their states, newest first."""
    runs = linked.workspace.schedules.runs
    wait_until(lambda: len(runs(name)) == count and "running" not in set(runs(name)["state"]), LIMIT)
    return list(runs(name)["state"])


@pytest.mark.slow
def test_a_query_recurs_and_only_what_is_new_is_fetched(linked: Linked) -> None:
    workspace = linked.workspace
    workspace.schedules.add(
        "series", "pacs", every="hourly", level="SERIES", modalities="SR", date=("2026-06-29", "2026-06-30")
    )
    with worker_in_thread(workspace):
        assert list(workspace.schedules.unattended) == []
        workspace.schedules.run("series")
        assert ended(linked, "series", 1) == ["complete"]
        fetched = files_of(workspace)
        assert fetched
        workspace.schedules.run("series")
        assert ended(linked, "series", 2) == ["complete"] * 2
        workspace.nodes.edit("pacs", sites="elsewhere")
        assert list(workspace.schedules.unattended) == ["series"]
    workspace.nodes.edit("pacs", sites="")
    with workspace._state.transaction() as connection:  # as if it had been due while no worker ran
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        connection.execute(schedules.update().values(next_due=as_text(hour - timedelta(hours=3))))
    with worker_in_thread(workspace):
        assert ended(linked, "series", 3) == ["complete"] * 3
    made_up, *runs_before = workspace.schedules.runs("series")["missed"]
    assert made_up in (3, 4)  # the hour may have struck meanwhile
    assert runs_before == [0, 0]
    assert workspace.schedules["series"].next_due > as_text(datetime.now(UTC))
    runs = workspace.schedules.runs("series")[1:]
    jobs = [workspace.jobs[str(job_id)].status for job_id in runs["job_id"]]
    assert [job.received for job in jobs] == [0, len(fetched)]
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    assert [workspace.queries.show(str(query_id)).state for query_id in runs["query_id"]] == ["done"] * 2
    assert (runs["found"] > 0).all()
    assert runs["found"].dtype == "Int64"
    assert workspace.schedules.list()["last_state"].tolist() == ["complete"]


@pytest.mark.slow
def test_a_dose_plan_recurs_and_plans_only_what_is_new(linked: Linked) -> None:
    workspace = linked.workspace
    workspace.schedules.add("dose", "pacs", every="daily at 02:00", dose="CT", date=("2026-06-29", "2026-06-30"))
    with worker_in_thread(workspace):
        for count in (1, 2):
            workspace.schedules.run("dose")
            assert ended(linked, "dose", count)[0] in ("complete", "partial")
    runs = workspace.schedules.runs("dose")
    assert runs["plan_id"].notna().all()
    assert runs["found"].iloc[1] > 0
    assert runs["found"].iloc[0] == 0
    assert runs["job_id"].notna().tolist() == [False, True]


@pytest.mark.slow
def test_an_earlier_query_recurs_with_another_date(linked: Linked) -> None:
    workspace = linked.workspace
    first = workspace.find("pacs", modalities="CT", date="2026-06-30")
    query_id = first.attrs["qrkit"]["query_id"]
    workspace.schedules.add("again", "pacs", every="hourly", retrieve=False, query=query_id)
    workspace.schedules.add("dated", "pacs", every="hourly", retrieve=False, query=query_id, date="yesterday")
    with worker_in_thread(workspace):
        for name in ("again", "dated"):
            workspace.schedules.run(name)
            ended(linked, name, 1)
    assert workspace.schedules.runs("again")["found"].iloc[0] == len(first)
    assert workspace.schedules.runs("dated")["found"].iloc[0] == 0
    assert files_of(workspace) == set()


@pytest.mark.slow
def test_a_node_that_fails_is_told_with_the_run(linked: Linked) -> None:
    linked.workspace.schedules.add("fails", "pacs", every="hourly", date="yesterday")
    linked.pacs.quirks = Quirks(find_status=0xA700)
    with worker_in_thread(linked.workspace):
        linked.workspace.schedules.run("fails")
        assert ended(linked, "fails", 1) == ["failed"]
    assert "0xA700" in linked.workspace.schedules.runs("fails")["error"].iloc[0]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"every": "sometimes"}, "not a recurrence"),
        ({"every": "daily", "zone": "Mars"}, "not a time zone"),
        ({"every": "daily", "date": "someday"}, "is not a date"),
        ({"every": "daily", "dose": "XX"}, "XX"),
        ({"every": "daily", "NoKeyword": "1"}, "NoKeyword"),
        ({"every": "monthly"}, "without a date covers the whole archive"),
        ({"every": "daily", "modalities": "CT", "patient_id": "Q*"}, "such as last 7 days"),
    ],
)
def test_what_would_be_wrong_each_night_is_said_at_once(linked: Linked, what: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        linked.workspace.schedules.add("wrong", "pacs", **what)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        linked.workspace.schedules.add("wrong", "nowhere", every="daily")
    assert linked.workspace.schedules.list().empty


@pytest.mark.slow
def test_the_command_line_has_it_all(
    linked: Linked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Here(linked.workspace, monkeypatch, capfd)
    added = here(
        "schedule", "add", "night", "pacs", "--every", "daily at 2:00", "--zone", "Europe/Berlin",
        "--modality", "CT", "--date", "last 7 days", "--no-retrieve",
    )  # fmt: skip
    assert added.status == 0, added.err
    assert " 02:00:00." in added.err  # by the clock of its zone, not by UTC
    assert (
        "No permanent worker is running for 1 schedule, so it does not start at its times. Start one: qrkit serve"
        in added.err
    )
    assert re.search(r"\b02:00:00\b", here("schedule", "list").out)
    assert repr(linked.workspace.schedules) == "<Schedules: night>"
    (listed,) = here("schedule", "list", "--format", "json").json
    assert (listed["name"], listed["every"], listed["zone"]) == ("night", "daily at 02:00", "Europe/Berlin")
    assert listed["what"] == {"modalities": "CT", "date": "last 7 days", "level": "study"}
    assert here("schedule", "pause", "night").status == 0
    assert here("schedule", "resume", "night").status == 0
    with worker_in_thread(linked.workspace):
        assert here("schedule", "run", "night").status == 0
        ended(linked, "night", 1)
        shown = here("schedule", "show", "night", "--format", "json")
        assert shown.json["runs"][0]["state"] == "complete"
        assert "qrkit serve" not in shown.err
    assert here("schedule", "remove", "night").status == 0
    assert here("schedule", "show", "night").status == 1


def test_days_and_columns_are_kept_as_plain_values(linked: Linked) -> None:
    made = linked.workspace.schedules.add(
        "kept",
        "pacs",
        every="monthly on the 1st",
        date=(pd.Timestamp("2026-01-01"), dt.date(2026, 1, 31)),
        modalities=pd.Series(["CT", "MR"]),
        level=Level.SERIES,
    )
    assert made.what == {"date": ["2026-01-01", "2026-01-31"], "modalities": ["CT", "MR"], "level": "SERIES"}


def test_an_earlier_query_of_the_whole_archive_recurs_only_with_a_date(linked: Linked) -> None:
    query_id = linked.workspace.find("pacs", modalities="CT").attrs["qrkit"]["query_id"]
    with pytest.raises(InputError, match="whole archive"):
        linked.workspace.schedules.add("all", "pacs", every="daily", query=query_id)
    linked.workspace.schedules.add("new", "pacs", every="daily", query=query_id, date="yesterday")
    assert linked.workspace.schedules["new"].kind == "query"


def test_patients_and_studies_are_narrow_enough_without_a_date(linked: Linked) -> None:
    for name, what in {"one": {"patient_id": ["Q1", "Q2"]}, "two": {"study_uid": "1.2"}}.items():
        linked.workspace.schedules.add(name, "pacs", every="daily", **what)  # type: ignore[arg-type]
    assert len(linked.workspace.schedules.list()) == 2


def test_a_mistyped_argument_is_answered_with_the_nearest(linked: Linked) -> None:
    with pytest.raises(InputError, match=r"Did you mean patient_id\?"):
        linked.workspace.schedules.add("typo", "pacs", every="daily", patientid="Q1")
