"""DICOM keywords and tags, by the data dictionary of PS3.6.

A key may also be given as a tag, ``0019100A`` or ``(0019,100A)``; one that the dictionary knows goes by its keyword,
any other by its eight hexadecimal digits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from qrkit.errors import InputError
from qrkit.words import did_you_mean, shown

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")


@lru_cache(maxsize=4096)
def canonical_keyword(keyword: str) -> str:
    """Return the one name by which a key is known: its keyword, or eight hexadecimal digits.

    Raises InputError if it is neither a keyword of PS3.6 nor a tag.

    >>> canonical_keyword("PatientID"), canonical_keyword("(0010,0020)"), canonical_keyword("0019100a")
    ('PatientID', 'PatientID', '0019100A')
    >>> canonical_keyword("PatientId")
    Traceback (most recent call last):
    qrkit.errors.InputError: 'PatientId' is not a DICOM keyword. Did you mean PatientID?
    """
    from pydicom import datadict

    if datadict.tag_for_keyword(keyword) is not None:
        return keyword
    tag = _TAG.fullmatch(keyword.strip())
    if tag is None:
        raise InputError(f"{shown(keyword)} is not a DICOM keyword.", advice=_suggestion(keyword))
    digits = (tag[1] + tag[2]).upper()
    return datadict.keyword_for_tag(int(digits, 16)) or digits


@lru_cache(maxsize=4096)
def keyword_tag(keyword: str) -> int:
    """Return the tag of a key.

    Raises InputError if it is neither a keyword of PS3.6 nor a tag.

    >>> f"{keyword_tag('StudyInstanceUID'):08X}"
    '0020000D'
    """
    from pydicom import datadict

    name = canonical_keyword(keyword)
    tag = datadict.tag_for_keyword(name)
    return int(name, 16) if tag is None else int(tag)


@lru_cache(maxsize=4096)
def keyword_vr(keyword: str) -> str:
    """Return the value representation of a key, ``UN`` if unknown; of several the first.

    Raises InputError if it is neither a keyword of PS3.6 nor a tag.

    >>> keyword_vr("StudyDate"), keyword_vr("00190010"), keyword_vr("0019100A")
    ('DA', 'LO', 'UN')
    """
    from pydicom import datadict

    tag = keyword_tag(keyword)
    if datadict.dictionary_has_tag(tag):
        return datadict.dictionary_VR(tag).partition(" ")[0]
    is_private_creator = bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF  # PS3.5 7.8.1
    return "LO" if is_private_creator else "UN"


@lru_cache(maxsize=4096)
def keyword_vm(keyword: str) -> str:
    """Return the value multiplicity of a key as PS3.6 writes it, such as ``1`` or ``1-n``.

    Raises InputError if it is neither a keyword of PS3.6 nor a tag.

    >>> keyword_vm("StudyDate"), keyword_vm("ModalitiesInStudy"), keyword_vm("0019100A")
    ('1', '1-n', '1-n')
    """
    from pydicom import datadict

    tag = keyword_tag(keyword)
    if datadict.dictionary_has_tag(tag):
        return datadict.dictionary_VM(tag)
    return "1-n"


def _suggestion(keyword: str) -> str:
    from pydicom import datadict

    usual = "Enter a keyword of PS3.6, such as PatientID, or a tag, such as 00100020."
    return did_you_mean(keyword, filter(None, datadict.keyword_dict), otherwise=usual)
