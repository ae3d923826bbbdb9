import io

import pytest

from qrkit.cli.app import run
from tests.cli.commands import Here


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))


def test_users_are_added_changed_listed_and_removed(here: Here, typed: None) -> None:  # noqa: ARG001 - what is typed
    assert here("users", "add", "ann", "--role", "operator", "--password-stdin").status == 0
    (row,) = here("users", "list", "--format", "json").json
    assert (row["name"], row["role"]) == ("ann", "operator")
    assert "password" not in row
    assert here("users", "role", "ann", "viewer").status == 0
    assert here.workspace.users.list()["role"].tolist() == ["viewer"]
    assert here("users", "remove", "ann").status == 0
    assert here("users", "list", "--format", "json").json == []


def test_a_password_comes_from_a_terminal_or_is_said_to_come_from_elsewhere(here: Here, typed: None) -> None:  # noqa: ARG001
    done = here("users", "add", "ann")
    assert done.status == 2
    assert "--password-stdin" in done.err


def test_a_short_password_is_wrong_usage(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    done = here("users", "add", "ann", "--password-stdin")
    assert (done.status, done.err.strip()) == (2, "qrkit: A password needs at least 8 characters.")
    assert run(["users", "passwd", "bob", "--password-stdin"]) == 2
