"""C-STORE as service class user: the objects of a C-GET or C-MOVE (PS3.4 B.2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pynetdicom.presentation import PresentationContext, build_context

from qrkit.simulator.objects.encoding import IMPLICIT_VR, UNCOMPRESSED, data_set_bytes, offered_transfer_syntaxes
from qrkit.simulator.pacs.association import PacsAssociation, request_association
from qrkit.simulator.pacs.matching import SelectedInstance
from qrkit.simulator.pacs.server_state import Cancellation
from qrkit.simulator.pacs.wire import C_STORE_RQ, RESPONSE, SUCCESS, AssociationEndedError, Message
from qrkit.simulator.pacs.wire_faults import WireFaults

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from qrkit.simulator.pacs.archive import Archive
    from qrkit.simulator.pacs.quirks import Quirks
    from qrkit.simulator.pacs.server_state import ServerState

_DESTINATION_TIMEOUT = 30.0
"""Seconds a move destination may take to connect and to confirm an object."""

_STORED = frozenset({SUCCESS, 0xB000, 0xB006, 0xB007})
"""Statuses of C-STORE with which the object was kept (PS3.4 B.2.3)."""

_TRAILING_PADDING = 0xFFFCFFFC
"""Data Set Trailing Padding, by which a reissued object differs from the first one."""


class Sender(ABC):
    """Sends the objects of one retrieve by C-STORE requests that are numbered from 1 and share some elements."""

    def __init__(self, archive: Archive, elements: Mapping[str, int | str], quirks: Quirks) -> None:
        self._archive = archive
        self._elements = elements
        self._quirks = quirks
        self._message_id = 0

    @abstractmethod
    def store(self, item: SelectedInstance) -> bool:
        """Send one object and wait for its confirmation; return whether it arrived."""

    @abstractmethod
    def break_off(self, item: SelectedInstance) -> None:
        """Send half of an object and close the connection."""

    def _write(self, association: PacsAssociation, item: SelectedInstance, *, whole: bool = True) -> bool:
        """Write a whole request or only its first half; False if no presentation context fits the object."""
        self._message_id = self._message_id % 0xFFFF + 1
        instance = item.instance
        context = association.context_for(
            instance.SOPClassUID, offered_transfer_syntaxes(instance), first=self._quirks.first_context
        )
        if context is None:
            return False
        data = self._archive.encoded(item.study, item.series, instance, context.transfer_syntax)
        if self._quirks.reissued:
            explicit = context.transfer_syntax != IMPLICIT_VR
            data += data_set_bytes([(_TRAILING_PADDING, "OB", b"reissued")], explicit=explicit)
        command: dict[str, int | str] = {
            "AffectedSOPClassUID": instance.SOPClassUID,
            "CommandField": C_STORE_RQ,
            "MessageID": self._message_id,
            "CommandDataSetType": 0x0001,
            "AffectedSOPInstanceUID": instance.SOPInstanceUID,
            **self._elements,
        }
        self._put(association, context.context_id, command, data, whole=whole)
        return True

    def _put(
        self,
        association: PacsAssociation,
        context_id: int,
        command: Mapping[str, int | str],
        data: bytes,
        *,
        whole: bool,
    ) -> None:
        (association.send if whole else association.break_off)(context_id, command, data)


class GetSender(Sender):
    """Sends objects over the association of the C-GET."""

    def __init__(
        self, association: PacsAssociation, state: ServerState, cancellation: Cancellation, priority: int
    ) -> None:
        super().__init__(state.archive, {"Priority": priority}, state.quirks)
        self._association = association
        self._cancellation = cancellation

    def store(self, item: SelectedInstance) -> bool:
        """Send one object, as `Sender.store`; handle a C-CANCEL received meanwhile."""
        if not self._write(self._association, item):
            return False
        while True:
            answer = self._association.receive()
            if answer.number("CommandField") == C_STORE_RQ | RESPONSE:
                return answer.number("Status") in _STORED
            self._cancellation.note(answer)

    def break_off(self, item: SelectedInstance) -> None:
        """End the association, and with it the C-GET, in the middle of an object."""
        self._write(self._association, item, whole=False)


class MoveSender(Sender):
    """Sends objects over an association of its own to the move destination."""

    def __init__(
        self, state: ServerState, items: Sequence[SelectedInstance], originator: str, message: Message
    ) -> None:
        elements: dict[str, int | str] = {
            "Priority": message.number("Priority"),
            "MoveOriginatorApplicationEntityTitle": originator,
            "MoveOriginatorMessageID": message.number("MessageID"),
        }
        super().__init__(state.archive, elements, state.quirks)
        self._state = state
        self._items = items
        self._destination = message.text("MoveDestination")
        self._association: PacsAssociation | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        if self._items and not self._state.quirks.unreachable:
            titles = (self._state.ae_title, self._destination)
            address = self._state.destinations[self._destination]
            with suppress(AssociationEndedError):
                self._association, self._socket = request_association(
                    address,
                    titles,
                    _proposed(self._items),
                    _DESTINATION_TIMEOUT,
                    WireFaults.of(self._state.quirks),
                )
                self._state.outgoing.add(self._socket)
        return self

    def __exit__(self, *_: object) -> None:
        if self._association is not None:
            self._association.release()
        if self._socket is not None:
            self._state.outgoing.discard(self._socket)
            self._socket.close()

    def store(self, item: SelectedInstance) -> bool:
        """Send one object, as `Sender.store`; False once the destination is lost."""
        if self._association is None:
            return False
        try:
            return self._write(self._association, item) and self._association.receive().number("Status") in _STORED
        except AssociationEndedError:
            self._association = None
            return False

    def _put(
        self,
        association: PacsAssociation,
        context_id: int,
        command: Mapping[str, int | str],
        data: bytes,
        *,
        whole: bool,
    ) -> None:
        seconds = self._state.quirks.slow_object
        if whole and seconds:
            association.send_slowly(context_id, command, data, lambda: self._state.pause(seconds / 20))
        else:
            super()._put(association, context_id, command, data, whole=whole)

    def break_off(self, item: SelectedInstance) -> None:
        """Lose the destination in the middle of an object."""
        if self._association is not None and self._socket is not None:
            with suppress(AssociationEndedError):
                self._write(self._association, item, whole=False)
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
