"""C-STORE as SCP: an arriving object goes to its receiver fragment by fragment (PS3.4 annex B).

Shared by C-GET, where objects come back on the same association, and by the Storage SCP.
"""

from __future__ import annotations

from contextlib import suppress

from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import Command
from qrkit.dimse.status import SUCCESS
from qrkit.dimse.stream import Stream
from qrkit.receipt import Arrival, Incoming, Receiver, Refused


def store(
    stream: Stream, context_id: int, command: Command, receiver: Receiver, *, transfer_syntax_uid: str, sender: str
) -> int:
    """Take the object of one C-STORE-RQ and answer it; return its size in bytes, 0 if it was refused.

    The response goes out after the object is in its place. A refused object is read to its end and dropped,
    so that the association lives on.
    """
    arrival = Arrival(
        sop_class_uid=command.text(dimse.AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=command.text(dimse.AFFECTED_SOP_INSTANCE_UID),
        transfer_syntax_uid=transfer_syntax_uid,
        sender=sender,
        move_originator=command.text(dimse.MOVE_ORIGINATOR_AE_TITLE),
        move_message_id=command.number(dimse.MOVE_ORIGINATOR_MESSAGE_ID) or 0,
    )
    status, comment, size = SUCCESS, "", 0
    try:
        size = _take(stream, context_id, receiver, arrival, has_data_set=command.has_data_set)
    except Refused as refusal:
        status, comment = refusal.status, refusal.comment
    stream.send(stream.message(context_id, dimse.response(command, status, comment)))
    receiver.ready()
    return size


def _take(stream: Stream, context_id: int, receiver: Receiver, arrival: Arrival, *, has_data_set: bool) -> int:
    if not has_data_set:
        raise Refused(0xC000, "the request has no data set")
    try:
        incoming = receiver.begin(arrival)
    except Refused:
        stream.read_data(context_id, _drop)
        raise
    try:
        size = _Writer(incoming).read(stream, context_id)
        incoming.commit()
    except BaseException:
        with suppress(Refused, OSError):
            incoming.discard()
        raise
    return size


class _Writer:
    """Writes fragments until the receiver refuses one, then reads on to the end of the data set."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._refusal: Refused | None = None

    def read(self, stream: Stream, context_id: int) -> int:
        size = stream.read_data(context_id, self._write)
        if self._refusal is not None:
            raise self._refusal
        return size

    def _write(self, fragment: memoryview) -> None:
        if self._refusal is None:
            try:
                self._incoming.write(fragment)
            except Refused as refusal:
                self._refusal = refusal


def _drop(fragment: memoryview) -> None:
    del fragment
