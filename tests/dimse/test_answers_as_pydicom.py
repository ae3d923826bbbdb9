"""The decoder of C-FIND answers beside pydicom: the same values, never an error, never a lost row."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from datetime import date, time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import TEXT_VR_DELIMS

from qrkit.tables import arrow_type
from tests.dimse.identifiers import coded, decoded, encoded

IMPLICIT = "implicit"
SYNTAXES = st.sampled_from([IMPLICIT, "explicit"])

TEXTS = {
    "": "abcXYZ 019-_",
    "ISO_IR 100": "abcXYZ 019-_äöüßéñ",
    "ISO_IR 192": "abcXYZ 019-_äöß山田太郎김희중Люд",
    "ISO_IR 13": "ABCxyz 019-_ﾔﾏﾀﾞﾀﾛｳ",
    "ISO_IR 144": "abcXYZ 019-_Люцифжщ",
    "ISO_IR 126": "abcXYZ 019-_Διονυσιος",
    "GB18030": "abcXYZ 019-_王小东",
    "\\ISO 2022 IR 87": "abcXYZ 019-_山田太郎やまだたろう",
    "ISO 2022 IR 6\\ISO 2022 IR 149": "abcXYZ 019-_김희중洪吉洞",
    "ISO 2022 IR 100\\ISO 2022 IR 144": "abcXYZ 019-_ä",
}
KEYWORDS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "RetrieveAETitle",
    "InstanceAvailability",
    "ModalitiesInStudy",
    "SOPClassesInStudy",
    "StudyDescription",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientAge",
    "PatientSize",
    "PatientComments",
    "StudyInstanceUID",
    "NumberOfStudyRelatedInstances",
    "ImageType",
    "Rows",
    "AcquisitionDateTime",
    "FrameIncrementPointer",
    "PixelSpacing",
    "RecommendedDisplayFrameRateInFloat",
    "DiffusionBValue",
    "ProcedureCodeSequence",
)


def by_pydicom(data: bytes, keywords: Iterable[str], *, implicit: bool) -> dict[str, Any]:
    """The slow way: pydicom's values, typed by the rules of the tables."""
    found = read_dataset(io.BytesIO(data), implicit, True)
    return {keyword: _reference(keyword, found) for keyword in keywords}


def _reference(keyword: str, found: Dataset) -> object:
    vr = dictionary_VR(keyword)
    value: Any = _name(keyword, found) if vr == "PN" else found.get(keyword)
    is_several = isinstance(value, (MultiValue, Sequence))
    if value is None or value == "" or (is_several and not value):
        return None
    if vr == "SQ":
        return json.dumps([part.to_json_dict() for part in value], ensure_ascii=False)
    kind = arrow_type(keyword)
    if kind in _TYPED:
        return _TYPED[kind](value)
    return "\\".join(_text(vr, one) for one in (value if is_several else [value])) or None


def _text(vr: str, value: Any) -> str:  # noqa: ANN401 - as pydicom has it
    if vr == "AT":
        return f"{int(value):08X}"
    if vr == "DS":
        return str(value.original_string).strip()
    return str(value).rstrip(" \0") if vr in ("LT", "ST", "UT") else str(value).strip(" \0")


def _time(value: str) -> time:
    whole, _, fraction = value.partition(".")
    hour, minute, second = (int(whole[start : start + 2] or 0) for start in (0, 2, 4))
    return time(hour, minute, second, int(fraction.ljust(6, "0")[:6]))


_TYPED: dict[Any, Callable[[Any], object]] = {
    pa.date32(): lambda value: date(int(value[:4]), int(value[4:6]), int(value[6:])),
    pa.time64("us"): _time,
    pa.int64(): int,
    pa.float64(): float,
}


def _name(keyword: str, found: Dataset) -> str:
    """Names as pydicom decodes them, before it encodes them again, which it cannot always do."""
    raw = found.get_item(keyword).value if keyword in found else b""
    encodings = convert_encodings(found.SpecificCharacterSet or None)
    return decode_bytes(raw, encodings, TEXT_VR_DELIMS) if raw else ""


def _texts(term: str, alphabet: str, most: int) -> st.SearchStrategy[Any]:
    """Texts; in JIS X 0201 as bytes, since pydicom does not write ASCII and kana beside one another."""
    texts = st.text(alphabet, max_size=most)
    return texts.map(lambda text: text.encode("shift_jis")) if term == "ISO_IR 13" else texts


