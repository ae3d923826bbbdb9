"""The PDUs that negotiate an association, in both roles (PS3.8 7.1.1, 9.3.2 to 9.3.4, PS3.7 annex D).

pynetdicom's classes encode and decode them. A-ASSOCIATE-RJ becomes an error with its reason and advice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qrkit import errors, uids
from qrkit.dimse import stream as pdus
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.stream import MAXIMUM_LENGTH, Stream, rejection
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
_ACCEPTED, _ABSTRACT_SYNTAX_UNKNOWN, _TRANSFER_SYNTAXES_UNKNOWN = 0, 3, 4
_REJECT_CONGESTED = (2, 3, 2)
_STANDARD = "1.2.840.10008."
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_STORAGE_ELSEWHERE = frozenset(
    _STANDARD + rest
    for rest in (
        "5.1.1.27",  # Stored Print, retired
        "5.1.1.29",  # Hardcopy Grayscale Image, retired
        "5.1.1.30",  # Hardcopy Color Image, retired
        "5.1.4.34.7",  # RT Beams Delivery Instruction
        "5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction
        "5.1.4.38.1",  # Hanging Protocol
        "5.1.4.39.1",  # Color Palette
        "5.1.4.43.1",  # Generic Implant Template
        "5.1.4.44.1",  # Implant Assembly Template
        "5.1.4.45.1",  # Implant Template Group
    )
)
_GE_PRIVATE_BIG_ENDIAN = "1.2.840.113619.5.2"


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
    length.maximum_length_received = MAXIMUM_LENGTH
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _roles(proposals: Sequence[Proposal]) -> list[Any]:
    from pynetdicom.presentation import build_role

    received = dict.fromkeys(proposal.abstract_syntax for proposal in proposals if proposal.we_receive)
    return [build_role(sop_class, scp_role=True) for sop_class in received]


def _extended(proposals: Sequence[Proposal]) -> list[Any]:
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    items = []
    for sop_class, offered in {one.abstract_syntax: one.extended for one in proposals if one.extended}.items():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = sop_class
        item.service_class_application_information = offered
        items.append(item)
    return items


def read_acceptance(body: bytes, proposals: Sequence[Proposal], peer: str) -> Acceptance:
    """Read the answer to `request_pdu`; raise ProtocolError if it cannot be read."""
    from pynetdicom.pdu import A_ASSOCIATE_AC

    with decoding_negotiation(peer):
        pdu = A_ASSOCIATE_AC()
        pdu.decode(body)
        primitive = pdu.to_primitive()
        results = {int(item.context_id): item for item in primitive.presentation_context_definition_results_list}
        accepted, refused = _sorted_out(proposals, results)
        return Acceptance(
            contexts=tuple(accepted),
            refused=tuple(refused),
            extended=_extended_answers(primitive.user_information),
            peer_maximum=int(primitive.maximum_length_received or 0),
        )


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


def load_negotiation() -> None:
    """Import now what the first negotiation would: it takes half a second."""
    import pynetdicom.pdu
    import pynetdicom.pdu_primitives
    import pynetdicom.presentation  # noqa: F401


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedAssociation:
    """An association that we accepted."""

    calling_ae_title: str
    peer: str
    contexts: dict[int, AcceptedContext]


def accept(stream: Stream, *, ae_title: str, busy: bool = False) -> AcceptedAssociation | None:
    """Read A-ASSOCIATE-RQ and answer it; None if it was rejected because we are `busy`.

    Raises ProtocolError if the peer sends something else, or a request that cannot be read.
    """
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    kind, body = stream.read_pdu()
    if kind != pdus.A_ASSOCIATE_RQ:
        raise errors.ProtocolError(f"A connection began with a PDU of type 0x{kind:02X} instead of A-ASSOCIATE-RQ.")
    with decoding_negotiation("The caller"):
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(body)
        wanted = pdu.to_primitive()
        calling = str(wanted.calling_ae_title).strip()
        answers = [_answer(context) for context in wanted.presentation_context_definition_list]
        stream.peer_maximum = int(wanted.maximum_length_received or 0)
    if busy:
        stream.send(rejection(*_REJECT_CONGESTED))
        return None
    stream.send(_acceptance(wanted, answers))
    contexts = {
        answer.context_id: AcceptedContext(
            context_id=answer.context_id,
            abstract_syntax=str(answer.abstract_syntax),
            transfer_syntax=str(answer.transfer_syntax[0]),
        )
        for answer in answers
        if answer.result == _ACCEPTED
    }
    return AcceptedAssociation(calling_ae_title=calling, peer=f"{calling} to {ae_title}", contexts=contexts)


def is_storage(abstract_syntax: str) -> bool:
    """Whether objects of this class are taken: Storage SOP Classes of PS3.4 B.5 and GG.3, and all private ones.

    >>> is_storage("1.2.840.10008.5.1.4.1.1.2"), is_storage("1.3.12.2.1107.5.9.1")
    (True, True)
    >>> is_storage("1.2.840.10008.5.1.4.1.2.2.1"), is_storage("1.2.840.10008.5.1.4.34.6.1")  # C-FIND, worklist push
    (False, False)
    """
    if not abstract_syntax.startswith(_STANDARD):
        return True
    return abstract_syntax.startswith(_STORAGE) or abstract_syntax in _STORAGE_ELSEWHERE


def choose_transfer_syntax(offered: Sequence[str]) -> str:
    """Return the one we take of a context's transfer syntaxes, or an empty text for none.

    Objects are kept as they come, so any will do; uncompressed ones are read by most software. What the sender
    holds compressed it offers in a context of its own, and then it comes compressed.
    """
    usable = [syntax for syntax in offered if syntax != _GE_PRIVATE_BIG_ENDIAN]
    for preferred in (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN):
        if preferred in usable:
            return preferred
    return usable[0] if usable else ""


def _answer(context: Any) -> Any:  # noqa: ANN401 - pynetdicom's PresentationContext, which is untyped here
    from pynetdicom.presentation import PresentationContext

    answer = PresentationContext()
    answer.context_id = context.context_id
    answer.abstract_syntax = context.abstract_syntax
    offered = [str(syntax) for syntax in context.transfer_syntax]
    chosen = choose_transfer_syntax(offered)
    answer.transfer_syntax = [chosen or uids.IMPLICIT_VR_LITTLE_ENDIAN]
    known = context.abstract_syntax == uids.VERIFICATION or is_storage(str(context.abstract_syntax))
    answer.result = (
        _ACCEPTED if known and chosen else (_TRANSFER_SYNTAXES_UNKNOWN if known else _ABSTRACT_SYNTAX_UNKNOWN)
    )
    return answer


def _acceptance(wanted: Any, answers: Sequence[Any]) -> bytes:  # noqa: ANN401 - pynetdicom's A_ASSOCIATE
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    primitive = A_ASSOCIATE()
    primitive.application_context_name = uids.APPLICATION_CONTEXT
    primitive.calling_ae_title = wanted.calling_ae_title
    primitive.called_ae_title = wanted.called_ae_title
    primitive.result = 0
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = list(answers)
    primitive.user_information = user_information()
    encoded: bytes = A_ASSOCIATE_AC(primitive).encode()
    return encoded
