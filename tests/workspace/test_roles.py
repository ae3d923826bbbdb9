from collections.abc import Callable

import pytest

from qrkit.access import Role
from qrkit.errors import NotAllowed
from qrkit.job import RetrieveRequest
from qrkit.workspace import Workspace
from tests.workspace.opened import Linked, OpenWorkspace, worker_in_thread

_PASSWORD = "correct horse"
_STUDY = (RetrieveRequest(level="STUDY", StudyInstanceUID="1.2.3"),)


@pytest.fixture
def as_role(
    workspace: Workspace, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Workspace]:
    """Open the same workspace as a server does for somebody of a role."""

    def opened(role: str) -> Workspace:
        monkeypatch.setenv("QRKIT_USER", "ann")
        monkeypatch.setenv("QRKIT_ROLE", role)
        settings = workspace.settings
        return open_workspace(settings.workspace, port=settings.port)

    return opened


def test_whoever_has_the_files_may_do_everything(workspace: Workspace) -> None:
    workspace.users.add("ann", _PASSWORD, role="viewer")
    assert workspace.access.role_now() is Role.ADMINISTRATOR


def test_a_viewer_may_query_and_see_and_nothing_else(linked: Linked, as_role: Callable[[str], Workspace]) -> None:
    job = linked.workspace.retrieve(_STUDY, node="pacs")
    viewer = as_role("viewer")
    assert bool(viewer.echo("pacs")["ok"].all())
    answer = viewer.find("pacs", modalities=["CT"])
    assert len(answer)
    assert viewer.queries.show(answer.attrs["qrkit"]["query_id"]).user == "ann"
    handle = viewer.jobs[job.job_id]
    assert handle.status.node == "pacs"
    for act in (
        lambda: viewer.retrieve(answer),
        lambda: viewer.retrieve_uids("pacs", study_uids=["1.2.3"]),
        handle.cancel,
        handle.pause,
        handle.resume,
        handle.retry,
        lambda: viewer.nodes.add("other", host="localhost", ae_title="OTHER"),
        lambda: viewer.users.add("bob", _PASSWORD),
        viewer.users.list,
    ):
        with pytest.raises(NotAllowed, match="ann may not"):
            act()
    assert not linked.workspace.jobs[job.job_id].status.cancel_requested
    job.cancel()


def test_an_operator_may_retrieve_and_the_name_is_in_every_row(
    linked: Linked, as_role: Callable[[str], Workspace]
) -> None:
    operator = as_role("operator")
    with worker_in_thread(linked.workspace):
        job = operator.retrieve(_STUDY, node="pacs")
        job.cancel()
        assert job.wait(timeout=30).user == "ann"
    audit = linked.workspace.sql("SELECT who, action FROM audit WHERE subject = $job", {"job": job.job_id})
    assert set(zip(audit["who"], audit["action"], strict=True)) == {("ann", "job queued"), ("ann", "job cancelled")}
    for act in (
        lambda: operator.nodes.edit("pacs", description="mine"),
        lambda: operator.nodes.remove("pacs"),
        lambda: operator.users.set_role("ann", "administrator"),
    ):
        with pytest.raises(NotAllowed, match="needs the role administrator"):
            act()


def test_a_role_that_is_taken_away_is_gone_at_once(workspace: Workspace, as_role: Callable[[str], Workspace]) -> None:
    workspace.users.add("ann", _PASSWORD, role="administrator")
    ann = as_role("administrator")
    ann.nodes.add("pacs", host="localhost", ae_title="PACS")
    workspace.users.set_role("ann", "viewer")
    with pytest.raises(NotAllowed):
        ann.nodes.remove("pacs")
