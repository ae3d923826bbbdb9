"""A probe as a whole, without I/O: the negotiation, the table of trials, and the profile.

`probe` yields an `Offer` or a `Question` and is sent an `Agreement` or `QueryAnswers`. It asks at most twelve
questions; the trials that later queries need most are first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import date

from qrkit.node import InformationModel, Node
from qrkit.probe.evaluation import (
    ask_many,
    ask_one_day,
    by_date_alone,
    character_sets,
    dated_studies,
    judge_cancel,
    judge_character_set,
    judge_dates,
    likely_cap,
    repeated_answers,
    returned_keys,
    unknown_cap,
)
from qrkit.probe.inquiry import MOST_REQUESTS, Inquiry, ProbeEnded
from qrkit.probe.questions import Agreement, Offer, ProbeSteps, QueryAnswers, Question
from qrkit.probe.series_trials import (
    ask_images,
    ask_instance_number,
    ask_modality,
    ask_relational_images,
    ask_relational_series,
    ask_series,
    ask_series_of_studies,
)
from qrkit.probe.study_trials import ask_descriptions, ask_modalities, ask_times_and_lists, find_sample
from qrkit.profile import NO_EVIDENCE, Extension, Profile, Statement, Subject, Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table of trials."""

    subjects: tuple[Subject, ...]
    """The subjects that the trial may answer."""
    reason: str
    """Why the trial is needed, and why it stands at this place."""
    ask: Callable[[Inquiry], ProbeSteps]
    """Asks its questions, and records what the responses show."""
    needs_study: bool = False
    """True if the trial needs a study whose series are known."""


TRIALS: tuple[Trial, ...] = (
    Trial((), "All other trials compare with a few known studies.", find_sample),
    Trial(
        (), "The hierarchy works with every PACS, so its series are the reference of the trials below.", ask_series
    ),
    Trial(
        (Subject.MODALITIES_IN_STUDY,), "Most queries and all dose plans select studies by modality.", ask_modalities
    ),
    Trial(
        (Subject.SERIES_WITHOUT_STUDY, Subject.SERIES_BY_DATE_AND_MODALITY, Subject.MODALITY),
        "One request for all SR series of a day saves a request per study.",
        ask_relational_series,
        needs_study=True,
    ),
    Trial(
        (Subject.SERIES_OF_STUDIES,),
        "A list of StudyInstanceUIDs saves a request per study where relational queries fail.",
        ask_series_of_studies,
        needs_study=True,
    ),
    Trial((Subject.MODALITY,), "Modality narrows the series of listed studies.", ask_modality, needs_study=True),
    Trial((), "The images of one series are the reference at IMAGE level.", ask_images, needs_study=True),
    Trial(
        (Subject.IMAGES_WITHOUT_SERIES, Subject.IMAGES_BY_DATE_AND_CLASS),
        "One request for all dose reports of a day saves a request per series.",
        ask_relational_images,
        needs_study=True,
    ),
    Trial(
        (Subject.CANCEL,), "More studies than most caps allow show a cap, and C-CANCEL ends the question.", ask_many
    ),
    Trial((Subject.STUDY_DATE,), "Only if no question so far shows whether StudyDate is matched.", ask_one_day),
    Trial(
        (Subject.STUDY_TIME, Subject.UID_LISTS),
        "Windows within a day need StudyTime; one request tries both keys.",
        ask_times_and_lists,
    ),
    Trial(
        (Subject.STUDY_DESCRIPTION, Subject.WILDCARDS, Subject.CASE),
        "Local filters replace a description that is not matched.",
        ask_descriptions,
    ),
    Trial(
        (Subject.INSTANCE_NUMBER,),
        "Only rules that take the first image use it, so it is last.",
        ask_instance_number,
        needs_study=True,
    ),
)
"""The trials in their order."""


def probe(node: Node, *, today: date, probed: str) -> Generator[Offer | Question, Agreement | QueryAnswers, Profile]:
    """Find out what a node supports; `today` is the last day of the questions, `probed` the time in UTC, ISO 8601."""
    terms = yield from negotiate(node)
    if terms.model is None:
        return Profile(
            node=node.name,
            probed=probed,
            services=terms.services,
            extensions=terms.extensions,
            negotiation=terms.evidence,
            notes=terms.notes,
        )
    inquiry = Inquiry(terms.model, today=today, relational=Extension.RELATIONAL in terms.extensions)
    notes = terms.notes
    try:
        for trial in TRIALS:
            if inquiry.study or not trial.needs_study:
                yield from trial.ask(inquiry)
    except ProbeEnded as early:
        notes += (str(early) or f"The probe used all {MOST_REQUESTS} requests, so some trials are missing.",)
    return _profile(node, probed, terms, inquiry, notes)


