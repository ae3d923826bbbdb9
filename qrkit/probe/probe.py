"""A probe as a whole: from the first offer to the profile, without any I/O.

`probe` yields an `Offer` or a `Question`, and is sent an `Agreed` or a `Heard` for it. It asks at most twelve
questions, those first that later queries gain most from.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date

from qrkit.node import Node
from qrkit.probe.below_studies import (
    Images,
    ask_images,
    ask_instance_number,
    ask_modality,
    ask_series,
    ask_series_of_studies,
    choose_series,
)
from qrkit.probe.descriptions import ask_descriptions
from qrkit.probe.inquiry import MOST_REQUESTS, Enough, Inquiry
from qrkit.probe.limits import (
    Cap,
    ask_many,
    ask_one_day,
    by_date_alone,
    dated_studies,
    judge_cancel,
    judge_dates,
    likely_cap,
)
from qrkit.probe.negotiation import Terms, negotiate
from qrkit.probe.questions import Agreed, Asking, Heard, Offer, Question
from qrkit.probe.relational import ask_relational_images, ask_relational_series
from qrkit.probe.returned_keys import character_sets, judge_character_set, returned_keys, twice
from qrkit.probe.samples import find_sample
from qrkit.probe.study_keys import ask_modalities, ask_times_and_lists
from qrkit.profile.profile import Profile
from qrkit.profile.subjects import Extension, Subject, Verdict

Probing = Generator[Offer | Question, Agreed | Heard, Profile]
"""A probe under way."""


def probe(node: Node, *, today: date, probed: str) -> Probing:
    """Find out what a node does.

    Parameters
    ----------
    today
        The last day that is asked for.
    probed
        The time now, in UTC, ISO 8601, for the profile.
    """
    terms = yield from negotiate(node)
    if terms.model is None:
        return _without_questions(node, probed, terms)
    inquiry = Inquiry(terms.model, relational=Extension.RELATIONAL in terms.extensions)
    notes = terms.notes
    try:
        yield from _inquire(inquiry, today)
    except Enough as enough:
        notes += (str(enough) or f"Not everything was asked: all {MOST_REQUESTS} requests were spent.",)
    return _conclude(node, probed, terms, inquiry, notes)


def _inquire(inquiry: Inquiry, today: date) -> Asking:
    sample = yield from find_sample(inquiry, today)
    study = inquiry.known.subject_study(sample.studies)
    is_known = False
    if study and inquiry.has_series:
        is_known = yield from ask_series(inquiry, study)
    yield from ask_modalities(inquiry, sample)
    series = ""
    images: Images = {}
    if is_known:
        yield from ask_relational_series(inquiry, study)
        yield from ask_series_of_studies(inquiry, sample, study)
        yield from ask_modality(inquiry, study)
        series = choose_series(inquiry.known.series[study])
        images = yield from ask_images(inquiry, study, series)
        yield from ask_relational_images(inquiry, study, series, images)
    yield from ask_many(inquiry, today)
    yield from ask_one_day(inquiry)
    yield from ask_times_and_lists(inquiry, sample)
    yield from ask_descriptions(inquiry, sample)
    if is_known:
        yield from ask_instance_number(inquiry, study, series, images)


def _without_questions(node: Node, probed: str, terms: Terms) -> Profile:
    return Profile(
        node=node.name,
        probed=probed,
        services=terms.services,
        extensions=terms.extensions,
        negotiation=terms.evidence,
        notes=terms.notes,
    )


def _conclude(node: Node, probed: str, terms: Terms, inquiry: Inquiry, notes: tuple[str, ...]) -> Profile:
    """Return the profile: verdicts given on the way, and those that all answers together allow."""
    windows = by_date_alone(inquiry)
    heard = [one for _, one in inquiry.asked]
    dated = dated_studies(inquiry)
    cap = likely_cap(windows)
    if judge_dates(windows, dated).verdict is Verdict.IGNORED:
        cap = Cap(most_answers=cap.most_answers, evidence="without StudyDate nothing tells of a cap")
    inquiry.say(Subject.STUDY_DATE, judge_dates(windows, dated, cap.likely))
    inquiry.say(Subject.CANCEL, judge_cancel(heard))
    inquiry.say(Subject.CHARACTER_SET, judge_character_set(inquiry.asked))
    doubled = twice(inquiry.asked)
    return Profile(
        node=node.name,
        probed=probed,
        requests=len(heard),
        model=terms.model,
        models=terms.models,
        services=terms.services,
        extensions=terms.extensions,
        negotiation=terms.evidence,
        statements=inquiry.statements(cap.likely),
        returned=returned_keys(inquiry.asked),
        cap=cap.likely,
        most_answers=cap.most_answers,
        cap_evidence=cap.evidence,
        character_sets=character_sets(inquiry.asked),
        notes=(*notes, doubled) if doubled else notes,
    )
