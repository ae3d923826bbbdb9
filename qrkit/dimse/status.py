"""Every DIMSE status: its meaning, and whether a retry may help.

Sources: PS3.7 annex C (general), PS3.4 B.2.3 (C-STORE), C.4.1.1.4 (C-FIND), C.4.2.1.5 (C-MOVE) and
C.4.3.1.4 (C-GET). A status that no table lists falls into its range's category (PS3.7 C.1 to C.5), so there is
no status that is not classified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from qrkit.errors import StatusError


class Category(Enum):
    """Status classes of PS3.7 annex C."""

    SUCCESS = "success"
    PENDING = "pending"
    CANCEL = "cancel"
    WARNING = "warning"
    FAILURE = "failure"


class Service(Enum):
    """The DIMSE services whose statuses we read."""

    ECHO = "C-ECHO"
    FIND = "C-FIND"
    GET = "C-GET"
    MOVE = "C-MOVE"
    STORE = "C-STORE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One status of one service, read."""

    code: int
    category: Category
    meaning: str
    advice: str = ""
    transient: bool = False
    """Whether the same request may succeed later without any change."""


SUCCESS = 0x0000
CANCELLED = 0xFE00
PENDING = 0xFF00
PENDING_KEYS_UNSUPPORTED = 0xFF01
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
MOVE_DESTINATION_UNKNOWN = 0xA801
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211

_LESS = "Ask for less at once (a shorter date range, fewer studies), or later."
_ASK_PACS = "Ask the PACS team for the log of this moment."
_AUTHORISE = "Ask the PACS team to allow our AE title this service."

_GENERAL: dict[int, tuple[str, str, bool]] = {
    0x0105: ("no such attribute", _ASK_PACS, False),
    0x0106: ("invalid attribute value", "Check the values asked for.", False),
    0x0107: ("attribute list error", "Check the attributes asked for.", False),
    0x0110: ("processing failure", _ASK_PACS, True),
    0x0111: ("duplicate SOP Instance", "", False),
    0x0112: ("no such SOP Instance", "It may have been deleted or archived; query again.", False),
    0x0113: ("no such event type", _ASK_PACS, False),
    0x0114: ("no such argument", _ASK_PACS, False),
    0x0115: ("invalid argument value", "Check the values asked for.", False),
    0x0116: ("attribute value out of range", "Check the values asked for.", False),
    0x0117: ("invalid SOP Instance", _ASK_PACS, False),
    0x0118: ("no such SOP Class", _ASK_PACS, False),
    0x0119: ("class-instance conflict", _ASK_PACS, False),
    0x0120: ("missing attribute", "Check the attributes asked for.", False),
    0x0121: ("missing attribute value", "Check the values asked for.", False),
    SOP_CLASS_NOT_SUPPORTED: (
        "SOP Class not supported",
        "Try the other retrieve method or information model.",
        False,
    ),
    0x0123: ("no such action type", _ASK_PACS, False),
    NOT_AUTHORISED: ("refused: not authorised", _AUTHORISE, False),
    0x0210: ("duplicate invocation", _ASK_PACS, True),
    UNRECOGNISED_OPERATION: ("unrecognised operation", "The node does not offer this service.", False),
    0x0212: ("mistyped argument", _ASK_PACS, False),
    0x0213: ("resource limitation", _LESS, True),
}

_RETRIEVE: dict[int, tuple[str, str, bool]] = {
    0xA701: ("refused: out of resources, cannot count the matches", _LESS, True),
    0xA702: ("refused: out of resources, cannot perform the sub-operations", _LESS, True),
    MOVE_DESTINATION_UNKNOWN: (
        "refused: move destination unknown",
        "Ask the PACS team to enter the AE title of the destination with its address and port.",
        False,
    ),
    0xA900: (
        "Identifier does not match SOP Class",
        "Retrieve at another level, such as the whole series, or choose another information model.",
        False,
    ),
    0xB000: ("sub-operations complete, with failures or warnings", "Retrieve what is missing again.", True),
    0xFE00: ("sub-operations cancelled", "If you did not cancel it, ask the PACS team who did.", False),
}

_BY_SERVICE: dict[Service, dict[int, tuple[str, str, bool]]] = {
    Service.ECHO: {},
    Service.FIND: {
        0xA700: ("refused: out of resources", _LESS, True),
        0xA900: (
            "Identifier does not match SOP Class",
            "Query another level and retrieve whole series, or choose another information model.",
            False,
        ),
        0xFE00: ("matching cancelled", "", False),
        0xFF00: ("pending", "", False),
        0xFF01: ("pending, but optional keys are not supported", "", False),
    },
    Service.GET: _RETRIEVE | {0xFF00: ("pending", "", False)},
    Service.MOVE: _RETRIEVE | {0xFF00: ("pending", "", False)},
    Service.STORE: {
        0xB000: ("coercion of data elements", "", False),
        0xB006: ("elements discarded", "", False),
        0xB007: ("data set does not match SOP Class", "", False),
    },
}

_STORE_RANGES = {
    0xA700: ("refused: out of resources", "Free disk space at the receiver.", True),
    0xA900: ("data set does not match SOP Class", _ASK_PACS, False),
}


def classify(service: Service, code: int) -> Status:
    """Return what a status means for a service.

    >>> classify(Service.FIND, 0xA700).meaning
    'refused: out of resources'
    >>> classify(Service.MOVE, 0xC123).category.value, classify(Service.GET, 0x4242).category.value
    ('failure', 'failure')
    """
    if code == SUCCESS:
        return Status(code=code, category=Category.SUCCESS, meaning="success")
    listed = _BY_SERVICE[service].get(code) or _GENERAL.get(code) or _from_range(service, code)
    meaning, advice, transient = listed
    return Status(code=code, category=_category(code), meaning=meaning, advice=advice, transient=transient)


def failure(service: Service, code: int, *, peer: str, comment: str = "") -> StatusError:
    """Return the error for an operation that a peer ended with this status."""
    status = classify(service, code)
    said = f' and the comment "{comment}"' if comment else ""
    return StatusError(
        f"{peer} ended {service.value} with status 0x{code:04X} ({status.meaning}){said}.",
        advice=status.advice,
        status=code,
        comment=comment,
        transient=status.transient,
    )


def _category(code: int) -> Category:
    if code in (PENDING, PENDING_KEYS_UNSUPPORTED):
        return Category.PENDING
    if code == CANCELLED:
        return Category.CANCEL
    if code in (0x0001, 0x0107, 0x0116) or code >> 12 == 0xB:
        return Category.WARNING
    return Category.FAILURE


def _from_range(service: Service, code: int) -> tuple[str, str, bool]:
    if service is Service.STORE and code & 0xFF00 in _STORE_RANGES:
        return _STORE_RANGES[code & 0xFF00]
    if code >> 12 == 0xC:
        return ("unable to process", _ASK_PACS, False)
    if code >> 12 == 0xA:
        return ("refused", _ASK_PACS, True)
    if code >> 12 == 0xB:
        return ("warning", "", False)
    return ("a status that DICOM does not define", _ASK_PACS, False)
