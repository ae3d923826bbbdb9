"""Associations as acceptor: which presentation contexts the Storage SCP takes (PS3.8 7.1.1, PS3.7 annex D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qrkit import errors, uids
from qrkit.dimse import stream as pdus
from qrkit.dimse.negotiation import AcceptedContext, decoding_negotiation, user_information
from qrkit.dimse.stream import Stream, rejection

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
class AcceptedAssociation:
    """An association that we accepted."""

    calling_ae_title: str
    peer: str
    contexts: dict[int, AcceptedContext]


def accept(stream: Stream, *, ae_title: str, busy: bool = False) -> AcceptedAssociation | None:
    """Read A-ASSOCIATE-RQ and answer it; None if it was rejected because we are `busy`.

    Raises
    ------
    ProtocolError
        If the peer sends something else, or what cannot be read.
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
