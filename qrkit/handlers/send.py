"""Handlers that send a series to a node by C-STORE."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from qrkit import errors
from qrkit.advice import Action, Advice
from qrkit.dimse.send import OutgoingFile, SendResult, send
from qrkit.handlers.task import SopReference, Task
from qrkit.node import Node
from qrkit.stop import Stop
from qrkit.store.part10 import read_file_head

_MOST_BREAKS = 3


def send_files(task: Task, node: Node) -> str:
    """Send the files of a series to a node; open a new association after a loss as long as objects get through.

    Returns
    -------
    str
        The warnings of the node, or empty.

    Raises
    ------
    InputError
        If the node cannot receive objects.
    NodeError
        If the node cannot be reached.
    HandlerFailed
        If the node did not accept some objects; the message says how many and why.
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
