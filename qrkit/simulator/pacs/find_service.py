"""C-FIND as a service class provider: statuses and answers (PS3.4 C.4.1, PS3.7 9.1.2)."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from qrkit.simulator.objects.encoding import CHARSET_VR, IMPLICIT_VR, data_set_bytes, value_bytes
from qrkit.simulator.pacs.identifier import (
    AT_STUDY_LEVEL_TOO,
    ATTRIBUTES,
    UNIQUE_KEY,
    Identifier,
    IdentifierError,
    Match,
    QueryRetrieveLevel,
    check_unique_keys,
    read_identifier,
)
from qrkit.simulator.pacs.matching import find_matches
from qrkit.simulator.pacs.quirks import Quirks
from qrkit.simulator.pacs.server_state import Cancellation, Recorder, RequestCancelledError, ServerState
from qrkit.simulator.pacs.wire import (
    CANCELLED,
    IDENTIFIER_DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PENDING,
    SUCCESS,
    AssociationEndedError,
    Message,
    encode_command,
    response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from qrkit.simulator.objects.encoding import Value
    from qrkit.simulator.pacs.association import PacsAssociation, PacsContext

LEVELS_OF_MODEL = {
    "1.2.840.10008.5.1.4.1.2.1": (QueryRetrieveLevel.PATIENT, QueryRetrieveLevel.IMAGE),
    "1.2.840.10008.5.1.4.1.2.2": (QueryRetrieveLevel.STUDY, QueryRetrieveLevel.IMAGE),
    "1.2.840.10008.5.1.4.1.2.3": (QueryRetrieveLevel.PATIENT, QueryRetrieveLevel.STUDY),
}
"""Top and bottom level of each information model, by its SOP classes without their last component."""

_ROOT, _INVALID_ROOT = "2.25.", "2.25.0"
"""A component with a leading zero makes a UID invalid (PS3.5 9.1)."""
_COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")
_JAPANESE_NAME = b"=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
_ANSWERS_PER_CANCEL_CHECK = 16


def checked_identifier(raw: bytes, context: PacsContext, association: PacsAssociation, quirks: Quirks) -> Identifier:
    """Return the Identifier of a request; raise IdentifierError if its level or keys do not fit the SOP class."""
    identifier = read_identifier(raw, context.transfer_syntax)
    top, bottom = LEVELS_OF_MODEL[context.abstract_syntax.rpartition(".")[0]]
    if not top <= identifier.level <= bottom:
        raise IdentifierError(f"the information model has no {identifier.level.name} level")
    if not quirks.relational:
        check_unique_keys(identifier, top)
    if quirks.refuse_uid_lists and any(len(identifier.values(keyword)) > 1 for keyword in UNIQUE_KEY.values()):
        raise IdentifierError("lists of UIDs are not supported")
    if quirks.invalid_uid:
        identifier = _with_valid_uids(identifier)
    combined = association.extended.get(context.abstract_syntax, b"")[1:2] == b"\x01"
    return replace(identifier, combine_date_and_time=combined)


def _with_valid_uids(identifier: Identifier) -> Identifier:
    """Return the Identifier as if it had been sent with valid UIDs: a PACS finds again what it returned itself."""
    keys = tuple(
        replace(key, values=tuple(_with_root(value, _ROOT) for value in key.values))
        if key.keyword == "SeriesInstanceUID"
        else key
        for key in identifier.keys
    )
    return replace(identifier, keys=keys)


def _with_root(uid: str, root: str) -> str:
    """Return a UID of the simulator with its root written validly or invalidly."""
    for known in (_INVALID_ROOT, _ROOT):
        if uid.startswith(known):
            return root + uid.removeprefix(known)
    return uid


def serve_find(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Answer one C-FIND-RQ."""
    context = association.contexts[message.context_id]
    quirks = state.quirks
    with Recorder(state, association, "C-FIND") as record:
        if quirks.find_hang:
            state.hang(association)
        if state.is_turn("C-FIND", quirks.find_abort_every):
            association.abort()
            raise AssociationEndedError("aborted by a quirk")
        state.pause(quirks.delay_first_response)
        comment = ""
        try:
            identifier = checked_identifier(message.data, context, association, quirks)
            record.level, record.keywords = identifier.level.name, identifier.matching_keywords
            record.status, comment = _refusal(identifier, quirks)
            if not record.status:
                record.status = _send_answers(association, message, identifier, state, record)
                if quirks.find_endless:
                    _send_endless(association, message, identifier, state, record)
        except RequestCancelledError:
            record.status = CANCELLED
        except IdentifierError as error:
            record.status, comment = IDENTIFIER_DOES_NOT_MATCH, str(error)
        record.put()
        association.send(message.context_id, response(message, record.status, comment))
        association.flush()


