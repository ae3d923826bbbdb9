"""A clock that is put right, or wrong, in the middle of a retrieve."""

from datetime import timedelta
from pathlib import Path

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.store.state import utc_now
from qrkit.worker import service
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, OpenWorkspace, files_of, link, of_size, uids_of, worker_in_thread

LIMIT = 60.0


@pytest.mark.parametrize("hours", [1, -1, -0.4])
def test_a_clock_that_jumps_while_objects_come_and_items_wait_changes_nothing(
    open_workspace: OpenWorkspace, linked: Linked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    monkeypatch.setattr(service, "HEARTBEAT", 0.5)
    workspace = open_workspace(tmp_path / "patient", retries=3, retry_pause=20)
    link(workspace, linked.pacs)
    first, second = of_size(linked.hospital, 8)[:2]
    linked.pacs.quirks = Quirks(retrieve_status=0xA702)
    with worker_in_thread(workspace):
        waits = workspace.retrieve_uids("pacs", study_uids=[first.StudyInstanceUID])
        wait_until(lambda: waits.status.items[0].not_before, LIMIT, what="an item waits")
        linked.pacs.quirks = Quirks(delay_object=0.2)
        comes = workspace.retrieve_uids("pacs", study_uids=[second.StudyInstanceUID])
        wait_until(lambda: files_of(workspace), LIMIT, what="the first object")
        workspace._state._clock = lambda: utc_now() + timedelta(hours=hours)
        linked.pacs.quirks = Quirks()
        for job in (comes, waits):
            assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
        wait_until(lambda: not workspace.health().problems, LIMIT, what="the next heartbeat")
    assert files_of(workspace) == uids_of(first) | uids_of(second)
    assert sorted(workspace.files.list()["SOPInstanceUID"]) == sorted(files_of(workspace))
