"""What a worker does with series that have arrived, in each of the four ways, and when it does not work."""

import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from qrkit.errors import InputError
from qrkit.handlers import runner
from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Study
from qrkit.workspace import Job, Workspace
from tests.dimse.received import data_set_bytes
from tests.handlers.conftest import WithHandlers, handled
from tests.peers.storescp import Storescp
from tests.peers.waiting import LOOPBACK, free_port, wait_until
from tests.workspace.opened import Linked, uids_of, wait_for_worker, worker_in_thread

LIMIT = 60.0


@pytest.fixture
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    def soon(attempts: int, *, most: int, transient: bool = True) -> timedelta | None:
        return timedelta(seconds=0.1) if transient and attempts < most else None

    monkeypatch.setattr(runner, "pause_after", soon)


def fetched(linked: Linked, study: Study, **options: Any) -> Job:  # noqa: ANN401 - as a retrieve takes them
    """Fetch a study, and wait until all that is done with it is done."""
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], **options)
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    wait_until(lambda: handled(linked.workspace), LIMIT, what="everything is handled")
    return job


def copied(folder: Path) -> set[str]:
    return {path.stem for path in folder.rglob("*.dcm")}


def test_a_series_is_copied_under_its_uids_byte_for_byte(
    with_handlers: WithHandlers, study: Study, inbox: Path
) -> None:
    linked = with_handlers({"name": "copy", "copy_to": str(inbox)})
    with worker_in_thread(linked.workspace):
        job = fetched(linked, study)
    assert copied(inbox) == uids_of(study)
    for path in linked.workspace.files.paths():
        copy = inbox / path.relative_to(linked.workspace.files.folder)
        assert copy.read_bytes() == path.read_bytes()
    assert list(inbox.rglob(".*")) == []
    runs = job.after
    assert set(runs["SeriesInstanceUID"]) == {one.SeriesInstanceUID for one in study.series}
    assert set(runs["state"]) == {"done"}
    told = job.to_json()["after"]
    assert {run["handler"] for run in told} == {"copy"}
    assert sum(run["objects"] for run in told) == len(uids_of(study))


def test_the_same_content_is_handled_once_however_often_it_is_fetched(
    with_handlers: WithHandlers, study: Study, inbox: Path
) -> None:
    counter = "import sys, pathlib; pathlib.Path(sys.argv[1], sys.argv[2]).open('a').write('x')"
    command = [sys.executable, "-c", counter, str(inbox), "{SeriesInstanceUID}"]
    linked = with_handlers({"name": "count", "command": command})
    with worker_in_thread(linked.workspace):
        fetched(linked, study)
        again = fetched(linked, study)
        assert len(again.after) == len(study.series)  # the runs of the first job are told with the second too
        assert {path.read_text(encoding="utf-8") for path in inbox.iterdir()} == {"x"}
        assert linked.workspace.after.retry(job=again.job_id) == 0
        assert linked.workspace.after.retry(job=again.job_id, again=True) == len(study.series)
        wait_until(lambda: handled(linked.workspace), LIMIT)
    assert {path.read_text(encoding="utf-8") for path in inbox.iterdir()} == {"xx"}


def test_a_command_is_told_what_it_needs(with_handlers: WithHandlers, study: Study, inbox: Path) -> None:
    program = (
        "import sys, json, pathlib; out, listing, *rest = sys.argv[1:]; "
        "pathlib.Path(out, rest[0]).write_text(json.dumps([pathlib.Path(listing).read_text().split(), rest]))"
    )
    command = [
        sys.executable,
        "-c",
        program,
        str(inbox),
        "{list}",
        "{SeriesInstanceUID}",
        "{node}",
        "{count}",
        "{folder}",
    ]
    linked = with_handlers({"name": "tell", "command": command})
    with worker_in_thread(linked.workspace):
        fetched(linked, study)
    for series in study.series:
        listed, told = json.loads((inbox / series.SeriesInstanceUID).read_text(encoding="utf-8"))
        folder = linked.workspace.files.folder / study.StudyInstanceUID / series.SeriesInstanceUID
        assert {Path(path).stem for path in listed} == {one.SOPInstanceUID for one in series.instances}
        assert told == [series.SeriesInstanceUID, "pacs", str(len(series.instances)), str(folder)]


