"""Opening a workspace: where its settings come from, and what a bad one says."""

from pathlib import Path

import pytest

import qrkit
from qrkit.errors import InputError, StateUnavailable
from tests.workspace.opened import OpenWorkspace


def test_a_new_folder_becomes_an_empty_workspace(tmp_path: Path) -> None:
    with qrkit.open(tmp_path / "deep" / "new") as workspace:
        assert len(workspace.nodes) == 0
        assert len(workspace.files) == 0
        assert len(workspace.queries.list()) == 0
        assert len(workspace.jobs.list()) == 0
        assert workspace.settings.files == tmp_path / "deep" / "new" / "files"


def test_a_workspace_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRKIT_WORKSPACE", str(tmp_path / "mine"))
    with qrkit.open() as workspace:
        assert workspace.settings.workspace == tmp_path / "mine"


def test_without_any_hint_a_workspace_is_in_the_users_own_folder() -> None:
    with qrkit.open() as workspace:
        assert workspace.settings.workspace.name == "workspace"
        assert workspace.settings.workspace.parent.name == "qrkit"


def test_a_folder_given_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRKIT_WORKSPACE", str(tmp_path / "theirs"))
    with qrkit.open(tmp_path / "mine") as workspace:
        assert workspace.settings.workspace == tmp_path / "mine"


def test_settings_are_read_from_the_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qrkit.toml").write_text('ae_title = "PHYSICS"\nport = 11200\nfiles = "objects"\n')
    monkeypatch.setenv("QRKIT_PORT", "11300")
    monkeypatch.setenv("QRKIT_HOST", "127.0.0.1")
    with qrkit.open(tmp_path) as workspace:
        settings = workspace.settings
        assert (settings.ae_title, settings.port, settings.host) == ("PHYSICS", 11300, "127.0.0.1")
        assert settings.files == tmp_path / "objects"
    with qrkit.open(tmp_path, port=11400) as workspace:
        assert workspace.settings.port == 11400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = [", "not valid TOML"),
        ("prot = 104", "no setting prot"),
        ('port = "many"', "QRKIT_PORT is a whole number"),
        ("port = 70000", "0 to 65535"),
        ('ae_title = "ABCDEFGHIJKLMNOPQ"', "17 characters"),
        ("ae_title = 5", "ae_title is a text"),
        ("files = 5", "files is a text"),
        ('unsolicited = "maybe"', "refuse or keep"),
        ("worker_idle_exit = -1", "cannot be negative"),
        ('database_url = "mysql://x/y"', "SQLite files and PostgreSQL"),
        ('database_url = "nonsense"', "not a valid database URL"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "qrkit.toml").write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        qrkit.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_setting_in_the_call_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no setting prot"):
        qrkit.open(tmp_path, prot=104)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        qrkit.open(tmp_path / "file" / "workspace")


def test_a_database_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "qrkit.sqlite").write_text("this is no database" * 100)
    with pytest.raises(StateUnavailable):
        qrkit.open(tmp_path)


def test_who_asks_is_named_by_the_environment(open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "hub-user")
    assert open_workspace().user == "hub-user"
    monkeypatch.setenv("QRKIT_USER", "somebody")
    assert open_workspace().user == "somebody"
