"""Presentation contexts that we propose: which SOP Classes, in which transfer syntaxes (PS3.8 annex D)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    "1.2.840.10008.1.2.4.100",  # MPEG2 Main Profile / Main Level
    "1.2.840.10008.1.2.4.101",  # MPEG2 Main Profile / High Level
    "1.2.840.10008.1.2.4.107",  # HEVC/H.265 Main Profile
    "1.2.840.10008.1.2.4.108",  # HEVC/H.265 Main 10 Profile
    "1.2.840.10008.1.2.4.110",  # JPEG XL lossless
    "1.2.840.10008.1.2.4.111",  # JPEG XL, JPEG recompression
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
    "1.2.840.10008.1.2.4.104",  # MPEG-4 AVC/H.264 High Profile for 2D video
    "1.2.840.10008.1.2.4.105",  # MPEG-4 AVC/H.264 High Profile for 3D video
    "1.2.840.10008.1.2.4.106",  # MPEG-4 AVC/H.264 Stereo High Profile
    "1.2.840.10008.1.2.4.102.1",  # the fragmentable ones of the MPEG profiles
    "1.2.840.10008.1.2.4.103.1",
    "1.2.840.10008.1.2.4.104.1",
    "1.2.840.10008.1.2.4.105.1",
    "1.2.840.10008.1.2.4.106.1",
    "1.2.840.10008.1.2.4.100.1",
    "1.2.840.10008.1.2.4.101.1",
    "1.2.840.10008.1.2.4.92",  # JPEG 2000 multi-component lossless
    "1.2.840.10008.1.2.4.93",  # JPEG 2000 multi-component
    "1.2.840.10008.1.2.4.53",  # retired JPEG processes, which archives still hold
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed Explicit VR Little Endian
    uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids.EXPLICIT_VR_BIG_ENDIAN,
)
"""Offered in addition to the uncompressed ones, most frequent first, so that a PACS can send objects as stored.

JPIP is left out: such objects hold no pixels but an address.
"""

_JPEG = "1.2.840.10008.1.2.4."
_MPEG_AND_HEVC = "100 100.1 101 101.1 102 102.1 103 103.1 104 104.1 105 105.1 106 106.1 107 108"
_WITH_LOSS = "50 51 53 55 81 91 93 112 203"
_VIDEO = frozenset(_JPEG + rest for rest in _MPEG_AND_HEVC.split())
LOSSY = _VIDEO | frozenset(_JPEG + rest for rest in _WITH_LOSS.split())
"""Transfer syntaxes whose pixel data may have lost quality."""

_OF_DATA_SETS = (uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN)
"""Further transfer syntaxes of objects without pixel data."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_BEGINNINGS = "9. 11. 66.1 66.2 66.3 66.5 67 68. 78. 79. 80. 88. 104. 131 481.3 481.4 481.5 481.6 481.7 481.8 481.9"
_WITHOUT_PIXELS = tuple(_BEGINNINGS.split())
"""Beginnings of the Storage SOP Classes of reports, presentation states, registrations, waveforms and plans."""

_VIDEO_CLASSES = ("3.1", "6.2", "7.2", "7.3", "7.4", "12.1", "12.2", "77.1.")
"""Beginnings of the classes whose objects may be video: multi-frame, and visible light."""

_DAILY = (
    "2 4 7 1 1.1 1.2 88.67 88.22 88.33 88.11 12.1 12.2 20 128 6.1 3.1 2.1 4.1 1.1.1 1.2.1 1.3 7.4 7.2 7.3 "
    "11.1 88.59 88.68 88.76 88.73 13.1.3 13.1.1 481.1 481.2 481.3 481.5 66 66.1 66.4 77.1.4 104.1 130 128.1"
)
COMMON_STORAGE = tuple(_STORAGE + suffix for suffix in _DAILY.split())
"""Frequent Storage SOP Classes (PS3.4 B.5), for objects whose class the node did not return."""


class ModelClasses(NamedTuple):
    """The SOP Class UIDs of C-FIND, C-MOVE and C-GET under an information model."""

    find: str
    move: str
    get: str


