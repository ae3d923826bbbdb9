"""C-STORE sub-operations: the simulator as storage service class user (PS3.4 B.2, C.4.2.3, C.4.3.3)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pynetdicom.presentation import PresentationContext, build_context

from qrkit.simulator.pacs.association import Association, request_association
from qrkit.simulator.pacs.encoding import offered_transfer_syntaxes
from qrkit.simulator.pacs.wire import C_STORE_RQ, C_STORE_RSP, AssociationEndedError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from qrkit.simulator.pacs.archive import Archive
    from qrkit.simulator.pacs.selected import Item
    from qrkit.simulator.pacs.site import Cancellation, Site
    from qrkit.simulator.pacs.wire import Message

_UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
_DESTINATION_TIMEOUT = 30.0
"""Seconds a move destination may take to connect and to confirm an object."""


def send_object(
    association: Association, archive: Archive, item: Item, elements: dict[str, int | str], *, whole: bool = True
) -> bool:
    """Write one C-STORE-RQ, or its first half and no more; False if no presentation context fits the object."""
    instance = item.instance
    context = association.context_for(instance.SOPClassUID, offered_transfer_syntaxes(instance))
    if context is None:
        return False
    data = archive.encoded(item.study, item.series, instance, context.transfer_syntax)
    command: dict[str, int | str] = {
        "AffectedSOPClassUID": instance.SOPClassUID,
        "CommandField": C_STORE_RQ,
        "CommandDataSetType": 0x0001,
        "AffectedSOPInstanceUID": instance.SOPInstanceUID,
        **elements,
    }
    (association.send if whole else association.break_off)(context.context_id, command, data)
    return True


def is_stored(status: int) -> bool:
    """Whether a C-STORE status means that the object was kept (PS3.4 B.2.3)."""
    return status == 0x0000 or status in {0xB000, 0xB006, 0xB007}


class GetSender:
    """Sends objects over the association on which the C-GET came."""

    def __init__(self, association: Association, archive: Archive, cancellation: Cancellation, priority: int) -> None:
        self._association = association
        self._archive = archive
        self._cancellation = cancellation
        self._priority = priority
        self._message_id = 0

    def store(self, item: Item) -> bool:
        """Send one object and wait for its confirmation; a C-CANCEL may come in between."""
        if not self._send(item):
            return False
        while True:
            answer = self._association.receive()
            if answer.number("CommandField") == C_STORE_RSP:
                return is_stored(answer.number("Status"))
            self._cancellation.note(answer.number("CommandField"), answer.number("MessageIDBeingRespondedTo"))

    def break_off(self, item: Item) -> None:
        """End the association, and with it the C-GET, in the middle of an object."""
        self._send(item, whole=False)

    def _send(self, item: Item, *, whole: bool = True) -> bool:
        self._message_id = self._message_id % 0xFFFF + 1
        elements: dict[str, int | str] = {"MessageID": self._message_id, "Priority": self._priority}
        return send_object(self._association, self._archive, item, elements, whole=whole)


class MoveSender:
    """Sends objects over an association of its own to the move destination."""

    def __init__(self, site: Site, items: Sequence[Item], originator: str, message: Message) -> None:
        self._site = site
        self._items = items
        self._destination = message.text("MoveDestination")
        self._elements: dict[str, int | str] = {
            "Priority": message.number("Priority"),
            "MoveOriginatorApplicationEntityTitle": originator,
            "MoveOriginatorMessageID": message.number("MessageID"),
        }
        self._message_id = 0
        self._association: Association | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        if self._items:
            self._connect()
        return self

    def _connect(self) -> None:
        titles = (self._site.ae_title, self._destination)
        address = self._site.destinations[self._destination]
        try:
            self._association, self._socket = request_association(
                address, titles, _proposed(self._items), _DESTINATION_TIMEOUT
            )
        except AssociationEndedError:
            return
        self._site.outgoing.add(self._socket)

    def __exit__(self, *_: object) -> None:
        if self._association is not None:
            self._association.release()
        if self._socket is not None:
            self._site.outgoing.discard(self._socket)
            self._socket.close()

    def store(self, item: Item) -> bool:
        """Send one object and wait for its confirmation; False once the destination is lost."""
        if self._association is None:
            return False
        try:
            if not self._send(self._association, item):
                return False
            answer = self._association.receive()
        except AssociationEndedError:
            self._association = None
            return False
        return is_stored(answer.number("Status"))

    def break_off(self, item: Item) -> None:
        """Lose the destination in the middle of an object."""
        if self._association is not None and self._socket is not None:
            with suppress(AssociationEndedError):
                self._send(self._association, item, whole=False)
            self._association = None
            self._socket.close()

    def _send(self, association: Association, item: Item, *, whole: bool = True) -> bool:
        self._message_id = self._message_id % 0xFFFF + 1
        elements = {"MessageID": self._message_id, **self._elements}
        return send_object(association, self._site.archive, item, elements, whole=whole)


def _proposed(items: Sequence[Item]) -> list[PresentationContext]:
    """Presentation contexts for these objects: uncompressed, and as they are held where that differs."""
    plain = dict.fromkeys(item.instance.SOPClassUID for item in items)
    compressed = dict.fromkeys(
        (item.instance.SOPClassUID, item.instance.TransferSyntaxUID)
        for item in items
        if item.instance.TransferSyntaxUID not in _UNCOMPRESSED
    )
    contexts = [build_context(sop_class, _UNCOMPRESSED) for sop_class in plain]
    contexts += [build_context(sop_class, [transfer_syntax]) for sop_class, transfer_syntax in compressed]
    for number, context in enumerate(contexts[:128]):
        context.context_id = 2 * number + 1
    return contexts[:128]
