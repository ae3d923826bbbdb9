"""The nodes of a workspace, as people add, change, carry and remove them."""

from pathlib import Path

import pytest

import qrkit
from qrkit.errors import InputError, NotFound
from qrkit.node import InformationModel, Method
from qrkit.workspace import Workspace
from tests.workspace.opened import Linked, OpenWorkspace

PACS = {"host": "10.1.2.3", "port": 104, "ae_title": "MAINPACS"}


def test_a_node_is_added_and_read_again_by_another_process(
    workspace: Workspace, open_workspace: OpenWorkspace
) -> None:
    added = workspace.nodes.add("pacs", **PACS, information_model="patient-root", timeouts={"connect": 3})
    again = open_workspace().nodes["pacs"]
    assert again == added
    assert again.information_model is InformationModel.PATIENT_ROOT
    assert again.timeouts.connect == 3
    assert again.timeouts.response == 300


def test_editing_changes_what_is_given_and_nothing_else(workspace: Workspace) -> None:
    before = workspace.nodes.add("pacs", **PACS, pause=0.5, timeouts={"connect": 3})
    after = workspace.nodes.edit("pacs", method="move", timeouts={"response": 7})
    assert (after.method, after.pause, after.host) == (Method.MOVE, 0.5, before.host)
    assert (after.timeouts.connect, after.timeouts.response) == (3, 7)


def test_a_node_keeps_its_name(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", **PACS)
    with pytest.raises(InputError, match="keeps its name"):
        workspace.nodes.edit("pacs", name="other")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ae_title": "ABCDEFGHIJKLMNOPQ"}, "17 characters"),
        ({"ae_title": "BACK\\SLASH"}, "cannot have"),
        ({"ae_title": "  "}, "empty"),
        ({"port": 0}, "1 to 65535"),
        ({"port": "dicom"}, "number"),
        ({"prot": 104}, "has no prot"),
        ({"method": "push"}, "auto, get, move"),
        ({"information_model": "root"}, "patient-root"),
        ({"associations": 0}, "at least 1"),
        ({"timeouts": {"connect": 0}}, "more than 0"),
        ({"timeouts": {"lunch": 1}}, "has no lunch"),
    ],
)
def test_a_bad_setting_of_a_node_is_told_and_nothing_is_kept(
    workspace: Workspace, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        workspace.nodes.add("pacs", **{**PACS, **settings})
    assert "pacs" not in workspace.nodes


def test_ae_titles_may_be_lower_case_and_lose_the_blanks_around(workspace: Workspace) -> None:
    assert workspace.nodes.add("pacs", **{**PACS, "ae_title": " Main_pacs "}).ae_title == "Main_pacs"


def test_two_nodes_cannot_have_one_name(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", **PACS)
    with pytest.raises(InputError, match="pacs"):
        workspace.nodes.add("pacs", **PACS)


def test_the_list_has_a_row_for_each_node_and_timeouts_in_seconds(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", **PACS)
    workspace.nodes.add("store", **{**PACS, "ae_title": "STORE"}, can_store=True)
    frame = workspace.nodes.list()
    assert frame["name"].tolist() == ["pacs", "store"]
    assert frame["can_store"].tolist() == [False, True]
    assert frame["response_timeout"].tolist() == [300.0, 300.0]


def test_an_unknown_node_is_named_with_what_there_is_to_do(workspace: Workspace) -> None:
    for action in (
        lambda: workspace.nodes["lost"],
        lambda: workspace.nodes.edit("lost", port=104),
        lambda: workspace.nodes.remove("lost"),
        lambda: workspace.find("lost"),
        lambda: workspace.echo("lost"),
    ):
        with pytest.raises(NotFound, match="lost"):
            action()


def test_export_and_import_carry_all_settings_to_another_workspace(workspace: Workspace, tmp_path: Path) -> None:
    workspace.nodes.add("pacs", **PACS, description='Radiology "main", Łódź', timeouts={"connect": 2.5})
    workspace.nodes.add("store", **{**PACS, "ae_title": "STORE"}, can_store=True, can_find=False, enabled=False)
    text = workspace.nodes.export(tmp_path / "nodes.toml")
    assert text == (tmp_path / "nodes.toml").read_text(encoding="utf-8")
    with qrkit.open(tmp_path / "other") as other:
        assert list(other.nodes.import_(tmp_path / "nodes.toml")) == list(workspace.nodes)
        assert list(other.nodes) == list(workspace.nodes)


def test_importing_a_node_that_is_there_replaces_its_settings(workspace: Workspace, tmp_path: Path) -> None:
    workspace.nodes.add("pacs", **PACS)
    workspace.nodes.export(tmp_path / "nodes.toml")
    workspace.nodes.edit("pacs", port=11112, pause=1)
    workspace.nodes.import_(tmp_path / "nodes.toml")
    assert (workspace.nodes["pacs"].port, workspace.nodes["pacs"].pause) == (104, 0)


@pytest.mark.parametrize(
    "content",
    [
        '[[node]]\nname = "a"\nhost = "h"\nae_title = "A"\n[[node]]\nname = "b"\nhost = "h"\nae_title = ""\n',
        '[[node]]\nname = "a"\nhost = "h"\nae_title = "A"\nnonsense = 1\n',
        '[[node]]\nname = "a"\n',
        "node = 3\n",
        "[[node]\n",
        "",
    ],
)
def test_an_import_is_all_or_none(workspace: Workspace, tmp_path: Path, content: str) -> None:
    (tmp_path / "nodes.toml").write_text(content)
    with pytest.raises(InputError):
        workspace.nodes.import_(tmp_path / "nodes.toml")
    assert len(workspace.nodes) == 0


def test_removing_a_node_keeps_its_history(linked: Linked) -> None:
    found = linked.workspace.find("pacs", date="2026-06-30")
    query_id = found.attrs["qrkit"]["query_id"]
    linked.workspace.nodes.remove("pacs")
    assert "pacs" not in linked.workspace.nodes
    assert linked.workspace.queries.show(query_id).node == "pacs"
    assert len(linked.workspace.queries.read(query_id)) == len(found)
    assert linked.workspace.sql("SELECT count(*) AS n FROM studies")["n"].tolist() == [len(found)]
    with pytest.raises(NotFound, match="pacs"):
        linked.workspace.queries.rerun(query_id)


def test_a_name_can_be_used_again_after_its_node_was_removed(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", **PACS)
    workspace.nodes.remove("pacs")
    assert workspace.nodes.add("pacs", **{**PACS, "port": 105}).port == 105


def test_who_changed_nodes_is_in_the_audit(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", **PACS)
    workspace.nodes.edit("pacs", port=105)
    workspace.nodes.remove("pacs")
    audit = workspace.sql("SELECT who, action, subject FROM audit ORDER BY audit_id")
    assert set(audit["who"]) == {workspace.user}
    assert len(audit) == 3
