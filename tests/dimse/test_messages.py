"""Command sets: equal to pynetdicom's, and strict with what cannot be read."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import dimse_messages, dimse_primitives

from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import Command, decode_command, encode_command
from qrkit.dimse.status import Service, failure
from qrkit.errors import ProtocolError

SOP_CLASS = "1.2.840.10008.5.1.4.1.2.2.1"


def by_pynetdicom(message: Any, primitive: Any) -> bytes:  # noqa: ANN401 - pynetdicom is untyped here
    """The command set as pynetdicom sends it."""
    message.primitive_to_message(primitive)
    fragments = list(message.encode_msg(1, 0))
    return b"".join(data[1:] for pdv in fragments for _, data in pdv.presentation_data_value_list if data[0] & 1)


@pytest.mark.parametrize("sop_class", [SOP_CLASS, SOP_CLASS + "1"])
@pytest.mark.parametrize("field", [dimse.C_FIND_RQ, dimse.C_GET_RQ, dimse.C_MOVE_RQ])
def test_query_retrieve_requests_are_encoded_as_pynetdicom_does(field: int, sop_class: str) -> None:
    kinds = {
        dimse.C_FIND_RQ: (dimse_messages.C_FIND_RQ, dimse_primitives.C_FIND),
        dimse.C_GET_RQ: (dimse_messages.C_GET_RQ, dimse_primitives.C_GET),
        dimse.C_MOVE_RQ: (dimse_messages.C_MOVE_RQ, dimse_primitives.C_MOVE),
    }
    message, kind = kinds[field]
    primitive = kind()
    primitive.MessageID, primitive.AffectedSOPClassUID, primitive.Priority = 7, sop_class, 0
    primitive.Identifier = BytesIO(b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY ")
    destination = ""
    if field == dimse.C_MOVE_RQ:
        destination = primitive.MoveDestination = "QRKIT"
    ours = dimse.request(field, sop_class_uid=sop_class, message_id=7, move_destination=destination)
    assert ours == by_pynetdicom(message(), primitive)


def test_echo_requests_are_encoded_as_pynetdicom_does() -> None:
    primitive = dimse_primitives.C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 65_535, "1.2.840.10008.1.1"
    ours = dimse.request(dimse.C_ECHO_RQ, sop_class_uid="1.2.840.10008.1.1", message_id=65_535)
    assert ours == by_pynetdicom(dimse_messages.C_ECHO_RQ(), primitive)


def test_a_cancel_is_encoded_as_pynetdicom_does() -> None:
    primitive = dimse_primitives.C_CANCEL()
    primitive.MessageIDBeingRespondedTo = 12
    assert dimse.cancel(12) == by_pynetdicom(dimse_messages.C_CANCEL_RQ(), primitive)


@pytest.mark.parametrize(("status", "comment"), [(0x0000, ""), (0xA700, "the disk is full")])
def test_store_responses_are_encoded_as_pynetdicom_does(status: int, comment: str) -> None:
    primitive = dimse_primitives.C_STORE()
    primitive.MessageIDBeingRespondedTo, primitive.Status = 9, status
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = SOP_CLASS, "1.2.3"
    if comment:
        primitive.ErrorComment = comment
    request = Command(
        {
            dimse.COMMAND_FIELD: b"\x01\x00",
            dimse.MESSAGE_ID: b"\x09\x00",
            dimse.AFFECTED_SOP_CLASS_UID: SOP_CLASS.encode() + b"\0",
            dimse.AFFECTED_SOP_INSTANCE_UID: b"1.2.3\0",
        }
    )
    message = dimse_messages.C_STORE_RSP()
    assert dimse.response(request, status, comment) == by_pynetdicom(message, primitive)


def test_an_error_comment_is_cut_to_what_an_lo_may_hold() -> None:
    encoded = dimse.response(Command({dimse.COMMAND_FIELD: b"\x01\x00"}), 0xA700, "x" * 200)
    assert decode_command(encoded, peer="P").text(dimse.ERROR_COMMENT) == "x" * 64


def test_a_comment_that_is_not_ascii_is_still_sent() -> None:
    encoded = dimse.response(Command({dimse.COMMAND_FIELD: b"\x01\x00"}), 0xA700, "Größe")
    assert decode_command(encoded, peer="P").text(dimse.ERROR_COMMENT) == "Gr??e"


numbers = st.integers(0, 0xFFFF)
texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=64)


@given(st.dictionaries(st.integers(1, 0xFFFF), st.one_of(numbers, texts)))
def test_what_is_encoded_is_decoded_again(values: dict[int, int | str]) -> None:
    values |= {dimse.COMMAND_FIELD: 0x8020, dimse.COMMAND_DATA_SET_TYPE: dimse.NO_DATA_SET}
    decoded = decode_command(encode_command(values), peer="P")
    for number, value in values.items():
        assert (decoded.number(number) if isinstance(value, int) else decoded.text(number)) == value


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes, with some of them changed, left out or added."""
    return st.builds(
        lambda cut, place, change: whole[:cut][:place] + change + whole[:cut][place + len(change) :],
        st.integers(0, len(whole)),
        st.integers(0, len(whole)),
        st.binary(max_size=4),
    )


