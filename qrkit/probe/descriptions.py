"""Questions on StudyDescription: whether it is matched at all, with wildcards, and whether case matters."""

from __future__ import annotations

from collections.abc import Callable

from qrkit.probe.inquiry import Inquiry
from qrkit.probe.judgement import Judged, Trial, judge
from qrkit.probe.known import Sample
from qrkit.probe.questions import Asking
from qrkit.probe.study_keys import Trying, try_studies
from qrkit.profile.subjects import Subject, Verdict


def ask_descriptions(inquiry: Inquiry, sample: Sample) -> Asking:
    """Ask for the beginning of a StudyDescription in the other case; in its own case and whole only if need be."""
    text = _telling_text(_texts(inquiry, sample))
    if not text:
        return
    prefix = _prefix(text)
    what = f"the first {len(prefix)} letters of a StudyDescription and *"
    swapped = yield from _try(
        inquiry, sample, f"{prefix.swapcase()}*", f"{what}, in the other case", lambda one: _begins(one, prefix)
    )
    judged = judge(swapped, cut_at=inquiry.cut_at)
    if judged.verdict is not Verdict.REFUSED:
        _say_at_once(inquiry, judged)
        return
    trial = yield from _try(inquiry, sample, f"{prefix}*", what, lambda one: one.startswith(prefix))
    judged = judge(trial, cut_at=inquiry.cut_at)
    inquiry.say(Subject.CASE, _case(swapped, trial))
    if judged.verdict is Verdict.REFUSED:
        yield from _ask_whole_text(inquiry, sample, text, trial)
        return
    inquiry.say(Subject.STUDY_DESCRIPTION, judged)
    if judged.verdict is Verdict.HONOURED:
        inquiry.say(Subject.WILDCARDS, judged)


def _say_at_once(inquiry: Inquiry, judged: Judged) -> None:
    """Say what the first question shows, which was asked with a wildcard and in the other case."""
    inquiry.say(Subject.STUDY_DESCRIPTION, judged)
    if judged.verdict is Verdict.HONOURED:
        inquiry.say(Subject.WILDCARDS, judged)
        inquiry.say(Subject.CASE, Judged(verdict=Verdict.IGNORED, evidence=judged.evidence))


def _ask_whole_text(inquiry: Inquiry, sample: Sample, text: str, with_wildcard: Trial) -> Asking:
    """Ask for a whole StudyDescription, after its beginning with a wildcard found nothing."""
    trial = yield from _try(inquiry, sample, text, "a whole StudyDescription", lambda one: _is_same(one, text))
    judged = judge(trial, cut_at=inquiry.cut_at)
    inquiry.say(Subject.STUDY_DESCRIPTION, judged)
    if judged.verdict is not Verdict.HONOURED:
        return
    inquiry.say(
        Subject.WILDCARDS,
        Judged(
            verdict=Verdict.REFUSED if with_wildcard.heard.is_refusal else Verdict.IGNORED,
            evidence=f"{judge(with_wildcard).evidence}; {judged.evidence}",
        ),
    )
    what = "a whole StudyDescription in the other case"
    swapped = yield from _try(inquiry, sample, text.swapcase(), what, lambda one: one.casefold() == text.casefold())
    inquiry.say(Subject.CASE, _case(swapped, trial))


def _case(swapped: Trial, own: Trial) -> Judged:
    """Judge whether case matters, by the same text in the other case and in its own."""
    came, found = swapped.fits & swapped.present, own.fits & own.present
    evidence = f"{swapped.what}: {len(came)} of the {len(found)} studies came that its own case found"
    if not found or swapped.heard.is_refusal:
        return Judged(evidence=evidence)
    return Judged(
        verdict=Verdict.IGNORED if came else Verdict.HONOURED, evidence=evidence, answers=swapped.heard.count
    )


def _try(inquiry: Inquiry, sample: Sample, value: str, what: str, fits: Callable[[str], bool | None]) -> Trying:
    def study_fits(uid: str) -> bool | None:
        return fits(_text_of(inquiry, uid))

    return (yield from try_studies(inquiry, sample, (("StudyDescription", value),), what, study_fits))


def _texts(inquiry: Inquiry, sample: Sample) -> list[str]:
    return [_text_of(inquiry, uid) for uid in sample.studies]


def _text_of(inquiry: Inquiry, study: str) -> str:
    return str(inquiry.known.studies[study].get("StudyDescription") or "")


def _telling_text(texts: list[str]) -> str:
    """Return the text whose beginning a few share, but none in another case; empty if all share it.

    >>> _telling_text(["CT Chest", "CT Chest", "MR Knee", "MR knee", "US"])
    'CT Chest'
    >>> _telling_text(["CT Chest", "CT Chest"]), _telling_text(["*", "2"])
    ('', '')
    """
    shared = {}
    for text in texts:
        prefix = _prefix(text)
        sharing = [one for one in texts if _begins(one, prefix)]
        if _is_plain(text) and len(sharing) < len(texts) and all(one.startswith(prefix) for one in sharing):
            shared[text] = len(sharing)
    return min(shared, key=lambda text: (shared[text] < 2, shared[text], text), default="")


def _is_same(one: str, text: str) -> bool | None:
    """Whether two texts are the same; None if they differ only in case, of which nobody knows yet."""
    return None if one != text and one.casefold() == text.casefold() else one == text


def _begins(text: str, prefix: str) -> bool:
    return text.casefold().startswith(prefix.casefold())


def _prefix(text: str) -> str:
    return text[: max(1, min(6, len(text) - 1))].rstrip()


def _is_plain(text: str) -> bool:
    """Whether a text can be asked for in either case, and its beginning is not all of it."""
    plain = len(text) > 2 and text.isascii() and text.isprintable() and not any(mark in text for mark in "*?\\")
    return plain and _prefix(text).swapcase() != _prefix(text)
