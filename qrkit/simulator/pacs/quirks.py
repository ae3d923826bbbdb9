"""The misbehaviour of the simulated PACS: one switch for each fault that real ones have."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _quirk(default: Any, description: str) -> Any:  # noqa: ANN401 - dataclasses.field is typed the same way
    return dataclasses.field(default=default, metadata={"description": description})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Switches for the simulated PACS; without any it behaves as the standard requires.

    Times are in seconds. `Quirks.descriptions()` describes each switch.

    Examples
    --------
    >>> Quirks.from_mapping({"cap": "500", "no_counters": "yes"}).cap
    500
    """

    # Associations
    reject: str = _quirk("", "reject associations: calling-aet, called-aet or congestion")
    known_ae_titles: tuple[str, ...] = _quirk((), "the only calling AE titles that are accepted")
    check_called_ae_title: bool = _quirk(False, "reject associations to another AE title than ours")
    max_associations: int = _quirk(0, "associations at a time; more are rejected as congestion (0: no limit)")
    congested_at_first: int = _quirk(0, "number of associations rejected as congestion before all are accepted")
    refuse_contexts: bool = _quirk(False, "accept associations but no presentation context")
    models: tuple[str, ...] = _quirk(
        ("study", "patient", "patient-study"), "information models offered: study, patient, patient-study"
    )
    services: tuple[str, ...] = _quirk(
        ("echo", "find", "get", "move", "store"), "services offered: echo, find, get, move, store"
    )
    refuse_classes: tuple[str, ...] = _quirk((), "SOP Class UIDs whose presentation contexts are refused")
    most_contexts: int = _quirk(0, "presentation contexts accepted, the first ones; the others are refused (0: all)")
    single_syntax: bool = _quirk(False, "a storage context that offers more than one transfer syntax is refused")
    transfer_syntaxes: tuple[str, ...] = _quirk((), "preferred transfer syntax UIDs, before all others")
    first_context: bool = _quirk(
        False, "each object is sent in the first context accepted for its SOP Class, converted if it must be"
    )
    listed_syntax: str = _quirk("", "transfer syntax UID that every object is listed with, whatever it is held in")
    delay_association: float = _quirk(0.0, "wait before an association is answered")
    end_after: int = _quirk(0, "number of requests after which an association is ended (0: never)")
    end_when_idle: float = _quirk(0.0, "an association without a request for this long is ended (0: never)")
    end_mode: str = _quirk("release", "how it ends an association: release, close, abort or silence")

    odd_negotiation: bool = _quirk(False, "unknown and empty items, padded UIDs and zeros in association PDUs")
    no_release_answer: bool = _quirk(False, "A-RELEASE-RQ is never answered")
    pdu_length: int = _quirk(0, "length of P-DATA-TF PDUs in bytes, whatever was agreed on (0: as agreed on)")
    wrong_flags: bool = _quirk(False, "responses announce a data set where none follows, and none where one does")

    # C-FIND
    ignore_keys: tuple[str, ...] = _quirk((), "keywords whose matching is ignored")
    omit_keys: tuple[str, ...] = _quirk((), "keywords that are never returned")
    blank_keys: tuple[str, ...] = _quirk((), "keywords that are returned empty")
    no_modalities_in_study: bool = _quirk(False, "ModalitiesInStudy is neither matched nor returned")
    modalities_text: str = _quirk("", "what separates codes in the one value of ModalitiesInStudy; `*`: its value")
    no_match_by_modalities: bool = _quirk(False, "a value of ModalitiesInStudy matches no study")
    cap: int = _quirk(0, "most responses to one C-FIND (0: no limit)")
    cap_mode: str = _quirk("silent", "what ends a capped result: silent (success) or status (0xA700)")
    hide_answers: int = _quirk(0, "number of responses, the last ones, left out of each C-FIND")
    count_less: int = _quirk(0, "number by which counts of related series and instances are too low")
    ignore_wildcards: bool = _quirk(False, "* and ? are taken for ordinary letters")
    case_sensitive: bool = _quirk(True, "text other than names matches in its case only")
    refuse_uid_lists: bool = _quirk(False, "a list of UIDs is refused with 0xA900")
    relational: bool = _quirk(True, "relational queries; without: 0xA900 if a higher unique key is missing")
    duplicate_answers: bool = _quirk(False, "every C-FIND response is sent twice")
    pending_without_identifier: int = _quirk(0, "number of responses, the first ones, without the Identifier")
    names_in_other_script: bool = _quirk(False, "names are matched as they are, and returned in Japanese characters")
    no_study_uid: int = _quirk(0, "number of studies, the first of each C-FIND, without StudyInstanceUID")
    row_per_modality: bool = _quirk(False, "a study has a row for each modality, with its own accession number")
    no_study_time_share: float = _quirk(0.0, "share of studies without StudyTime, 0 to 1")
    no_instances_of: tuple[str, ...] = _quirk((), "modalities whose IMAGE level results stay empty")
    image_level_status: int = _quirk(
        0, "C-FIND at IMAGE level ends with this status, such as 0xA900 (0: it is answered)"
    )
    find_status: int = _quirk(0, "C-FIND ends with this status, such as 0xC001, without responses")
    find_comment: str = _quirk("", "ErrorComment that goes with find_status")
    find_abort_after: int = _quirk(-1, "A-ABORT after this number of C-FIND responses (-1: never)")
    find_abort_every: int = _quirk(0, "A-ABORT at each C-FIND whose number is a multiple of this (0: never)")
    find_hang: bool = _quirk(False, "C-FIND is never answered")
    find_drip: float = _quirk(0.0, "seconds before each byte of C-FIND responses after the first (0: none)")
    find_endless: str = _quirk("", "C-FIND pends for ever: repeat (the same rows) or empty (without Identifier)")
    refuse_keys: tuple[str, ...] = _quirk(
        (), "keywords that are refused with refuse_keys_status, also as return keys"
    )
    refuse_keys_status: int = _quirk(0xA900, "status of a C-FIND with one of refuse_keys, such as 0xC000 or 0x0106")
    delay_first_response: float = _quirk(0.0, "wait before the first C-FIND response")
    delay_answer: float = _quirk(0.0, "wait before each further C-FIND response")

    # Broken values in C-FIND answers
    decimal_integers: bool = _quirk(False, "`1.0` where an integer string belongs")
    missing_modality: bool = _quirk(False, "Modality is empty at SERIES level")
    wrong_charset: bool = _quirk(False, "text is UTF-8 while SpecificCharacterSet is ISO_IR 6")
    named_charset: str = _quirk("", "SpecificCharacterSet is always this; `none` leaves it out")
    invalid_uid: bool = _quirk(False, "series UIDs have a leading zero in a component")
    one_class_in_study: bool = _quirk(False, "SOPClassesInStudy names only the first class of a study")
    report_modality: str = _quirk("", "Modality with which series of reports are returned, such as OT")
    add_to_numbers: int = _quirk(0, "added to each InstanceNumber, so that no image has the number 1 or 0")
    no_sop_class: bool = _quirk(False, "no SOPClassUID at IMAGE level, no SOPClassesInStudy")

    # C-GET and C-MOVE
    send_less: int = _quirk(0, "number of objects that are not sent but count as completed")
    fail_objects: int = _quirk(0, "number of sub-operations that fail, which ends in 0xB000")
    send_more: int = _quirk(0, "number of objects sent that were not requested")
    runaway: bool = _quirk(False, "objects that were not requested are sent without end")
    send_twice: bool = _quirk(False, "every object is sent twice")
    reissued: bool = _quirk(False, "objects are sent with other content than before under their UIDs")
    send_endlessly: bool = _quirk(False, "the requested objects are sent again and again, without end")
    no_counters: bool = _quirk(False, "responses hold no numbers of sub-operations")
    no_pending: bool = _quirk(False, "only the final response is sent")
    broken_object: int = _quirk(0, "place of an object in its study, from 1, at which C-GET and C-MOVE end (0: none)")
    broken_status: int = _quirk(0xC000, "the status by which they end there; 0: A-ABORT")
    retrieve_status: int = _quirk(0, "C-GET and C-MOVE end with this status, such as 0xA702 or 0xFE00")
    retrieve_status_after: int = _quirk(0, "objects sent before retrieve_status (-1: all of them)")
    retrieve_comment: str = _quirk("", "ErrorComment that goes with retrieve_status")
    finish_early: bool = _quirk(False, "C-MOVE reports success first and sends the objects afterwards")
    early_counters: str = _quirk(
        "completed", "what finish_early counts: every object as completed, as remaining, or nothing"
    )
    pend_forever: float = _quirk(0.0, "seconds between pending responses that never change and never end (0: none)")
    pend_every: float = _quirk(0.0, "seconds between unchanged pending responses before each object (0: none)")
    slow_object: float = _quirk(0.0, "seconds for the bytes of each object of a C-MOVE")
    unreachable: bool = _quirk(False, "no move destination can be reached, so each sub-operation of C-MOVE fails")
    ignore_cancel: bool = _quirk(False, "C-CANCEL is ignored")
    drop_after: int = _quirk(-1, "A-ABORT after this number of objects of one C-GET or C-MOVE (-1: never)")
    drop_times: int = _quirk(-1, "number of C-GET and C-MOVE to which drop_after applies (-1: all)")
    break_after: int = _quirk(-1, "number of objects before the connection breaks within the next (-1: never)")
    retrieve_hang: bool = _quirk(False, "C-GET and C-MOVE are never answered")
    delay_first_object: float = _quirk(0.0, "wait before the first object")
    delay_object: float = _quirk(0.0, "wait before each further object")

    # C-STORE, when it serves as a store node
    store_status: int = _quirk(0, "objects are refused with this status, such as 0xA700")
    delay_store: float = _quirk(0.0, "wait before a stored object is confirmed")

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one not in allowed:
                    raise ValueError(f"quirk {name}: {one!r} is not one of {', '.join(filter(None, allowed))}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> Quirks:
        """Quirks from texts, as a command line or a settings file has them.

        Lists are separated by commas, switches are yes or no, statuses may be hexadecimal.

        Raises
        ------
        ValueError
            An unknown name, or a value that does not fit; the message names the valid ones.
        """
        types = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        parsed: dict[str, Any] = {}
        for name, text in values.items():
            if name not in types:
                near = difflib.get_close_matches(name, types, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"Use {', '.join(types)}."
                raise ValueError(f"there is no quirk {name!r}. {hint}")
            try:
                parsed[name] = _PARSERS[types[name]](text.strip())
            except ValueError as error:
                raise ValueError(f"quirk {name}={text!r}: {error}") from error
        return cls(**parsed)

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return what each quirk does, in one line, by its name."""
        return {field.name: field.metadata["description"] for field in dataclasses.fields(cls)}


_CHOICES: dict[str, tuple[str, ...]] = {
    "reject": ("", "calling-aet", "called-aet", "congestion"),
    "models": ("study", "patient", "patient-study"),
    "services": ("echo", "find", "get", "move", "store"),
    "cap_mode": ("silent", "status"),
    "find_endless": ("", "repeat", "empty"),
    "end_mode": ("release", "close", "abort", "silence"),
    "early_counters": ("completed", "remaining", "nothing"),
}


def _parse_switch(text: str) -> bool:
    answers = {"yes": True, "true": True, "on": True, "1": True, "": True}
    answers |= {"no": False, "false": False, "off": False, "0": False}
    if text.lower() not in answers:
        raise ValueError("enter yes or no")
    return answers[text.lower()]


def _parse_whole_number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError("enter a whole number, such as 60 or 0xA700") from None


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("enter a number, such as 0.5") from None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "bool": _parse_switch,
    "int": _parse_whole_number,
    "float": _parse_number,
    "str": str,
    "tuple[str, ...]": lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
}
