"""A believable hospital from a seed: each study is generated from its number, and only a few are kept in memory.

A calendar spreads the studies over days, so a hospital may have millions of studies and uses no memory for them.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from qrkit.simulator.hospital.facts import Instance, Series, Study
from qrkit.simulator.hospital.people import patient, patient_number
from qrkit.simulator.hospital.studies import accession, make_study
from qrkit.simulator.hospital.uids import UIDPlan
from qrkit.simulator.objects.composite import ObjectFacts
from qrkit.simulator.objects.objects import made
from qrkit.simulator.pacs.encoding import encode

_WEEKDAY_WEIGHTS = (10, 11, 10, 11, 9, 3, 2)
"""How busy the days are, from Monday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which study numbers fall on which day: a working week's ups and downs over a number of studies."""

    first: date
    ends: tuple[int, ...] = field(repr=False)
    """For each day, the number after its last study."""

    @classmethod
    def spread(cls, studies: int, until: date, days: int) -> Calendar:
        """Return a calendar that spreads studies over a number of days, of which `until` is the last."""
        first = until - timedelta(days=days - 1)
        weights = [_WEEKDAY_WEIGHTS[(first.weekday() + offset) % 7] for offset in range(days)]
        total = sum(weights)
        ends = tuple(studies * done // total for done in itertools.accumulate(weights)) if total else ()
        return cls(first=first, ends=ends)

    @property
    def last(self) -> date:
        """The last day."""
        return self.first + timedelta(days=len(self.ends) - 1)

    def day_of(self, number: int) -> date:
        """Return the day of one study."""
        return self.first + timedelta(days=bisect.bisect_right(self.ends, number))

    def numbers_on(self, day: date) -> range:
        """Return the studies of one day."""
        offset = (day - self.first).days
        if not 0 <= offset < len(self.ends):
            return range(0)
        return range(self.ends[offset - 1] if offset else 0, self.ends[offset])


DEFAULT_UNTIL = date(2026, 6, 30)
_STUDIES_PER_PATIENT = 3
_STUDIES_REMEMBERED = 20_000
"""About 100 MB of studies, by days, so that a repeated query is answered at once."""


class GeneratedHospital:
    """A hospital of any size whose studies are made from their numbers (see `facts.Hospital`).

    Parameters
    ----------
    seed
        The same seed, size and days give the same UIDs, names and doses.
    studies
        How many studies there are.
    calendar
        The days they fall on.
    matrix
        Rows and columns of its images.
    root
        Root of all UIDs.
    """

    def __init__(self, *, seed: int, studies: int, calendar: Calendar, matrix: int = 64, root: str = "2.25") -> None:
        self.seed = seed
        self.size = studies
        self.calendar = calendar
        self.matrix = matrix
        self.uids = UIDPlan(seed, root)
        self._patients = max(1, -(-studies // _STUDIES_PER_PATIENT))
        a_day = studies // max(len(calendar.ends), 1) + 1
        self._day = functools.lru_cache(maxsize=max(_STUDIES_REMEMBERED // a_day, 2))(self._make_day)
        self._study = functools.lru_cache(maxsize=1024)(self._make_study)

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day, as `Hospital.days`."""
        return self.calendar.first, self.calendar.last

    def on_day(self, day: date) -> Sequence[Study]:
        """All studies of one day, as `Hospital.on_day`."""
        return self._day(day)

    def undated(self) -> Sequence[Study]:
        """None: every generated study has its day."""
        return ()

    def study(self, number: int) -> Study:
        """One study by its number, from 0."""
        return self._study(number)

    def study_holding(self, uid: str) -> Study | None:
        """Return the study of a UID, as `Hospital.study_holding`."""
        number = self.uids.study_number(uid)
        return self._study(number) if number is not None and number < self.size else None

    def of_patient(self, patient_id: str) -> Sequence[Study]:
        """All studies of a patient, as `Hospital.of_patient`."""
        number = patient_number(patient_id)
        if number is None or number >= self._patients:
            return ()
        numbers = range(number, self.size, self._patients)
        return [self._study(one) for one in numbers]

    def with_accession(self, accession_number: str) -> Sequence[Study]:
        """All studies with an accession number, as `Hospital.with_accession`."""
        digits = accession_number.removeprefix("A")
        if not accession_number.startswith("A") or not digits.isdecimal():
            return ()
        number = int(digits) - 10_000_000
        found = 0 <= number < self.size and accession_number == accession(number)
        return (self._study(number),) if found else ()

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object's data set, as `Hospital.encoded`."""
        facts = ObjectFacts(study=study, series=series, instance=instance, uids=self.uids, matrix=self.matrix)
        return encode(made(facts), study.patient.SpecificCharacterSet, transfer_syntax)

    def _make_day(self, day: date) -> tuple[Study, ...]:
        studies = [self._study(number) for number in self.calendar.numbers_on(day)]
        return tuple(sorted(studies, key=lambda study: study.StudyTime))

    def _make_study(self, number: int) -> Study:
        who = patient(self.seed, number % self._patients)
        return make_study(self.uids, number, self.calendar.day_of(number), who)


def small_hospital(
    seed: int = 1, *, until: date = DEFAULT_UNTIL, days: int = 60, studies: int = 300, matrix: int = 64
) -> GeneratedHospital:
    """Return a hospital with a few hundred studies of every kind.

    Parameters
    ----------
    until
        The last day with studies.
    days
        Over how many days they are spread.
    matrix
        Rows and columns of the images.
    """
    calendar = Calendar.spread(studies, until, days)
    return GeneratedHospital(seed=seed, studies=studies, calendar=calendar, matrix=matrix)


def empty_hospital() -> GeneratedHospital:
    """Return a hospital without studies: what a store node starts with."""
    return small_hospital(studies=0, days=0)


def large_hospital(
    studies: int = 1_000_000, *, seed: int = 1, until: date = DEFAULT_UNTIL, days: int = 5 * 365, matrix: int = 64
) -> GeneratedHospital:
    """Return a large archive with the parameters of `small_hospital`.

    A C-FIND for a day generates that day's studies only, about 50 µs each.
    """
    return small_hospital(seed, until=until, days=days, studies=studies, matrix=matrix)
