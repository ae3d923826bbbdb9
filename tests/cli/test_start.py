"""How `qrkit` starts: quickly, with help, and without loading what is not needed."""

import os
import signal
import subprocess
import sys

import pytest

from qrkit import __version__
from qrkit.workspace import Workspace
from tests.cli.commands import Here, qrkit
from tests.workspace.opened import environment

HEAVY = ("ipywidgets", "anywidget", "pandas", "pyarrow", "duckdb", "sqlalchemy", "pynetdicom", "pydicom", "numpy")
COMMANDS = (
    *("demo", "nodes", "echo", "find", "retrieve", "jobs", "queries", "instances", "sql", "serve"),
    *("nodes add", "nodes edit", "nodes list", "nodes show", "nodes remove", "nodes import", "nodes export"),
    *("jobs list", "jobs show", "jobs cancel", "jobs pause", "jobs resume", "jobs retry"),
    *("queries list", "queries show", "queries rerun", "queries diff", "instances list"),
    *("plan", "plans list", "plans show", "plans diff", "plans why"),
)


def loaded_by(code: str) -> set[str]:
    """The heavy libraries that a Python of its own has loaded after some code."""
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


def test_import_qrkit_loads_no_heavy_library() -> None:
    assert loaded_by("import qrkit") == set()
    assert loaded_by("import qrkit; qrkit.QrkitError") == set()


def test_a_workspace_is_opened_without_any_widget_library() -> None:
    assert loaded_by("import qrkit; qrkit.Workspace") & {"ipywidgets", "anywidget"} == set()


def test_the_command_line_loads_no_widget_library() -> None:
    assert loaded_by("import qrkit.cli.app") & {"ipywidgets", "anywidget"} == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(here: Here, command: str) -> None:
    ran = here(*command.split(), "--help")
    assert ran.status == 0
    assert "Usage" in ran.out


def test_without_a_command_help_is_shown_and_the_version_by_its_option(here: Here) -> None:
    assert "Usage" in here().out + here().err
    assert here("--version").out.strip() == f"qrkit {__version__}"


def test_the_workspace_comes_from_the_environment(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", host="10.1.2.3", ae_title="PACS")
    ran = qrkit(workspace, "nodes", "list", "--format", "json")
    assert [node["name"] for node in ran.json] == ["pacs"]


def test_a_command_prints_nothing_but_its_result_until_its_process_has_ended(workspace: Workspace) -> None:
    ran = qrkit(workspace, "sql", "SELECT 1 AS one", "--format", "csv")
    assert (ran.status, ran.out.split(), ran.err) == (0, ["one", "1"], "")


def test_a_bad_setting_is_one_line_and_status_2(workspace: Workspace) -> None:
    (workspace.settings.workspace / "qrkit.toml").write_text("prot = 104\n")
    ran = qrkit(workspace, "nodes", "list")
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert "no setting prot" in ran.err


def test_ctrl_c_while_it_is_loaded_ends_it_without_a_traceback() -> None:
    code = """
import signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "qrkit.cli.app":
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from qrkit.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "qrkit: Interrupted.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize(
    "command",
    ["jobs list", "jobs list --format json", "nodes list --format csv", "nodes show pacs", "nodes export", "--help"],
)
def test_a_command_whose_reader_has_gone_ends_quietly(workspace: Workspace, command: str) -> None:
    workspace.nodes.add("pacs", host="10.1.2.3", ae_title="PACS")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "qrkit.cli", *command.split()],
            check=False,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment(workspace),
        )
    assert (done.returncode, done.stderr) == (141, "")
