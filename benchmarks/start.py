"""The CPU time of short commands, each in a process of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import qrkit

COMMANDS = (
    "--help",
    "find --help",
    "nodes list",
    "jobs list",
    "queries list",
    "schedule list",
    "users list",
    "echo pacs",
    "sql SELECT(1)",
)

GOALS = {"--help": 0.45, "nodes list": 0.45}
"""Seconds of CPU that a command may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The median CPU seconds of a command, user and system together."""

    command: str
    seconds: float

    def row(self) -> str:
        """Return the row of the table, with the goal if the command has one."""
        goal = GOALS.get(self.command)
        verdict = "" if goal is None else "met" if self.seconds <= goal else "missed"
        return (
            f"| qrkit {self.command} | {self.seconds:.2f} s | {'' if goal is None else f'{goal:.2f} s'} | {verdict} |"
        )


def measure(folder: Path, *, rounds: int) -> Iterator[Start]:
    """Run each command some times, after one time that warms up the disk cache."""
    with qrkit.open(folder) as workspace:
        workspace.nodes.add("pacs", host="127.0.0.1", port=1, ae_title="PACS")
    environment = {**os.environ, "QRKIT_WORKSPACE": str(folder)}
    for command in COMMANDS:
        seconds = [_cpu(command.split(), environment) for _ in range(rounds + 1)]
        yield Start(command=command, seconds=median(seconds[1:]))


def _cpu(arguments: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "qrkit.cli", *arguments], env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
