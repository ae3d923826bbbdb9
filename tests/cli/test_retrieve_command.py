"""``qrkit retrieve``, ``qrkit jobs``, ``qrkit serve`` and ``qrkit demo``, as processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.worker.process import is_running
from tests.cli.commands import LIMIT, Here, qrkit
from tests.peers.waiting import accepts_connections, wait_until
from tests.workspace.opened import (
    Linked,
    all_studies,
    end_workers,
    environment,
    files_of,
    link,
    of_size,
    uids_of,
    worker_in_thread,
)

SHAPE = ["job_id", "state", "expected", "stored", "bytes", "proven", "why", "items"]
ITEM = [
    *("level", "StudyInstanceUID", "SeriesInstanceUID", "state", "expected", "stored", "missing"),
    *("proven", "why", "error"),
]


def test_a_retrieve_ends_with_the_documented_json_and_progress_on_stderr(linked: Linked) -> None:
    study = all_studies(linked.hospital)[0]
    ran = qrkit(linked.workspace, "retrieve", "pacs", "--study", study.StudyInstanceUID, "--format", "json")
    assert ran.status == 0, ran.err
    assert list(ran.json) == SHAPE
    assert (ran.json["state"], ran.json["expected"], ran.json["stored"]) == (
        "complete",
        len(uids_of(study)),
        len(uids_of(study)),
    )
    assert ran.json["bytes"] > 0
    (item,) = ran.json["items"]
    assert list(item) == ITEM
    assert item == {
        "level": "STUDY",
        "StudyInstanceUID": study.StudyInstanceUID,
        "SeriesInstanceUID": None,
        "state": "complete",
        "expected": len(uids_of(study)),
        "stored": len(uids_of(study)),
        "missing": [],
        "proven": True,
        "why": [],
        "error": "",
    }
    assert ran.err.startswith(f"{len(uids_of(study))} of {len(uids_of(study))} objects stored")
    assert files_of(linked.workspace) == uids_of(study)


def test_what_is_missing_is_status_3_and_nothing_at_all_status_1(hospital_here: Here, linked: Linked) -> None:
    study = of_size(linked.hospital, 8)[0]
    series = study.series[0].SeriesInstanceUID
    with worker_in_thread(linked.workspace):
        linked.pacs.quirks = Quirks(send_less=1)
        partial = hospital_here("retrieve", "pacs", "--study", study.StudyInstanceUID, "--format", "json")
        assert (partial.status, partial.json["state"]) == (3, "partial")
        assert len(partial.json["items"][0]["missing"]) == 1
        assert "1 missing" in partial.err
        assert hospital_here("jobs", "show", partial.json["job_id"]).status == 3
        linked.pacs.quirks = Quirks(retrieve_status=0xC001)
        failed = hospital_here(
            *("retrieve", "pacs", "--series", series, "--study", study.StudyInstanceUID, "--format", "json")
        )
        linked.pacs.quirks = Quirks()
        other = all_studies(linked.hospital)[-1]
        linked.pacs.quirks = Quirks(retrieve_status=0xC001)
        refused = hospital_here("retrieve", "pacs", "--study", other.StudyInstanceUID, "--format", "json")
    assert failed.json["items"][0]["SeriesInstanceUID"] == series
    assert (refused.status, refused.json["state"], refused.json["stored"]) == (1, "failed", 0)
    assert hospital_here("jobs", "show", refused.json["job_id"]).status == 1
    assert "0xC001" in refused.json["items"][0]["error"]
    assert "0xC001" in refused.err


def test_what_is_complete_but_not_proven_is_status_3_and_says_why(hospital_here: Here, linked: Linked) -> None:
    study = of_size(linked.hospital, 8)[0]
    linked.workspace.nodes.edit("pacs", can_find=False)
    why = "pacs cannot be asked for what it holds, as it has no C-FIND"
    with worker_in_thread(linked.workspace):
        ran = hospital_here("retrieve", "pacs", "--study", study.StudyInstanceUID, "--format", "json")
    assert (ran.status, ran.json["state"], ran.json["proven"], ran.json["why"]) == (3, "complete", False, [why])
    assert hospital_here("jobs", "show", ran.json["job_id"]).status == 3
    assert (ran.json["items"][0]["proven"], ran.json["items"][0]["why"]) == (False, [why])
    assert "complete, not proven" in ran.err
    assert f"Not verified: {why}, so the expected number is unknown." in ran.err


DAY = ("--date", "2026-06-30")


def test_a_retrieve_of_an_incomplete_plan_or_query_is_status_3(hospital_here: Here, linked: Linked) -> None:
    linked.pacs.quirks = Quirks(no_instances_of=("SR",))
    planned = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--format", "json")
    linked.pacs.quirks = Quirks(hide_answers=1)
    found = hospital_here("find", "pacs", "--level", "SERIES", *DAY, "--format", "json")
    query = hospital_here("queries", "list", "--format", "json").json[0]["query_id"]
    assert (planned.status, found.status) == (3, 3)
    linked.pacs.quirks = Quirks()
    with worker_in_thread(linked.workspace):
        for option, source in (("--plan", planned.json["plan_id"]), ("--from-query", query)):
            ran = hospital_here("retrieve", "pacs", option, source, "--format", "json")
            told = (ran.status, ran.json["state"], ran.json["proven"], len(ran.json["why"]))
            assert told == (3, "complete", False, 1)
            assert f"{source} may be incomplete: " in ran.json["why"][0]
            assert f"Not verified: {ran.json['why'][0]}." in ran.err
            assert {item["proven"] for item in ran.json["items"]} == {True}
            shown = hospital_here("jobs", "show", ran.json["job_id"], "--format", "json")
            assert (shown.status, shown.json["proven"], shown.json["why"]) == (3, False, ran.json["why"])


@pytest.mark.slow
def test_a_plan_or_query_of_another_node_is_retrieved_only_if_that_is_confirmed(
    hospital_here: Here, linked: Linked
) -> None:
    link(linked.workspace, linked.pacs, "arch")
    planned = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--format", "json").json["plan_id"]
    hospital_here("find", "pacs", "--level", "SERIES", *DAY, "--modality", "SR")
    query = linked.workspace.queries.records().rows[0]["query_id"]
    for option, kind, source in (("--plan", "plan", planned), ("--from-query", "query", query)):
        refused = hospital_here("retrieve", "arch", option, source)
        told = f"qrkit: {kind.title()} {source} is of node pacs, not of node arch. Retrieve from pacs, or confirm "
        assert (refused.status, refused.err.startswith(told), len(refused.err.splitlines())) == (2, True, 1)
        with worker_in_thread(linked.workspace):
            ran = hospital_here("retrieve", "arch", option, source, "--yes", "--format", "json")
        assert (ran.status, ran.json["state"], ran.json["proven"]) == (3, "complete", False)
        assert ran.json["why"] == [f"{kind} {source} is of node pacs, and the objects are requested from node arch"]


@pytest.mark.slow
def test_a_job_is_shown_with_what_its_items_lack_and_the_advice_below_the_table(
    hospital_here: Here, linked: Linked
) -> None:
    study = of_size(linked.hospital, 8)[0]
    with worker_in_thread(linked.workspace):
        linked.pacs.quirks = Quirks(send_less=7)
        ran = hospital_here("retrieve", "pacs", "--study", study.StudyInstanceUID, "--format", "json")
    (item,) = ran.json["items"]
    named = f", 7 missing ({', '.join(item['missing'][:5])} and 2 more). {item['error']}"
    shown = hospital_here("jobs", "show", ran.json["job_id"])
    assert named in ran.err
    assert named in shown.err


def test_nothing_to_retrieve_of_an_incomplete_query_is_status_3(hospital_here: Here, linked: Linked) -> None:
    linked.pacs.quirks = Quirks(no_instances_of=("SR",))
    hospital_here("find", "pacs", "--level", "IMAGE", "--modality", "SR", *DAY)
    query = hospital_here("queries", "list", "--format", "json").json[0]["query_id"]
    ran = hospital_here("retrieve", "pacs", "--from-query", query, "--format", "json")
    assert (ran.status, ran.json["job_id"], ran.json["proven"], len(ran.json["why"])) == (3, None, False, 1)
    assert ran.json["why"][0][1:] in " ".join(ran.err.split())


def test_a_query_and_lists_of_uids_can_be_fetched(hospital_here: Here, linked: Linked) -> None:
    some = all_studies(linked.hospital)[:3]
    uids = [one.StudyInstanceUID for one in some]
    hospital_here("find", "pacs", "--study-uid", ",".join(uids[:2]))
    query = hospital_here("queries", "list", "--format", "json").json[0]["query_id"]
    with worker_in_thread(linked.workspace):
        of_query = hospital_here("retrieve", "pacs", "--from-query", query, "--method", "move", "--format", "json")
        assert of_query.status == 0
        assert len(of_query.json["items"]) == 2
        listed = hospital_here("retrieve", "pacs", "--study", ",".join(uids[:2]), "--study", uids[2])
        assert (listed.status, listed.out) == (0, "")
        one_by_one = hospital_here("retrieve", "pacs", "--study", *uids, "--format", "csv")
        assert (one_by_one.status, one_by_one.out.count(",STUDY,")) == (0, 3)
    assert files_of(linked.workspace) == set().union(*map(uids_of, some))
    shown = hospital_here("instances", "list", "--study", uids[0], "--format", "json").json
    assert {row["SOPInstanceUID"] for row in shown} == uids_of(some[0])
    assert {"SOPClassUID", "TransferSyntaxUID", "size", "sha256", "source", "job_id"} <= set(shown[0])


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--study", "1.2.3", "--from-query", "x"),
        ("--study", "no-uid"),
        ("--study", "1.2.3", "--method", "push"),
        ("--study", "1.2.3", "--to", "pacs"),
    ],
)
def test_a_wrong_retrieve_is_status_2_in_one_line(hospital_here: Here, wrong: tuple[str, ...]) -> None:
    ran = hospital_here("retrieve", "pacs", *wrong)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert hospital_here("jobs", "list", "--format", "json").json == []


def test_a_detached_job_is_followed_paused_cancelled_and_retried(hospital_here: Here, linked: Linked) -> None:
    study = of_size(linked.hospital, 8)[0]
    linked.pacs.quirks = Quirks(delay_object=0.5)
    with worker_in_thread(linked.workspace):
        ran = hospital_here("retrieve", "pacs", "--study", study.StudyInstanceUID, "--detach", "--format", "json")
        assert (ran.status, list(ran.json)) == (0, SHAPE)
        job_id = ran.json["job_id"]
        wait_until(lambda: files_of(linked.workspace), 20, what="the first object")
        assert hospital_here("jobs", "cancel", job_id).status == 0
        ended = hospital_here("jobs", "show", job_id, "--wait", "--format", "json")
        assert (ended.status, ended.json["state"]) == (3, "cancelled")
        linked.pacs.quirks = Quirks()
        assert "1 item of job" in hospital_here("jobs", "retry", job_id).err
        assert hospital_here("jobs", "show", job_id, "--wait").status == 0
    (listed,) = hospital_here("jobs", "list", "--format", "json").json
    assert (listed["job_id"], listed["state"]) == (job_id, "complete")
    assert hospital_here("jobs", "pause", job_id).status == 0
    assert hospital_here("jobs", "resume", job_id).status == 0
    for command in ("show", "cancel", "pause", "resume", "retry"):
        assert hospital_here("jobs", command, "nonsense").status == 1


def test_ctrl_c_leaves_the_job_running_and_says_how_to_end_it(linked: Linked) -> None:
    study = of_size(linked.hospital, 8)[0]
    linked.pacs.quirks = Quirks(delay_object=1.5)
    command = [sys.executable, "-m", "qrkit.cli", "retrieve", "pacs", "--study", study.StudyInstanceUID]
    # who starts the tests in the background has them ignore Ctrl-C, and so would what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(linked.workspace)
    ) as waiting:
        wait_until(lambda: files_of(linked.workspace), 30, what="the first object")
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=20)
    linked.pacs.quirks = Quirks()
    assert (waiting.returncode, out) == (130, "")
    job_id = str(linked.workspace.jobs.list()["job_id"].iloc[0])
    assert f"qrkit jobs cancel {job_id}" in err
    assert "Traceback" not in err
    assert "Abort" not in err
    job = linked.workspace.jobs[job_id]
    assert not job.state.is_final
    wait_until(lambda: job.state.is_final, LIMIT, what="the job ends")
    assert job.state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)


def test_serve_runs_jobs_in_the_foreground_until_it_is_asked_to_end(linked: Linked) -> None:
    settings = linked.workspace.settings
    command = [sys.executable, "-m", "qrkit.cli", "--workspace", str(settings.workspace), "serve"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(linked.workspace)) as server:
        wait_until(lambda: accepts_connections(settings.port), 20, what="the Storage SCP listens")
        study = all_studies(linked.hospital)[0]
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="move")
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=15)
    assert server.returncode == 0
    assert time.monotonic() - began < 5
    assert f"Storage SCP QRKIT listens on port {settings.port}" in " ".join(err.split())
    assert not is_running(settings.workspace)


def test_serve_without_its_port_is_status_1_in_one_line(linked: Linked) -> None:
    settings = linked.workspace.settings
    with socket.create_server((settings.host, settings.port)):
        ran = qrkit(linked.workspace, "serve", "--idle-exit", "0")
    assert ran.status == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith("qrkit: ")
    assert str(settings.port) in last


def test_the_demo_goes_the_whole_way_without_anything_else(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", "demo", "--headless", "--workspace", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=os.environ | {"COLUMNS": "100"},
    )
    end_workers(folder)
    assert done.returncode == 0, done.stderr
    assert "studies found" in done.stdout
    assert "files stored" in done.stdout
    assert "Traceback" not in done.stderr
    assert len(list((folder / "files").rglob("*.dcm"))) > 10
    assert (folder / "studies_per_day.html").stat().st_size > 10_000
    listed = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", "jobs", "list", "--format", "json", "--workspace", str(folder)],
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert {job["state"] for job in json.loads(listed.stdout)} == {"complete"}
    again = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", "demo", "--headless", "--workspace", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    end_workers(folder)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quirk", "status", "told"),
    [
        ("hide_answers=1", 3, "May be incomplete: the node counts more "),
        ("find_status=0xC000", 1, "ended C-FIND with status 0xC000"),
    ],
)
def test_a_served_demo_stays_whatever_its_pacs_does(tmp_path: Path, quirk: str, status: int, told: str) -> None:
    folder = tmp_path / "demo"
    options = ["--serve", "--workspace", str(folder), "--quirk", quirk]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "qrkit.cli", "demo", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "1000", "PYTHONIOENCODING": "utf-8"},
    ) as demo:
        assert demo.stdout is not None
        lines: list[str] = []
        while not lines or "until Ctrl-C" not in lines[-1]:
            lines.append(demo.stdout.readline())
            assert lines[-1], "".join(lines)
        demo.send_signal(signal.SIGINT)
        lines += demo.stdout
    end_workers(folder)
    said = "".join(lines)
    assert told in said
    assert "Traceback" not in said
    assert lines[-1] == "Stopped.\n"
    assert demo.returncode == status


def test_a_demo_quirk_that_there_is_not_is_status_2(tmp_path: Path, here: Here) -> None:
    ran = here("demo", "--headless", "--workspace", str(tmp_path / "demo"), "--quirk", "capp=5")
    assert ran.status == 2
    assert "There is no quirk 'capp'. Did you mean cap?" in ran.err
