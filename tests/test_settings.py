"""Settings: from the file and the environment, which wins; whatever is wrong is named."""

from pathlib import Path
from typing import get_args

import pytest

from qrkit.cli.options import WorkspaceOption
from qrkit.errors import InputError
from qrkit.settings import FILE_NAME, current_user, default_in_words, load_settings, workspace_folder


def test_without_anything_there_are_defaults(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert (settings.workspace, settings.files) == (tmp_path, tmp_path / "files")
    assert (settings.ae_title, settings.host, settings.port) == ("QRKIT", "0.0.0.0", 11112)
    assert (settings.database_url, settings.unsolicited) == ("", "refuse")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('ae_title = "FILE"\nport = 104\nunsolicited = "keep"\n', encoding="utf-8")
    settings = load_settings(tmp_path, {"QRKIT_AE_TITLE": "ENV", "QRKIT_PORT": "105", "QRKIT_UNSOLICITED": ""})
    assert (settings.ae_title, settings.port, settings.unsolicited) == ("ENV", 105, "keep")


def test_the_folder_of_files_is_below_the_workspace_unless_it_is_absolute(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {"QRKIT_FILES": "dicom"}).files == tmp_path / "dicom"
    elsewhere = tmp_path.parent / "elsewhere"
    assert load_settings(tmp_path, {"QRKIT_FILES": str(elsewhere)}).files == elsewhere


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ae_titel = 'X'", "has no setting ae_titel; it may have ae_title, host, port"),
        ("ae_titel = 'X'", "Did you mean ae_title"),
        ("workspace = 'X'", "has no setting workspace"),
        ("port = ", "is not valid TOML"),
        ("port = 'x'", "QRKIT_PORT is a whole number, not 'x'"),
        ("port = 70000", "QRKIT_PORT must be 0 to 65535, not 70000"),
        ("ae_title = ''", "AE title is empty"),
        ("ae_title = 5", "ae_title"),
        ("host = 5", "host"),
        ("files = 5", "files"),
        ("database_url = 5", "database_url"),
        ("unsolicited = 'maybe'", "QRKIT_UNSOLICITED is refuse or keep, not 'maybe'"),
        ("free_space_floor = -1", "QRKIT_FREE_SPACE_FLOOR cannot be negative: -1"),
        ("free_space_floor = true", "QRKIT_FREE_SPACE_FLOOR is a whole number, not True"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        load_settings(tmp_path, {})


def test_tables_of_the_file_are_kept_for_their_owners(tmp_path: Path) -> None:
    text = 'port = 104\n[[after]]\nname = "dose"\ncopy_to = "/srv/dose"\n[plan]\ntoshiba = true\n'
    (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path, {})
    assert settings.port == 104
    assert settings.tables == {"after": [{"name": "dose", "copy_to": "/srv/dose"}], "plan": {"toshiba": True}}
    assert load_settings(tmp_path.parent, {}).tables == {}


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no UTF-8 text"):
        load_settings(tmp_path, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(tmp_path, {})


def test_the_workspace_is_the_one_given_then_the_environments_then_the_users(tmp_path: Path) -> None:
    environment = {"QRKIT_WORKSPACE": str(tmp_path / "env")}
    assert workspace_folder(tmp_path / "given", environment) == tmp_path / "given"
    assert workspace_folder(None, environment) == tmp_path / "env"
    assert workspace_folder(None, {}).name == "workspace"
    assert workspace_folder("~/here", {}) == Path.home() / "here"
    assert workspace_folder("here", {}).is_absolute()


def test_help_states_the_workspace_that_is_used_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    used = workspace_folder(None, {})
    words = default_in_words()
    assert words.startswith("$QRKIT_WORKSPACE, else ")
    assert Path(words.partition("else ")[2]).expanduser() == used
    assert "Default: $QRKIT_WORKSPACE, else " in get_args(WorkspaceOption)[1].help
    monkeypatch.setattr(Path, "home", classmethod(lambda _cls: Path("/nowhere")))
    assert default_in_words() == f"$QRKIT_WORKSPACE, else {used}"


def test_the_user_is_the_one_named_then_jupyterhubs_then_the_systems() -> None:
    assert current_user({"QRKIT_USER": "anna", "JUPYTERHUB_USER": "ben"}) == "anna"
    assert current_user({"JUPYTERHUB_USER": "ben"}) == "ben"
    assert current_user({})


def test_certificates_of_the_storage_scp_may_lie_in_the_workspace(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('tls_certificate = "own.pem"\n', encoding="utf-8")
    settings = load_settings(tmp_path, {"QRKIT_TLS_KEY": "/etc/own.key"})
    assert (settings.tls_certificate, settings.tls_key) == (str(tmp_path / "own.pem"), "/etc/own.key")
    with pytest.raises(InputError, match="need QRKIT_TLS_CERTIFICATE"):
        load_settings(tmp_path / "other", {"QRKIT_TLS_CA": "ca.pem"})