@given(st.one_of(st.binary(max_size=200), damaged(dimse.request(0x21, sop_class_uid=SOP_CLASS, message_id=1))))
def test_any_bytes_are_a_command_or_a_protocol_error(data: bytes) -> None:
    try:
        decoded = decode_command(data, peer="P")
    except ProtocolError:
        return
    for number in decoded.elements:
        decoded.number(number)
        decoded.text(number)
    assert isinstance(decoded.field, int)
    assert decoded.has_data_set in {True, False}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode_command({dimse.STATUS: 0}),
        encode_command({dimse.COMMAND_FIELD: 1, dimse.COMMAND_DATA_SET_TYPE: 1})[:-1],
        encode_command({dimse.COMMAND_FIELD: 1, dimse.COMMAND_DATA_SET_TYPE: 1}) + b"\0\0\0\x01\x02\0\0\0\x01\0",
    ],
    ids=["empty", "no field", "cut off", "twice"],
)
def test_a_command_set_that_cannot_be_read_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_command(data, peer="P")


def test_a_failed_list_in_the_command_set_is_kept() -> None:
    """As Orthanc 1.10 sends it; PS3.4 C.4.3.1.3.2 has it in a data set."""
    command = encode_command({dimse.COMMAND_FIELD: 0x8010, dimse.COMMAND_DATA_SET_TYPE: dimse.NO_DATA_SET})
    group = b"\x08\0\0\0\x04\0\0\0\x12\0\0\0" + b"\x08\0\x58\0\x0a\0\0\0" + b"1.2.3\\1.4\0"
    decoded = decode_command(command + group, peer="P")
    assert decoded.text(dimse.FAILED_SOP_INSTANCE_UID_LIST) == "1.2.3\\1.4"


def test_a_value_of_the_wrong_length_is_no_number() -> None:
    decoded = Command({dimse.STATUS: b"\0\0\0\0", dimse.COMPLETED: b"\x05\0"})
    assert decoded.status is None
    assert decoded.number(dimse.COMPLETED) == 5


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        (b"index is rebuilt ", "index is rebuilt"),
        (b"index is rebuilt\0\xff\xfe garbage", "index is rebuilt"),
        (b"\x1b[31mred\x1b[0m\x07", r"\x1b[31mred\x1b[0m\x07"),
        (b"two\r\nlines\ttab", r"two\r\nlines\ttab"),
        (b"[red]x[/red] <b>x</b>", "[red]x[/red] <b>x</b>"),
        (b"\x9b31m\xe4", "\ufffd31m\ufffd"),
        (b"x" * 1000, "x" * 79 + "…" + "x" * 80),
        (bytes(8), ""),
    ],
)
def test_a_comment_of_a_peer_is_one_line_without_control_characters(comment: bytes, shown: str) -> None:
    assert Command({dimse.ERROR_COMMENT: comment}).comment == shown
    assert failure(Service.FIND, 0xC000, peer="PACS", comment=shown).message.isprintable()
