"""Negotiation of an association as requestor, and the items of both roles (PS3.8 9.3.2 to 9.3.4, PS3.7 annex D).

Reading is liberal in what may be skipped and exact in what matters. Items that are unknown, repeated or not needed,
padding around values, and bytes after the last item are skipped (PS3.8 9.3.1). A presentation context counts only if
its ID, SOP Class and transfer syntax are certain. A-ASSOCIATE-RJ becomes an error with its reason and advice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qrkit import errors, uids
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.stream import A_ASSOCIATE_RQ, MAXIMUM_LENGTH, header
from qrkit.node import Node

_ACSE = {1: "no reason given", 2: "protocol version not supported"}
_USER = {
    1: "no reason given",
    2: "application context name not supported",
    3: "calling AE title not recognised",
    7: "called AE title not recognised",
}
_PRESENTATION = {1: "temporary congestion", 2: "local limit exceeded"}
_REASONS = {1: _USER, 2: _ACSE, 3: _PRESENTATION}

ACCEPTED = 0
"""The result of a presentation context that is accepted (PS3.8 9.3.3.2)."""

DEFAULT_MAXIMUM = 16_384
"""Longest P-DATA-TF for a peer that names no maximum, in bytes; every implementation accepts it."""

CONTEXT_OFFER, CONTEXT_RESULT, USER_INFORMATION = 0x20, 0x21, 0x50
ABSTRACT_SYNTAX, TRANSFER_SYNTAX = 0x30, 0x40
_APPLICATION_CONTEXT = 0x10
_MAXIMUM_LENGTH, _CLASS_UID, _ROLE, _VERSION_NAME, _EXTENDED = 0x51, 0x52, 0x54, 0x55, 0x56
_KNOWN = frozenset((_APPLICATION_CONTEXT, CONTEXT_OFFER, CONTEXT_RESULT, USER_INFORMATION))
_ITEMS_START = 74
_item = struct.Struct(">BxH")
_length = struct.Struct(">H")
_maximum = struct.Struct(">I")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedContext:
    """A presentation context that both sides agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The content of A-ASSOCIATE-AC."""

    contexts: tuple[AcceptedContext, ...]
    refused: tuple[Proposal, ...]
    """Proposals that the peer did not accept."""
    extended: dict[str, bytes]
    """Responses of the peer to SOP Class Extended Negotiation, by SOP Class UID."""
    peer_maximum: int
    """Longest P-DATA-TF that it takes, in bytes; 0 for any."""


def request_pdu(node: Node, proposals: Sequence[Proposal], calling: str) -> bytes:
    """Return A-ASSOCIATE-RQ (PS3.8 9.3.2) with these proposals; their context IDs are 1, 3, 5 and so on."""
    titles = b"".join(title.encode("ascii").ljust(16) for title in (node.ae_title, calling))
    offers = [
        encoded(
            CONTEXT_OFFER,
            bytes((2 * number + 1, 0, 0, 0)),
            encoded(ABSTRACT_SYNTAX, one.abstract_syntax.encode("ascii")),
            *(encoded(TRANSFER_SYNTAX, syntax.encode("ascii")) for syntax in one.transfer_syntaxes),
        )
        for number, one in enumerate(proposals)
    ]
    received = dict.fromkeys(one.abstract_syntax for one in proposals if one.we_receive)
    roles = [encoded(_ROLE, _counted(sop_class), bytes((0, 1))) for sop_class in received]
    extended = {one.abstract_syntax: one.extended for one in proposals if one.extended}
    offered = [encoded(_EXTENDED, _counted(uid), information) for uid, information in extended.items()]
    return encoded_pdu(A_ASSOCIATE_RQ, titles, offers, *roles, *offered)


def encoded_pdu(kind: int, titles: bytes, contexts: Sequence[bytes], *user_information: bytes) -> bytes:
    """Return A-ASSOCIATE-RQ or -AC with called and calling AE title of 16 bytes each and presentation context items.

    The user information has what both roles send, PDU length and implementation (PS3.7 D.3.3), and these sub-items.
    """
    user = encoded(
        USER_INFORMATION,
        encoded(_MAXIMUM_LENGTH, _maximum.pack(MAXIMUM_LENGTH)),
        encoded(_CLASS_UID, uids.IMPLEMENTATION_CLASS_UID.encode("ascii")),
        encoded(_VERSION_NAME, uids.IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        *user_information,
    )
    application_context = encoded(_APPLICATION_CONTEXT, uids.APPLICATION_CONTEXT.encode("ascii"))
    body = b"".join((bytes((0, 1, 0, 0)), titles, bytes(32), application_context, *contexts, user))
    return header.pack(kind, len(body)) + body


def encoded(kind: int, *parts: bytes) -> bytes:
    """Return an item or sub-item whose value is these parts."""
    value = b"".join(parts)
    return _item.pack(kind, len(value)) + value


def _counted(uid: str) -> bytes:
    value = uid.encode("ascii")
    return _length.pack(len(value)) + value


def read_acceptance(pdu: bytes, proposals: Sequence[Proposal], peer: str) -> Acceptance:
    """Read the answer to `request_pdu`; raise ProtocolError if its results cannot be known."""
    results: dict[int, tuple[int, str]] = {}
    extended: dict[str, bytes] = {}
    maximum = DEFAULT_MAXIMUM
    for kind, value in items(pdu, peer=peer):
        if kind == CONTEXT_RESULT and len(value) >= 3:
            syntaxes = [read_uid(uid) for sub, uid in sub_items(value[4:]) if sub == TRANSFER_SYNTAX]
            results[value[0]] = value[2], syntaxes[0] if syntaxes else ""
        elif kind == USER_INFORMATION:
            maximum = read_maximum(value, maximum)
            extended |= dict(_extended_of(value))
    if not results:
        raise _unreadable(peer, "it answers no presentation context")
    accepted, refused = [], []
    for number, proposal in enumerate(proposals):
        context_id = 2 * number + 1
        syntax = _accepted_syntax(proposal, *results.get(context_id, (None, "")))
        if syntax:
            accepted.append(
                AcceptedContext(
                    context_id=context_id, abstract_syntax=proposal.abstract_syntax, transfer_syntax=syntax
                )
            )
        else:
            refused.append(proposal)
    return Acceptance(contexts=tuple(accepted), refused=tuple(refused), extended=extended, peer_maximum=maximum)


def _accepted_syntax(proposal: Proposal, result: int | None, named: str) -> str:
    """Return the transfer syntax of an accepted proposal, or nothing; it need not be named if it is the only one."""
    offered = proposal.transfer_syntaxes
    syntax = named or (offered[0] if len(offered) == 1 else "")
    return syntax if result == ACCEPTED and syntax in offered else ""


def items(pdu: bytes, *, peer: str) -> Iterator[tuple[int, bytes]]:
    """Yield the items of a PDU; raise ProtocolError if one that matters is cut off."""
    position = _ITEMS_START
    if len(pdu) < position:
        raise _unreadable(peer, f"it has {len(pdu)} bytes")
    while position + 4 <= len(pdu):
        kind, length = _item.unpack_from(pdu, position)
        position += 4
        if length > len(pdu) - position:
            if kind in _KNOWN:
                raise _unreadable(peer, f"its item of type 0x{kind:02X} is cut off")
            return  # what follows the last item is no item
        yield kind, pdu[position : position + length]
        position += length


def sub_items(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the sub-items of an item, up to one that is cut off."""
    position = 0
    while position + 4 <= len(value):
        kind, length = _item.unpack_from(value, position)
        position += 4
        if length > len(value) - position:
            return
        yield kind, value[position : position + length]
        position += length


