"""Every UID that qrkit names, and the test that makes a UID from outside safe to use as a file name.

Unique identifiers are those of PS3.6 annex A.
"""

from __future__ import annotations

import hashlib
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
MULTI_FRAME_SECONDARY_CAPTURE_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
NUCLEAR_MEDICINE_IMAGE = "1.2.840.10008.5.1.4.1.1.20"
PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
LEGACY_CONVERTED_ENHANCED_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128.1"
ENHANCED_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.130"
STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."
"""Prefix of the Storage SOP Class UIDs of PS3.4 B.5."""
RAW_DATA_STORAGE = "1.2.840.10008.5.1.4.1.1.66"
"""Prefix of raw data, registrations, fiducials, segmentations and surfaces."""
PRESENTATION_STATE_STORAGE = "1.2.840.10008.5.1.4.1.1.11."
"""Prefix of the presentation state classes."""
SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88."
"""Prefix of the structured report classes, including Key Object Selection."""

_VALID = re.compile(r"[0-9.]{1,64}", re.ASCII)
_USABLE = re.compile(r"(?=.*[0-9]|.{8})(?=.*[0-9A-Za-z])[0-9A-Za-z._:{}()+~@-]{1,128}", re.ASCII)
_COMPONENT = r"(?:0|[1-9][0-9]*)"
_STANDARD = re.compile(rf"{_COMPONENT}(?:\.{_COMPONENT})*", re.ASCII)


def is_usable_uid(uid: str) -> bool:
    """Whether a node may be asked for what it calls by this UID.

    PACS hold objects whose UIDs are GUIDs, hexadecimal or too long, and only these find them. `path_name` gives the
    name of the file. Wildcards, blanks, slashes and quotes are refused, and short words.

    >>> is_usable_uid("1.2.840"), is_usable_uid("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}"), is_usable_uid("1.2.*")
    (True, True, False)
    """
    return bool(_USABLE.fullmatch(uid))


def path_name(uid: str) -> str:
    """Return the name of a file or folder for a UID: the UID itself, or a digest of one that is not safe as a name.

    >>> path_name("1.2.840"), path_name("../a")
    ('1.2.840', 'uid-61b4c98bfb92bdc9391613020e5b8cbf')
    """
    return uid if is_valid_uid(uid) else f"uid-{hashlib.sha256(uid.encode()).hexdigest()[:32]}"


def is_valid_uid(uid: str) -> bool:
    """Whether a UID has only digits and dots, at most 64, and is safe as the name of a file.

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
