"""Associations as requestor: connect, negotiate by pynetdicom's PDUs, release or abort (PS3.8 chapters 7 and 9).

Why not pynetdicom's own `AE.associate`: it leaves the connection to two threads that poll, and reports refused,
rejected, aborted and timed out alike. Its PDUs and primitives do the negotiation here, on a plain socket.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from qrkit import errors, uids
from qrkit.dimse import pdus
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.rejection import rejected
from qrkit.dimse.stream import Stream
from qrkit.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedContext:
    """A presentation context that both sides agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


class Association:
    """An established association, released on success and aborted on error.

    Attributes
    ----------
    stream
        Its connection.
    peer
        How messages name the other side.
    contexts
        Accepted presentation contexts by their ID.
    refused
        Proposals that the peer did not accept.
    extended
        Its answers to SOP Class Extended Negotiation (PS3.7 D.3.3.5), by SOP Class.
    """

    def __init__(
        self, stream: Stream, *, peer: str, contexts: Sequence[AcceptedContext], refused: Sequence[Proposal]
    ) -> None:
        self.stream = stream
        self.peer = peer
        self.contexts = {context.context_id: context for context in contexts}
        self.refused = tuple(refused)
        self.extended: dict[str, bytes] = {}
        self._message_id = 0
        self._is_open = True
        self._release_patience = stream.patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def context_for(self, abstract_syntax: str) -> AcceptedContext:
        """Return the accepted context of a SOP Class.

        Raises
        ------
        NoContextAccepted
            If the peer did not accept any.
        """
        for context in self.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise _no_context(self.peer, abstract_syntax)

    def next_message_id(self) -> int:
        """Return a Message ID that no earlier request on this association had lately."""
        self._message_id = self.message_id_to_come
        return self._message_id

    @property
    def message_id_to_come(self) -> int:
        """The Message ID of the next request."""
        return self._message_id % 65_535 + 1

    def release(self) -> None:
        """Release the association; a peer that does not answer is left with A-ABORT."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.stream.patience = self._release_patience
            self.stream.release()
        except (errors.NodeTimeout, errors.Cancelled):
            self.stream.send_abort()
        except errors.NodeError:  # what was asked for has been done; how the peer leaves changes nothing
            pass
        finally:
            self.stream.close()

    def abort(self) -> None:
        """Send A-ABORT and close the connection."""
        if self._is_open:
            self._is_open = False
            self.stream.send_abort()
            self.stream.close()


def associate(
    node: Node,
    proposals: Sequence[Proposal],
    *,
    calling_ae_title: str,
    on_wait: Callable[[], None] | None = None,
) -> Association:
    """Connect to a node and negotiate.

    Parameters
    ----------
    node
        Whom to call, and the timeouts.
    proposals
        Presentation contexts, at most 128.
    calling_ae_title
        Ours, unless the node has one of its own.
    on_wait
        Called about four times a second while nothing comes; what it raises ends the waiting.

    Raises
    ------
    HostNotFound, ConnectionRefused, ConnectTimeout, NetworkUnreachable
        If there is no connection.
    AssociationRejected
        Or one of its kinds, if the node rejects.
    NoContextAccepted
        If it accepts none of the proposals.
    AssociationAborted, ConnectionLost, NodeTimeout, ProtocolError
        If it does something else.
    """
    calling = node.calling_ae_title or calling_ae_title
    peer = f"{node.name} ({node.ae_title} at {node.host}:{node.port})"
    stream = Stream(_connect(node, peer), peer=peer, patience=node.timeouts.association)
    stream.on_wait = on_wait
    try:
        stream.send(request_pdu(node, proposals, calling))
        kind, body = stream.read_pdu()
        if kind != pdus.A_ASSOCIATE_AC:
            raise _not_accepted(kind, body, peer=peer, node=node, calling=calling)
        return _established(stream, body, proposals, peer)
    except errors.ConnectionLost as error:
        stream.close()
        raise errors.ConnectionLost(
            f"{peer} closed the connection without answering the association request.",
            advice=f"Check that {node.port} is its DICOM port, and that it knows our AE title {calling}.",
        ) from error
    except errors.NodeTimeout as error:
        stream.send_abort()
        stream.close()
        raise errors.NodeTimeout(
            f"{peer} took the connection, but did not answer the association request within "
            f"{node.timeouts.association:g} seconds.",
            advice=f"Check that {node.port} is its DICOM port; if the node is slow, raise its association timeout.",
        ) from error
    except BaseException:
        stream.send_abort()
        stream.close()
        raise


def _connect(node: Node, peer: str) -> socket.socket:
    try:
        return socket.create_connection((node.host, node.port), timeout=node.timeouts.connect)
    except (socket.gaierror, UnicodeError) as error:
        raise errors.HostNotFound(
            f"The host name {node.host!r} of node {node.name} does not resolve.",
            advice="Check its spelling, or enter the IP address.",
        ) from error
    except ConnectionRefusedError as error:
        raise errors.ConnectionRefused(
            f"{peer} refused the connection: nothing listens on port {node.port}.",
            advice="Check the port, and ask the PACS team whether the DICOM service is running.",
        ) from error
    except TimeoutError as error:
        raise errors.ConnectTimeout(
            f"{peer} did not answer within {node.timeouts.connect:g} seconds.",
            advice="Check the address, and ask whether a firewall lets this machine through to that port.",
        ) from error
    except OSError as error:
        raise errors.NetworkUnreachable(
            f"{peer} cannot be reached: {error.strerror or error}.",
            advice="Check this machine's network connection and the address.",
        ) from error


def request_pdu(node: Node, proposals: Sequence[Proposal], calling: str) -> bytes:
    """Return A-ASSOCIATE-RQ (PS3.8 9.3.2) with these proposals; their context IDs are 1, 3, 5 and so on."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import A_ASSOCIATE
    from pynetdicom.presentation import build_context

    primitive = A_ASSOCIATE()
    primitive.application_context_name = uids.APPLICATION_CONTEXT
    primitive.calling_ae_title = calling
    primitive.called_ae_title = node.ae_title
    contexts = []
    for number, proposal in enumerate(proposals):
        context = build_context(proposal.abstract_syntax, list(proposal.transfer_syntaxes))
        context.context_id = 2 * number + 1
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    primitive.user_information = [*user_information(), *_roles(proposals), *_extended(proposals)]
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded


