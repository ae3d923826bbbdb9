"""C-STORE as SCU: sends files to a node as they are stored, byte for byte (PS3.4 annex B).

Nothing is decoded or encoded again: each SOP Class is proposed in the transfer syntax of its files, and each object
that a node does not accept that way is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qrkit import errors
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import MOST_CONTEXTS, Proposal
from qrkit.dimse.messages import check_response, read_command, store_request
from qrkit.dimse.negotiation import AcceptedContext
from qrkit.dimse.status import Category, Service, classify, failure
from qrkit.dimse.stream import P_DATA_HEADER_SIZE, fragment_limit, write_p_data_header
from qrkit.node import Node
from qrkit.stop import NEVER, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    """A file to be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_start: int
    """Where its data set begins, after the File Meta Information, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The result of sending one file."""

    outgoing: OutgoingFile
    error: errors.NodeError | None = None
    """Why the node refused it; None if it did not."""
    warning: str = ""
    """The status with which the node accepted it (0xB000, 0xB006, 0xB007), or empty."""


def send(
    node: Node,
    files: Sequence[OutgoingFile],
    *,
    calling_ae_title: str,
    stop: Stop = NEVER,
) -> Iterator[SendResult]:
    """Send files over one association, more only if they need more than 128 presentation contexts.

    Yields each file with the node's response as soon as it is received, so the caller knows the sent files if the
    association breaks. The others are sent even if one is refused. Raises NodeError if the node cannot be reached or
    the association breaks, Cancelled if `stop` ends it, and OSError if a file cannot be read.
    """
    kinds: dict[tuple[str, str], list[OutgoingFile]] = {}
    for outgoing in files:
        kinds.setdefault((outgoing.sop_class_uid, outgoing.transfer_syntax_uid), []).append(outgoing)
    pairs = list(kinds)
    for start in range(0, len(pairs), MOST_CONTEXTS):
        some = pairs[start : start + MOST_CONTEXTS]
        proposals = [Proposal(abstract_syntax=sop_class, transfer_syntaxes=(syntax,)) for sop_class, syntax in some]
        yield from _send_some(
            node,
            proposals,
            [outgoing for kind in some for outgoing in kinds[kind]],
            calling_ae_title=calling_ae_title,
            stop=stop,
        )


def _send_some(
    node: Node,
    proposals: Sequence[Proposal],
    files: Sequence[OutgoingFile],
    *,
    calling_ae_title: str,
    stop: Stop,
) -> Iterator[SendResult]:
    try:
        association = associate(node, proposals, calling_ae_title=calling_ae_title, stop=stop)
    except errors.NoContextAccepted:
        yield from (_not_taken(node, outgoing) for outgoing in files)
        return
    with association:
        contexts = {(one.abstract_syntax, one.transfer_syntax): one for one in association.contexts.values()}
        for outgoing in files:
            stop.check()
            context = contexts.get((outgoing.sop_class_uid, outgoing.transfer_syntax_uid))
            if context is None:
                yield _not_taken(node, outgoing)
            else:
                yield _send_one(association, context, outgoing, node)


def _send_one(association: Association, context: AcceptedContext, outgoing: OutgoingFile, node: Node) -> SendResult:
    stream = association.stream
    message_id = association.next_message_id()
    request = store_request(outgoing.sop_class_uid, outgoing.sop_instance_uid, message_id)
    with outgoing.path.open("rb") as file:
        file.seek(outgoing.data_set_start)
        stream.patience = node.timeouts.inactivity
        # the command waits for the first fragment, so that a small object is one write
        start = stream.message(context.context_id, request)
        for pdu in data_pdus(file, context.context_id, maximum=stream.peer_maximum):
            stream.send(start, pdu) if start else stream.send(pdu)
            start = b""
    stream.patience = node.timeouts.response
    _, answer = read_command(association)
    return _read(association, answer, outgoing, message_id)


def _read(association: Association, answer: dimse.Command, outgoing: OutgoingFile, message_id: int) -> SendResult:
    code = check_response(association, answer, Service.STORE)
    answered = answer.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO)
    if answered != message_id:
        raise errors.ProtocolError(
            f"{association.peer} answered message {answered} where a response to message {message_id} was due."
        )
    status = classify(Service.STORE, code)
    if status.category is Category.SUCCESS:
        return SendResult(outgoing=outgoing)
    if status.category is Category.WARNING:
        return SendResult(outgoing=outgoing, warning=f"0x{code:04X} ({status.meaning})")
    comment = answer.comment
    return SendResult(outgoing=outgoing, error=failure(Service.STORE, code, peer=association.peer, comment=comment))


def data_pdus(file: BinaryIO, context_id: int, *, maximum: int) -> Iterator[memoryview]:
    r"""Give the rest of a file as P-DATA-TF PDUs, none longer than `maximum` bytes (0: no limit).

    The memory is used again for the next one. Fragments are even, since data sets are (PS3.5 7.1), and DCMTK takes
    no others.

    >>> from io import BytesIO
    >>> [bytes(pdu)[11:] for pdu in data_pdus(BytesIO(b"abcdef"), 1, maximum=10)]  # control header, fragment
    [b'\x00abcd', b'\x02ef']
    """
    limit = fragment_limit(maximum)
    buffer = memoryview(bytearray(P_DATA_HEADER_SIZE + limit))
    size = _fill(file, buffer[P_DATA_HEADER_SIZE:])
    following = file.read(1) if size == limit else b""
    while True:
        write_p_data_header(buffer, context_id, size, is_last=not following)
        yield buffer[: P_DATA_HEADER_SIZE + size]
        if not following:
            return
        buffer[P_DATA_HEADER_SIZE : P_DATA_HEADER_SIZE + 1] = following
        size = 1 + _fill(file, buffer[P_DATA_HEADER_SIZE + 1 :])
        following = file.read(1) if size == limit else b""


def _fill(file: BinaryIO, room: memoryview) -> int:
    """Read into all of a buffer; return how many bytes there were."""
    filled = 0
    while filled < len(room):
        count = file.readinto(room[filled:])  # type: ignore[attr-defined]  # every binary file has it
        if not count:
            break
        filled += count
    return filled


def _not_taken(node: Node, outgoing: OutgoingFile) -> SendResult:
    from pydicom.uid import UID

    sop_class, syntax = UID(outgoing.sop_class_uid).name, UID(outgoing.transfer_syntax_uid).name
    error = errors.NoContextAccepted(
        f"{node.name} does not take {sop_class} in {syntax}.",
        advice="Ask its team to allow this SOP Class and transfer syntax; qrkit sends what it holds, undecoded.",
    )
    return SendResult(outgoing=outgoing, error=error)