def _refusal(identifier: Identifier, quirks: Quirks) -> tuple[int, str]:
    """Return the status and comment by which a request is refused; 0 if it is not."""
    if {key.keyword for key in identifier.keys} & set(quirks.refuse_keys):
        return quirks.refuse_keys_status, ""
    if quirks.image_level_status and identifier.level == QueryRetrieveLevel.IMAGE:
        return quirks.image_level_status, ""
    return quirks.find_status, quirks.find_comment


def _send_endless(
    association: PacsAssociation, message: Message, identifier: Identifier, state: ServerState, record: Recorder
) -> NoReturn:
    """Send pending responses, after the first answers, until the request is cancelled or the association ends."""
    cancellation = Cancellation(association, message.number("MessageID"), ignored=state.quirks.ignore_cancel)
    pending = encode_command(response(message, PENDING))
    while True:
        if state.quirks.find_endless == "empty" or not record.answers:
            association.send(message.context_id, pending)
        else:
            _send_answers(association, message, identifier, state, record)
        association.flush()
        state.check_running()
        state.pause(state.quirks.delay_answer)
        cancellation.heed()


def _send_answers(
    association: PacsAssociation, message: Message, identifier: Identifier, state: ServerState, record: Recorder
) -> int:
    """Send every match; the final status."""
    quirks = state.quirks
    encode = answer_encoder(identifier, association.contexts[message.context_id], state)
    pending = encode_command(response(message, PENDING, has_data=True))
    cancellation = Cancellation(association, message.number("MessageID"), ignored=quirks.ignore_cancel)

    def heed() -> None:
        state.check_running()
        cancellation.heed()

    matches = find_matches(state.archive, identifier, quirks, heed)
    for match in _with_duplicates(_without_last(matches, quirks.hide_answers), quirks):
        parts = _parts(match, record.answers, identifier.level, quirks)
        if quirks.cap and record.answers >= quirks.cap:
            return OUT_OF_RESOURCES if quirks.cap_mode == "status" else SUCCESS
        if record.answers == quirks.find_abort_after:
            association.abort()
            raise AssociationEndedError("aborted by a quirk")
        if record.answers and quirks.delay_answer:
            association.flush()
            state.pause(quirks.delay_answer)
        if quirks.delay_answer or record.answers % _ANSWERS_PER_CANCEL_CHECK == 0:
            cancellation.heed()
        for part in parts:
            is_empty = record.answers < quirks.pending_without_identifier
            sent = (encode_command(response(message, PENDING)), None) if is_empty else (pending, encode(match, part))
            _send(association, (message.context_id, *sent), state, record)
            record.answers += 1
    return SUCCESS


def _send(
    association: PacsAssociation, answer: tuple[int, bytes, bytes | None], state: ServerState, record: Recorder
) -> None:
    """Send one answer: its presentation context ID, command set and Identifier."""
    if state.quirks.find_drip and record.answers:
        association.flush()
        association.send_slowly(*answer, partial(state.pause, state.quirks.find_drip), pieces=1_000)
    else:
        association.send(*answer)


def _without_last(matches: Iterator[Match], hidden: int) -> Iterator[Match]:
    waiting: deque[Match] = deque()
    for match in matches:
        waiting.append(match)
        if len(waiting) > hidden:
            yield waiting.popleft()


def _with_duplicates(matches: Iterator[Match], quirks: Quirks) -> Iterator[Match]:
    for match in matches:
        yield match
        if quirks.duplicate_answers:
            yield match


Part: TypeAlias = "Mapping[str, Value]"
"""The values by which one of several rows of a study differs from the study, by keyword."""


def _parts(match: Match, number: int, level: QueryRetrieveLevel, quirks: Quirks) -> list[Part]:
    """Return the rows of a match, the number of which in the answer is given: one, without a quirk."""
    if level != QueryRetrieveLevel.STUDY:
        return [{}]
    if not quirks.row_per_modality:
        return [{"StudyInstanceUID": ""} if number < quirks.no_study_uid else {}]
    study = match.study
    return [
        {"ModalitiesInStudy": code, "AccessionNumber": f"{study.AccessionNumber}{number or ''}"}
        for number, code in enumerate(study.ModalitiesInStudy)
    ]


