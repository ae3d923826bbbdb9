"""The few questions whether a node matches wildcards at all, for an answer of nothing that hangs on them."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date

from qrkit.node import InformationModel
from qrkit.probe.descriptions import ask_descriptions
from qrkit.probe.inquiry import Enough, Inquiry
from qrkit.probe.questions import Heard, Question
from qrkit.probe.samples import find_sample
from qrkit.profile.profile import NO_EVIDENCE, Statement
from qrkit.profile.subjects import Subject


def ask_wildcards(model: InformationModel, *, today: date) -> Generator[Question, Heard, Statement]:
    """Ask for a few studies, then for the beginning of one of their descriptions; what that shows of wildcards."""
    inquiry = Inquiry(model, relational=False)
    why = NO_EVIDENCE
    try:
        sample = yield from find_sample(inquiry, today)
        yield from ask_descriptions(inquiry, sample)
    except Enough as enough:
        why = str(enough) or why
    seen = (one for one in inquiry.statements(None) if one.subject is Subject.WILDCARDS)
    return next(seen, Statement(subject=Subject.WILDCARDS, evidence=why))
