"""A PACS as a value: what it holds, how it misbehaves, and what it answers to a request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from qrkit import errors
from qrkit.find.windows import Caps, Row, WindowAnswer, WindowContext, WindowsResult, ask_in_windows, failure_of
from qrkit.query import Request
from qrkit.tables import Level

TODAY = date(2026, 6, 30).toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study: day and birth as ordinals, second of the day; None is blank."""

    uid: str
    day: int | None = TODAY
    second: int | None = 36_000
    birth: int | None = 720_000
    patient: str = "Q1"
    name: str = "Doe"


@dataclass(slots=True, kw_only=True)
class Pacs:
    """What it holds, and its quirks.

    Attributes
    ----------
    order
        In which answers come: oldest, newest, or any.
    exclusive
        Range keys whose ends it leaves out.
    by_minute
        Whether it compares no seconds.
    ignores, literal, refuses
        Keys whose ranges it ignores, takes for single values, refuses.
    abort_above
        More answers than that end in A-ABORT.
    hides_days
        Whether it tells no StudyDate.
    hides_uids
        Whether it tells no StudyInstanceUID.
    unsent
        How many rows of each answer, the first ones, it does not send.
    withholds_rows
        Whether it ends whatever has rows before the first: with 0xA700 (`status`) or else A-ABORT.
    said_before
        Answers that come before the status of a node that says there are too many, or before A-ABORT; None: as many
        as its cap or `abort_above`.
    """

    studies: Sequence[Study]
    cap: int = 0
    status: bool = False
    order: str = "oldest"
    exclusive: frozenset[str] = frozenset()
    by_minute: bool = False
    ignores: frozenset[str] = frozenset()
    literal: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    abort_above: int = 0
    said_before: int | None = None
    withholds_rows: bool = False
    hides_days: bool = False
    hides_uids: bool = False
    unsent: int = 0
    requests: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> WindowAnswer:
        """What comes of a request."""
        self.requests.append(request)
        if any(request.value(keyword) for keyword in self.refuses):
            return WindowAnswer(failure=failure_of(errors.StatusError("refused", status=0xA900)))
        found = self._ordered([one for one in self.studies if self._matches(one, request)])[self.unsent :]
        if self.withholds_rows and found:
            error = (
                errors.StatusError("too many", status=0xA700) if self.status else errors.AssociationAborted("aborted")
            )
            return WindowAnswer(failure=failure_of(error))
        if self.abort_above and len(found) > self.abort_above:
            said = self.abort_above if self.said_before is None else self.said_before
            return WindowAnswer(failure=failure_of(errors.AssociationAborted("aborted"), said))
        if self.cap and len(found) > self.cap:
            if self.status:
                said = self.cap if self.said_before is None else self.said_before
                return WindowAnswer(failure=failure_of(errors.StatusError("too many", status=0xA700), said))
            found = found[: self.cap]
        rows = tuple(
            Row(
                one.uid,
                None if self.hides_days else one.day,
                None if one.second is None else one.second // 60,
                one.birth,
                one.patient,
                one.name[:1],
                not self.hides_uids,
            )
            for one in found
        )
        filled = {"StudyDate": "day", "StudyTime": "minute", "PatientBirthDate": "birth"}
        returned = frozenset(
            key for key, name in filled.items() if any(getattr(row, name) is not None for row in rows)
        )
        return WindowAnswer(count=len(found), rows=rows, returned=returned)

    def _ordered(self, found: list[Study]) -> list[Study]:
        if self.order == "any":
            return random.Random(len(found)).sample(found, len(found))
        return sorted(found, key=lambda one: (one.day or 0, one.second or 0, one.uid), reverse=self.order == "newest")

    def _matches(self, study: Study, request: Request) -> bool:
        uids = request.value("StudyInstanceUID")
        if uids and study.uid not in uids.split("\\"):
            return False
        beginning = request.value("PatientID")
        if beginning and "PatientID" not in self.ignores and not study.patient.startswith(beginning.rstrip("*")):
            return False
        name = request.value("PatientName")
        if name and not study.name.upper().startswith(name.rstrip("*")):
            return False
        return (
            self._in_days("StudyDate", study.day, request)
            and self._in_days("PatientBirthDate", study.birth, request)
            and self._in_time(study.second, request)
        )

    def _in_days(self, keyword: str, value: int | None, request: Request) -> bool:
        text = "" if value is None else date.fromordinal(value).isoformat().replace("-", "")
        return self._in_range(keyword, text, request.value(keyword), "99999999")

    def _in_time(self, second: int | None, request: Request) -> bool:
        text = "" if second is None else f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}.000000"
        asked = request.value("StudyTime")
        if self.by_minute:
            text, asked = text[:4], "-".join(part[:4] for part in asked.split("-"))
        return self._in_range("StudyTime", text, asked, "999999")

    def _in_range(self, keyword: str, text: str, asked: str, end: str) -> bool:
        if not asked or keyword in self.ignores:
            return True
        if not text:
            return False
        first, dash, last = asked.partition("-")
        if not dash or keyword in self.literal:
            return text == asked
        last = last or end
        if keyword in self.exclusive:
            return first < text < last
        return first <= text <= (last if "." in last or keyword != "StudyTime" else last + ".999999")


def ask(
    pacs: Pacs,
    *,
    dates: str = "",
    level: Level = Level.STUDY,
    caps: Caps | None = None,
    wildcards: bool = False,
    **keys: str,
) -> tuple[set[str], WindowsResult]:
    """Ask a PACS in windows; give the UIDs that were found, and how it went."""
    given = {"StudyDate": dates, **keys}
    base = Request(level=level, keys=tuple((keyword, value) for keyword, value in given.items() if value))
    driver = ask_in_windows(base, WindowContext(caps=caps or Caps(), today=TODAY, wildcards=wildcards))
    found: set[str] = set()
    answers: list[WindowAnswer] | None = None
    while True:
        try:
            requests = next(driver) if answers is None else driver.send(answers)
        except StopIteration as end:
            return found, end.value
        answers = [pacs.answer(request) for request in requests]
        found.update(row.uid for answer in answers for row in answer.rows)


def range_of(first: int, last: int) -> str:
    """The matching value of days."""
    texts = [date.fromordinal(day).isoformat().replace("-", "") for day in (first, last)]
    return texts[0] if first == last else "-".join(texts)
