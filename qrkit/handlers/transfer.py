"""Handlers that copy a series to a folder, or send it to a node by C-STORE."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections import Counter
from pathlib import Path

from qrkit import errors
from qrkit.advice import Action, Advice
from qrkit.dimse.send import OutgoingFile, SendResult, send
from qrkit.handlers.handler import SopReference, Task
from qrkit.node import Node
from qrkit.stop import Stop
from qrkit.store.part10 import read_file_head
from qrkit.uids import path_name

_NAME = re.compile(r"(?:[0-9.]{1,64}|uid-[0-9a-f]{32})(?:\.[0-9a-f]+)?\.dcm", re.ASCII)

_MOST_BREAKS = 3


def copy_files(task: Task) -> str:
    """Copy the files of a series to ``<folder>/<StudyInstanceUID>/<SeriesInstanceUID>/``.

    Each copy is written under a name that begins with a dot and renamed when it is whole. An existing copy with the
    same bytes is skipped.

    Raise `HandlerFailed` if the folder does not exist or cannot be written.
    """
    folder = Path(task.handler.copy_to).expanduser()
    if not folder.is_absolute():
        folder = task.settings.workspace / folder
    if not folder.is_dir():  # never fill the mount point of a share that is not mounted
        raise errors.HandlerFailed(f"The folder {folder} does not exist.", advice="Create or mount it.")
    target = folder / path_name(task.series.StudyInstanceUID) / path_name(task.series.SeriesInstanceUID)
    try:
        target.mkdir(parents=True, exist_ok=True)
        copied = sum(_copy(path, target, task) for path in task.series.files)
    except OSError as error:
        raise errors.HandlerFailed(f"A file cannot be copied to {folder}: {error.strerror}.") from error
    skipped = len(task.series.files) - copied
    return f"{skipped} of {len(task.series.files)} files existed already" if skipped else ""


def _copy(path: Path, target: Path, task: Task) -> bool:
    """Copy a file unless it exists with the same bytes; return whether it was copied."""
    task.check()
    if not _NAME.fullmatch(path.name):
        raise errors.HandlerFailed(f"The file {path.name!r} does not have its UID as name.", transient=False)
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


def send_files(task: Task, node: Node) -> str:
    """Send the files of a series to a node; open a new association after a loss as long as objects get through.

    Return the warnings of the node. Raise `InputError` if it cannot receive objects, `NodeError` if it cannot be
    reached, `HandlerFailed` if it did not accept some of them, with how many and why.
    """
    _check(node)
    results: dict[Path, SendResult] = {}
    breaks = 0
    try:
        waiting = [_outgoing(path, sop) for path, sop in zip(task.series.files, task.objects, strict=True)]
        while waiting:
            before = len(results)
            try:
                for sent in send(
                    node, waiting, calling_ae_title=task.settings.ae_title, stop=Stop(lambda: _is_ending(task))
                ):
                    results[sent.outgoing.path] = sent
            except errors.NodeError as error:
                breaks = 0 if len(results) > before else breaks + 1
                if not error.transient or breaks == _MOST_BREAKS:
                    raise
            waiting = [outgoing for outgoing in waiting if outgoing.path not in results]
    except errors.Cancelled:
        task.check()  # raises the reason: the worker stops, or the time limit
        raise
    except OSError as error:
        raise errors.HandlerFailed(f"A file of the series cannot be read: {error.strerror}.") from error
    return _warnings(list(results.values()), node)


def _is_ending(task: Task) -> bool:
    try:
        task.check()
    except (errors.Cancelled, errors.HandlerFailed):
        return True
    return False


def _check(node: Node) -> None:
    if not (node.enabled and node.can_store):
        raise errors.InputError(
            f"Node {node.name} {'does not receive objects' if node.enabled else 'is disabled'}.",
            advice=Advice("", Action.EDIT_NODE, node.name, (("can_store" if node.enabled else "enabled", True),)),
        )


def _outgoing(path: Path, reference: SopReference) -> OutgoingFile:
    with path.open("rb") as file:
        head = read_file_head(file)
    return OutgoingFile(
        path=path,
        sop_class_uid=reference.sop_class_uid,
        sop_instance_uid=reference.sop_instance_uid,
        transfer_syntax_uid=head.transfer_syntax_uid,
        data_set_start=head.data_set_start,
    )


def _warnings(results: list[SendResult], node: Node) -> str:
    failed = [sent.error for sent in results if sent.error is not None]
    if failed:
        raise errors.HandlerFailed(
            f"Node {node.name} did not accept {len(failed)} of {len(results)} objects: {failed[0].message}",
            advice=failed[0].remedy,
            transient=any(error.transient for error in failed),
        )
    warnings = Counter(sent.warning for sent in results if sent.warning)
    return ", ".join(f"{count} accepted with warning {warning}" for warning, count in warnings.items())