def read_uid(value: bytes) -> str:
    """Return a UID without the NUL or blanks by which some peers pad it."""
    return value.decode("ascii", "replace").strip("\0 \t\r\n")


def read_maximum(value: bytes, otherwise: int) -> int:
    """Return the longest P-DATA-TF that user information names, in bytes."""
    lengths = [sub_item for kind, sub_item in sub_items(value) if kind == _MAXIMUM_LENGTH and len(sub_item) == 4]
    return int(_maximum.unpack(lengths[0])[0]) if lengths else otherwise


def _extended_of(value: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, sub_item in sub_items(value):
        if kind == _EXTENDED and len(sub_item) > 2:
            end = 2 + _length.unpack_from(sub_item)[0]
            if end <= len(sub_item):
                yield read_uid(sub_item[2:end]), sub_item[end:]


def _unreadable(peer: str, what: str) -> errors.ProtocolError:
    return errors.ProtocolError(
        f"{peer} sent an association PDU that cannot be read (PS3.8 9.3): {what}.",
        advice="Check that this is its DICOM port.",
    )


def rejection_error(
    result: int, source: int, reason: int, *, peer: str, node: Node, calling: str
) -> errors.AssociationRejected:
    """Return the error for an A-ASSOCIATE-RJ, by its result, source and reason."""
    said = _REASONS.get(source, {}).get(reason, f"source {source}, reason {reason}")
    kind, advice = _kind(source, reason, node=node, calling=calling)
    if result == 2 and kind is errors.AssociationRejected:
        advice = "The rejection is transient: try again in a minute."
    lasting = "for now" if result == 2 else "permanently"
    return kind(
        f"{peer} rejected the association {lasting}: {said}.",
        advice=advice,
        result=result,
        source=source,
        reason=reason,
    )


def _kind(source: int, reason: int, *, node: Node, calling: str) -> tuple[type[errors.AssociationRejected], str]:
    if (source, reason) == (1, 3):
        return errors.CallingTitleRejected, (
            f"Ask the PACS team to enter our AE title {calling} with this machine's address, "
            "or give the node the calling AE title that it knows."
        )
    if (source, reason) == (1, 7):
        return errors.CalledTitleRejected, (
            f"Check the AE title {node.ae_title} of node {node.name}, upper and lower case included."
        )
    if source == 3:
        return errors.Congested, (
            "Try again in a minute; if it happens often, lower the number of associations for this node."
        )
    return errors.AssociationRejected, (
        f"Ask the PACS team whether it allows our AE title {calling} from this machine."
    )
