"""The simulator's UIDs: made from a seed and a number, so that a UID leads back to its study.

Under the root `2.25` a UID is a UUID of version 8 written as a decimal number (PS3.5 B.2, RFC 9562): 60 bits
tell the seed, 62 bits the study, series and instance. Under any other root they are dotted components.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_SERIES_BITS = 10
_INSTANCE_BITS = 20
_VERSION_AND_VARIANT = (8 << 76) | (2 << 62)
_PLACE_MASK = (1 << 62) - 1

FRAME_OF_REFERENCE = 1000
"""The series number under which frames of reference are numbered; no series gets so far."""
IRRADIATION_EVENT = 1001
"""The series number under which irradiation and administration events are numbered."""
DEVICE = 1002
"""The series number under which device observers are numbered."""


@dataclass(frozen=True, slots=True)
class UIDPlan:
    """Gives each study, series, instance and event of one seed its UID.

    Examples
    --------
    >>> plan = UIDPlan(seed=1)
    >>> plan.study_number(plan.uid(1234, 2, 7))
    1234
    >>> plan.study_number("1.2.3") is None
    True
    """

    seed: int
    root: str = "2.25"

    @property
    def _mark(self) -> int:
        digest = hashlib.blake2b(f"qrkit simulator {self.seed}".encode(), digest_size=8).digest()
        high = int.from_bytes(digest, "big") >> 4
        return ((high >> 12) << 80) | ((high & 0xFFF) << 64) | _VERSION_AND_VARIANT

    def uid(self, study: int, series: int = 0, instance: int = 0) -> str:
        """Return the UID of a study, or of its series and instances, which are numbered from 1."""
        if self.root != "2.25":
            parts = (self.root, self.seed, study, series, instance)
            return ".".join(str(part) for part in parts)
        place = (study << (_SERIES_BITS + _INSTANCE_BITS)) | (series << _INSTANCE_BITS) | instance
        return f"2.25.{self._mark | place}"

    def study_number(self, uid: str) -> int | None:
        """Return the number of the study to which a UID of this plan belongs; None for any other UID."""
        if self.root != "2.25":
            prefix = f"{self.root}.{self.seed}."
            number = uid.removeprefix(prefix).split(".", 1)[0]
            return int(number) if uid.startswith(prefix) and number.isdecimal() else None
        digits = uid.removeprefix("2.25.")
        if not uid.startswith("2.25.") or not digits.isdecimal() or len(digits) > 39:
            return None
        value = int(digits)
        if value & ~_PLACE_MASK != self._mark:
            return None
        return (value & _PLACE_MASK) >> (_SERIES_BITS + _INSTANCE_BITS)