def test_a_python_function_of_the_workspace_is_called_with_the_series(
    with_handlers: WithHandlers, study: Study, inbox: Path
) -> None:
    linked = with_handlers({"name": "call", "call": "our_site:arrived"})
    (linked.workspace.settings.workspace / "our_site.py").write_text(
        "import pathlib\n"
        "def arrived(series):\n"
        f"    out = pathlib.Path({str(inbox)!r}, series.SeriesInstanceUID)\n"
        "    out.write_text(' '.join([*series.modality, *series.node, *(path.stem for path in series.files)]))\n",
        encoding="utf-8",
    )
    with worker_in_thread(linked.workspace):
        fetched(linked, study)
    for series in study.series:
        modality, node, *uids = (inbox / series.SeriesInstanceUID).read_text(encoding="utf-8").split()
        assert (modality, node) == (series.Modality, "pacs")
        assert set(uids) == {one.SOPInstanceUID for one in series.instances}


@pytest.mark.parametrize(
    ("call", "said"),
    [("nowhere.dicom:arrived", "No module named 'nowhere'"), ("json:arrived", "has no attribute 'arrived'")],
)
def test_a_function_that_is_not_there_is_sought_once_and_said(
    with_handlers: WithHandlers, study: Study, call: str, said: str
) -> None:
    linked = with_handlers({"name": "call", "call": call, "attempts": 3})
    with worker_in_thread(linked.workspace):
        runs = fetched(linked, study).after
    assert set(runs["attempts"]) == {1}
    (error,) = set(runs["error"])
    assert error.startswith(f"{call} cannot be called: ")
    assert said in error


def test_a_series_is_sent_on_to_a_node(with_handlers: WithHandlers, study: Study, storescp: Storescp) -> None:
    linked = with_handlers({"name": "on", "send_to": "store"})
    linked.workspace.nodes.add("store", host=LOOPBACK, port=storescp.port, ae_title=storescp.ae_title, can_store=True)
    with worker_in_thread(linked.workspace):
        fetched(linked, study)
    assert {data_set_bytes(path) for path in storescp.received()} == {
        data_set_bytes(path) for path in linked.workspace.files.paths()
    }


def test_rules_and_the_choice_of_a_job_say_which_handlers_run(
    with_handlers: WithHandlers, study: Study, inbox: Path
) -> None:
    kind = study.series[0].Modality
    linked = with_handlers(
        {"name": "some", "copy_to": str(inbox), "modality": kind},
        {"name": "asked", "copy_to": str(inbox), "automatic": False},
        {"name": "elsewhere", "copy_to": str(inbox), "node": "other"},
    )
    fitting = {one.SeriesInstanceUID for one in study.series if one.Modality == kind}
    with worker_in_thread(linked.workspace):
        fetched(linked, study)
        runs = linked.workspace.after.list()
        assert set(runs["handler"]) == {"some"}
        assert set(runs["SeriesInstanceUID"]) == fitting
        fetched(linked, study, after=["asked"])
        of_study = {one.SeriesInstanceUID for one in study.series}
        wait_until(lambda: set(linked.workspace.after.list(handler="asked")["SeriesInstanceUID"]) == of_study, LIMIT)
    with pytest.raises(InputError, match="no handler typo"):
        linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], after=["typo"])


