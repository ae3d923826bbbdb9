"""Results that need all responses together: StudyDate, caps and C-CANCEL, returned keys and character sets.

One question is larger than the others: it covers enough days for more studies than most caps allow.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from qrkit.find.windows import cap_reason
from qrkit.probe.inquiry import Finding, Inquiry
from qrkit.probe.questions import ProbeSteps, QueryAnswers, QueryEnd, Question
from qrkit.probe.series_trials import IMAGE_KEYS, SERIES_KEYS
from qrkit.probe.study_trials import EVER, STUDY_KEYS
from qrkit.profile import Returned
from qrkit.profile.subjects import Fill, Verdict
from qrkit.query.dates import Dates
from qrkit.tables import Level, unique_key
from qrkit.words import counted

MANY = 1_050
"""Responses after which the large question is cancelled, above the common caps of 100 to 1,000."""

_LONGEST = 366
_MARGIN = 1.6
_TOO_LATE = 1.0
"""Seconds after C-CANCEL; a later success shows that the node ignored it."""

_COUNTED_KEYS = ("StudyDate", "ModalitiesInStudy")
_LOOKED_AT = {
    Level.STUDY: tuple(keyword for keyword in STUDY_KEYS if keyword not in ("StudyDate", "PatientName")),
    Level.SERIES: SERIES_KEYS,
    Level.IMAGE: IMAGE_KEYS,
}
_NARROWING = frozenset({"StudyDate", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber"})
Exchanges = Sequence[tuple[Question, QueryAnswers]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DateWindow:
    """One question by StudyDate alone, and its responses."""

    days: Dates
    answers: QueryAnswers
    present: frozenset[str]
    owed: frozenset[str]
    """The known studies of these days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The number of responses at which a node probably stops, if any, and the largest number without a cap."""

    likely: int | None = None
    most_answers: int = 0
    evidence: str


def ask_many(inquiry: Inquiry) -> ProbeSteps:
    """Ask for more studies than most caps allow; ask for fewer days if the result looks cut off."""
    windows = by_date_alone(inquiry)
    if any(window.answers.is_whole and window.days.first == EVER for window in windows) or not windows:
        return
    days = Dates(first=inquiry.today - timedelta(days=_days_for_many(windows) - 1), last=inquiry.today)
    keys = (("StudyDate", days.matching),)
    answers = yield from inquiry.ask(Level.STUDY, keys, _COUNTED_KEYS, "studies of many days, for a cap", MANY)
    suspicious = answers.is_whole and bool(cap_reason(answers.count))
    windows = by_date_alone(inquiry)
    later = _later_half(inquiry, inquiry.present(answers, Level.STUDY))
    if suspicious and later and not any(_cut_off(window) or _same_count_twice(window, windows) for window in windows):
        yield from inquiry.ask(
            Level.STUDY,
            (("StudyDate", later.matching),),
            _COUNTED_KEYS,
            "studies of the later half of these days",
            MANY,
        )


def _later_half(inquiry: Inquiry, studies: Iterable[str]) -> Dates | None:
    """Return the days of the later half of some studies; None if all are of one day."""
    dated = sorted(day for uid in studies if (day := inquiry.known.studies[uid].get("StudyDate")))
    if not dated or dated[0] == dated[-1]:
        return None
    middle = dated[len(dated) // 2]
    return Dates(first=middle if middle > dated[0] else middle + timedelta(days=1), last=inquiry.today)


def by_date_alone(inquiry: Inquiry) -> list[DateWindow]:
    """Return the questions on studies whose only key was StudyDate."""
    windows = []
    for question, answers in inquiry.asked:
        days = _days(question)
        if days is not None and not answers.is_refusal:
            owed, _ = inquiry.known.on(inquiry.known.studies, days.first, days.last)
            present = inquiry.present(answers, Level.STUDY)
            windows.append(DateWindow(days=days, answers=answers, present=present, owed=frozenset(owed)))
    return windows


def judge_dates(windows: Sequence[DateWindow], everything: Iterable[str], cap: int | None = None) -> Finding:
    """Return whether StudyDate is matched, by all questions whose only key it was.

    `everything` are all known studies with a StudyDate. At the `cap` the node stops; such a result proves no
    exclusion.
    """
    dated = frozenset(everything)
    wrong = sum(len((window.present & dated) - window.owed) for window in windows)
    matching = sum(len(window.present & window.owed) for window in windows)
    telling = [window for window in windows if window.answers.is_whole and window.answers.count != cap]
    away = max((len(dated - window.present - window.owed) for window in telling), default=0)
    if wrong:
        evidence = f"StudyDate: {wrong} of {wrong + matching} returned studies are of other days"
        return Finding(verdict=Verdict.IGNORED, evidence=evidence)
    evidence = (
        f"StudyDate in {counted(len(windows), 'question')}: all {matching} returned studies are of these days, "
        f"and up to {away} of other days were excluded"
    )
    return Finding(verdict=Verdict.HONOURED if matching and away else Verdict.UNKNOWN, evidence=evidence)


def ask_one_day(inquiry: Inquiry) -> ProbeSteps:
    """Ask for one day if no question so far shows whether StudyDate is matched."""
    finding = judge_dates(by_date_alone(inquiry), dated_studies(inquiry))
    day = inquiry.known.busiest_day()
    if finding.verdict is Verdict.UNKNOWN and day is not None:
        keys = (("StudyDate", Dates(first=day, last=day).matching),)
        yield from inquiry.ask(Level.STUDY, keys, _COUNTED_KEYS, "studies of one day")


def dated_studies(inquiry: Inquiry) -> set[str]:
    """Return the known studies with a StudyDate."""
    return {uid for uid, row in inquiry.known.studies.items() if row.get("StudyDate") is not None}


def likely_cap(windows: Sequence[DateWindow]) -> Cap:
    """Return the number of responses at which a node probably stops.

    The evidence is a success without known studies of these days, a status 0xA7xx after some responses, the same
    number for some days and for a part of them, or a number that is a common cap.
    """
    most = max((window.answers.count for window in windows), default=0)
    for window in windows:
        evidence = _cut_off(window) or _same_count_twice(window, windows)
        if evidence:
            return Cap(likely=window.answers.count, most_answers=most, evidence=evidence)
    largest = max(windows, key=lambda window: window.answers.count, default=None)
    if largest is None:
        return Cap(evidence="no responses")
    if largest.answers.is_whole and cap_reason(most) and not _is_borne_out(largest, windows):
        return Cap(likely=most, most_answers=most, evidence=cap_reason(most))
    more = ", when it was cancelled" if largest.answers.was_cancelled else ""
    evidence = f"no cap was seen: one question got {counted(most, 'response')}{more}"
    return Cap(most_answers=_uncut(windows, most), evidence=evidence)


def unknown_cap(windows: Sequence[DateWindow]) -> Cap:
    """Return the cap of a node that ignores StudyDate: its results may all be cut off at the same number."""
    most = max((window.answers.count for window in windows), default=0)
    return Cap(most_answers=_uncut(windows, most), evidence="unknown, since the node ignores StudyDate")


def judge_cancel(answers: Iterable[QueryAnswers]) -> Finding:
    """Return how a node reacts to C-CANCEL, by the cancelled questions."""
    findings = [_cancel_finding(result) for result in answers if result.was_cancelled]
    order = (Verdict.IGNORED, Verdict.REFUSED, Verdict.HONOURED, Verdict.UNKNOWN)
    return min(
        findings,
        key=lambda finding: order.index(finding.verdict),
        default=Finding(evidence="no result was long enough for C-CANCEL"),
    )


def _cancel_finding(answers: QueryAnswers) -> Finding:
    more = answers.count - len(answers.rows)
    evidence = f"C-CANCEL after {counted(len(answers.rows), 'response')}: {more} more in {answers.after_cancel:.1f} s"
    if answers.ended is QueryEnd.CANCELLED:
        return Finding(verdict=Verdict.HONOURED, evidence=f"{evidence}, then the status 0xFE00")
    if answers.ended is QueryEnd.CANCEL_IGNORED:
        return Finding(verdict=Verdict.IGNORED, evidence=f"{evidence}, then A-ABORT, because the node continued")
    if answers.ended is QueryEnd.SUCCESS and answers.after_cancel >= _TOO_LATE:
        return Finding(verdict=Verdict.IGNORED, evidence=f"{evidence}, then success, as without C-CANCEL")
    if answers.ended is QueryEnd.SUCCESS:
        return Finding(evidence=f"{evidence}, then success: all may have been sent before")
    return Finding(verdict=Verdict.REFUSED, evidence=f"{evidence}, then: {answers.failure}")


def _cut_off(window: DateWindow) -> str:
    answers = window.answers
    if answers.ended is QueryEnd.FAILED and answers.status >> 8 == 0xA7 and answers.count:
        return f"{counted(answers.count, 'response')}, then the status 0x{answers.status:04X}"
    missing = len(window.owed - window.present)
    if answers.is_whole and answers.count and missing:
        absent = f"{counted(missing, 'known study')} of these days missing"
        return f"{counted(answers.count, 'response')} and success, but {absent}"
    return ""


def _same_count_twice(window: DateWindow, windows: Sequence[DateWindow]) -> str:
    count = window.answers.count
    for other in windows:
        within = window.days.first <= other.days.first and other.days.last <= window.days.last
        wider = within and window.days != other.days and window.answers.is_whole and other.answers.is_whole
        if wider and count == other.answers.count and window.present != other.present:
            return f"{count} responses for some days, and the same number of other studies for a part of them"
    return ""


def _is_borne_out(largest: DateWindow, windows: Sequence[DateWindow]) -> bool:
    """Return whether a part of the days gave fewer responses, all of them among those of the whole."""
    return any(
        other is not largest
        and largest.days.first < other.days.first
        and other.answers.is_whole
        and 0 < other.answers.count < largest.answers.count
        and other.present <= largest.present
        for other in windows
    )


def _uncut(windows: Sequence[DateWindow], most: int) -> int:
    """Return the largest number of responses without a cap: fewer than another question got, or cancelled by us.

    The largest result may itself be cut off, since a cap may be any number. So may one that ended with success after
    C-CANCEL: it proves no more than the responses that were received before.
    """
    counts = [window.answers.count for window in windows if window.answers.count < most]
    counts += [_before_cancel(window.answers) for window in windows if window.answers.was_cancelled]
    return max(counts, default=0)


def _before_cancel(answers: QueryAnswers) -> int:
    if answers.ended is not QueryEnd.SUCCESS:
        return answers.count
    return min(len(answers.rows), max(answers.count - 1, 0))


def _days_for_many(windows: Sequence[DateWindow]) -> int:
    """Return the number of days for more studies than the limit, by the results so far."""
    rates = [len(window.present) / _length(window.days) for window in windows if window.answers.is_whole]
    rates += [len(window.present) for window in windows if window.days.is_one_day]
    rates += [_busiest(window) for window in windows if not window.answers.is_whole]
    rate = max(rates, default=0.0)
    return max(2, min(_LONGEST, math.ceil(_MARGIN * MANY / rate))) if rate else _LONGEST


def _busiest(window: DateWindow) -> int:
    """Return the least number of studies per day in a result that was cut short."""
    return len(window.present) if window.days.is_one_day else len(window.present) // min(_length(window.days), 3)


def _length(days: Dates) -> int:
    return (days.last - days.first).days + 1


def _days(question: Question) -> Dates | None:
    request = question.request
    if request.level is not Level.STUDY or [keyword for keyword, _ in request.keys] != ["StudyDate"]:
        return None
    first, _, last = request.value("StudyDate").partition("-")
    return Dates(first=date.fromisoformat(first), last=date.fromisoformat(last or first))


def returned_keys(asked: Exchanges) -> tuple[Returned, ...]:
    """Return how each key is filled, over the questions that do not match on it."""
    return tuple(
        _returned(level, keyword, [pair for pair in asked if _tells(pair[0], level, keyword)])
        for level, keywords in _LOOKED_AT.items()
        for keyword in keywords
    )


def _tells(question: Question, level: Level, keyword: str) -> bool:
    request = question.request
    return (
        request.level is level
        and keyword in (*request.return_keys, *dict(request.keys))
        and _NARROWING.issuperset(keyword for keyword, _ in request.keys)
    )


def _returned(level: Level, keyword: str, asked: Exchanges) -> Returned:
    total = sum(len(answers.rows) for _, answers in asked)
    if not total:
        return Returned(level=level, keyword=keyword)
    filled = sum(row.get(keyword) is not None for _, answers in asked for row in answers.rows)
    element_counts = sum(answers.element_counts.get(keyword, 0) for _, answers in asked)
    if filled == total:
        fill = Fill.FILLED
    elif filled:
        fill = Fill.PARTLY
    else:
        fill = Fill.EMPTY if element_counts else Fill.NOT_RETURNED
    evidence = f"{filled} of {total} responses had a value, {max(element_counts - filled, 0)} were empty"
    return Returned(level=level, keyword=keyword, fill=fill, evidence=evidence)


def character_sets(asked: Exchanges) -> tuple[str, ...]:
    """Return the character sets that responses name, most frequent first; an empty text for none."""
    counts = Counter(str(row.get("SpecificCharacterSet") or "") for row in _rows(asked))
    return tuple(name for name, _ in counts.most_common())


def judge_character_set(asked: Exchanges) -> Finding:
    """Return whether text is in the character set of its response."""
    odd = sum(answers.undecodable_texts for _, answers in asked)
    beyond = [
        row for row in _rows(asked) if not all(value.isascii() for value in row.values() if isinstance(value, str))
    ]
    unnamed = sum(not row.get("SpecificCharacterSet") for row in beyond)
    if not beyond and not odd:
        return Finding(evidence="no response had text beyond ASCII")
    if odd:
        evidence = f"text in {counted(odd, 'response')} is not in the named character set"
    elif unnamed:
        evidence = f"text beyond ASCII in {counted(unnamed, 'response')} without a named character set"
    else:
        evidence = f"text beyond ASCII in {counted(len(beyond), 'response')} is in the named character set"
    return Finding(verdict=Verdict.IGNORED if odd or unnamed else Verdict.HONOURED, evidence=evidence)


def repeated_answers(asked: Exchanges) -> str:
    """Return a sentence on repeated responses, or an empty text."""
    doubled = 0
    for question, answers in asked:
        keys = [row[unique] for row in answers.rows if row.get(unique := unique_key(question.request.level))]
        doubled += len(keys) - len(set(keys))
    return f"The node repeated {counted(doubled, 'response')}; each counts once." if doubled else ""


def _rows(asked: Exchanges) -> Iterable[dict[str, Any]]:
    return (dict(row) for _, answers in asked for row in answers.rows)
