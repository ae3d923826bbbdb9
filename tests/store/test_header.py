import zlib
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue

from qrkit import uids
from qrkit.errors import ObjectUnreadable
from qrkit.store.header import HeaderIncomplete, ObjectHeader, read_header
from qrkit.tables import keyword_tag
from tests.dimse.identifiers import decoded, element
from tests.store.objects import a_dataset, data_set_of, encoded

_PLAIN = (uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN)


def _by_pydicom(dataset: Dataset) -> dict[str, Any]:
    """Give the header as pydicom reads it."""

    def value(keyword: str) -> object:
        found = dataset.get(keyword)
        if keyword == "InstanceNumber":
            return None if found in (None, "") else int(found)
        if isinstance(found, MultiValue):
            return "\\".join(map(str, found))
        return "" if found is None else str(found)

    return {keyword: value(keyword) for keyword in asdict(ObjectHeader())}


def _decoded(content: bytes, transfer_syntax_uid: str) -> Dataset:
    return read_dataset(
        BytesIO(content),
        is_implicit_VR=transfer_syntax_uid == uids.IMPLICIT_VR_LITTLE_ENDIAN,
        is_little_endian=transfer_syntax_uid != uids.EXPLICIT_VR_BIG_ENDIAN,
    )


def test_the_samples_are_read_as_pydicom_reads_them(samples: list[Path]) -> None:
    for path in samples:
        arrival, data_set = data_set_of(path)
        header = read_header(data_set[: 1 << 16], arrival.transfer_syntax_uid, whole=len(data_set) <= 1 << 16)
        assert asdict(header) == _by_pydicom(dcmread(path)), path.name


_LETTERS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"], exclude_characters="\\"), max_size=12)
_TEXT = _LETTERS.map(str.strip).filter(lambda text: text.isascii() or not _is_utf_8(text.encode("latin-1")))


def _is_utf_8(content: bytes) -> bool:
    """Whether bytes are UTF-8, as which they are read in any character set."""
    return content.decode("utf-8", "replace").encode() == content


_UID = st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){0,5}", fullmatch=True)


@st.composite
def _items(draw: st.DrawFn, depth: int = 2) -> Dataset:
    item = Dataset()
    item.SOPInstanceUID = draw(_UID)
    item.StudyDescription = draw(_TEXT)
    if depth and draw(st.booleans()):
        item.ReferencedSeriesSequence = draw(_sequences(depth - 1))
    item.is_undefined_length_sequence_item = draw(st.booleans())
    return item


@st.composite
def _sequences(draw: st.DrawFn, depth: int = 2) -> Sequence:
    sequence = Sequence(draw(st.lists(_items(depth), max_size=2)))
    sequence.is_undefined_length = draw(st.booleans())
    return sequence


@st.composite
def _datasets(draw: st.DrawFn) -> Dataset:
    dataset = a_dataset(draw(_UID), draw(_UID), draw(_UID))
    dataset.SpecificCharacterSet = draw(st.sampled_from(["ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 100"]]))
    for keyword in ("PatientID", "AccessionNumber", "SeriesDescription", "StationName", "Manufacturer"):
        if draw(st.booleans()):
            setattr(dataset, keyword, draw(_TEXT))
    dataset.InstanceNumber = draw(st.none() | st.integers(-(2**31), 2**31 - 1))
    for keyword in ("ReferencedStudySequence", "SourceImageSequence", "OtherPatientIDsSequence"):
        if draw(st.booleans()):
            setattr(dataset, keyword, draw(_sequences()))
            dataset[keyword].is_undefined_length = draw(st.booleans())
    block = dataset.private_block(0x0009, "QRKIT TEST", create=True)
    block.add_new(0x01, "OB", draw(st.binary(max_size=20)))
    block.add_new(0x02, "UN", draw(st.binary(max_size=20)))
    dataset.Rows = 1
    dataset.PixelData = bytes(2)
    dataset["PixelData"].VR = "OW"
    return dataset


@pytest.mark.slow
@given(dataset=_datasets(), syntax=st.sampled_from(_PLAIN))
def test_any_data_set_is_read_as_pydicom_reads_it(dataset: Dataset, syntax: str) -> None:
    content = encoded(dataset, syntax)
    assert asdict(read_header(content, syntax, whole=True)) == _by_pydicom(_decoded(content, syntax))


@pytest.mark.slow
@given(dataset=_datasets(), syntax=st.sampled_from(_PLAIN), share=st.floats(0, 1))
def test_the_first_bytes_give_the_same_or_ask_for_more(dataset: Dataset, syntax: str, share: float) -> None:
    content = encoded(dataset, syntax)
    try:
        header = read_header(content[: int(len(content) * share)], syntax, whole=False)
    except HeaderIncomplete:
        return
    assert header == read_header(content, syntax, whole=True)


@given(content=st.binary(max_size=300), syntax=st.sampled_from([*_PLAIN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]))
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about bytes that are no data set
def test_bytes_that_are_no_data_set_are_unreadable_or_say_nothing(content: bytes, syntax: str) -> None:
    try:
        header = read_header(content, syntax, whole=True)
    except (ObjectUnreadable, HeaderIncomplete):
        return
    assert isinstance(header, ObjectHeader)


def test_a_deflated_data_set_is_inflated_as_far_as_needed() -> None:
    content = encoded(a_dataset(PatientID="P1", pixels=bytes(1 << 20)))
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflating.compress(content) + deflating.flush()
    syntax = uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    assert read_header(deflated[:1000], syntax, whole=False).PatientID == "P1"
    with pytest.raises(HeaderIncomplete):
        read_header(deflated[:20], syntax, whole=False)
    with pytest.raises(ObjectUnreadable, match="is not deflated"):
        read_header(b"\xff" * 100, syntax, whole=True)


