"""The profile of a node: its supported services and keys, found by a probe and by queries, with the evidence.

A node without a probe has `Profile.unknown`, which honours nothing.
"""

from __future__ import annotations

from qrkit.profile.card import Card, card, card_html
from qrkit.profile.profile import Evidence, Profile, Returned, Statement
from qrkit.profile.subjects import Extension, Fill, Subject, Verdict

__all__ = [
    "Card",
    "Evidence",
    "Extension",
    "Fill",
    "Profile",
    "Returned",
    "Statement",
    "Subject",
    "Verdict",
    "card",
    "card_html",
]
