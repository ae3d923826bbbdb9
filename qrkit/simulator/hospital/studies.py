"""Studies made from their number: the recipe, the patient and the time, and nothing that is kept."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import overload

from qrkit.simulator.hospital import recipes
from qrkit.simulator.hospital.facts import SOP_CLASS, Equipment, Instance, Kind, Patient, Series, Study
from qrkit.simulator.hospital.people import age_at, referring_physician
from qrkit.simulator.hospital.procedures import Procedure
from qrkit.simulator.hospital.uids import UIDPlan
from qrkit.simulator.pacs.encoding import EXPLICIT_VR, RLE_LOSSLESS

_SERIES_CLOCK_STEP = 240
"""Seconds between the series of a study."""
_RLE_SHARE = 0.1
"""Part of the image series that the archive holds compressed."""
_CAN_BE_COMPRESSED = frozenset({Kind.CT_IMAGE, Kind.MR_IMAGE, Kind.CR_IMAGE})
_WITHOUT_ANATOMY = frozenset({"SR", "KO", "PR"})


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
                    SOPClassUID=SOP_CLASS[kind],
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
    """Return the study with this number, always the same for the same seed.

    Parameters
    ----------
    uids
        Gives its UIDs, and has the seed.
    number
        Counted from 0 over the whole hospital.
    """
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
        sop_classes=tuple(dict.fromkeys(SOP_CLASS[kind] for kind, _ in instances.contents)),
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