def answer_encoder(
    identifier: Identifier, context: PacsContext, state: ServerState
) -> Callable[[Match, Part], bytes]:
    """Return a function that gives the Identifier of the answer for one match, or a part of it."""
    quirks = state.quirks
    omitted = set(quirks.omit_keys) | ({"ModalitiesInStudy"} if quirks.no_modalities_in_study else set())
    omitted |= {"SOPClassUID", "SOPClassesInStudy"} if quirks.no_sop_class else set()
    fields = [
        (key.tag, key.vr, key.keyword, reader)
        for key in identifier.keys
        if key.keyword not in omitted and (reader := _reader(key.keyword, identifier.level, state.ae_title))
    ]
    explicit = context.transfer_syntax != IMPLICIT_VR
    spoiling = quirks != Quirks()

    def encode(match: Match, part: Part) -> bytes:
        character_set = match.study.patient.SpecificCharacterSet
        elements = [(0x00080052, "CS", identifier.level.name.encode())]
        beyond_ascii = False
        for tag, vr, keyword, read in fields:
            value = part[keyword] if keyword in part else read(match)
            raw = value_bytes(vr, value, character_set)
            if quirks.names_in_other_script and keyword == "PatientName":
                raw = _JAPANESE_NAME
            elif spoiling:
                raw = _spoilt(keyword, vr, raw, (value, quirks))
            beyond_ascii = beyond_ascii or (vr in CHARSET_VR and not raw.isascii()) or b"\x1b" in raw
            elements.append((tag, vr, raw))
        if beyond_ascii:
            elements += _named_character_set(character_set, quirks)
        return data_set_bytes(elements, explicit=explicit)

    return encode


def _named_character_set(character_set: Sequence[str], quirks: Quirks) -> list[tuple[int, str, bytes]]:
    """Return the element that names the character set of an answer, if it is named at all."""
    named = "ISO_IR 6" if quirks.wrong_charset else quirks.named_charset or "\\".join(character_set)
    return [] if named == "none" else [(0x00080005, "CS", named.encode())]


def _reader(keyword: str, level: QueryRetrieveLevel, ae_title: str) -> Callable[[Match], Value] | None:
    """How to read an attribute for an answer at this level; None for what the archive does not return."""
    if keyword == "RetrieveAETitle":
        return lambda _: ae_title
    if keyword == "InstanceAvailability":
        return lambda _: "ONLINE"
    attribute = ATTRIBUTES.get(keyword)
    if attribute is None:
        return None
    if attribute.level <= level:
        return attribute.read
    from_study = AT_STUDY_LEVEL_TOO.get(keyword)
    if from_study is not None and level == QueryRetrieveLevel.STUDY:
        return lambda match: from_study(match.study)
    return None


def _as_named(keyword: str, raw: bytes, quirks: Quirks) -> bytes:
    """Return modalities, classes and transfer syntaxes as a PACS with these quirks names them."""
    if quirks.listed_syntax and keyword == "AvailableTransferSyntaxUID":
        return quirks.listed_syntax.encode()
    if quirks.modalities_text and keyword == "ModalitiesInStudy":
        text = quirks.modalities_text.encode()
        return text if text == b"*" else raw.replace(b"\\", text)
    if quirks.one_class_in_study and keyword == "SOPClassesInStudy":
        return raw.partition(b"\\")[0].rstrip(b"\0")
    if quirks.report_modality and keyword == "Modality" and raw.strip() == b"SR":
        return quirks.report_modality.encode()
    return raw


def _spoilt(keyword: str, vr: str, raw: bytes, value_and_quirks: tuple[Value, Quirks]) -> bytes:
    """Return the value as a PACS with these quirks returns it."""
    value, quirks = value_and_quirks
    if keyword in quirks.blank_keys or (quirks.missing_modality and keyword == "Modality"):
        return b""
    raw = _as_named(keyword, raw, quirks)
    if quirks.count_less and keyword in _COUNTS and raw:
        raw = str(max(int(raw) - quirks.count_less, 0)).encode()
    if quirks.decimal_integers and vr == "IS" and raw:
        return raw + b".0"
    if quirks.invalid_uid and keyword == "SeriesInstanceUID":
        return _with_root(raw.decode(), _INVALID_ROOT).encode()
    if quirks.wrong_charset and vr in CHARSET_VR:
        return str(value).encode()
    return raw
