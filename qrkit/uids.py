"""Every UID that qrkit names, and the test that makes a UID from outside safe to use as a file name.

Unique identifiers are those of PS3.6 annex A.
"""

from __future__ import annotations

import re

from qrkit.version import __version__

IMPLEMENTATION_CLASS_UID = "2.25.224361379614420157339712085561207041183"
IMPLEMENTATION_VERSION_NAME = "QRKIT_" + "_".join(__version__.split(".")[:2])
"""Version of qrkit without the patch level, as PS3.7 D.3.3.2 allows 16 characters."""

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"

PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"
PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.2"
PATIENT_STUDY_ONLY_GET = "1.2.840.10008.5.1.4.1.2.3.3"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
XRAY_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
RADIOPHARMACEUTICAL_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.68"
PATIENT_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.73"
ENHANCED_XRAY_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.76"
SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7"
NUCLEAR_MEDICINE_IMAGE = "1.2.840.10008.5.1.4.1.1.20"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."
"""Prefix of the Storage SOP Class UIDs of PS3.4 B.5."""
PRESENTATION_STATE_STORAGE = "1.2.840.10008.5.1.4.1.1.11."
"""Prefix of the presentation state classes."""
SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88."
"""Prefix of the structured report classes, including Key Object Selection."""

_VALID = re.compile(r"[0-9.]{1,64}", re.ASCII)
_COMPONENT = r"(?:0|[1-9][0-9]*)"
_STANDARD = re.compile(rf"{_COMPONENT}(?:\.{_COMPONENT})*", re.ASCII)


def is_valid_uid(uid: str) -> bool:
    """Whether a UID may be used as a key and as a file name.

    Only the character set and the length of PS3.5 9.1 are checked, since PACS hold objects whose components start
    with zeros. A name that consists of dots only is refused.

    >>> is_valid_uid("1.2.840.10008.1.1")
    True
    >>> is_valid_uid("../../etc/passwd"), is_valid_uid(".."), is_valid_uid("")
    (False, False, False)
    """
    return bool(_VALID.fullmatch(uid)) and any(character.isdigit() for character in uid)


def is_well_formed_uid(uid: str) -> bool:
    """Whether a UID is made of numbers with single dots between, at most 64 characters (PS3.5 9.1).

    Numbers may start with zeros: PACS hold objects of such UIDs, and only these find them again.

    >>> is_well_formed_uid("1.2.0.5"), is_well_formed_uid("1.02"), is_well_formed_uid("1..2")
    (True, True, False)
    """
    return is_valid_uid(uid) and "" not in uid.split(".")


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is as PS3.5 9.1 has it: no component is empty or starts with a zero, unless it is zero.

    >>> is_standard_uid("1.2.0.5"), is_standard_uid("1.02"), is_standard_uid("1..2"), is_standard_uid("1.2.")
    (True, False, False, False)
    """
    return len(uid) <= 64 and bool(_STANDARD.fullmatch(uid))
