"""Six processes on one workspace at once: two ask, two fetch, two run SQL; on SQLite and on PostgreSQL."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from qrkit.jobs import JobState
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.waiting import wait_until
from tests.workspace.opened import (
    OpenWorkspace,
    StartSimulator,
    all_studies,
    environment,
    files_of,
    link,
    uids_of,
)

LIMIT = 90.0
ROUNDS = 6

FIND = """
import json, sys, qrkit
with qrkit.open() as workspace:
    told = []
    for number in range(int(sys.argv[1])):
        frame = workspace.find("pacs", level=("STUDY", "SERIES")[number % 2], date="2026-06-30")
        told.append([frame.attrs["qrkit"]["query_id"], len(frame)])
    print(json.dumps(told))
"""
RETRIEVE = """
import json, sys, qrkit
with qrkit.open() as workspace:
    jobs = [workspace.retrieve_uids("pacs", study_uids=[uid]) for uid in sys.argv[1:]]
    print(json.dumps([[job.job_id, job.wait(timeout=60).state.value] for job in jobs]))
"""
SQL = """
import json, sys, qrkit
with qrkit.open() as workspace:
    seen = []
    for _ in range(int(sys.argv[1])):
        counts = workspace.sql(
            "SELECT (SELECT count(*) FROM study_answers), (SELECT count(*) FROM series_answers), "
            "(SELECT count(*) FROM instances), (SELECT count(*) FROM queries), (SELECT count(*) FROM jobs)"
        )
        seen.append([int(count) for count in counts.iloc[0]])
    print(json.dumps(seen))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The setting that chooses the database."""
    if request.param == "sqlite":
        return {}
    monkeypatch.setattr("tempfile.tempdir", None)  # the server's user must reach its folder
    return {"database_url": str(request.getfixturevalue("database_url"))}


def test_six_processes_at_once_make_no_error_and_lose_no_row(
    settings: dict[str, str],
    open_workspace: OpenWorkspace,
    hospital: GeneratedHospital,
    start_simulator: StartSimulator,
    tmp_path: Path,
) -> None:
    workspace = open_workspace(tmp_path / "shared", **settings)
    link(workspace, start_simulator(hospital))
    studies = all_studies(hospital)[:8]
    first, second = ([one.StudyInstanceUID for one in part] for part in (studies[:5], studies[3:]))
    rounds = str(ROUNDS)
    codes = [
        (FIND, [rounds]),
        (FIND, [rounds]),
        (RETRIEVE, first),
        (RETRIEVE, second),
        (SQL, [rounds]),
        (SQL, [rounds]),
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(workspace),
        )
        for code, arguments in codes
    ]
    ended = [(*process.communicate(timeout=LIMIT), process.returncode) for process in processes]
    assert [(err, status) for _, err, status in ended] == [("", 0)] * len(codes)
    finds, jobs, seen = ([json.loads(out) for out, _, _ in ended[start : start + 2]] for start in (0, 2, 4))

    asked = [tuple(query) for told in finds for query in told]
    listed = workspace.queries.list()
    assert sorted(zip(listed["query_id"], listed["row_count"], strict=True)) == sorted(asked)
    assert set(listed["state"]) == {"done"}
    for query_id, count in asked:
        assert len(workspace.queries.read(query_id)) == count
    counts = workspace.sql(
        "SELECT (SELECT count(*) FROM study_answers) + (SELECT count(*) FROM series_answers) AS answers"
    )
    assert counts["answers"].tolist() == [sum(count for _, count in asked)]

    assert {state for told in jobs for _, state in told} == {JobState.COMPLETE.value}
    assert len(workspace.jobs.list()) == len(first) + len(second)
    wanted = set().union(*map(uids_of, studies))
    assert files_of(workspace) == wanted
    wait_until(lambda: len(workspace.files) == len(wanted), what="every file is listed, once")

    for told in seen:  # what was there once stays
        assert all(
            before <= after for one, next_one in pairwise(told) for before, after in zip(one, next_one, strict=True)
        )
