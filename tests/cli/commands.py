"""Running `qrkit` as people do: as a process of its own, or in this one where that is enough."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from qrkit.cli.app import run
from qrkit.workspace import Workspace
from tests.workspace.opened import environment

LIMIT = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """What it printed, as JSON; an error if that is not all it printed."""
        return json.loads(self.out)


def qrkit(workspace: Workspace, *arguments: str) -> Ran:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
        env=environment(workspace) | {"COLUMNS": "80"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(status=done.returncode, out=done.stdout, err=done.stderr)


class Here:
    """Runs commands in this process, on one workspace, which is quicker by the second that Python starts in."""

    def __init__(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.workspace = workspace
        self._capfd = capfd
        for name, value in environment(workspace).items():
            if name.startswith("QRKIT_"):
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "80")

    def __call__(self, *arguments: str) -> Ran:
        self._capfd.readouterr()
        status = run(list(arguments))
        out, err = self._capfd.readouterr()
        assert "Traceback" not in err, err
        return Ran(status=status, out=out, err=err)
