"""``qrkit after`` and ``--after``: what is done with series after arrival, as people see it."""

from pathlib import Path

import pytest
import tomli_w

from tests.cli.commands import Here
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, OpenWorkspace, all_studies, link, worker_in_thread

LIMIT = 60.0


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder of another program, which is not there yet."""
    return tmp_path / "inbox"


@pytest.fixture
def handling(linked: Linked, open_workspace: OpenWorkspace, inbox: Path) -> Linked:
    """The linked workspace, opened again with two handlers."""
    folder = linked.workspace.settings.workspace
    handlers = [
        {"name": "copy", "copy_to": str(inbox), "attempts": 1},
        {"name": "asked", "copy_to": str(inbox), "attempts": 1, "automatic": False},
    ]
    (folder / "qrkit.toml").write_text(tomli_w.dumps({"after": handlers}), encoding="utf-8")
    linked.workspace.close()
    opened = open_workspace(folder)
    opened.nodes.remove("pacs")
    link(opened, linked.pacs)
    return Linked(workspace=opened, pacs=linked.pacs, hospital=linked.hospital)


@pytest.mark.slow
def test_a_handler_that_fails_is_said_and_retried_by_hand(
    handling: Linked, inbox: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Here(handling.workspace, monkeypatch, capfd)
    study = all_studies(handling.hospital)[0]
    with worker_in_thread(handling.workspace):
        fetched = here("retrieve", "pacs", "--study", study.StudyInstanceUID, "--format", "json")
        assert fetched.status == 0
        job_id = fetched.json["job_id"]
        wait_until(lambda: len(here("after", "list", "--state", "failed", "--format", "json").json), LIMIT)
        shown = here("jobs", "show", job_id, "--format", "json")
        assert {run["handler"] for run in shown.json["after"]} == {"copy"}
        assert "Handlers: copy:" in shown.err
        listed = here("after", "list")
        assert "not there" not in listed.out  # a column of it would break every line
        assert f"The folder {inbox} does not exist." in listed.err.replace("\n", " ")
        assert f"copy: The folder {inbox} does not exist." in shown.err.replace("\n", " ")
        inbox.mkdir()
        assert f"{len(study.series)} runs" in here("after", "retry", "--handler", "copy").err
        wait_until(
            lambda: len(here("after", "list", "--state", "done", "--format", "json").json) == len(study.series), LIMIT
        )
    assert {path.name for path in (inbox / study.StudyInstanceUID).iterdir()} == {
        one.SeriesInstanceUID for one in study.series
    }


@pytest.mark.slow
def test_a_job_may_name_its_handlers_or_none(
    handling: Linked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Here(handling.workspace, monkeypatch, capfd)
    study = all_studies(handling.hospital)[0].StudyInstanceUID
    retrieve = ("retrieve", "pacs", "--study", study, "--detach", "--format", "json")
    assert here(*retrieve, "--after", "typo").status == 2
    assert "Use copy, asked" in here(*retrieve, "--after", "typo").err
    with worker_in_thread(handling.workspace):
        for name in ("none", "asked"):
            job_id = here(*retrieve, "--after", name).json["job_id"]
            assert here("jobs", "show", job_id, "--wait").status == 0
        wait_until(lambda: len(handling.workspace.after.list()), LIMIT)
    assert set(handling.workspace.after.list()["handler"]) == {"asked"}


def test_handlers_are_listed_and_wrong_usage_is_said(
    handling: Linked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Here(handling.workspace, monkeypatch, capfd)
    listed = here("after", "handlers", "--format", "json").json
    assert [(one["handler"], one["automatic"]) for one in listed] == [("copy", True), ("asked", False)]
    assert here("after", "retry").status == 2
    assert here("after", "retry", "999").status == 1