def test_a_data_set_in_the_other_encoding_than_announced_is_read_nevertheless() -> None:
    content = encoded(a_dataset(PatientID="P1"), uids.IMPLICIT_VR_LITTLE_ENDIAN)
    with pytest.warns(UserWarning, match="Expected explicit VR, but found implicit VR"):
        header = read_header(content, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True)
    assert (header.PatientID, header.StudyInstanceUID) == ("P1", "1.2")


def test_text_is_decoded_by_its_character_set() -> None:
    dataset = a_dataset(SpecificCharacterSet="ISO_IR 192", SeriesDescription="Schädel", StationName="Röntgen 1")
    header = read_header(encoded(dataset), uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True)
    assert (header.SeriesDescription, header.StationName) == ("Schädel", "Röntgen 1")


def test_code_extensions_are_decoded_as_by_pydicom() -> None:
    dataset = a_dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], SeriesDescription="山田")
    content = encoded(dataset)
    assert b"\x1b" in content
    assert read_header(content, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True).SeriesDescription == "山田"


def test_an_unknown_character_set_and_bytes_outside_of_it_lose_no_object() -> None:
    dataset = a_dataset(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Schädel")
    content = encoded(dataset)
    unknown = content.replace(b"ISO_IR 100", b"LATIN_XYZ ")
    assert read_header(unknown, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True).SeriesDescription == "Schädel"
    utf_8 = encoded(a_dataset(SpecificCharacterSet="ISO_IR 192", SeriesDescription="Schädel"))
    undeclared = utf_8.replace(b"ISO_IR 192", b" " * 10)
    assert read_header(undeclared, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True).SeriesDescription == "Schädel"
    wrong = content.replace(b"ISO_IR 100", b"ISO_IR 192")
    assert "\ufffd" in read_header(wrong, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True).SeriesDescription


def test_blanks_around_a_value_and_dates_of_acr_nema_are_read_as_in_an_answer() -> None:
    values = element(0x00080020, "DA", b"1993.04.30", implicit=False)
    values += element(0x00081010, "SH", b"  CT 1  ", implicit=False)
    values += element(0x0008103E, "LO", b" \\ Thorax\0", implicit=False)
    values += element(0x0020000D, "UI", b"1.2\0", implicit=False) + element(
        0x0020000E, "UI", b"1.3\0", implicit=False
    )
    values += element(0x00200013, "IS", b" 1", implicit=False)
    whole = element(0x00080018, "UI", b"1.4\0", implicit=False) + values
    header = read_header(whole, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True)
    assert (header.StudyDate, header.StationName, header.InstanceNumber) == ("19930430", "CT 1", 1)
    assert header.SeriesDescription == "\\Thorax"


@pytest.mark.parametrize(("text", "number"), [("7 ", 7), ("1.0 ", 1), ("", None), ("ABC ", None), ("-3", -3)])
def test_an_instance_number_is_read_tolerantly(text: str, number: int | None) -> None:
    value = text.encode()
    content = encoded(a_dataset(InstanceNumber=None)) + b""
    content = content.replace(
        b"\x20\x00\x13\x00IS\x00\x00", b"\x20\x00\x13\x00IS" + len(value).to_bytes(2, "little") + value
    )
    assert read_header(content, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True).InstanceNumber == number


def test_a_sequence_of_unknown_vr_and_undefined_length_is_passed_over() -> None:
    # PS3.5 6.2.2: UN of undefined length holds items in implicit VR.
    inner = b"\x08\x00\x18\x00\x04\x00\x00\x009.9\x00"
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
    unknown = b"\x09\x00\x10\x10UN\x00\x00\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    content = encoded(a_dataset())
    at = content.index(b"\x20\x00\x0d\x00UI")
    header = read_header(content[:at] + unknown + content[at:], uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True)
    assert (header.SOPInstanceUID, header.StudyInstanceUID) == ("1.2.3.1", "1.2")


def test_sequences_nested_without_end_are_no_danger() -> None:
    opening = b"\x08\x00\x11\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(ObjectUnreadable):
        read_header(opening * 5000, uids.EXPLICIT_VR_LITTLE_ENDIAN, whole=True)


_ALIKE = (
    *("StudyDate", "AccessionNumber", "Modality", "StudyDescription", "SeriesDescription", "StationName"),
    *("Manufacturer", "ManufacturerModelName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
)


def _raw(found: Dataset, keyword: str) -> bytes:
    value = found.get_item(keyword).value
    return (
        value if isinstance(value, bytes) else "\\".join([value] if isinstance(value, str) else value or []).encode()
    )


def test_the_samples_read_as_answers_that_hold_their_elements(samples: list[Path]) -> None:
    for path in samples:
        arrival, data_set = data_set_of(path)
        header = asdict(read_header(data_set, arrival.transfer_syntax_uid, whole=True))
        found = dcmread(path, stop_before_pixels=True)
        keys = [keyword for keyword in ("SpecificCharacterSet", *_ALIKE) if keyword in found]
        answer = b"".join(element(keyword_tag(key), "", _raw(found, key), implicit=True) for key in keys)
        (row,) = decoded(answer, _ALIKE, implicit=True)
        row["StudyDate"] = row["StudyDate"] and f"{row['StudyDate']:%Y%m%d}"
        assert {key: row[key] or "" for key in _ALIKE} == {key: header[key] or "" for key in _ALIKE}, path.name