def _joined(parts: tuple[Any, str, Any]) -> Any:  # noqa: ANN401 - texts or bytes
    first, between, last = parts
    return first + (between.encode() if isinstance(first, bytes) else between) + last


def _uids() -> st.SearchStrategy[str]:
    return st.integers(0, 10**30).map(lambda number: f"1.2.{number}")


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    term = draw(st.sampled_from(sorted(TEXTS)))
    text = _texts(term, TEXTS[term], 20)
    name = _texts(term, TEXTS[term].replace(" ", ""), 8)
    code = _texts("", "ABC_ 12", 12)
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "StudyDate": st.dates().map(lambda day: f"{day.year:04d}{day:%m%d}"),
        "StudyTime": st.times().map(lambda moment: f"{moment:%H%M%S.%f}"[: draw(st.sampled_from([2, 4, 6, 9, 13]))]),
        "AccessionNumber": text.map(lambda value: value[:12]),
        "RetrieveAETitle": st.lists(code, max_size=3),
        "InstanceAvailability": st.sampled_from(["ONLINE", "NEARLINE"]),
        "ModalitiesInStudy": st.lists(st.sampled_from(["CT", "SR", "MG"]), max_size=3),
        "SOPClassesInStudy": st.lists(_uids(), max_size=3),
        "StudyDescription": text,
        "ReferringPhysicianName": name,
        "PatientName": st.tuples(name, st.sampled_from("^="), name).map(_joined),
        "PatientID": text,
        "PatientAge": st.just("043Y"),
        "PatientSize": st.floats(0, 3).map(lambda value: f"{value:.4f}"),
        "PatientComments": text,
        "StudyInstanceUID": _uids(),
        "NumberOfStudyRelatedInstances": st.integers(-(2**31), 2**31 - 1),
        "ImageType": st.lists(code.map(str.strip), max_size=4),
        "Rows": st.integers(0, 65535),
        "AcquisitionDateTime": st.just("20260131083000.5+0100"),
        "FrameIncrementPointer": st.lists(st.just(0x00181063), min_size=1, max_size=2),
        "PixelSpacing": st.just(["0.5", "0.75"]),
        "RecommendedDisplayFrameRateInFloat": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "DiffusionBValue": st.floats(allow_nan=False, allow_infinity=False),
        "ProcedureCodeSequence": st.lists(text.map(coded), max_size=2),
    }
    found = Dataset()
    found.SpecificCharacterSet = term.split("\\") if "\\" in term else term
    found.QueryRetrieveLevel = "STUDY"
    for keyword in draw(st.lists(st.sampled_from(KEYWORDS), unique=True)):
        setattr(found, keyword, draw(strategies[keyword]))
    return found


@pytest.mark.slow
@given(found=st.lists(data_sets(), max_size=4), syntax=SYNTAXES)
@settings(max_examples=300, deadline=None)
def test_answers_are_read_as_pydicom_reads_them(found: list[Dataset], syntax: str) -> None:
    blobs = [encoded(one, implicit=syntax == IMPLICIT) for one in found]
    rows = decoded(blobs, KEYWORDS, implicit=syntax == IMPLICIT)
    expected = [by_pydicom(blob, KEYWORDS, implicit=syntax == IMPLICIT) for blob in blobs]
    assert [{name: row[name] for name in KEYWORDS} for row in rows] == expected
    assert {w["why"] for row in rows for w in row["warnings"]} <= {"not returned"}


@pytest.mark.slow
@given(data=st.binary(max_size=400), syntax=SYNTAXES)
@settings(max_examples=500, deadline=None)
def test_no_bytes_whatever_raise_or_lose_a_row(data: bytes, syntax: str) -> None:
    assert len(decoded(data, KEYWORDS, implicit=syntax == IMPLICIT)) == 1


@pytest.mark.slow
@given(found=data_sets(), syntax=SYNTAXES, data=st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_answers_keep_their_row(found: Dataset, syntax: str, data: st.DataObject) -> None:
    blob = bytearray(encoded(found, implicit=syntax == IMPLICIT))
    for _ in range(data.draw(st.integers(1, 6))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(blob)))
    assert len(decoded([bytes(blob), bytes(blob[:cut])], KEYWORDS, implicit=syntax == IMPLICIT)) == 2
