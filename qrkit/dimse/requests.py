"""Requests of C-FIND, C-GET and C-MOVE: sent with their Identifier, answered by responses, and cancelled."""

from __future__ import annotations

import time

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit import errors, uids
from qrkit.dimse import command as dimse
from qrkit.dimse.association import Association
from qrkit.dimse.command import Command, decode_command
from qrkit.dimse.negotiation import AcceptedContext
from qrkit.dimse.status import Service
from qrkit.dimse.stream import PeerReleased
from qrkit.stop import Stop

_RESPONSES = {
    Service.ECHO: dimse.C_ECHO_RSP,
    Service.FIND: dimse.C_FIND_RSP,
    Service.GET: dimse.C_GET_RSP,
    Service.MOVE: dimse.C_MOVE_RSP,
    Service.STORE: dimse.C_STORE_RSP,
}

CANCEL_GRACE = 2.0
"""Seconds that a peer has to obey C-CANCEL before the association is aborted."""


def encode_identifier(identifier: Dataset, transfer_syntax: str) -> bytes:
    """Encode an Identifier in one of the two uncompressed little-endian transfer syntaxes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN
    write_dataset(buffer, identifier)
    return bytes(buffer.getvalue())


def send_request(
    association: Association, field: int, model: str, identifier: Dataset, destination: str = ""
) -> PendingRequest:
    """Send a C-FIND, C-GET or C-MOVE request; return it, so that it can be cancelled."""
    context = association.context_for(model)
    message_id = association.next_message_id()
    request = dimse.request(field, sop_class_uid=model, message_id=message_id, move_destination=destination)
    data = encode_identifier(identifier, context.transfer_syntax)
    association.stream.send(association.stream.message(context.context_id, request, data))
    return PendingRequest(association, context, message_id)


class PendingRequest:
    """A request that waits for its final response and can be cancelled."""

    def __init__(self, association: Association, context: AcceptedContext, message_id: int) -> None:
        self.context = context
        self.message_id = message_id
        self._association = association
        self._cancelled_at = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether C-CANCEL was sent."""
        return self._cancelled_at > 0

    def cancel(self) -> None:
        """Send C-CANCEL once (PS3.7 9.3.2.3); two seconds later `check` aborts."""
        if not self.is_cancelled:
            self._cancelled_at = time.monotonic()
            stream = self._association.stream
            stream.send(stream.message(self.context.context_id, dimse.cancel(self.message_id)))

    def check(self, stop: Stop) -> None:
        """Cancel if the caller asks for it, and abort if the peer ignores that.

        Raises
        ------
        Cancelled
            Two seconds after a C-CANCEL that the peer ignored.
        """
        if not self.is_cancelled:
            if stop.wanted():
                self.cancel()
        elif time.monotonic() - self._cancelled_at > CANCEL_GRACE:
            raise errors.Cancelled(f"Cancelled; {self._association.peer} ignored C-CANCEL, so it was aborted.")


def read_command(association: Association) -> tuple[int, Command]:
    """Return presentation context ID and command set of the next message; errors as `read_command_bytes`."""
    context_id, data = read_command_bytes(association)
    return context_id, decode_command(data, peer=association.peer)


def read_command_bytes(association: Association) -> tuple[int, bytes]:
    """Return presentation context ID and command set of the next message, not yet decoded.

    Raises
    ------
    AssociationAborted
        If the peer releases the association in the middle of an operation.
    ProtocolError
        If it uses a presentation context that was not agreed on.
    """
    try:
        context_id, data = association.stream.read_command()
    except PeerReleased as error:
        association.stream.send_release_response()
        raise errors.AssociationAborted(
            f"{association.peer} released the association before the operation ended.",
            advice="Try again; if it happens again, ask the PACS team for the log of this moment.",
        ) from error
    if context_id not in association.contexts:
        raise errors.ProtocolError(
            f"{association.peer} used presentation context {context_id}, which was not accepted (PS3.8 9.3.5)."
        )
    return context_id, data


def check_response(association: Association, command: Command, service: Service) -> int:
    """Return the status of a response.

    Raises
    ------
    ProtocolError
        If it is another message, or has no status.
    """
    if command.field != _RESPONSES[service]:
        raise errors.ProtocolError(
            f"{association.peer} sent a message of type 0x{command.field:04X} where a {service.value} response "
            "was due."
        )
    if command.status is None:
        raise errors.ProtocolError(f"{association.peer} sent a {service.value} response without a status.")
    return command.status
