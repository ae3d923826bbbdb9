"""Negotiation of an association as acceptor: A-ASSOCIATE-RQ is read and answered (PS3.8 9.3.2, 9.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrkit import errors, uids
from qrkit.dimse.negotiation import (
    ABSTRACT_SYNTAX,
    ACCEPTED,
    CONTEXT_OFFER,
    CONTEXT_RESULT,
    DEFAULT_MAXIMUM,
    TRANSFER_SYNTAX,
    USER_INFORMATION,
    AcceptedContext,
    encoded,
    encoded_pdu,
    items,
    read_maximum,
    read_uid,
    sub_items,
)
from qrkit.dimse.stream import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, Stream, rejection

_NO_REASON, _ABSTRACT_SYNTAX_UNKNOWN, _TRANSFER_SYNTAXES_UNKNOWN = 2, 3, 4
_REJECT_CONGESTED = (2, 3, 2)
_TITLES = slice(10, 42)
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
class OfferedContext:
    """A presentation context of A-ASSOCIATE-RQ; what the peer left out is empty."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """The content of A-ASSOCIATE-RQ."""

    titles: bytes
    """Called and calling AE title as they were sent, 16 bytes each; A-ASSOCIATE-AC repeats them."""
    contexts: tuple[OfferedContext, ...]
    maximum: int = DEFAULT_MAXIMUM
    """Longest P-DATA-TF that the peer takes, in bytes; 0 for any."""

    @property
    def calling_ae_title(self) -> str:
        """The calling AE title without its padding; some peers end it by NUL, before whatever their memory had.

        >>> AssociateRequest(titles=bytes(16) + b"  CT1 " + bytes(3) + b"garbage", contexts=()).calling_ae_title
        'CT1'
        """
        title = self.titles[16:].partition(b"\0")[0].decode("ascii", "backslashreplace").strip()
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in title)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextResult:
    """Our answer to a presentation context."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedAssociation:
    """An association that we accepted."""

    calling_ae_title: str
    peer: str
    contexts: dict[int, AcceptedContext]


def read_request(pdu: bytes, *, peer: str) -> AssociateRequest:
    """Read A-ASSOCIATE-RQ; raise ProtocolError if its contexts cannot be known."""
    contexts: list[OfferedContext] = []
    maximum = DEFAULT_MAXIMUM
    for kind, value in items(pdu, peer=peer):
        if kind == CONTEXT_OFFER and value:
            syntaxes = [(sub, read_uid(uid)) for sub, uid in sub_items(value[4:])]
            contexts.append(
                OfferedContext(
                    context_id=value[0],
                    abstract_syntax=next((uid for sub, uid in syntaxes if sub == ABSTRACT_SYNTAX), ""),
                    transfer_syntaxes=tuple(uid for sub, uid in syntaxes if sub == TRANSFER_SYNTAX and uid),
                )
            )
        elif kind == USER_INFORMATION:
            maximum = read_maximum(value, maximum)
    return AssociateRequest(titles=pdu[_TITLES], contexts=tuple(contexts), maximum=maximum)


def accept(stream: Stream, *, ae_title: str, busy: bool = False) -> AcceptedAssociation | None:
    """Read A-ASSOCIATE-RQ and answer it; None if it was rejected because we are `busy`.

    Raises ProtocolError if the peer sends something else, or a request that cannot be read.
    """
    kind, body = stream.read_pdu()
    if kind != A_ASSOCIATE_RQ:
        raise errors.ProtocolError(f"A connection began with a PDU of type 0x{kind:02X} instead of A-ASSOCIATE-RQ.")
    wanted = read_request(body, peer="The caller")
    stream.peer_maximum = wanted.maximum
    if busy:
        stream.send(rejection(*_REJECT_CONGESTED))
        return None
    answers = _answers(wanted.contexts)
    stream.send(_acceptance(wanted.titles, list(answers.values())))
    contexts = {
        one.context_id: AcceptedContext(
            context_id=one.context_id,
            abstract_syntax=one.abstract_syntax,
            transfer_syntax=answers[one.context_id].transfer_syntax,
        )
        for one in wanted.contexts
        if answers[one.context_id].result == ACCEPTED
    }
    calling = wanted.calling_ae_title
    peer = f"{calling or 'A caller without AE title'} to {ae_title}"
    return AcceptedAssociation(calling_ae_title=calling, peer=peer, contexts=contexts)


def _acceptance(titles: bytes, results: Sequence[ContextResult]) -> bytes:
    results_items = [
        encoded(
            CONTEXT_RESULT,
            bytes((one.context_id, 0, one.result, 0)),
            encoded(TRANSFER_SYNTAX, one.transfer_syntax.encode("ascii")),
        )
        for one in results
    ]
    return encoded_pdu(A_ASSOCIATE_AC, titles, results_items)


def _answers(offers: Sequence[OfferedContext]) -> dict[int, ContextResult]:
    """Return the answer to each context ID; one that stands for different contexts is refused."""
    meanings = {one.context_id: {other for other in offers if other.context_id == one.context_id} for one in offers}
    return {one.context_id: _answer(one, is_certain=len(meanings[one.context_id]) == 1) for one in offers}


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


def _answer(offer: OfferedContext, *, is_certain: bool) -> ContextResult:
    chosen = choose_transfer_syntax(offer.transfer_syntaxes)
    result = ACCEPTED
    if not is_certain or offer.context_id % 2 == 0:
        result = _NO_REASON
    elif not _is_taken(offer.abstract_syntax):
        result = _ABSTRACT_SYNTAX_UNKNOWN
    elif not chosen:
        result = _TRANSFER_SYNTAXES_UNKNOWN
    return ContextResult(
        context_id=offer.context_id, result=result, transfer_syntax=chosen or uids.IMPLICIT_VR_LITTLE_ENDIAN
    )


def _is_taken(abstract_syntax: str) -> bool:
    return abstract_syntax == uids.VERIFICATION or (bool(abstract_syntax) and is_storage(abstract_syntax))
