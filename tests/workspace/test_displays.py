"""What a notebook shows of a workspace and its parts: everything escaped, and a text that is useful too."""

from pathlib import Path

import pytest

from qrkit.errors import NodeError
from qrkit.workspace import Workspace
from tests.workspace.opened import Linked, OpenWorkspace, worker_in_thread

_NASTY = "<script>alert(1)</script>"


def test_a_new_workspace_says_how_to_begin(workspace: Workspace) -> None:
    shown = workspace._repr_html_()
    assert "ws.nodes.add(&#34;pacs&#34;" in shown
    assert "none yet" in shown
    assert "none runs; a retrieve starts one" in shown
    assert "AE title QRKIT, receives on port" in shown
    assert repr(workspace) == f"<Workspace {workspace.settings.workspace}: nodes none yet; 0 files>"
    assert (repr(workspace.nodes), repr(workspace.queries), repr(workspace.jobs)) == (
        "<Nodes: none yet>",
        "<Queries: 0>",
        "<Jobs: 0>",
    )


@pytest.mark.slow
def test_a_workspace_at_work_is_seen_at_a_glance(linked: Linked) -> None:
    workspace = linked.workspace
    studies = workspace.find("pacs", modalities="CT", date=("2026-06-29", "2026-06-30"))
    job = workspace.retrieve(studies.head(1))
    job.pause()
    shown = workspace._repr_html_()
    assert "CT studies of 2026-06-29 to 2026-06-30 from pacs, " in shown
    assert f": {len(studies)} rows, complete" in shown
    assert "paused: 0 objects from pacs" in shown
    assert repr(workspace).endswith("nodes pacs; 0 files; 1 active job>")
    job.cancel()
    with worker_in_thread(workspace, needs_scp=False):
        assert "runs on" in workspace._repr_html_()


def test_what_people_and_peers_wrote_is_text(open_workspace: OpenWorkspace, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / _NASTY.replace("/", "-"))
    workspace.nodes.add("pacs", host="127.0.0.1", port=9, ae_title="A<B>", description=_NASTY)
    with pytest.raises(NodeError):
        workspace.find("pacs", PatientName=_NASTY)
    row = workspace.queries.show(workspace.queries.list()["query_id"][0])
    for shown in (
        workspace._repr_html_(),
        workspace.nodes._repr_html_(),
        workspace.nodes["pacs"]._repr_html_(),
        workspace.queries._repr_html_(),
        workspace.jobs._repr_html_(),
        row._repr_html_(),
    ):
        assert "<script" not in shown
    assert "&lt;script&gt;" in workspace.nodes["pacs"]._repr_html_()


def test_a_query_that_failed_says_why(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", host="127.0.0.1", port=9, ae_title="PACS")
    with pytest.raises(NodeError):
        workspace.find("pacs")
    assert "failed: " in workspace.queries._repr_html_()
    row = workspace.queries.show(workspace.queries.list()["query_id"][0])
    assert row.outcome.startswith("failed: ")
    assert "failed: " in row._repr_html_()


def test_a_query_of_the_history_tells_what_was_asked_and_how_far_it_can_be_trusted(linked: Linked) -> None:
    studies = linked.workspace.find("pacs", modalities="CT", description_exclude="head")
    told = studies.attrs["qrkit"]
    shown = linked.workspace.queries.show(told["query_id"])._repr_html_()
    for part in (told["query_id"], "CT studies, description without head", "Complete.", "description exclude"):
        assert part in shown
    again = linked.workspace.queries[told["query_id"]].attrs["qrkit"]["coverage"]
    assert again._repr_html_() == told["coverage"]._repr_html_()
    assert repr(linked.workspace.queries).startswith("<Queries: 1, the newest ")


def test_a_node_says_where_it_is_and_what_it_may_be_asked(workspace: Workspace) -> None:
    node = workspace.nodes.add(
        "pacs", host="10.1.2.3", ae_title="MAINPACS", can_get=False, calling_ae_title="PHYSICS", enabled=False
    )
    assert repr(node) == "<Node pacs: MAINPACS at 10.1.2.3:104, find and move, disabled>"
    shown = node._repr_html_()
    for part in ("MAINPACS", "10.1.2.3:104", "find and move", "Calling AE title", "PHYSICS", "inactivity 120 s"):
        assert part in shown
    assert "Character set" not in shown


def test_keys_complete_by_what_there_is(linked: Linked) -> None:
    workspace = linked.workspace
    query_id = workspace.find("pacs").attrs["qrkit"]["query_id"]
    assert workspace.nodes._ipython_key_completions_() == ("pacs",)
    assert workspace.queries._ipython_key_completions_() == (query_id,)
    assert workspace.jobs._ipython_key_completions_() == ()
