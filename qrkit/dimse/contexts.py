"""Presentation contexts that we propose: which SOP Classes, in which transfer syntaxes (PS3.8 annex D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qrkit import uids
from qrkit.node import InformationModel

MOST_CONTEXTS = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2)."""

UNCOMPRESSED = (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN)

COMPRESSED = (
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC/H.264 High Profile
    "1.2.840.10008.1.2.4.103",  # MPEG-4 AVC/H.264 BD-compatible
    "1.2.840.10008.1.2.4.100",  # MPEG2 Main Profile
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids.EXPLICIT_VR_BIG_ENDIAN,
)
"""Offered beside the uncompressed ones, most frequent first, so that a PACS can send as it holds."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_DAILY = (
    "2 4 7 1 1.1 1.2 88.67 88.22 88.33 88.11 12.1 12.2 20 128 6.1 3.1 2.1 4.1 1.1.1 1.2.1 1.3 7.4 7.2 7.3 "
    "11.1 88.59 88.68 88.76 88.73 13.1.3 13.1.1 481.1 481.2 481.3 481.5 66 66.1 66.4 77.1.4 104.1 130 128.1"
)
COMMON_STORAGE = tuple(_STORAGE + suffix for suffix in _DAILY.split())
"""Storage SOP Classes of daily work (PS3.4 B.5), for objects whose class a node did not tell."""

_FIND = {
    InformationModel.PATIENT_ROOT: uids.PATIENT_ROOT_FIND,
    InformationModel.STUDY_ROOT: uids.STUDY_ROOT_FIND,
    InformationModel.PATIENT_STUDY_ONLY: uids.PATIENT_STUDY_ONLY_FIND,
}
_MOVE = {
    InformationModel.PATIENT_ROOT: uids.PATIENT_ROOT_MOVE,
    InformationModel.STUDY_ROOT: uids.STUDY_ROOT_MOVE,
    InformationModel.PATIENT_STUDY_ONLY: uids.PATIENT_STUDY_ONLY_MOVE,
}
_GET = {
    InformationModel.PATIENT_ROOT: uids.PATIENT_ROOT_GET,
    InformationModel.STUDY_ROOT: uids.STUDY_ROOT_GET,
    InformationModel.PATIENT_STUDY_ONLY: uids.PATIENT_STUDY_ONLY_GET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One presentation context that we propose.

    Attributes
    ----------
    we_receive
        Ask for the SCP role (PS3.7 D.3.3.4), as C-GET needs it for the classes that arrive.
    extended
        Service class application information of SOP Class Extended Negotiation (PS3.7 D.3.3.5); empty: no offer.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = UNCOMPRESSED
    we_receive: bool = False
    extended: bytes = b""


def find_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-FIND under an information model."""
    return _FIND[model]


def move_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-MOVE under an information model."""
    return _MOVE[model]


def get_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-GET under an information model."""
    return _GET[model]


def storage_proposals(sop_classes: Sequence[str], *, room: int = MOST_CONTEXTS - 1) -> tuple[Proposal, ...]:
    """Return the contexts by which objects of these classes may arrive, at most `room`.

    A peer picks one transfer syntax of each context, so compressed objects arrive as they are only if their
    syntax has a context of its own. Each class therefore gets one for the uncompressed syntaxes and as many of
    its own as there is room for, most frequent syntaxes first; the last one takes the rest together.

    >>> [len(p.transfer_syntaxes) for p in storage_proposals(["1.2"], room=3)]
    [2, 1, 16]
    >>> len(storage_proposals([f"1.{n}" for n in range(200)], room=127))
    127
    """
    classes = list(dict.fromkeys(sop_classes))[:room]
    if not classes:
        return ()
    share, spare = divmod(room, len(classes))
    return tuple(
        Proposal(abstract_syntax=sop_class, transfer_syntaxes=syntaxes, we_receive=True)
        for place, sop_class in enumerate(classes)
        for syntaxes in _groups(share + (place < spare))
    )


def _groups(room: int) -> list[tuple[str, ...]]:
    if room == 1:
        return [UNCOMPRESSED]
    single = COMPRESSED[: room - 2]
    rest = COMPRESSED[len(single) :]
    return [UNCOMPRESSED, *((syntax,) for syntax in single), *([rest] if rest else [])]