@pytest.mark.usefixtures("_quick_retries")
def test_a_handler_that_fails_is_said_and_tried_again_and_the_retrieve_is_complete(
    with_handlers: WithHandlers, study: Study, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    linked = with_handlers({"name": "copy", "copy_to": str(later), "attempts": 2})
    with worker_in_thread(linked.workspace):
        job = fetched(linked, study)
        assert job.state is JobState.COMPLETE
        runs = job.after
        assert set(runs["state"]) == {"failed"}
        assert set(runs["attempts"]) == {2}
        assert "does not exist" in runs["error"].iloc[0]
        later.mkdir()
        assert linked.workspace.after.retry(handler="copy") == len(runs)
        wait_until(lambda: handled(linked.workspace), LIMIT)
    assert set(linked.workspace.after.list(state="done")["SeriesInstanceUID"]) == set(runs["SeriesInstanceUID"])
    assert copied(later) == uids_of(study)


@pytest.mark.usefixtures("_quick_retries")
@pytest.mark.parametrize(("status", "attempts"), [(0xA700, 3), (0xC000, 1)])
def test_what_may_pass_is_tried_again_and_what_will_not_is_not(
    with_handlers: WithHandlers, study: Study, status: int, attempts: int
) -> None:
    linked = with_handlers({"name": "on", "send_to": "store", "attempts": 3})
    with Simulator(quirks=Quirks(store_status=status)) as store, worker_in_thread(linked.workspace):
        linked.workspace.nodes.add("store", host=LOOPBACK, port=store.port, ae_title=store.ae_title, can_store=True)
        runs = fetched(linked, study).after
    assert set(runs["state"]) == {"failed"}
    assert set(runs["attempts"]) == {attempts}
    assert f"0x{status:04X}" in runs["error"].iloc[0]


@pytest.mark.usefixtures("_quick_retries")
def test_what_a_program_prints_is_kept_without_the_patient(
    with_handlers: WithHandlers, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import sys, pydicom; d = pydicom.dcmread(open(sys.argv[1]).readline().strip(), stop_before_pixels=True); "
        "print('sees', d.PatientName, d.PatientID, d.PatientBirthDate); sys.exit('bad: ' + str(d.PatientName))"
    )
    linked = with_handlers({"name": "prints", "command": [sys.executable, "-c", program, "{list}"], "attempts": 1})
    caplog.set_level("INFO", logger="qrkit")
    with worker_in_thread(linked.workspace):
        runs = fetched(linked, study).after
    assert runs["error"].str.contains(r"ended with status 1: bad: \[…\]").all()
    said = caplog.text + runs.to_json()
    assert "sees […]" in said
    patient = linked.workspace.find("pacs", study_uid=study.StudyInstanceUID).iloc[0]
    assert str(patient["PatientName"]) not in said
    assert str(patient["PatientID"]) not in said


@pytest.mark.usefixtures("_quick_retries")
def test_a_run_is_ended_when_its_time_is_over(with_handlers: WithHandlers, study: Study) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(100)"]
    linked = with_handlers({"name": "slow", "command": sleeps, "time_limit": 0.3, "attempts": 1})
    with worker_in_thread(linked.workspace):
        runs = fetched(linked, study).after
    assert runs["error"].str.contains("exceeded its time limit of 0.3 seconds").all()


def test_a_retrieve_does_not_wait_for_a_handler_and_a_worker_that_stops_gives_it_back(
    with_handlers: WithHandlers, study: Study
) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(100)"]
    linked = with_handlers({"name": "slow", "command": sleeps})
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
        wait_until(lambda: "running" in set(job.after["state"]), LIMIT)
    assert set(job.after["state"]) == {"waiting"}
    assert set(job.after["attempts"]) == {0}


def test_a_killed_worker_loses_no_handler(with_handlers: WithHandlers, study: Study, inbox: Path) -> None:
    linked = with_handlers({"name": "copy", "copy_to": str(inbox), "time_limit": 30})
    workspace: Workspace = linked.workspace
    job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
    worker = wait_for_worker(workspace)
    wait_until(lambda: job.status.stored > 0 or job.state.is_final, LIMIT)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(10)
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    workspace.after.retry(handler="copy")  # starts a worker, if none runs, as the next retrieve would
    wait_until(lambda: handled(workspace) and len(job.after) == len(study.series), LIMIT)
    assert copied(inbox) == uids_of(study)


def test_a_node_that_takes_nothing_is_said_once_and_not_tried_again(
    with_handlers: WithHandlers, study: Study
) -> None:
    linked = with_handlers({"name": "on", "send_to": "store"})
    linked.workspace.nodes.add("store", host=LOOPBACK, port=free_port(), ae_title="STORE")
    with worker_in_thread(linked.workspace):
        runs = fetched(linked, study).after
    assert set(runs["attempts"]) == {1}
    assert runs["error"].str.contains("does not receive objects").all()


def test_handlers_are_listed_as_they_are_registered(with_handlers: WithHandlers, inbox: Path) -> None:
    linked = with_handlers(
        {"name": "copy", "copy_to": str(inbox), "modality": ["CT", "MR"], "station": "CT*"},
        {"name": "on", "send_to": "store", "automatic": False},
    )
    frame = linked.workspace.after.handlers
    assert frame["handler"].tolist() == ["copy", "on"]
    assert frame["does"].tolist() == [f"copy_to {inbox}", "send_to store"]
    assert frame["rule"].iloc[0] == "modality CT, MR; station CT*"
    with pytest.raises(InputError, match="A run is waiting"):
        linked.workspace.after.list(state="lost")
