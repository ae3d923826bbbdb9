"""Programs of a site: no shell, a time limit, a bounded output, and nothing left running."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qrkit.errors import HandlerFailed
from qrkit.handlers.commands import OUTPUT_LIMIT, private_values, run_program
from tests.dimse.identifiers import element
from tests.peers.processes import runs
from tests.peers.waiting import wait_until


def never() -> None:
    """Let it run."""


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(lines)]


def limited(seconds: float, ready: Callable[[], bool] = lambda: True) -> Callable[[], None]:
    """End it after so many seconds, once it is ready."""
    deadline = time.monotonic() + seconds

    def check() -> None:
        if ready() and time.monotonic() > deadline:
            raise HandlerFailed("too long")

    return check


def test_status_and_output_come_back(tmp_path: Path) -> None:
    lines = "import sys, os; print('out', os.getcwd()); print('err', file=sys.stderr); sys.exit(3)"
    ended = run_program(python(lines), folder=tmp_path, check=never)
    assert ended.status == 3
    assert set(ended.output.splitlines()) == {f"out {tmp_path}", "err"}


def test_an_argument_is_never_read_by_a_shell(tmp_path: Path) -> None:
    ended = run_program(
        [*python("import sys; print(sys.argv[1:])"), "; touch x", "$(touch y)"], folder=tmp_path, check=never
    )
    assert ended.output == "['; touch x', '$(touch y)']"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_only_the_end_of_much_output_is_kept(tmp_path: Path) -> None:
    ended = run_program(python("for n in range(200000): print(n)"), folder=tmp_path, check=never)
    assert ended.output.endswith("199998\n199999")
    assert len(ended.output) <= OUTPUT_LIMIT


def test_it_reads_what_it_is_given(tmp_path: Path) -> None:
    ended = run_program(python("print(len(input()))"), folder=tmp_path, check=never, given=b"x" * 1000)
    assert ended.output == "1000"
    unread = run_program(python("pass"), folder=tmp_path, check=never, given=b"x" * 1_000_000)
    assert unread.status == 0


def test_the_password_of_the_database_is_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRKIT_DATABASE_URL", "postgresql://qrkit:secret@db/qrkit")
    ended = run_program(
        python("import os; print(os.environ.get('QRKIT_DATABASE_URL'))"), folder=tmp_path, check=never
    )
    assert ended.output == "None"


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HandlerFailed, match="nowhere cannot be started: No such file") as caught:
        run_program(["nowhere"], folder=tmp_path, check=never)
    assert "qrkit.toml" in caught.value.advice


@pytest.mark.slow
def test_one_that_takes_too_long_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    lines = (
        "import os, signal, subprocess, sys, time, pathlib",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])",
        f"part = pathlib.Path({str(pids)!r} + '.part')",
        "part.write_text(f'{os.getpid()} {child.pid}')",
        f"part.rename({str(pids)!r})",
        "time.sleep(100)",
    )
    with pytest.raises(HandlerFailed, match="too long"):
        run_program(python(*lines), folder=tmp_path, check=limited(0.2, pids.exists))
    started = [int(pid) for pid in pids.read_text(encoding="utf-8").split()]
    wait_until(lambda: not any(map(_runs, started)), what="both have ended")


@pytest.mark.slow
def test_a_process_that_it_leaves_behind_does_not_hold_it_up(tmp_path: Path) -> None:
    lines = (
        "import subprocess, sys",
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'])",
        "print(child.pid, flush=True)",
    )
    started = time.monotonic()
    ended = run_program(python(*lines), folder=tmp_path, check=never)
    assert ended.status == 0
    assert time.monotonic() - started < 5
    os.kill(int(ended.output), 9)


def _runs(pid: int) -> bool:
    try:
        return runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def test_a_name_in_an_undeclared_character_set_is_removed_from_the_output_however_it_is_read(tmp_path: Path) -> None:
    meta = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0", implicit=False)
    length = element(0x00020000, "UL", len(meta).to_bytes(4, "little"), implicit=False)
    name = element(0x00100010, "PN", "Müller ".encode(), implicit=False)
    path = tmp_path / "object.dcm"
    path.write_bytes(bytes(128) + b"DICM" + length + meta + name)
    assert private_values([path]) == ("Müller", "MÃ¼ller")
