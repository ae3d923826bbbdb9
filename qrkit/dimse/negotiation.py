"""The PDUs that negotiate an association (PS3.8 9.3.2 to 9.3.4, PS3.7 annex D).

pynetdicom's classes encode and decode them. A-ASSOCIATE-RJ becomes an error with its reason and advice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qrkit import errors, uids
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.stream import MAXIMUM_LENGTH
from qrkit.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedContext:
    """A presentation context that both sides agreed on."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The content of A-ASSOCIATE-AC.

    Attributes
    ----------
    contexts, refused
        Presentation contexts that the peer accepted, and proposals that it did not.
    extended
        Its answers to SOP Class Extended Negotiation, by SOP Class UID.
    peer_maximum
        Longest P-DATA-TF that it takes, in bytes; 0 for any.
    """

    contexts: tuple[AcceptedContext, ...]
    refused: tuple[Proposal, ...]
    extended: dict[str, bytes]
    peer_maximum: int


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


def read_acceptance(body: bytes, proposals: Sequence[Proposal], peer: str) -> Acceptance:
    """Read the answer to `request_pdu`.

    Raises
    ------
    ProtocolError
        If it cannot be read.
    """
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


_ACSE = {1: "no reason given", 2: "protocol version not supported"}
_USER = {
    1: "no reason given",
    2: "application context name not supported",
    3: "calling AE title not recognised",
    7: "called AE title not recognised",
}
_PRESENTATION = {1: "temporary congestion", 2: "local limit exceeded"}
_REASONS = {1: _USER, 2: _ACSE, 3: _PRESENTATION}


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
