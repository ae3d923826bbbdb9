"""The content items of structured reports (PS3.3 C.17.3), and whether a document contains dose.

An Enhanced SR may contain anything. It counts as without dose only if it was read whole and no item of it has a code,
unit or name of dose; whatever cannot be read may contain dose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pydicom import Dataset, config, dcmread

# fmt: off
_DOSE_CODES = frozenset(
    {
        # radiopharmaceutical administration, organ dose
        "113500", "113502", "113507", "113508", "113509", "113517", "113518",
        # projection X-ray
        "113701", "113702", "113706", "113722", "113725", "113726", "113727", "113728", "113729",
        "113730", "113731", "113738", "113855", "122130",
        # CT, effective dose
        "113811", "113813", "113814", "113819", "113829", "113830", "113838", "113839", "113840",
        "113930",
        # mammography
        "111631", "111636", "111637",
    }
)
# fmt: on
"""Codes of scheme DCM for containers of dose and for dose values (PS3.16 annex D)."""

_DOSE_UNIT = re.compile(r"Gy|Sv|Bq|Ci\b")
_DOSE_NAME = re.compile(r"dos(e|is)|kerma|\bdlp\b|ctdi|\bdap\b|\bagd\b", re.IGNORECASE)

_CODE_VALUE = b"\x08\x00\x00\x01"
"""The tag of CodeValue, little endian."""

_MOST_BYTES = 20_000_000
"""Size of the largest file that is read; no structured report is larger."""

_READ_BEFORE = 20_000
"""Files whose result is remembered; they never change."""


def may_contain_dose(path: Path) -> bool:
    """Return whether a stored document contains dose, or cannot be read, so that it may."""
    try:
        status = path.stat()
    except OSError:
        return True
    return status.st_size > _MOST_BYTES or _may_contain_dose(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_READ_BEFORE)
def _may_contain_dose(path: Path, size: int, changed: int) -> bool:
    del size, changed  # part of the key
    try:
        if _has_dose_code(path.read_bytes()):
            return True
        with config.disable_value_validation():
            document = dcmread(path, stop_before_pixels=True)
            is_report = "ConceptNameCodeSequence" in document or "ContentSequence" in document
            return not is_report or any(map(is_dose, content_items(document)))
    except Exception:  # noqa: BLE001 - a stored file may be broken in any way; then it may contain dose
        return True


def _has_dose_code(data: bytes) -> bool:
    """Return whether the bytes of a file contain a dose code as CodeValue.

    This finds the usual report a thousand times faster than reading its items.
    """
    found = re.finditer(re.escape(_CODE_VALUE) + rb"(?:SH\x06\x00|\x06\x00\x00\x00)(1[12][0-9]{4})", data)
    return any(match[1].decode() in _DOSE_CODES for match in found)


def content_items(document: Dataset) -> Iterator[Dataset]:
    """Yield the root of a document and all items below it, in their order."""
    waiting = [document]
    while waiting:
        item = waiting.pop()
        yield item
        waiting += reversed(item.get("ContentSequence") or [])


def is_dose(item: Dataset) -> bool:
    """Return whether a content item is a container of dose, or a number with a code, name or unit of dose.

    >>> from pydicom import Dataset
    >>> item, name = Dataset(), Dataset()
    >>> name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "C-204", "99SMS_RADSUM", "Cumulative DAP"
    >>> item.ValueType, item.ConceptNameCodeSequence = "NUM", [name]
    >>> is_dose(item)
    True
    """
    names = item.get("ConceptNameCodeSequence") or []
    if any(_text(name, "CodeValue") in _DOSE_CODES for name in names):
        return True
    if item.get("ValueType") != "NUM":
        return False
    values = item.get("MeasuredValueSequence") or []
    units = [unit for value in values for unit in value.get("MeasurementUnitsCodeSequence") or []]
    return any(_DOSE_NAME.search(_text(name, "CodeMeaning")) for name in names) or any(
        _DOSE_UNIT.search(f"{_text(unit, 'CodeValue')} {_text(unit, 'CodeMeaning')}") for unit in units
    )


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword) or "").strip()
