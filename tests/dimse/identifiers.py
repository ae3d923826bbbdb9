"""Identifiers of C-FIND answers as bytes, and what `AnswerDecoder` reads in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit.dimse.answers import AnswerDecoder

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
"""Value representations whose length has four bytes in explicit VR (PS3.5 7.1.2)."""


def encoded(found: Dataset, *, implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = implicit
    write_dataset(buffer, found)
    return buffer.getvalue()


def element(tag: int, vr: str, value: bytes, *, implicit: bool) -> bytes:
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return start + struct.pack("<I", len(value)) + value
    if vr in LONG:
        return start + vr.encode() + struct.pack("<HI", 0, len(value)) + value
    return start + vr.encode() + struct.pack("<H", len(value)) + value


def decoded(
    data: bytes | Iterable[bytes], keywords: Iterable[str], *, implicit: bool, character_set: str = "ISO_IR 100"
) -> list[dict[str, Any]]:
    decoder = AnswerDecoder(tuple(keywords), implicit=implicit, character_set=character_set)
    for one in [data] if isinstance(data, bytes) else data:
        decoder.add(one)
    rows: list[dict[str, Any]] = decoder.take().to_pylist()
    for row in rows:
        row["warnings"] = json.loads(row["warnings"]) if row["warnings"] else []
    return rows


def coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = "P1"
    item.CodeMeaning = meaning
    return item
