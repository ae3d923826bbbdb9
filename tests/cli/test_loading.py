"""What each command loads: one that needs only the state is there at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

import qrkit
from qrkit.cli.app import app, load_command
from tests.workspace.opened import Linked

_HEAVY = ("pandas", "numpy", "pyarrow", "duckdb", "pydicom", "pynetdicom", "qrkit.simulator", "plotly", "ipywidgets")

_PROGRAM = """
import sys
from qrkit.cli.app import run
status = run(sys.argv[1:])
loaded = sorted(name for name in {names!r} if name in sys.modules)
print("loaded:", *loaded, file=sys.stderr)
sys.exit(status)
"""


def _loaded(*arguments: str, names: tuple[str, ...] = _HEAVY) -> list[str]:
    """Return which of some modules a command line has loaded in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(names=names), *arguments], capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()[-1].split()[1:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with qrkit.open(tmp_path) as workspace:
        workspace.nodes.add("pacs", host="127.0.0.1", port=104, ae_title="PACS")
        workspace.users.add("ann", "correct horse")
        workspace.schedules.add("night", "pacs", every="daily", modalities="CT", date="yesterday")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "nodes list",
        "nodes list --format json",
        "nodes list --format csv",
        "nodes show pacs",
        "jobs list",
        "users list",
        "queries list",
        "schedule list",
        "schedule show night",
        "handlers list",
        "handlers runs",
    ],
)
def test_a_command_that_needs_only_the_state_loads_neither_tables_nor_the_wire(command: str, folder: Path) -> None:
    assert _loaded(*command.split(), "--workspace", str(folder)) == []


def test_an_echo_loads_the_wire_and_no_tables(linked: Linked) -> None:
    names = ("pandas", "pyarrow", "duckdb", "qrkit.simulator", "plotly", "ipywidgets", "pynetdicom")
    folder = linked.workspace.settings.workspace
    assert _loaded("echo", "pacs", "--workspace", str(folder), names=names) == []


@pytest.mark.parametrize("command", ["--help", "--version", "find --help", "plan --help", "nodes --help"])
def test_help_does_not_even_load_the_state(command: str) -> None:
    assert _loaded(*command.split(), names=(*_HEAVY, "sqlalchemy")) == []


def test_help_lists_each_command_with_its_own_first_line() -> None:
    group = typer.main.get_command(app)
    for name, listed in group.commands.items():  # type: ignore[attr-defined]  # typer's own click has no stubs
        assert listed.help == (load_command(name).help or "").split("\n")[0], name


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    from qrkit.cli.app import run

    assert run(["retrievee"]) == 2
    assert "Did you mean retrieve?" in capsys.readouterr().err


def test_completion_offers_commands_and_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qrkit.cli"],
        env={"_QRKIT_COMPLETE": "complete_bash", "COMP_WORDS": "qrkit no", "COMP_CWORD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["nodes"]