def probe_wildcards(model: InformationModel, *, today: date) -> Generator[Question, QueryAnswers, Statement]:
    """Find out only whether a node matches wildcards, for an empty result that depends on them."""
    inquiry = Inquiry(model, today=today, relational=False)
    why = NO_EVIDENCE
    try:
        yield from find_sample(inquiry)
        yield from ask_descriptions(inquiry)
    except ProbeEnded as early:
        why = str(early) or why
    seen = (statement for statement in inquiry.statements(None) if statement.subject is Subject.WILDCARDS)
    return next(seen, Statement(subject=Subject.WILDCARDS, evidence=why))


def _profile(node: Node, probed: str, terms: Terms, inquiry: Inquiry, notes: tuple[str, ...]) -> Profile:
    """Return the profile: the results of the trials, and those that need all responses together."""
    windows = by_date_alone(inquiry)
    dated = dated_studies(inquiry)
    cap = likely_cap(windows)
    if judge_dates(windows, dated).verdict is Verdict.IGNORED:
        cap = unknown_cap(windows)
    inquiry.record(Subject.STUDY_DATE, judge_dates(windows, dated, cap.likely))
    inquiry.record(Subject.CANCEL, judge_cancel(answers for _, answers in inquiry.asked))
    inquiry.record(Subject.CHARACTER_SET, judge_character_set(inquiry.asked))
    repeated = repeated_answers(inquiry.asked)
    return Profile(
        node=node.name,
        probed=probed,
        requests=len(inquiry.asked),
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
        notes=(*notes, repeated) if repeated else notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The result of the negotiation."""

    model: InformationModel | None
    """The information model for the questions; None if the node does not accept C-FIND."""
    models: tuple[InformationModel, ...]
    services: tuple[str, ...]
    """The accepted ones of C-ECHO, C-GET and C-MOVE."""
    extensions: tuple[Extension, ...]
    evidence: str
    notes: tuple[str, ...]
    """Remarks for the user."""


def negotiate(node: Node) -> Generator[Offer, Agreement, Terms]:
    """Offer everything; once more without extensions if the node does not accept the association with them."""
    agreement = yield Offer(extensions=tuple(Extension))
    notes: tuple[str, ...] = ()
    if agreement.failure:
        notes = (f"The node does not accept extended negotiation: {agreement.failure}",)
        agreement = yield Offer()
    model = _model(node, agreement)
    if model is None:
        notes += ("The node accepts no information model for C-FIND, so the probe asked nothing.",)
    elif model is not node.information_model:
        refused = f"The node does not accept {node.information_model.value}, which queries use."
        notes += (f"{refused} Change its information model to {model.value}.",)
    extensions = tuple(agreement.extensions.get(model, ())) if model else ()
    return Terms(
        model=model,
        models=agreement.find,
        services=_services(agreement, model),
        extensions=extensions,
        evidence=_evidence(agreement, extensions),
        notes=notes,
    )


def _model(node: Node, agreement: Agreement) -> InformationModel | None:
    preferred = (node.information_model, InformationModel.STUDY_ROOT, InformationModel.PATIENT_ROOT, *agreement.find)
    return next((model for model in preferred if model in agreement.find), None)


def _services(agreement: Agreement, model: InformationModel | None) -> tuple[str, ...]:
    accepted = {
        "C-ECHO": agreement.echo,
        "C-GET": model in agreement.get if model else bool(agreement.get),
        "C-MOVE": model in agreement.move if model else bool(agreement.move),
    }
    return tuple(service for service, is_accepted in accepted.items() if is_accepted)


def _evidence(agreement: Agreement, extensions: Sequence[Extension]) -> str:
    parts = (
        f"C-ECHO was {'accepted' if agreement.echo else 'refused'}",
        f"C-FIND accepted under {_named(agreement.find)}",
        f"C-GET under {_named(agreement.get)}",
        f"C-MOVE under {_named(agreement.move)}",
        f"extensions of C-FIND: {', '.join(extension.value for extension in extensions) or 'none'} of 4",
    )
    return "; ".join(parts)


def _named(models: Sequence[InformationModel]) -> str:
    return ", ".join(model.value for model in models) or "no information model"
