"""Whether the node stops at some number of answers, and how it takes C-CANCEL.

One question goes further than the others: over so many days that more studies should come than most caps let through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from qrkit.find.windows import cap_reason
from qrkit.probe.inquiry import Inquiry
from qrkit.probe.judgement import Judged
from qrkit.probe.questions import Asking, Ended, Heard, Question
from qrkit.probe.samples import EVER
from qrkit.profile.subjects import Verdict
from qrkit.query.dates import Dates
from qrkit.tables import Level
from qrkit.words import counted

MANY = 1_050
"""Answers after which the one large question is cancelled: beyond the caps of 100 to 1,000 that are common."""

_LONGEST = 366
_MARGIN = 1.6
_TOO_LATE = 1.0
"""Seconds after C-CANCEL from which on a node that ends with success has not obeyed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One question by StudyDate alone, and what came."""

    days: Dates
    heard: Heard
    present: frozenset[str]
    owed: frozenset[str]
    """Known studies of these days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The number of answers at which a node probably stops, if any, and the most that surely were not cut off."""

    likely: int | None = None
    most_answers: int = 0
    evidence: str


def ask_many(inquiry: Inquiry, today: date) -> Asking:
    """Ask for more studies than a cap would let through; once more if the answer looks cut off."""
    windows = by_date_alone(inquiry)
    if any(window.heard.is_whole and window.days.first == EVER for window in windows) or not windows:
        return
    days = Dates(first=today - timedelta(days=_days_for_many(windows) - 1), last=today)
    keys = (("StudyDate", days.matching),)
    heard = yield from inquiry.ask(Level.STUDY, keys, _FEW_KEYS, "studies of many days, for a cap", MANY)
    suspicious = heard.is_whole and bool(cap_reason(heard.count))
    windows = by_date_alone(inquiry)
    later = _later_half(inquiry, inquiry.present(heard, Level.STUDY), today)
    if suspicious and later and not any(_cut_off(window) or _same_twice(window, windows) for window in windows):
        yield from inquiry.ask(
            Level.STUDY, (("StudyDate", later.matching),), _FEW_KEYS, "studies of the later half of these days", MANY
        )


_FEW_KEYS = ("StudyDate", "ModalitiesInStudy")


def _later_half(inquiry: Inquiry, studies: Iterable[str], today: date) -> Dates | None:
    """Return the days that about half of some studies are of; None if they are all of one day."""
    dated = sorted(day for uid in studies if (day := inquiry.known.studies[uid].get("StudyDate")))
    if not dated or dated[0] == dated[-1]:
        return None
    middle = dated[len(dated) // 2]
    return Dates(first=middle if middle > dated[0] else middle + timedelta(days=1), last=today)


def by_date_alone(inquiry: Inquiry) -> list[Window]:
    """Return the questions about studies that StudyDate alone narrowed down."""
    windows = []
    for question, heard in inquiry.asked:
        days = _days(question)
        if days is not None and not heard.is_refusal:
            owed, _ = inquiry.known.on(inquiry.known.studies, days.first, days.last)
            present = inquiry.present(heard, Level.STUDY)
            windows.append(Window(days=days, heard=heard, present=present, owed=frozenset(owed)))
    return windows


def judge_dates(windows: Sequence[Window], everything: Iterable[str], cap: int | None = None) -> Judged:
    """Return whether StudyDate is matched, by all questions that it alone narrowed down.

    Parameters
    ----------
    everything
        All known studies that have a StudyDate.
    cap
        The number of answers at which the node stops: what stays away from so many stays away for that.
    """
    dated = frozenset(everything)
    wrong = sum(len((window.present & dated) - window.owed) for window in windows)
    came = sum(len(window.present & window.owed) for window in windows)
    telling = [window for window in windows if window.heard.is_whole and window.heard.count != cap]
    away = max((len(dated - window.present - window.owed) for window in telling), default=0)
    if wrong:
        evidence = f"StudyDate: {wrong} of the {wrong + came} studies that came are of other days"
        return Judged(verdict=Verdict.IGNORED, evidence=evidence)
    evidence = (
        f"StudyDate in {counted(len(windows), 'question')}: all {came} studies that came are of the days asked for, "
        f"and up to {away} of other days stayed away"
    )
    return Judged(verdict=Verdict.HONOURED if came and away else Verdict.UNKNOWN, evidence=evidence)


def ask_one_day(inquiry: Inquiry) -> Asking:
    """Ask for one day, if nothing has shown yet that StudyDate is matched."""
    judged = judge_dates(by_date_alone(inquiry), dated_studies(inquiry))
    day = inquiry.known.busiest_day()
    if judged.verdict is Verdict.UNKNOWN and day is not None:
        keys = (("StudyDate", Dates(first=day, last=day).matching),)
        yield from inquiry.ask(Level.STUDY, keys, _FEW_KEYS, "studies of one day")


def dated_studies(inquiry: Inquiry) -> set[str]:
    """Return the known studies of which the StudyDate is known."""
    return {uid for uid, row in inquiry.known.studies.items() if row.get("StudyDate") is not None}


def likely_cap(windows: Sequence[Window]) -> Cap:
    """Return at which number of answers a node probably stops.

    It ended with success, but without studies that are known to be of these days; or with 0xA7xx after some answers;
    or with the same number for days of which one part had as many already; or with a number that caps have.
    """
    most = max((window.heard.count for window in windows), default=0)
    for window in windows:
        evidence = _cut_off(window) or _same_twice(window, windows)
        if evidence:
            return Cap(likely=window.heard.count, most_answers=most, evidence=evidence)
    largest = max(windows, key=lambda window: window.heard.count, default=None)
    if largest is None:
        return Cap(evidence="no question was answered")
    if largest.heard.is_whole and cap_reason(most) and not _is_borne_out(largest, windows):
        return Cap(likely=most, most_answers=most, evidence=cap_reason(most))
    more = ", when it was cancelled" if largest.heard.was_cancelled else ""
    evidence = f"no cap was seen: one question got {counted(most, 'answer')}{more}"
    return Cap(most_answers=_uncut(windows, most), evidence=evidence)


def judge_cancel(heard: Iterable[Heard]) -> Judged:
    """Return how a node takes C-CANCEL, by the questions that were cancelled."""
    judged = [_judge_cancel(one) for one in heard if one.was_cancelled]
    order = (Verdict.IGNORED, Verdict.REFUSED, Verdict.HONOURED, Verdict.UNKNOWN)
    return min(
        judged,
        key=lambda one: order.index(one.verdict),
        default=Judged(evidence="no answer was long enough to be cancelled"),
    )


def _judge_cancel(heard: Heard) -> Judged:
    came = f"C-CANCEL after {counted(len(heard.rows), 'answer')}: {heard.count - len(heard.rows)} more came in"
    evidence = f"{came} {heard.after_cancel:.1f} s"
    if heard.ended is Ended.CANCELLED:
        return Judged(verdict=Verdict.HONOURED, evidence=f"{evidence}, then the status 0xFE00")
    if heard.ended is Ended.DEAF:
        return Judged(verdict=Verdict.IGNORED, evidence=f"{evidence}, then it was aborted, since it went on")
    if heard.ended is Ended.SUCCESS and heard.after_cancel >= _TOO_LATE:
        return Judged(verdict=Verdict.IGNORED, evidence=f"{evidence}, then success, as if it had not been cancelled")
    if heard.ended is Ended.SUCCESS:
        return Judged(evidence=f"{evidence}, then success: all may have been on their way")
    return Judged(verdict=Verdict.REFUSED, evidence=f"{evidence}, then: {heard.failure}")


def _cut_off(window: Window) -> str:
    heard = window.heard
    if heard.ended is Ended.FAILED and heard.status >> 8 == 0xA7 and heard.count:
        return f"{counted(heard.count, 'answer')}, then the status 0x{heard.status:04X}"
    missing = len(window.owed - window.present)
    if heard.is_whole and heard.count and missing:
        came, more = counted(heard.count, "answer"), counted(missing, "more study")
        return f"{came} and success, though of these days {more} should have come"
    return ""


def _same_twice(window: Window, windows: Sequence[Window]) -> str:
    count = window.heard.count
    for other in windows:
        within = window.days.first <= other.days.first and other.days.last <= window.days.last
        wider = within and window.days != other.days and window.heard.is_whole and other.heard.is_whole
        if wider and count == other.heard.count and window.present != other.present:
            return f"{count} answers to some days, and the same number to a part of them, of other studies"
    return ""


def _is_borne_out(largest: Window, windows: Sequence[Window]) -> bool:
    """Whether a part of the days gave fewer answers, all of which were among those of the whole."""
    return any(
        other is not largest
        and largest.days.first < other.days.first
        and other.heard.is_whole
        and 0 < other.heard.count < largest.heard.count
        and other.present <= largest.present
        for other in windows
    )


def _uncut(windows: Sequence[Window], most: int) -> int:
    """Return the most answers that surely were not cut off: fewer than another question got, or cancelled by us.

    The largest answer itself may have been, whatever its number: a cap is one number, and need not be a round one.
    """
    counts = (window.heard.count for window in windows if window.heard.was_cancelled or window.heard.count < most)
    return max(counts, default=0)


def _days_for_many(windows: Sequence[Window]) -> int:
    """Return over how many days more studies should come than are listened to, by what came of days so far."""
    rates = [len(window.present) / _length(window.days) for window in windows if window.heard.is_whole]
    rates += [len(window.present) for window in windows if window.days.is_one_day]
    rates += [_busiest(window) for window in windows if not window.heard.is_whole]
    rate = max(rates, default=0.0)
    return max(2, min(_LONGEST, math.ceil(_MARGIN * MANY / rate))) if rate else _LONGEST


def _busiest(window: Window) -> int:
    """Return how many studies of one day came at least, for an answer that was cut short."""
    return len(window.present) if window.days.is_one_day else len(window.present) // min(_length(window.days), 3)


def _length(days: Dates) -> int:
    return (days.last - days.first).days + 1


def _days(question: Question) -> Dates | None:
    request = question.request
    if request.level is not Level.STUDY or [keyword for keyword, _ in request.keys] != ["StudyDate"]:
        return None
    first, _, last = request.value("StudyDate").partition("-")
    return Dates(first=date.fromisoformat(first), last=date.fromisoformat(last or first))
