"""Copies of files: whole under their final names, or not there at all."""

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

    Each is written under a name that begins with a dot, and renamed when it is whole. One that is there already with
    the same bytes stays as it is.

    Raises
    ------
    HandlerFailed
        If the folder is not there, or cannot be written.
    """
    folder = Path(task.handler.copy_to).expanduser()
    if not folder.is_absolute():
        folder = task.settings.workspace / folder
    if not folder.is_dir():  # a share that is not mounted must not be filled below its mount point
        raise HandlerFailed(f"The folder {folder} is not there.", advice="Make it, or mount it.")
    uids = (task.series.StudyInstanceUID, task.series.SeriesInstanceUID)
    if not all(is_valid_uid(uid) for uid in uids):
        raise HandlerFailed("The series has no valid UIDs to name a folder by.", transient=False)
    target = folder.joinpath(*uids)
    try:
        target.mkdir(parents=True, exist_ok=True)
        copied = sum(_copy(path, target, task) for path in task.series.files)
    except OSError as error:
        raise HandlerFailed(f"A file cannot be copied to {folder}: {error.strerror}.") from error
    there = len(task.series.files) - copied
    return f"{there} of {len(task.series.files)} files were there already" if there else ""


def _copy(path: Path, target: Path, task: Task) -> bool:
    """Copy a file, unless it is there with the same bytes."""
    task.check()
    if not _NAME.fullmatch(path.name):
        raise HandlerFailed(f"The file {path.name!r} is not named by its UID.", transient=False)
    final = target / path.name
    if final.exists() and filecmp.cmp(path, final, shallow=False):
        return False
    # the name is the same in each attempt, so one that was killed leaves nothing behind that the next does not mend
    part = target / f".{path.name}.{task.run_id}.part"
    try:
        shutil.copyfile(path, part)
        os.replace(part, final)  # noqa: PTH105 - Path.replace does the same; said plainly, it is the point
    finally:
        part.unlink(missing_ok=True)
    return True
