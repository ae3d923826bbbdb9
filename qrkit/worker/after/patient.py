"""Whose objects they are: the values that must not stand in a log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)


def private_values(files: Sequence[Path]) -> tuple[str, ...] | None:
    """Return the values of the patient in the first of some files of one series, which is the same in all.

    None where it cannot be read, so nobody knows what must not be said.
    """
    from pydicom import config, dcmread

    try:
        with config.disable_value_validation():
            dataset = dcmread(files[0], stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            values = [str(dataset.get(keyword, "")) for keyword in _KEYWORDS]
    except Exception:  # noqa: BLE001 - whatever a broken object does to the reader, the handler still runs
        logger.info("The first file of a series cannot be read, so nothing is kept of what its handler prints")
        return None
    return tuple(value for value in values if value)
