"""The profile of a node: its supported services and keys, found by a probe and by queries, with the evidence.

A node without a probe has `Profile.unknown`, which honours nothing.
"""

from __future__ import annotations

from qrkit.profile.profile import Profile
from qrkit.profile.subjects import (
    LABELS,
    MATCHING_KEYS,
    NO_EVIDENCE,
    Card,
    Evidence,
    Extension,
    Fill,
    Returned,
    Statement,
    Subject,
    Verdict,
)

__all__ = [
    "LABELS",
    "MATCHING_KEYS",
    "NO_EVIDENCE",
    "Card",
    "Evidence",
    "Extension",
    "Fill",
    "Profile",
    "Returned",
    "Statement",
    "Subject",
    "Verdict",
]
