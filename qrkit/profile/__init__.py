"""What a node can do: found out by a probe, kept with its evidence, asked by whoever queries the node.

A node that was never probed has `Profile.unknown`, which honours nothing.
"""

from __future__ import annotations

from qrkit.profile.cards import Card, card, card_html
from qrkit.profile.subjects import Extension, Fill, Subject, Verdict
from qrkit.profile.value import Evidence, Profile, Returned, Statement

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
