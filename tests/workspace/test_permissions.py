from collections.abc import Callable

import pytest

from qrkit.access import Role
from qrkit.errors import NotAllowed
from qrkit.jobs import RetrieveRequest
from qrkit.tables import Level
from qrkit.workspace import Job, Nodes, Users, Workspace
from qrkit.workspace.handlers import Handlers
from qrkit.workspace.schedules import Schedules
from tests.workspace.opened import Linked, OpenWorkspace, worker_in_thread

_PASSWORD = "correct horse"
_STUDY = (RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2.3"),)


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


_FOR_OPERATORS: dict[str, Callable[[Workspace, Job], object]] = {
    "Workspace.retrieve": lambda ws, _: ws.retrieve(_STUDY, node="pacs"),
    "Workspace.retrieve with a handler": lambda ws, _: ws.retrieve(_STUDY, node="pacs", after=["copy"]),
    "Workspace.retrieve beyond the budget": lambda ws, _: ws.retrieve(
        ws.plan("pacs", dose=["CT"], date="2026-06-30").confirmed()
    ),
    "Workspace.retrieve_uids": lambda ws, _: ws.retrieve_uids("pacs", study_uids=["1.2.3"]),
    "Workspace.probe": lambda ws, _: ws.probe("pacs"),
    "Job.cancel": lambda _, job: job.cancel(),
    "Job.pause": lambda _, job: job.pause(),
    "Job.resume": lambda _, job: job.resume(),
    "Job.retry": lambda _, job: job.retry(),
    "Job.prioritise": lambda _, job: job.prioritise(5),
    "Schedules.add": lambda ws, _: ws.schedules.add("nightly", "pacs", every="hourly", date="last 7 days"),
    "Schedules.pause": lambda ws, _: ws.schedules.pause("weekly"),
    "Schedules.resume": lambda ws, _: ws.schedules.resume("weekly"),
    "Schedules.run": lambda ws, _: ws.schedules.run("weekly"),
    "Schedules.remove": lambda ws, _: ws.schedules.remove("weekly"),
    "Handlers.retry": lambda ws, _: ws.after.retry(),
}
_FOR_ADMINISTRATORS: dict[str, Callable[[Workspace, Job], object]] = {
    "Nodes.add": lambda ws, _: ws.nodes.add("other", host="localhost", ae_title="OTHER"),
    "Nodes.edit": lambda ws, _: ws.nodes.edit("pacs", description="mine"),
    "Nodes.remove": lambda ws, _: ws.nodes.remove("pacs"),
    "Nodes.import_": lambda ws, _: ws.nodes.import_(ws.settings.workspace / "nodes.toml"),
    "Users.add": lambda ws, _: ws.users.add("bob", _PASSWORD),
    "Users.set_password": lambda ws, _: ws.users.set_password("adm", _PASSWORD),
    "Users.set_role": lambda ws, _: ws.users.set_role("ann", "administrator"),
    "Users.remove": lambda ws, _: ws.users.remove("adm"),
    "Users.list": lambda ws, _: ws.users.list(),
    "Users.records": lambda ws, _: ws.users.records(),
}
_FOR_ALL = {
    Workspace: "ask close doubt_profile duckdb echo echo_records estimate find has_waiting_jobs health nobody_for "
    "open plan profile report sql why worker",
    Job: "after_runs see_to_worker to_json wait",
    Nodes: "export list records",
    Users: "check role_of stamp",
    Schedules: "list records run_records runs unattended",
    Handlers: "handler_records list of_job records",
}
"""What changes nothing but the history, or what the server itself asks."""


@pytest.mark.parametrize("owner", _FOR_ALL)
def test_what_is_new_has_a_role(owner: type) -> None:
    methods = {name for name in dir(owner) if name[0] != "_" and callable(getattr(owner, name))}
    guarded = {act.split()[0] for act in (*_FOR_OPERATORS, *_FOR_ADMINISTRATORS)}
    assert {f"{owner.__name__}.{name}" for name in methods - set(_FOR_ALL[owner].split())} <= guarded


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "refused"),
    [("viewer", _FOR_OPERATORS | _FOR_ADMINISTRATORS), ("operator", _FOR_ADMINISTRATORS)],
)
def test_what_a_role_does_not_cover_is_refused_by_the_workspace_and_changes_nothing(
    role: str,
    refused: dict[str, Callable[[Workspace, Job], object]],
    linked: Linked,
    as_role: Callable[[str], Workspace],
) -> None:
    ours = linked.workspace
    ours.schedules.add("weekly", "pacs", every="mon at 03:00", date="last 7 days", retrieve=False)
    ours.users.add("adm", _PASSWORD, role="administrator")
    ours.nodes.export(ours.settings.workspace / "nodes.toml")
    job = ours.retrieve(_STUDY, node="pacs")
    theirs = as_role(role)
    handle = theirs.jobs[job.job_id]
    told = "SELECT count(*) AS n FROM audit WHERE who = 'ann'"
    for act, do in refused.items():
        with pytest.raises(NotAllowed, match="ann may not"):  # noqa: PT012 - the failure names the act
            do(theirs, handle)
            pytest.fail(f"{act} is not refused")
    assert ours.sql(told)["n"][0] == 0
    assert not job.status.cancel_requested
    job.cancel()


@pytest.mark.slow
def test_a_viewer_may_query_and_see(linked: Linked, as_role: Callable[[str], Workspace]) -> None:
    job = linked.workspace.retrieve(_STUDY, node="pacs")
    viewer = as_role("viewer")
    assert bool(viewer.echo("pacs")["ok"].all())
    answer = viewer.find("pacs", modalities=["CT"])
    assert len(answer)
    assert viewer.queries.show(answer.attrs["qrkit"]["query_id"]).user == "ann"
    assert viewer.jobs[job.job_id].status.node == "pacs"
    job.cancel()


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_role_that_is_taken_away_is_gone_at_once(workspace: Workspace, as_role: Callable[[str], Workspace]) -> None:
    workspace.users.add("ann", _PASSWORD, role="administrator")
    ann = as_role("administrator")
    ann.nodes.add("pacs", host="localhost", ae_title="PACS")
    workspace.users.set_role("ann", "viewer")
    with pytest.raises(NotAllowed, match="theirs is viewer"):
        ann.nodes.remove("pacs")
    workspace.users.remove("ann")
    with pytest.raises(NotAllowed, match="the account was removed"):
        ann.nodes.remove("pacs")
