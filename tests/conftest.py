"""Every test: markers, no user settings, no process left behind, Hypothesis without a clock."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from hypothesis import settings

from qrkit.advice import Surface, read_on
from tests.peers.processes import running, runs
from tests.peers.programs import in_ci
from tests.peers.waiting import wait_until
from tests.workspace.opened import (
    _temporary_files_stay_here,
    hospital,
    linked,
    open_workspace,
    start_simulator,
    workspace,
)

# Fixtures of the upper layers, for every folder.
__all__ = ["_temporary_files_stay_here", "hospital", "linked", "open_workspace", "start_simulator", "workspace"]

# A loaded machine is no failure. In CI the examples are the same in every run, so that a red run is about the
# change; elsewhere Hypothesis goes on looking for new ones. The blob reproduces a failure on another machine.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if in_ci() else "dev")

# Inherited by every process that a test starts, also by one that detaches itself: so it can be found.
_MARK = "QRKIT_TEST_SESSION"
_KEPT = {"QRKIT_SAMPLES"}
_USER_FOLDERS = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
)
_user_folder = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Hide the settings of whoever runs the tests; what is started from here inherits that."""
    for name in [name for name in os.environ if name.startswith("QRKIT_") and name not in _KEPT]:
        del os.environ[name]
    # With it, every process that a test starts would compile qrkit anew, half a second each; no installed one does.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = Path(tempfile.mkdtemp(prefix="qrkit-tests-"))
    config.stash[_user_folder] = folder
    os.environ.update({name: str(folder / name.lower()) for name in _USER_FOLDERS})
    os.environ[_MARK] = uuid4().hex


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder that stood in for the user's."""
    shutil.rmtree(config.stash[_user_folder], ignore_errors=True)


@pytest.fixture(autouse=True)
def _advice_names_commands() -> Iterator[None]:
    """Advise commands, as the command line does, in every test."""
    with read_on(Surface.COMMAND_LINE):
        yield


@pytest.fixture(autouse=True)
def _no_process_is_left_behind() -> Iterator[None]:
    """Fail the test after which a process still runs that it started.

    Those of wider fixtures are older, unless asked for by `getfixturevalue`; those known to
    `tests.peers.processes` are closed by their fixture.
    """
    before = set(_children())
    yield
    if not _children() - before:  # looked for once: each look takes a few milliseconds, and there are thousands
        return
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not _children() - before, 3.0)
    _end_and_fail(_children() - before)


@pytest.fixture(scope="session", autouse=True)
def _no_detached_process_is_left_behind() -> Iterator[None]:
    """Fail the session when a process still runs that detached itself from the tests."""
    yield
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not _marked(), 5.0)
    _end_and_fail(_marked())


def _children() -> set[psutil.Process]:
    """The processes that the tests started themselves, other than servers of the fixtures."""
    of_fixtures = {server.pid for server in running()}
    return {child for child in psutil.Process().children() if child.pid not in of_fixtures and _counts(child)}


def _counts(process: psutil.Process) -> bool:
    """Whether a process runs, and is not multiprocessing's resource tracker, which lives as long as Python."""
    try:
        tracker = any("multiprocessing.resource_tracker" in part for part in process.cmdline())
        return runs(process) and not tracker
    except psutil.NoSuchProcess:
        return False


def _marked() -> set[psutil.Process]:
    """All other processes that inherited the mark of this session."""
    mark = os.environ[_MARK]
    return {
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _environment(process).get(_MARK) == mark and _counts(process)
    }


def _environment(process: psutil.Process) -> dict[str, str]:
    """What the process was started with, as far as it is ours to read."""
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def _end_and_fail(left: set[psutil.Process]) -> None:
    """End what was left behind, if anything, and fail saying what it was."""
    found = []
    for process in left:
        try:
            found.append(f"{process.pid}: {' '.join(process.cmdline())[:200]}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if found:
        pytest.fail("left running by the test, ended now:\n" + "\n".join(found), pytrace=False)
