r"""Modality codes, and how they are read from ModalitiesInStudy and Modality, whatever a node separates them by.

DICOM separates values by a backslash (PS3.5 6.2). Nodes also return ``CT,SR``, ``CT/SR``, ``ct sr`` or
``['CT', 'SR']`` as one value, and ``*`` or free text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# fmt: off
DEFINED_MODALITIES = frozenset(
    (
        "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DMS", "DG", "DOC", "DX",
        "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO",
        "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS",
        "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT",
        "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN",
        "TEXTUREMAP", "TG", "US", "VA", "XA", "XAPROTOCOL", "XC",
        # retired, but archives still have them
        "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS", "OPR", "ST", "VF",
    )
)
# fmt: on
"""The defined terms of Modality (PS3.3 C.7.3.1.1.1)."""

_UNDEFINED = frozenset({"DR"})
"""Codes that DICOM does not define and that mean a modality all the same: older systems use them."""

UNKNOWN_MODALITY = "unknown"
"""The label of what has no modality that can be read."""

_CODE = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)
_SEPARATORS = re.compile(r"[^A-Z0-9_]+", re.ASCII)
_ACCOMPANYING = frozenset({"SR", "PR", "KO", "SEG", "REG", "DOC", "OT"})
"""Modalities that a study is not named by, unless it has no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modalities:
    """The modalities of a study or series, by a value that names them.

    Attributes
    ----------
    codes
        What reads as a code, in capital letters.
    are_known
        Whether the value is a list of codes and nothing else. Otherwise the modalities are unknown: others than
        `codes` are possible.
    is_odd
        Whether the value is not written as DICOM does: other separators, small letters, quotes.
    """

    codes: frozenset[str] = frozenset()
    are_known: bool = False
    is_odd: bool = False

    def may_be_one_of(self, codes: frozenset[str]) -> bool:
        """Whether one of some codes is among them, or may be: only known modalities exclude a code.

        >>> read_modalities("CT/SR").may_be_one_of({"MR"}), read_modalities("*").may_be_one_of({"MR"})
        (False, True)
        """
        return not self.are_known or not self.codes.isdisjoint(codes)

    @property
    def known(self) -> frozenset[str]:
        """The codes if they are known; empty if they are not."""
        return self.codes if self.are_known else frozenset()


@lru_cache(maxsize=4096)
def read_modalities(value: str | None) -> Modalities:
    r"""Return the modalities in a value of ModalitiesInStudy or Modality, whatever separates them.

    >>> [sorted(read_modalities(text).known) for text in ("ct/sr", "['CT', 'SR']", "CT SR;", "*", "unknown")]
    [['CT', 'SR'], ['CT', 'SR'], ['CT', 'SR'], [], []]
    >>> sorted(read_modalities("CT\\QQ").codes), read_modalities("CT\\QQ").are_known
    (['CT', 'QQ'], False)
    """
    if not value:
        return Modalities()
    plain = [part.strip(" ") for part in value.split("\\")]
    codes = {code for code in _SEPARATORS.split(value.upper()) if code}
    known = DEFINED_MODALITIES | _UNDEFINED
    # a text in other letters leaves no code, or only a part of one
    are_known = bool(codes) and codes <= known and not any(one.isalpha() for one in value if not one.isascii())
    whole = {part.upper() for part in plain if part}
    return Modalities(
        codes=frozenset(codes | whole if not are_known else codes),
        are_known=are_known,
        is_odd=are_known and not codes >= set(filter(None, plain)),
    )


def modality_labels(modalities_in_study: object) -> frozenset[str]:
    r"""Return the codes by which people select a study, those of a site included; ``unknown`` without any.

    >>> [sorted(modality_labels(text)) for text in ("ct/sr", "CT\\QQ", "CT and others", "*", None)]
    [['CT', 'SR'], ['CT', 'QQ'], ['CT'], ['unknown'], ['unknown']]
    """
    if not isinstance(modalities_in_study, str):
        return frozenset({UNKNOWN_MODALITY})
    found = read_modalities(modalities_in_study)
    own = {part for part in modalities_in_study.split("\\") if _CODE.fullmatch(part)}
    return found.known or frozenset(own | found.codes & DEFINED_MODALITIES) or frozenset({UNKNOWN_MODALITY})


def modality_label(modalities_in_study: object) -> str:
    r"""Return the name of a study by its modalities, as in a chart.

    >>> modality_label("SR\\CT"), modality_label("PT,CT,SR"), modality_label("SR"), modality_label(None)
    ('CT', 'CT+PT', 'SR', 'unknown')
    """
    codes = modality_labels(modalities_in_study)
    return "+".join(sorted(codes - _ACCOMPANYING or codes))
