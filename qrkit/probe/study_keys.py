"""Questions on the matching keys of studies: ModalitiesInStudy, StudyTime, lists of UIDs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import time
from itertools import pairwise

from qrkit.probe.inquiry import Inquiry
from qrkit.probe.judgement import Judged, Trial, judge
from qrkit.probe.known import Sample
from qrkit.probe.questions import Asking, Heard, Question
from qrkit.probe.samples import STUDY_KEYS
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.dates import Times
from qrkit.tables import Level

Trying = Generator[Question, Heard, Trial]
Fits = Callable[[str], bool | None]
"""Whether a study matches; None where that is not known."""

_DAY_END = time(23, 59, 59, 999999)


def ask_modalities(inquiry: Inquiry, sample: Sample) -> Asking:
    """Ask for one modality, and where all known studies have the same, for one that none has."""
    known = inquiry.known
    code = known.telling_code(sample.studies)
    if code:
        trial = yield from _try_modality(inquiry, sample, code)
        inquiry.say(Subject.MODALITIES_IN_STUDY, judge(trial, cut_at=inquiry.cut_at))
    if inquiry.verdict(Subject.MODALITIES_IN_STUDY) is not Verdict.UNKNOWN:
        return
    common = next((min(codes) for uid in sample.studies if (codes := known.codes(uid))), "")
    contrast = known.contrast_code(sample.studies)
    if common and contrast:
        away = yield from _try_modality(inquiry, sample, contrast)
        inquiry.say(Subject.MODALITIES_IN_STUDY, judge(away))
        if inquiry.verdict(Subject.MODALITIES_IN_STUDY) is Verdict.UNKNOWN and away.others:
            there = yield from _try_modality(inquiry, sample, common)
            inquiry.say(Subject.MODALITIES_IN_STUDY, both(away, there))


def both(away: Trial, there: Trial) -> Judged:
    """Judge two questions together: one that nothing known matches, and one that all of it matches."""
    judged, came, absent = judge(there), there.fits & there.present, away.others - away.present
    if judged.verdict is not Verdict.UNKNOWN or not came or not absent:
        return judged
    return Judged(
        verdict=Verdict.HONOURED,
        evidence=f"{there.what}: {len(came)} of {len(there.fits)} {there.things} came; {away.what}: none of the "
        f"{len(absent)} known not to match",
        answers=there.heard.count,
    )


def ask_times_and_lists(inquiry: Inquiry, sample: Sample) -> Asking:
    """Ask for a range of StudyTime and a list of studies in one; each alone where that leaves a doubt."""
    window = telling_window(inquiry, sample)
    if window is not None and inquiry.verdict(Subject.SERIES_OF_STUDIES) is not Verdict.REFUSED:
        yield from _times_with_list(inquiry, sample, window)
    if window is not None and inquiry.verdict(Subject.STUDY_TIME) is Verdict.UNKNOWN:
        fits = _is_within(inquiry, window)
        trial = yield from try_studies(
            inquiry, sample, (("StudyTime", window.matching),), "a range of StudyTime", fits
        )
        inquiry.say(Subject.STUDY_TIME, judge(trial, cut_at=inquiry.cut_at))
    if inquiry.verdict(Subject.UID_LISTS) is Verdict.UNKNOWN and len(sample.studies) > 2:
        listed = sample.studies[:2]
        alone = Sample(keys=_patient(sample), studies=sample.studies)
        keys = (("StudyInstanceUID", "\\".join(listed)),)
        trial = yield from try_studies(inquiry, alone, keys, "a list of 2 StudyInstanceUIDs", listed.__contains__)
        inquiry.say(Subject.UID_LISTS, judge(trial))


def telling_window(inquiry: Inquiry, sample: Sample) -> Times | None:
    """Return the times of day until midnight from which some studies, but not all, are; None if nothing tells."""
    times = sorted(moment for uid in sample.studies if (moment := inquiry.known.studies[uid].get("StudyTime")))
    gaps = [
        (_seconds(later) - _seconds(earlier), -place, earlier)
        for place, (earlier, later) in enumerate(pairwise(times))
        if _seconds(later) - _seconds(earlier) > 2
    ]
    roomy = [gap for gap in gaps if len(times) + gap[1] - 1 >= 3] or gaps
    if not roomy:
        return None
    gap, _, earlier = max(roomy)
    minutes, second = divmod(_seconds(earlier) + gap // 2, 60)
    return Times(first=time(*divmod(minutes, 60), second), last=_DAY_END)


def _times_with_list(inquiry: Inquiry, sample: Sample, window: Times) -> Asking:
    """Say what is honoured, if a list of studies and a range of StudyTime together show it of both."""
    within = _is_within(inquiry, window)
    inside = [uid for uid in sample.studies if within(uid)]
    outside = [uid for uid in sample.studies if within(uid) is False]
    if len(inside) < 3 or not outside:
        return
    listed = {outside[0], *inside[:2]}
    keys = (("StudyInstanceUID", "\\".join([outside[0], *inside[:2]])), ("StudyTime", window.matching))
    what = "a list of 3 StudyInstanceUIDs with a range of StudyTime"
    trial = yield from try_studies(inquiry, sample, keys, what, lambda uid: uid in listed and within(uid))
    judged = judge(trial)
    if judged.verdict is Verdict.HONOURED:
        inquiry.say(Subject.STUDY_TIME, judged)
        inquiry.say(Subject.UID_LISTS, judged)


def _is_within(inquiry: Inquiry, window: Times) -> Fits:
    def fits(uid: str) -> bool | None:
        moment = inquiry.known.studies[uid].get("StudyTime")
        return None if moment is None else window.first <= moment <= window.last

    return fits


def _try_modality(inquiry: Inquiry, sample: Sample, code: str) -> Trying:
    def fits(uid: str) -> bool | None:
        codes = inquiry.known.codes(uid)
        return None if codes is None else code in codes

    return (
        yield from try_studies(inquiry, sample, (("ModalitiesInStudy", code),), f"ModalitiesInStudy {code}", fits)
    )


def try_studies(inquiry: Inquiry, sample: Sample, keys: tuple[tuple[str, str], ...], what: str, fits: Fits) -> Trying:
    """Ask for the studies of the sample that match some more keys."""
    heard = yield from inquiry.ask(Level.STUDY, (*sample.keys, *keys), STUDY_KEYS, f"studies by {what}")
    present = inquiry.present(heard, Level.STUDY)
    verdicts = {uid: fits(uid) for uid in {*sample.studies, *present}}
    return Trial(
        what=what,
        things="studies",
        heard=heard,
        fits={uid for uid, fit in verdicts.items() if fit},
        others={uid for uid, fit in verdicts.items() if fit is False},
        present=present,
    )


def _patient(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(key for key in sample.keys if key[0] == "PatientID")


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second