def user_information() -> list[Any]:
    """Return the user information items that both roles send: PDU length and implementation (PS3.7 D.3.3)."""
    from pynetdicom.pdu_primitives import (
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        MaximumLengthNotification,
    )

    length = MaximumLengthNotification()
    length.maximum_length_received = pdus.MAXIMUM_LENGTH
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _roles(proposals: Sequence[Proposal]) -> list[Any]:
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

    items = []
    for sop_class in dict.fromkeys(proposal.abstract_syntax for proposal in proposals if proposal.we_receive):
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class
        role.scu_role = False
        role.scp_role = True
        items.append(role)
    return items


def _extended(proposals: Sequence[Proposal]) -> list[Any]:
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    items = []
    for sop_class, offered in {one.abstract_syntax: one.extended for one in proposals if one.extended}.items():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = sop_class
        item.service_class_application_information = offered
        items.append(item)
    return items


def _not_accepted(kind: int, body: bytes, *, peer: str, node: Node, calling: str) -> errors.NodeError:
    if kind == pdus.A_ASSOCIATE_RJ and len(body) == 10:
        return rejected(*body[7:10], peer=peer, node=node, calling=calling)
    if kind == pdus.A_ABORT and len(body) == 10:
        return pdus.aborted(peer, body[8], body[9])
    return errors.ProtocolError(
        f"{peer} answered the association request with a PDU of type 0x{kind:02X}.",
        advice=f"Check that {node.port} is its DICOM port.",
    )


def _established(stream: Stream, body: bytes, proposals: Sequence[Proposal], peer: str) -> Association:
    from pynetdicom.pdu import A_ASSOCIATE_AC

    with decoding_negotiation(peer):
        pdu = A_ASSOCIATE_AC()
        pdu.decode(body)
        primitive = pdu.to_primitive()
        results = {int(item.context_id): item for item in primitive.presentation_context_definition_results_list}
        stream.peer_maximum = int(primitive.maximum_length_received or 0)
        accepted, refused = _sorted_out(proposals, results)
        extended = _extended_answers(primitive.user_information)
    if not accepted:
        raise _no_context(peer, proposals[0].abstract_syntax)
    association = Association(stream, peer=peer, contexts=accepted, refused=refused)
    association.extended = extended
    return association


def _extended_answers(items: Sequence[Any]) -> dict[str, bytes]:
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    return {
        str(item.sop_class_uid): bytes(item.service_class_application_information)
        for item in items
        if isinstance(item, SOPClassExtendedNegotiation)
    }


def _sorted_out(
    proposals: Sequence[Proposal], results: dict[int, Any]
) -> tuple[list[AcceptedContext], list[Proposal]]:
    accepted, refused = [], []
    for number, proposal in enumerate(proposals):
        result = results.get(2 * number + 1)
        syntax = str(result.transfer_syntax[0]) if result is not None and result.result == 0 else ""
        if syntax not in proposal.transfer_syntaxes:
            refused.append(proposal)
            continue
        accepted.append(
            AcceptedContext(
                context_id=2 * number + 1, abstract_syntax=proposal.abstract_syntax, transfer_syntax=syntax
            )
        )
    return accepted, refused


@contextmanager
def decoding_negotiation(peer: str) -> Iterator[None]:
    """Turn whatever pynetdicom raises on a malformed PDU into a `ProtocolError`."""
    try:
        yield
    except errors.QrkitError:
        raise
    except Exception as error:  # pynetdicom's decoders raise whatever Python raises on bad bytes
        raise errors.ProtocolError(
            f"{peer} sent an association PDU that cannot be read (PS3.8 9.3): {type(error).__name__}.",
            advice="Check that this is its DICOM port.",
        ) from error


def _no_context(peer: str, abstract_syntax: str) -> errors.NoContextAccepted:
    from pydicom.uid import UID

    name = UID(abstract_syntax).name
    return errors.NoContextAccepted(
        f"{peer} accepted the association, but not {name} ({abstract_syntax}).",
        advice="Choose another information model or retrieve method for this node, or ask the PACS team to "
        "allow our AE title this service.",
    )
