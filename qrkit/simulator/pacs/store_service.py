"""C-STORE in both roles, and C-ECHO (PS3.4 A.4, B.2, C.4.2.3, C.4.3.3).

As service class provider the simulator receives objects, as service class user it sends the objects of a C-GET or
C-MOVE.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pynetdicom.presentation import PresentationContext, build_context

from qrkit.simulator.objects.encoding import UNCOMPRESSED, offered_transfer_syntaxes
from qrkit.simulator.pacs.association import PacsAssociation, request_association
from qrkit.simulator.pacs.server_state import Recorder
from qrkit.simulator.pacs.wire import C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP, NO_DATA_SET, AssociationEndedError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from qrkit.simulator.pacs.archive import Archive
    from qrkit.simulator.pacs.association import PacsAssociation
    from qrkit.simulator.pacs.search import SelectedInstance
    from qrkit.simulator.pacs.server_state import Cancellation, ServerState
    from qrkit.simulator.pacs.wire import Message


def serve_echo(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Answer one C-ECHO-RQ."""
    with Recorder(state, association, "C-ECHO") as record:
        record.status = 0x0000
        record.put()
        _respond(association, message, C_ECHO_RSP, 0x0000)


def serve_store(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Store one object or refuse it; success is sent only after its file is written."""
    with Recorder(state, association, "C-STORE") as record:
        state.pause(state.quirks.delay_store)
        record.status = state.quirks.store_status
        if record.status == 0x0000:
            context = association.contexts[message.context_id]
            state.archive.add(
                message.text("AffectedSOPClassUID"),
                message.text("AffectedSOPInstanceUID"),
                context.transfer_syntax,
                message.data,
            )
            record.answers = 1
        record.put()
        _respond(association, message, C_STORE_RSP, record.status)


def _respond(association: PacsAssociation, message: Message, command_field: int, status: int) -> None:
    elements: dict[str, int | str] = {
        "AffectedSOPClassUID": message.text("AffectedSOPClassUID"),
        "CommandField": command_field,
        "MessageIDBeingRespondedTo": message.number("MessageID"),
        "CommandDataSetType": NO_DATA_SET,
        "Status": status,
    }
    if instance := message.text("AffectedSOPInstanceUID"):
        elements["AffectedSOPInstanceUID"] = instance
    association.send(message.context_id, elements)
    association.flush()


_DESTINATION_TIMEOUT = 30.0
"""Seconds a move destination may take to connect and to confirm an object."""


def is_stored(status: int) -> bool:
    """Whether a C-STORE status means that the object was kept (PS3.4 B.2.3)."""
    return status == 0x0000 or status in {0xB000, 0xB006, 0xB007}


class StoreRequests:
    """Writes the C-STORE requests of one retrieve, numbered from 1.

    Parameters
    ----------
    elements
        The command elements that all of them have.
    """

    def __init__(self, archive: Archive, elements: Mapping[str, int | str]) -> None:
        self._archive = archive
        self._elements = elements
        self._message_id = 0

    def write(self, association: PacsAssociation, item: SelectedInstance, *, whole: bool = True) -> bool:
        """Write a whole request or only its first half; False if no presentation context fits the object."""
        self._message_id = self._message_id % 0xFFFF + 1
        instance = item.instance
        context = association.context_for(instance.SOPClassUID, offered_transfer_syntaxes(instance))
        if context is None:
            return False
        data = self._archive.encoded(item.study, item.series, instance, context.transfer_syntax)
        command: dict[str, int | str] = {
            "AffectedSOPClassUID": instance.SOPClassUID,
            "CommandField": C_STORE_RQ,
            "MessageID": self._message_id,
            "CommandDataSetType": 0x0001,
            "AffectedSOPInstanceUID": instance.SOPInstanceUID,
            **self._elements,
        }
        (association.send if whole else association.break_off)(context.context_id, command, data)
        return True


class GetSender:
    """Sends objects over the association of the C-GET."""

    def __init__(
        self, association: PacsAssociation, archive: Archive, cancellation: Cancellation, priority: int
    ) -> None:
        self._association = association
        self._cancellation = cancellation
        self._requests = StoreRequests(archive, {"Priority": priority})

    def store(self, item: SelectedInstance) -> bool:
        """Send one object and wait for its confirmation; handles a C-CANCEL received meanwhile."""
        if not self._requests.write(self._association, item):
            return False
        while True:
            answer = self._association.receive()
            if answer.number("CommandField") == C_STORE_RSP:
                return is_stored(answer.number("Status"))
            self._cancellation.note(answer.number("CommandField"), answer.number("MessageIDBeingRespondedTo"))

    def break_off(self, item: SelectedInstance) -> None:
        """End the association, and with it the C-GET, in the middle of an object."""
        self._requests.write(self._association, item, whole=False)


class MoveSender:
    """Sends objects over an association of its own to the move destination."""

    def __init__(
        self, state: ServerState, items: Sequence[SelectedInstance], originator: str, message: Message
    ) -> None:
        self._state = state
        self._items = items
        self._destination = message.text("MoveDestination")
        elements: dict[str, int | str] = {
            "Priority": message.number("Priority"),
            "MoveOriginatorApplicationEntityTitle": originator,
            "MoveOriginatorMessageID": message.number("MessageID"),
        }
        self._requests = StoreRequests(state.archive, elements)
        self._association: PacsAssociation | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        if self._items:
            self._connect()
        return self

    def _connect(self) -> None:
        titles = (self._state.ae_title, self._destination)
        address = self._state.destinations[self._destination]
        try:
            self._association, self._socket = request_association(
                address, titles, _proposed(self._items), _DESTINATION_TIMEOUT
            )
        except AssociationEndedError:
            return
        self._state.outgoing.add(self._socket)

    def __exit__(self, *_: object) -> None:
        if self._association is not None:
            self._association.release()
        if self._socket is not None:
            self._state.outgoing.discard(self._socket)
            self._socket.close()

    def store(self, item: SelectedInstance) -> bool:
        """Send one object and wait for its confirmation; False once the destination is lost."""
        if self._association is None:
            return False
        try:
            if not self._requests.write(self._association, item):
                return False
            answer = self._association.receive()
        except AssociationEndedError:
            self._association = None
            return False
        return is_stored(answer.number("Status"))

    def break_off(self, item: SelectedInstance) -> None:
        """Lose the destination in the middle of an object."""
        if self._association is not None and self._socket is not None:
            with suppress(AssociationEndedError):
                self._requests.write(self._association, item, whole=False)
            self._association = None
            self._socket.close()


def _proposed(items: Sequence[SelectedInstance]) -> list[PresentationContext]:
    """Presentation contexts for these objects: uncompressed, and as they are held where that differs."""
    plain = dict.fromkeys(item.instance.SOPClassUID for item in items)
    compressed = dict.fromkeys(
        (item.instance.SOPClassUID, item.instance.TransferSyntaxUID)
        for item in items
        if item.instance.TransferSyntaxUID not in UNCOMPRESSED
    )
    contexts = [build_context(sop_class, list(UNCOMPRESSED)) for sop_class in plain]
    contexts += [build_context(sop_class, [transfer_syntax]) for sop_class, transfer_syntax in compressed]
    for number, context in enumerate(contexts[:128]):
        context.context_id = 2 * number + 1
    return contexts[:128]