_OF_STUDY_ONLY = (uids.PATIENT_STUDY_ONLY_FIND, uids.PATIENT_STUDY_ONLY_MOVE, uids.PATIENT_STUDY_ONLY_GET)
MODELS = {
    InformationModel.PATIENT_ROOT: ModelClasses(
        uids.PATIENT_ROOT_FIND, uids.PATIENT_ROOT_MOVE, uids.PATIENT_ROOT_GET
    ),
    InformationModel.STUDY_ROOT: ModelClasses(uids.STUDY_ROOT_FIND, uids.STUDY_ROOT_MOVE, uids.STUDY_ROOT_GET),
    InformationModel.PATIENT_STUDY_ONLY: ModelClasses(*_OF_STUDY_ONLY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One presentation context that we propose."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = UNCOMPRESSED
    we_receive: bool = False
    """Ask for the SCP role (PS3.7 D.3.3.4), as C-GET needs it for the classes that arrive."""
    extended: bytes = b""
    """Service class application information of SOP Class Extended Negotiation (PS3.7 D.3.3.5); empty: no offer."""


def find_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-FIND under an information model."""
    return MODELS[model].find


def move_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-MOVE under an information model."""
    return MODELS[model].move


def get_model(model: InformationModel) -> str:
    """Return the SOP Class UID of C-GET under an information model."""
    return MODELS[model].get


def storage_proposals(
    sop_classes: Sequence[str], known: Mapping[str, Sequence[str]] | None = None, *, room: int = MOST_CONTEXTS - 1
) -> tuple[Proposal, ...]:
    """Return the contexts by which objects of these classes may arrive, at most `room`.

    A peer picks one transfer syntax of each context, so objects arrive as they are only if their syntax has a context
    of its own. Where the syntaxes in which a peer holds a class are known, these are offered and no others: it has
    then no reason to convert. Else each class gets a context for each uncompressed syntax, one for each that objects
    of this class usually have, and one for the rest. Classes share what room there is: less frequent syntaxes then
    follow together in the last context, and the uncompressed ones in the first.

    >>> [len(p.transfer_syntaxes) for p in storage_proposals(["1.2"], room=3)]
    [2, 1, 38]
    >>> [p.transfer_syntaxes for p in storage_proposals(["1.2"], {"1.2": [COMPRESSED[0]]})] == [(COMPRESSED[0],)]
    True
    >>> len(storage_proposals([f"1.{n}" for n in range(200)], room=127))
    127
    """
    offers = {one: _offers(one, (known or {}).get(one, ())) for one in list(dict.fromkeys(sop_classes))[:room]}
    shares = _shares([len(groups) for groups in offers.values()], room)
    return tuple(
        Proposal(abstract_syntax=sop_class, transfer_syntaxes=syntaxes, we_receive=True)
        for (sop_class, groups), share in zip(offers.items(), shares, strict=True)
        for syntaxes in _fitting(groups, share)
    )


def contexts_needed(known: Mapping[str, Sequence[str]]) -> int:
    """Return how many contexts it takes that no object of these classes has to be converted.

    >>> contexts_needed({"1.2": ["1.2.840.10008.1.2.5"], "1.2.840.10008.5.1.4.1.1.88.67": []})
    6
    """
    return sum(len(_offers(sop_class, syntaxes)) for sop_class, syntaxes in known.items())


def usable_syntaxes(syntaxes: Iterable[str]) -> tuple[str, ...]:
    """Return those of some transfer syntaxes that we offer, the ones without loss of quality first.

    >>> usable_syntaxes(["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1", "1.2.3"])
    ('1.2.840.10008.1.2.1', '1.2.840.10008.1.2.4.50')
    """
    usable = [one for one in dict.fromkeys(syntaxes) if one in UNCOMPRESSED or one in COMPRESSED]
    return tuple(sorted(usable, key=lambda one: one in LOSSY))


def _offers(sop_class: str, known: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the transfer syntaxes of each context of a class, if there is room for all of them."""
    if known:
        return [(syntax,) for syntax in known]
    suffix = sop_class.removeprefix(_STORAGE)
    is_ours = sop_class.startswith(_STORAGE)
    if is_ours and suffix.startswith(_WITHOUT_PIXELS):
        likely: Sequence[str] = _OF_DATA_SETS
    else:
        may_be_video = not is_ours or suffix.startswith(_VIDEO_CLASSES)
        likely = [syntax for syntax in COMPRESSED if may_be_video or syntax not in _VIDEO]
    rest = tuple(syntax for syntax in COMPRESSED if syntax not in likely)
    return [*((syntax,) for syntax in (*UNCOMPRESSED, *likely)), *([rest] if rest else [])]


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """Divide the room: a class that needs less than an equal share leaves the rest to the others."""
    shares = [0] * len(needs)
    for place, index in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[index] = min(needs[index], room // (len(needs) - place))
        room -= shares[index]
    return shares


def _fitting(groups: list[tuple[str, ...]], room: int) -> list[tuple[str, ...]]:
    """Unite the uncompressed syntaxes in the first context, and the last ones in the last context, if they must."""
    if len(groups) <= room:
        return groups
    plain = tuple(one for group in groups for one in group if one in UNCOMPRESSED)
    others = [one for group in groups for one in group if one not in UNCOMPRESSED]
    if room == 1 or not others:
        return [plain or tuple(others)]
    singles = others[: room - 2] if plain else others[: room - 1]
    rest = tuple(others[len(singles) :])
    return [*([plain] if plain else []), *((syntax,) for syntax in singles), *([rest] if rest else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAnswers:
    """The storage contexts offered to a node so far and those it accepted, from which other offers follow."""

    classes: frozenset[str] = frozenset()
    """SOP Classes offered."""
    alone: frozenset[tuple[str, str]] = frozenset()
    """SOP Class and transfer syntax of each context with one transfer syntax that was offered."""
    offered: frozenset[tuple[str, str]] = frozenset()
    """SOP Class and transfer syntax of all that was offered."""
    taken: frozenset[tuple[str, str]] = frozenset()
    """SOP Class and transfer syntax of each accepted context."""

    def after(self, proposals: Iterable[Proposal], taken: Iterable[tuple[str, str]]) -> StorageAnswers:
        """Return what is known after another negotiation."""
        offered = [proposal for proposal in proposals if proposal.we_receive]
        alone = {
            (one.abstract_syntax, one.transfer_syntaxes[0]) for one in offered if len(one.transfer_syntaxes) == 1
        }
        return StorageAnswers(
            classes=self.classes | {one.abstract_syntax for one in offered},
            alone=self.alone | alone,
            offered=self.offered
            | {(one.abstract_syntax, syntax) for one in offered for syntax in one.transfer_syntaxes},
            taken=self.taken | set(taken),
        )

    def refused(self, sop_classes: Iterable[str]) -> tuple[str, ...]:
        """Return those of the classes that were offered and never accepted."""
        accepted = {sop_class for sop_class, _ in self.taken}
        return tuple(one for one in sop_classes if one in self.classes and one not in accepted)

    def are_taken(self, sop_classes: Iterable[str]) -> bool:
        """Whether all that was offered of some classes was accepted."""
        wanted = set(sop_classes)
        return wanted <= self.classes and all(one in self.taken for one in self.offered if one[0] in wanted)

    def otherwise(self, sop_classes: Sequence[str], *, room: int = MOST_CONTEXTS - 1) -> tuple[Proposal, ...]:
        """Return contexts that offer the classes in another way than before; none if there is no other.

        A peer may refuse a context for one syntax in it, look at the first one only, or accept only a few contexts.
        So each syntax that was refused or passed over among others is offered alone, and a class that was refused
        altogether only in the uncompressed ones. Classes for which there was no room yet follow.

        >>> first = storage_proposals(["1.2"], room=2)
        >>> [p.transfer_syntaxes for p in StorageAnswers().after(first, []).otherwise(["1.2"])]
        [('1.2.840.10008.1.2.1',), ('1.2.840.10008.1.2',)]
        >>> known = StorageAnswers().after(first, [("1.2", "1.2.840.10008.1.2"), ("1.2", COMPRESSED[0])])
        >>> [p.transfer_syntaxes for p in known.otherwise(["1.2"])] == [(syntax,) for syntax in COMPRESSED[1:]]
        True
        >>> known.after(known.otherwise(["1.2"]), []).otherwise(["1.2"])
        ()
        """
        again = [
            Proposal(abstract_syntax=sop_class, transfer_syntaxes=(syntax,), we_receive=True)
            for syntax in (*UNCOMPRESSED, *COMPRESSED)
            for sop_class in dict.fromkeys(sop_classes)
            if sop_class in self.classes and self._is_open(sop_class, syntax)
        ]
        new = [sop_class for sop_class in sop_classes if sop_class not in self.classes]
        return (*again[:room], *storage_proposals(new, room=max(room - len(again), 0)))

    def _is_open(self, sop_class: str, syntax: str) -> bool:
        """Whether nothing is known yet of a class in a transfer syntax by itself."""
        if (sop_class, syntax) in self.alone | self.taken:
            return False
        if syntax in UNCOMPRESSED:  # a peer that can send one of them can send all it has
            return not any((sop_class, one) in self.taken for one in UNCOMPRESSED)
        return not self.refused([sop_class])
