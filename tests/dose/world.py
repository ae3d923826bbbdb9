"""Archives of a few literal rows, which answer what a judge needs to know: no network and no database."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from qrkit.dose import (
    Answer,
    Need,
    NeedKind,
    ObjectRow,
    ObjectsAnswer,
    PlanItem,
    Policy,
    SeriesAnswer,
    SeriesRow,
    StoredUids,
    StudyJudge,
    StudyRow,
    Unanswered,
    together,
)
from qrkit.dose.facts import first_image_of
from qrkit.dose.judge import JudgeSteps
from qrkit.query import Filters
from qrkit.tables import Level

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED_RDSR = "1.2.840.10008.5.1.4.1.1.88.76"
PATIENT_RDSR = "1.2.840.10008.5.1.4.1.1.88.73"
ESR = "1.2.840.10008.5.1.4.1.1.88.22"
RRDSR = "1.2.840.10008.5.1.4.1.1.88.68"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
STATES = "1.2.840.10008.5.1.4.1.1.11.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
PET = "1.2.840.10008.5.1.4.1.1.128"
LEGACY_PET = "1.2.840.10008.5.1.4.1.1.128.1"
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
NM = "1.2.840.10008.5.1.4.1.1.20"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

UID = "1.2.3"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series: its row is made of it, its objects have the classes, numbered from `first`."""

    modality: str
    classes: tuple[str, ...] = ()
    description: str = ""
    station: str = ""
    number: int | None = None
    first: int = 1
    count: int | None = -1
    """NumberOfSeriesRelatedInstances; -1: as many as there are."""
    listed: bool = True
    """Whether an IMAGE query finds the objects."""


@dataclass
class World:
    """Studies by UID, each a row and its series; and all that was asked of them."""

    studies: dict[str, tuple[StudyRow, tuple[Series, ...]]] = field(default_factory=dict)
    asked: list[Need] = field(default_factory=list)
    silent: frozenset[NeedKind] = frozenset()
    """What is not answered."""

    def answer(self, need: Need) -> Answer:
        self.asked.append(need)
        if need.kind in self.silent:
            return Unanswered("0xC001 for reasons of its own")
        series = self.series(need.StudyInstanceUID)
        if need.kind is NeedKind.SERIES:
            return SeriesAnswer(tuple(row for row, _ in series))
        if need.kind is NeedKind.SR_SERIES:
            return SeriesAnswer(tuple(row for row, _ in series if row.Modality == "SR"), only_sr=True)
        objects = next(objects for row, objects in series if row.SeriesInstanceUID == need.SeriesInstanceUID)
        if need.kind is NeedKind.FIRST_IMAGE:
            first = first_image_of(objects)
            return ObjectsAnswer(() if first is None else (first,))
        return ObjectsAnswer(objects)

    def series(self, uid: str) -> list[tuple[SeriesRow, tuple[ObjectRow, ...]]]:
        found = []
        for place, one in enumerate(self.studies[uid][1], 1):
            series_uid = f"{uid}.{place}"
            objects = tuple(
                ObjectRow(f"{series_uid}.{number}", sop_class, one.first + number - 1)
                for number, sop_class in enumerate(one.classes, 1)
            )
            count = len(objects) if one.count == -1 else one.count
            row = SeriesRow(series_uid, one.modality, one.description, one.station, one.number, count)
            found.append((row, objects if one.listed else ()))
        return found

    def judge(
        self,
        policy: Policy,
        stored: Mapping[str, Iterable[str]] | None = None,
        without_dose: Mapping[str, Collection[str]] | None = None,
    ) -> list[PlanItem]:
        """Judge all studies side by side."""
        uids = {uid: frozenset(uids) for uid, uids in (stored or {}).items()}
        judge = StudyJudge(policy, StoredUids(uids, without_dose or {}))
        return self._answered(judge.study(study) for study, _ in self.studies.values())

    def report(self, policy: Policy, study: StudyRow, group: str) -> list[PlanItem]:
        """Judge a study of only reports for a group."""
        return self._answered([StudyJudge(policy).report(study, group)])

    def _answered(self, tasks: Iterable[JudgeSteps[tuple[PlanItem, ...]]]) -> list[PlanItem]:
        steps = together(tasks)
        try:
            needs = next(steps)
            while True:
                needs = steps.send({need: self.answer(need) for need in needs})
        except StopIteration as end:
            judged: list[tuple[PlanItem, ...]] = end.value
        return [item for items in judged for item in items]


def told(world: World, uid: str = UID) -> StudyRow:
    """A study row that tells all: modalities, classes and counts."""
    row, series = world.studies[uid]
    return replace(
        row,
        ModalitiesInStudy=frozenset(one.modality for one in series),
        SOPClassesInStudy=frozenset(sop_class for one in series for sop_class in one.classes),
        series_count=len(series),
        instance_count=sum(len(one.classes) for one in series),
    )


def world_of(*series: Series, modalities: Iterable[str] | None = None, **row: str) -> World:
    """A world of one study, which tells its modalities and nothing more."""
    codes = {one.modality for one in series} if modalities is None else set(modalities)
    study = replace(StudyRow(StudyInstanceUID=UID, ModalitiesInStudy=frozenset(codes)), **row)  # type: ignore[arg-type]
    return World({UID: (study, series)})


def with_classes(world: World) -> World:
    """The same world, whose study rows tell the SOP classes too."""
    return World({uid: (told(world, uid), series) for uid, (_, series) in world.studies.items()})


def policy_of(*groups: str, options: Iterable[str] = (), sr_only: bool = False, **filters: object) -> Policy:
    """A policy for groups, with options and filters."""
    made = {name: value for name, value in filters.items() if name != "station_level"}
    level = Level.parse(str(filters.get("station_level", "series")))
    return Policy(
        groups=groups,
        sr_only=sr_only,
        options=frozenset(options),
        filters=Filters(station_level=level, **made),  # type: ignore[arg-type]  # fields by name
    )


def kept(items: Iterable[PlanItem]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Level and IMAGE level objects of the series that are kept, by their UID's last part."""
    return {
        outcome.row.SeriesInstanceUID.removeprefix(f"{UID}."): (
            outcome.level,
            outcome.expected if outcome.level == "IMAGE" else (),
        )
        for item in items
        for outcome in item.series
        if outcome.decision.keep
    }


def one(items: list[PlanItem]) -> PlanItem:
    """The only item."""
    (item,) = items
    return item


Worlds = Callable[[World], World]
