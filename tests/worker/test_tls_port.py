"""The worker's Storage SCP over TLS, as the settings of the workspace say."""

from pathlib import Path

import pytest

from qrkit.errors import InputError
from qrkit.jobs import JobState
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.certificates import Authority
from tests.peers.waiting import LOOPBACK
from tests.workspace.opened import OpenWorkspace, StartSimulator, all_studies, link, worker_in_thread


def test_the_storage_scp_listens_by_tls_when_the_settings_give_a_certificate(
    open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    shown = authority.sign("ours")
    workspace = open_workspace(tls_certificate=str(shown.certificate), tls_key=str(shown.key))
    settings = workspace.settings
    tls = {"enabled": True, "ca_file": str(authority.certificate)}
    workspace.nodes.add("ours", host=LOOPBACK, port=settings.port, ae_title=settings.ae_title, tls=tls)
    workspace.nodes.add("plain", host=LOOPBACK, port=settings.port, ae_title=settings.ae_title)
    with worker_in_thread(workspace):
        answers = workspace.echo()
    assert dict(zip(answers["node"], answers["ok"], strict=True)) == {"ours": True, "plain": False}


def test_a_certificate_that_cannot_be_used_is_an_error_in_the_foreground_and_leaves_c_get_in_the_background(
    open_workspace: OpenWorkspace, start_simulator: StartSimulator, hospital: GeneratedHospital, tmp_path: Path
) -> None:
    workspace = open_workspace(tls_certificate=str(tmp_path / "lost.pem"))
    with pytest.raises(InputError, match=r"lost\.pem is not there"):
        workspace.worker(needs_scp=True).run()
    pacs = start_simulator(hospital)
    link(workspace, pacs)
    fetched, refused = (study.StudyInstanceUID for study in all_studies(hospital)[:2])
    with worker_in_thread(workspace, needs_scp=False):
        got = workspace.retrieve_uids("pacs", study_uids=[fetched], method="get").wait(timeout=30)
        moved = workspace.retrieve_uids("pacs", study_uids=[refused], method="move").wait(timeout=30)
    assert (got.state, moved.state) == (JobState.COMPLETE, JobState.FAILED)
    assert "lost.pem is not there" in moved.items[0].outcome.error
