"""Handlers that send a series on to a node by C-STORE."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from qrkit import errors
from qrkit.dimse.send import OutgoingFile, SendResult, send
from qrkit.handlers.task import Task, ToSend
from qrkit.node import Node
from qrkit.store.part10 import read_file_head

_MOST_BREAKS = 3


def send_files(task: Task, node: Node) -> str:
    """Send the files of a series to a node; an association that breaks is replaced while something gets through.

    Returns
    -------
    str
        What the node said although it took the objects, or empty.

    Raises
    ------
    InputError
        If the node is not one to send to.
    NodeError
        If it cannot be reached.
    HandlerFailed
        If some objects were not taken; the message says how many and why.
    """
    _check(node)
    results: dict[Path, SendResult] = {}
    breaks = 0
    try:
        waiting = [_outgoing(path, one) for path, one in zip(task.series.files, task.objects, strict=True)]
        while waiting:
            before = len(results)
            try:
                for sent in send(
                    node, waiting, calling_ae_title=task.settings.ae_title, should_stop=lambda: _should_stop(task)
                ):
                    results[sent.outgoing.path] = sent
            except errors.NodeError as error:
                breaks = 0 if len(results) > before else breaks + 1
                if not error.transient or breaks == _MOST_BREAKS:
                    raise
            waiting = [outgoing for outgoing in waiting if outgoing.path not in results]
    except errors.Cancelled:
        task.check()  # says whether the worker stops or the time is over
        raise
    except OSError as error:
        raise errors.HandlerFailed(f"A file of the series cannot be read: {error.strerror}.") from error
    return _told(list(results.values()), node)


def _should_stop(task: Task) -> bool:
    try:
        task.check()
    except (errors.Cancelled, errors.HandlerFailed):
        return True
    return False


def _check(node: Node) -> None:
    if not (node.enabled and node.can_store):
        raise errors.InputError(
            f"Node {node.name} {'takes no objects' if node.enabled else 'is disabled'}.",
            advice=f"Change it by: qrkit nodes edit {node.name} {'--can-store' if node.enabled else '--enabled'}.",
        )


def _outgoing(path: Path, one: ToSend) -> OutgoingFile:
    with path.open("rb") as file:
        head = read_file_head(file)
    return OutgoingFile(
        path=path,
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.sop_instance_uid,
        transfer_syntax_uid=head.transfer_syntax_uid,
        data_set_start=head.data_set_start,
    )


def _told(results: list[SendResult], node: Node) -> str:
    failed = [sent.error for sent in results if sent.error is not None]
    if failed:
        raise errors.HandlerFailed(
            f"{len(failed)} of {len(results)} objects were not taken by {node.name}: {failed[0].message}",
            advice=failed[0].advice,
            transient=any(error.transient for error in failed),
        )
    warnings = Counter(sent.warning for sent in results if sent.warning)
    return ", ".join(f"{count} taken with warning {said}" for said, count in warnings.items())
