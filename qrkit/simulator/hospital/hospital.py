"""A hospital generated from a seed: each study is generated from its number, and only a few are kept in memory.

A calendar spreads the studies over days, so a hospital may have millions of studies and uses no memory for them.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import overload

from qrkit.simulator.facts import Equipment, Instance, Kind, Patient, Procedure, Series, Study, UIDPlan
from qrkit.simulator.hospital import recipes
from qrkit.simulator.hospital.people import age_at, patient, patient_number, referring_physician
from qrkit.simulator.objects.encoding import EXPLICIT_VR, RLE_LOSSLESS, encode
from qrkit.simulator.objects.modules import ObjectFacts
from qrkit.simulator.objects.objects import made

_SERIES_CLOCK_STEP = 240
"""Seconds between the series of a study."""
_RLE_SHARE = 0.1
"""Part of the image series that the archive holds compressed."""
_CAN_BE_COMPRESSED = frozenset({Kind.CT_IMAGE, Kind.MR_IMAGE, Kind.CR_IMAGE})
_WITHOUT_ANATOMY = frozenset({"SR", "KO", "PR"})

_WEEKDAY_WEIGHTS = (10, 11, 10, 11, 9, 3, 2)
"""How busy the days are, from Monday."""

DEFAULT_UNTIL = date(2026, 6, 30)
_STUDIES_PER_PATIENT = 3
_STUDIES_REMEMBERED = 20_000
"""About 100 MB of studies, by days, so that a repeated query is answered at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances(Sequence[Instance]):
    """The instances of one series, made when they are looked at."""

    uids: UIDPlan
    study: int
    series: int
    contents: tuple[tuple[Kind, int], ...]
    transfer_syntax: str

    def __len__(self) -> int:
        return sum(count for _, count in self.contents)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Instance]: ...
    def __getitem__(self, index: int | slice) -> Instance | Sequence[Instance]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        number = place + 1
        for kind, count in self.contents:
            if place < count:
                return Instance(
                    SOPInstanceUID=self.uids.uid(self.study, self.series, number),
                    SOPClassUID=kind.sop_class,
                    InstanceNumber=number,
                    kind=kind,
                    TransferSyntaxUID=self.transfer_syntax,
                )
            place -= count
        raise IndexError(index)


@functools.lru_cache(maxsize=64)
def _deck(seed: int, block: int) -> tuple[recipes.Recipe, ...]:
    """Return all recipes in an order of their own for each run of studies."""
    deck = list(recipes.DECK)
    random.Random(f"deck {seed} {block}").shuffle(deck)
    return tuple(deck)


def make_study(uids: UIDPlan, number: int, day: date, who: Patient) -> Study:
    """Return the study with this number, from 0 over the whole hospital; always the same for the same seed."""
    rng = random.Random(f"study {uids.seed} {number}")
    block, place = divmod(number, len(recipes.DECK))
    recipe = _deck(uids.seed, block)[place]
    procedure = rng.choice(recipe.procedures)
    began = _time_of_day(rng)
    station = rng.choice(recipe.stations)
    study_date = day.strftime("%Y%m%d")
    plans = [plan for plan in recipe.series if rng.random() < plan.share]
    return Study(
        patient=who,
        StudyInstanceUID=uids.uid(number),
        StudyDate=study_date,
        StudyTime=_clock(began),
        AccessionNumber="" if "imported" in procedure.description else accession(number),
        StudyID=str(number % 100_000),
        StudyDescription=procedure.description,
        ReferringPhysicianName=referring_physician(rng, who.SpecificCharacterSet),
        PatientAge=age_at(who.PatientBirthDate, day),
        series=tuple(
            _make_series(
                plan,
                procedure,
                plan.station or station,
                (study_date, _clock(min(began + place * _SERIES_CLOCK_STEP, 86_399))),
                _instances(uids, number, place, plan, rng),
            )
            for place, plan in enumerate(plans, 1)
        ),
        procedure=procedure,
    )


def _instances(uids: UIDPlan, study: int, series: int, plan: recipes.SeriesPlan, rng: random.Random) -> Instances:
    contents = tuple((kind, rng.randint(low, high)) for kind, low, high in plan.contents)
    compressed = rng.random() < _RLE_SHARE and contents[0][0] in _CAN_BE_COMPRESSED
    return Instances(
        uids=uids,
        study=study,
        series=series,
        contents=contents,
        transfer_syntax=RLE_LOSSLESS if compressed else EXPLICIT_VR,
    )


def _make_series(
    plan: recipes.SeriesPlan, procedure: Procedure, station: Equipment, when: tuple[str, str], instances: Instances
) -> Series:
    protocol = procedure.scans[-1].protocol if procedure.scans else procedure.description
    anatomy = plan.Modality not in _WITHOUT_ANATOMY
    return Series(
        SeriesInstanceUID=instances.uids.uid(instances.study, instances.series),
        Modality=plan.Modality,
        SeriesNumber=_series_number(plan, instances.series),
        SeriesDescription=plan.SeriesDescription.format(protocol=protocol),
        SeriesDate=when[0],
        SeriesTime=when[1],
        BodyPartExamined=procedure.body_part if anatomy else "",
        ProtocolName=protocol if anatomy else "",
        station=station,
        sop_classes=tuple(dict.fromkeys(kind.sop_class for kind, _ in instances.contents)),
        instances=instances,
    )


def accession(number: int) -> str:
    """Return the AccessionNumber of a study that was made in this hospital."""
    return f"A{10_000_000 + number}"


def _series_number(plan: recipes.SeriesPlan, place: int) -> int:
    """Dose reports and sheets carry high numbers, as on real scanners."""
    if plan.Modality in _WITHOUT_ANATOMY:
        return 500 + place
    return 999 if plan.contents[0][0] is Kind.DOSE_SHEET else place


def _time_of_day(rng: random.Random) -> int:
    """Seconds since midnight: mostly the working day, some emergencies."""
    if rng.random() < 0.12:
        return rng.randrange(0, 86_400)
    return int(rng.triangular(7.2 * 3600, 18.5 * 3600, 10.5 * 3600))


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"


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


class GeneratedHospital:
    """A hospital of any size whose studies are made from their numbers (see `facts.Hospital`).

    The same seed, size and days give the same UIDs, names and doses. `matrix` is rows and columns of its images,
    `root` the root of all UIDs.
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
    seed: int = 1,
    *,
    until: date = DEFAULT_UNTIL,
    days: int = 60,
    studies: int = 300,
    matrix: int = 64,
    uid_root: str = "2.25",
) -> GeneratedHospital:
    """Return a hospital with a few hundred studies of every kind, over some days until the last one.

    `matrix` is rows and columns of the images. With a `uid_root` that is not a UID, such as a GUID, all UIDs are odd.
    """
    calendar = Calendar.spread(studies, until, days)
    return GeneratedHospital(seed=seed, studies=studies, calendar=calendar, matrix=matrix, root=uid_root)


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
