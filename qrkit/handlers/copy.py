"""Handlers that copy files: a copy has its final name only when it is whole."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from pathlib import Path

from qrkit.errors import HandlerFailed
from qrkit.handlers.task import Task
from qrkit.uids import is_valid_uid

_NAME = re.compile(r"[0-9.]{1,64}(\.[0-9a-f]+)?\.dcm", re.ASCII)


def copy_files(task: Task) -> str:
    """Copy the files of a series to ``<folder>/<StudyInstanceUID>/<SeriesInstanceUID>/``.

    Each copy is written under a name that begins with a dot and renamed when it is whole. An existing copy with the
    same bytes is skipped.

    Raises
    ------
    HandlerFailed
        If the folder does not exist or cannot be written.
    """
    folder = Path(task.handler.copy_to).expanduser()
    if not folder.is_absolute():
        folder = task.settings.workspace / folder
    if not folder.is_dir():  # never fill the mount point of a share that is not mounted
        raise HandlerFailed(f"The folder {folder} does not exist.", advice="Create or mount it.")
    uids = (task.series.StudyInstanceUID, task.series.SeriesInstanceUID)
    if not all(is_valid_uid(uid) for uid in uids):
        raise HandlerFailed("The series has no valid UIDs for the name of its folder.", transient=False)
    target = folder.joinpath(*uids)
    try:
        target.mkdir(parents=True, exist_ok=True)
        copied = sum(_copy(path, target, task) for path in task.series.files)
    except OSError as error:
        raise HandlerFailed(f"A file cannot be copied to {folder}: {error.strerror}.") from error
    skipped = len(task.series.files) - copied
    return f"{skipped} of {len(task.series.files)} files existed already" if skipped else ""


def _copy(path: Path, target: Path, task: Task) -> bool:
    """Copy a file unless it exists with the same bytes; return whether it was copied."""
    task.check()
    if not _NAME.fullmatch(path.name):
        raise HandlerFailed(f"The file {path.name!r} does not have its UID as name.", transient=False)
    final = target / path.name
    if final.exists() and filecmp.cmp(path, final, shallow=False):
        return False
    # the name is the same in each attempt, so the next one replaces the file of an attempt that was killed
    part = target / f".{path.name}.{task.run_id}.part"
    try:
        shutil.copyfile(path, part)
        os.replace(part, final)  # noqa: PTH105 - Path.replace does the same; here the atomic replacement is the point
    finally:
        part.unlink(missing_ok=True)
    return True
