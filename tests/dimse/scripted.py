"""A peer on a plain socket that plays a script: for what no well-behaved PACS would do."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import Command, decode_command, encode_command
from qrkit.node import Node, Timeouts
from tests.peers.waiting import LOOPBACK

_PATIENCE = 10.0
RELEASE_RQ = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
RELEASE_RP = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
ABORT_BY_PROVIDER = bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 1))
QUICK = Timeouts(connect=2, association=5, response=5, inactivity=5)


def p_data(context_id: int, fragment: bytes, *, command: bool, last: bool = True) -> bytes:
    """Give one P-DATA-TF PDU with one PDV (PS3.8 9.3.5)."""
    control = int(command) | 2 * int(last)
    return struct.pack(">BxIIBB", 4, len(fragment) + 6, len(fragment) + 2, context_id, control) + fragment


def pdv(context_id: int, fragment: bytes, *, command: bool, last: bool = True) -> bytes:
    """Give one PDV, without a PDU around it."""
    return struct.pack(">IBB", len(fragment) + 2, context_id, int(command) | 2 * int(last)) + fragment


def rejection(result: int, source: int, reason: int) -> bytes:
    """Give an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    return bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))


class Conversation:
    """The peer's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.contexts: dict[str, int] = {}
        connection.settimeout(_PATIENCE)

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(b"".join(parts))

    def read_pdu(self) -> tuple[int, bytes]:
        """Give type and variable field of the next PDU."""
        kind, length = struct.unpack(">BxI", self._read(6))
        return kind, self._read(length)

    def accept(self, *, takes: Callable[[str], bool] = lambda _: True, maximum: int = 16_384) -> Any:  # noqa: ANN401
        """Read A-ASSOCIATE-RQ, accept what `takes` says in the first syntax offered; give the request.

        The request is pynetdicom's A_ASSOCIATE, which is untyped here.
        """
        request = self.read_request()
        self.send(acceptance(request, takes=takes, maximum=maximum))
        wanted = request.presentation_context_definition_list
        self.contexts = {str(context.abstract_syntax): int(context.context_id) for context in reversed(wanted)}
        return request

    def read_request(self) -> Any:  # noqa: ANN401 - pynetdicom's A_ASSOCIATE
        """Read A-ASSOCIATE-RQ."""
        from pynetdicom.pdu import A_ASSOCIATE_RQ

        kind, body = self.read_pdu()
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(struct.pack(">BxI", kind, len(body)) + body)
        return pdu.to_primitive()

    def read_message(self) -> tuple[int, Command, bytes]:
        """Give presentation context ID, command set and data set of the next message."""
        command = b""
        context_id, control, fragment = self._read_single_pdv()
        while not control & 2:
            command += fragment
            context_id, control, fragment = self._read_single_pdv()
        decoded = decode_command(command + fragment, peer="the tested side")
        data, control = b"", 0
        while decoded.has_data_set and not control & 2:
            _, control, fragment = self._read_single_pdv()
            data += fragment
        return context_id, decoded, data

    def respond(self, context_id: int, request: Command, values: Mapping[int, int | str], data: bytes = b"") -> None:
        """Send the response to a request; `values` may hold the status and counters."""
        elements: dict[int, int | str] = {
            dimse.COMMAND_FIELD: request.field | 0x8000,
            dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
            dimse.COMMAND_DATA_SET_TYPE: 1 if data else dimse.NO_DATA_SET,
        }
        self.send(p_data(context_id, encode_command(elements | dict(values)), command=True))
        if data:
            self.send(p_data(context_id, data, command=False))

    def store_request(
        self, context_id: int, sop_class: str, sop_instance: str, data: bytes, *, is_last: bool = True
    ) -> None:
        """Send C-STORE-RQ with its data set in fragments of at most 100,000 bytes."""
        elements: dict[int, int | str] = {
            dimse.AFFECTED_SOP_CLASS_UID: sop_class,
            dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
            dimse.MESSAGE_ID: 1,
            dimse.PRIORITY: 0,
            dimse.COMMAND_DATA_SET_TYPE: 1,
            dimse.AFFECTED_SOP_INSTANCE_UID: sop_instance,
        }
        self.send(p_data(context_id, encode_command(elements), command=True))
        for offset in range(0, max(len(data), 1), 100_000):
            last = is_last and offset + 100_000 >= len(data)
            self.send(p_data(context_id, data[offset : offset + 100_000], command=False, last=last))

    def release(self) -> None:
        """Read A-RELEASE-RQ and answer it."""
        kind, _ = self.read_pdu()
        assert kind == 5, f"PDU of type {kind} instead of A-RELEASE-RQ"
        self.send(RELEASE_RP)

    def read_to_end(self) -> bytes:
        """Give all that comes until the connection ends."""
        received = b""
        with contextlib.suppress(ConnectionError):
            while chunk := self.connection.recv(65_536):
                received += chunk
        return received

    def read_to_end_or_release(self) -> None:
        """Wait for A-RELEASE-RQ, which is answered, or for the end of the connection."""
        with contextlib.suppress(ConnectionError):
            if self.read_pdu()[0] == 5:
                self.send(RELEASE_RP)

    def _read_single_pdv(self) -> tuple[int, int, bytes]:
        kind, body = self.read_pdu()
        assert kind == 4, f"PDU of type {kind} instead of P-DATA-TF"
        length, context_id, control = struct.unpack_from(">IBB", body)
        assert length == len(body) - 4, "our side sends one PDV in each PDU"
        return context_id, control, body[6:]

    def _read(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            chunk = self.connection.recv(count - len(received))
            if not chunk:
                raise ConnectionResetError("the tested side closed the connection")
            received += chunk
        return received


def acceptance(request: Any, *, takes: Callable[[str], bool], maximum: int) -> bytes:  # noqa: ANN401 - pynetdicom's A_ASSOCIATE
    """Give the A-ASSOCIATE-AC PDU to a request; every role that it asks for is granted."""
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
    )
    from pynetdicom.presentation import PresentationContext

    answer = A_ASSOCIATE()
    answer.application_context_name = request.application_context_name
    answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
    answer.result, answer.result_source = 0, 1
    results = []
    for context in request.presentation_context_definition_list:
        result = PresentationContext()
        result.context_id, result.abstract_syntax = context.context_id, context.abstract_syntax
        result.transfer_syntax = [context.transfer_syntax[0]]
        result.result = 0 if takes(str(context.abstract_syntax)) else 3
        results.append(result)
    answer.presentation_context_definition_results_list = results
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum
    implementation.implementation_class_uid = "1.2.3.4"
    roles = [item for item in request.user_information if isinstance(item, SCP_SCU_RoleSelectionNegotiation)]
    answer.user_information = [length, implementation, *roles]
    encoded: bytes = A_ASSOCIATE_AC(answer).encode()
    return encoded


class ScriptedPeer:
    """A server on loopback that plays `script` with each connection, one after the other, in a thread.

    What the script raises fails the test at the end of the block.
    """

    def __init__(self, script: Callable[[Conversation], object]) -> None:
        self._script = script
        self._server = socket.create_server((LOOPBACK, 0))
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._serve, name="scripted-peer")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.getsockname()[1])

    def node(self, timeouts: Timeouts = QUICK) -> Node:
        """Give it as a node."""
        return Node(name="scripted", host=LOOPBACK, port=self.port, ae_title="SCRIPTED", timeouts=timeouts)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(_PATIENCE + 5)
        assert not self._thread.is_alive(), "the script does not end"
        if self._errors and kind is None:
            raise self._errors[0]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                try:
                    self._script(Conversation(connection))
                except BaseException as error:  # noqa: BLE001 - handed on to the test
                    self._errors.append(error)
