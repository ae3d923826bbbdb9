"""The doses of a study, worked out once for its reports, dose sheets and images alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from qrkit.simulator.facts import Code, Procedure, Scan, Study

if TYPE_CHECKING:
    import random

    from qrkit.simulator.objects.modules import ObjectFacts

_NORMAL_BMI = 26.0
_BREAST_VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))

VIEWS = {
    "CC": Code("399162004", "SCT", "cranio-caudal"),
    "MLO": Code("399368009", "SCT", "medio-lateral oblique"),
}
_FLUORINE = Code("77004003", "SCT", "^18^Fluorine")
_TECHNETIUM = Code("72454006", "SCT", "^99m^Technetium")
_BONE_STUDY = Code("68796002", "SCT", "Radioisotope study of musculoskeletal system")
_ENDOCRINE_STUDY = Code("7562007", "SCT", "Radioisotope study of endocrine system")


@dataclass(frozen=True, slots=True, kw_only=True)
class CTEvent:
    """One irradiation event of a CT study (TID 10013)."""

    protocol: str
    acquisition: str
    """localizer, spiral, sequenced or stationary."""
    ctdi: float
    """Mean CTDIvol in mGy."""
    length: float
    """Scanning length in mm."""
    dlp: float
    """mGy.cm."""
    kvp: int
    current: int
    """Mean tube current in mA."""
    rotation: float
    """Seconds per rotation."""
    exposure_time: float
    """Seconds."""
    collimation: float
    """Total nominal collimation in mm."""
    pitch: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionEvent:
    """One irradiation event of a radiography, mammography or fluoroscopy study (TID 10003)."""

    fluoroscopy: bool
    started: datetime
    protocol: str
    dose_area_product: float
    """Gy.m2."""
    dose_rp: float
    """Air kerma at the reference point in Gy."""
    kvp: float
    current: float
    """mA."""
    duration: float
    """Seconds of fluoroscopy, or milliseconds times pulses of an exposure, in seconds."""
    pulses: int
    laterality: str = ""
    """R or L, for a breast."""
    view: str = ""
    """CC or MLO."""
    glandular_dose: float = 0.0
    """Average glandular dose in mGy."""


def began_at(study: Study) -> datetime:
    """When the study began."""
    return datetime.strptime(study.StudyDate + study.StudyTime, "%Y%m%d%H%M%S")  # noqa: DTZ007 - DICOM local time


def _size_factor(study: Study) -> float:
    """Larger patients get more dose: roughly with the power 1.3 of their body mass index."""
    patient = study.patient
    index = patient.PatientWeight / patient.PatientSize**2
    return float((index / _NORMAL_BMI) ** 1.3)


def ct_events(facts: ObjectFacts) -> tuple[CTEvent, ...]:
    """Return the CT irradiation events of a study, localizer first."""
    rng = facts.study_rng("CT dose")
    factor = _size_factor(facts.study)
    scans = facts.procedure.scans
    longest = max((scan.length for scan in scans), default=200.0)
    return (_localizer(longest, rng), *(_scanned(scan, factor, facts.procedure, rng) for scan in scans))


def _localizer(longest: float, rng: random.Random) -> CTEvent:
    length = round(longest * 1.15 + rng.uniform(0, 60))
    ctdi = round(rng.uniform(0.06, 0.16), 2)
    return CTEvent(
        protocol="Topogram",
        acquisition="localizer",
        ctdi=ctdi,
        length=length,
        dlp=round(ctdi * length / 10, 2),
        kvp=120,
        current=35,
        rotation=0.0,
        exposure_time=round(length / 100, 2),
        collimation=3.6,
        pitch=0.0,
    )


def _scanned(scan: Scan, factor: float, procedure: Procedure, rng: random.Random) -> CTEvent:
    stationary = scan.acquisition == "stationary"
    length = scan.length if stationary else round(scan.length * rng.gauss(1, 0.06))
    size = 1.0 if procedure.head_phantom or stationary else factor
    ctdi = round(max(scan.ctdi * size * rng.gauss(1, 0.07), 0.2), 2)
    kvp = 120 if procedure.head_phantom else rng.choice((100, 100, 110, 120))
    pitch = round(rng.choice((0.6, 0.8, 1.2)), 1) if scan.acquisition == "spiral" else 0.0
    rotation = 1.0 if procedure.head_phantom else 0.5
    collimation = 38.4 if scan.acquisition == "spiral" else 10.0
    seconds = rotation * length / collimation / (pitch or 1.0)
    return CTEvent(
        protocol=scan.protocol,
        acquisition=scan.acquisition,
        ctdi=ctdi,
        length=length,
        dlp=round(ctdi * length / 10, 2),
        kvp=kvp,
        current=round(ctdi * 18 * (120 / kvp) ** 2),
        rotation=rotation,
        exposure_time=round(max(seconds, rotation), 2),
        collimation=collimation,
        pitch=pitch,
    )


def dlp_total(events: tuple[CTEvent, ...]) -> float:
    """DLP total in mGy.cm: of all events but localizers, whose dose is not reported (TID 10013 row 19)."""
    return round(sum(event.dlp for event in events if event.acquisition != "localizer"), 2)


def projection_events(facts: ObjectFacts) -> tuple[ProjectionEvent, ...]:
    """Return the irradiation events of a radiography, mammography or fluoroscopy study, in their order."""
    rng = facts.study_rng("projection dose")
    procedure = facts.procedure
    breast = procedure.body_part == "BREAST"
    factor = 1.0 if breast else _size_factor(facts.study)
    shots = [_exposure(facts, number, factor, rng) for number in range(procedure.exposures)]
    if not procedure.fluoro_seconds:
        return tuple(shots)
    runs = max(2, procedure.exposures)
    screened = [_screening(facts, runs, factor, rng) for _ in range(runs)]
    pairs = (*screened, *shots)
    return tuple(sorted(pairs, key=lambda event: event.started))


def _after(study: Study, seconds: float) -> datetime:
    return began_at(study) + timedelta(seconds=round(seconds))


def _exposure(facts: ObjectFacts, number: int, factor: float, rng: random.Random) -> ProjectionEvent:
    procedure = facts.procedure
    breast = procedure.body_part == "BREAST"
    share = 0.7 if procedure.fluoro_seconds else 1.0
    product = procedure.dose_area_product * share / procedure.exposures * factor * rng.gauss(1, 0.12)
    pulses = rng.randint(30, 80) if procedure.fluoro_seconds else 1
    laterality, view = _BREAST_VIEWS[number % 4] if breast else ("", "")
    if breast and procedure.exposures == 2:
        laterality, view = "L", ("CC", "MLO")[number]
    milliseconds = rng.uniform(300, 900) if breast else rng.uniform(5, 40)
    return ProjectionEvent(
        fluoroscopy=False,
        started=_after(facts.study, 60 + 75 * number),
        protocol=procedure.description,
        dose_area_product=_significant(max(product, 0.001) * 1e-4),
        dose_rp=_significant(max(product, 0.001) * 0.012 / (4 if breast else 1)),
        kvp=round(rng.uniform(26, 32), 1) if breast else round(rng.uniform(60, 125)),
        current=round(rng.uniform(60, 120)) if breast else round(rng.uniform(160, 500)),
        duration=round(milliseconds * pulses / 1000, 4),
        pulses=pulses,
        laterality=laterality,
        view=view,
        glandular_dose=round(max(rng.gauss(1.5, 0.35), 0.5), 2) if breast else 0.0,
    )


def _screening(facts: ObjectFacts, runs: int, factor: float, rng: random.Random) -> ProjectionEvent:
    procedure = facts.procedure
    seconds = max(procedure.fluoro_seconds / runs * rng.uniform(0.5, 1.5), 1.0)
    product = procedure.dose_area_product * 0.3 / runs * factor * rng.gauss(1, 0.2)
    return ProjectionEvent(
        fluoroscopy=True,
        started=_after(facts.study, rng.uniform(30, 900)),
        protocol="Fluoro Low" if rng.random() < 0.7 else "Fluoro Normal",
        dose_area_product=_significant(max(product, 0.001) * 1e-4),
        dose_rp=_significant(max(product, 0.001) * 0.012),
        kvp=round(rng.uniform(65, 90)),
        current=round(rng.uniform(20, 110), 1),
        duration=round(seconds, 1),
        pulses=round(seconds * 7.5),
    )


def _significant(value: float) -> float:
    """Four significant digits, so that a total of what is written is the total."""
    return float(f"{value:.4g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """One radiopharmaceutical."""

    agent: Code
    radionuclide: Code
    half_life: float
    """Seconds."""
    wait: int
    """Minutes from the injection to the study."""
    study: Code


TRACERS = {
    "FDG": Tracer(
        agent=Code("35321007", "SCT", "Fluorodeoxyglucose F^18^"),
        radionuclide=_FLUORINE,
        half_life=6586.2,
        wait=60,
        study=Code("443271005", "SCT", "PET/CT FDG imaging of whole body"),
    ),
    "MDP": Tracer(
        agent=Code("96390006", "SCT", "Technetium Tc^99m^ medronate"),
        radionuclide=_TECHNETIUM,
        half_life=21624.1,
        wait=180,
        study=_BONE_STUDY,
    ),
    "pertechnetate": Tracer(
        agent=Code("19495007", "SCT", "Sodium pertechnetate Tc^99m^"),
        radionuclide=_TECHNETIUM,
        half_life=21624.1,
        wait=20,
        study=_ENDOCRINE_STUDY,
    ),
    "sestamibi": Tracer(
        agent=Code("424299003", "SCT", "Technetium Tc^99m^ sestamibi"),
        radionuclide=_TECHNETIUM,
        half_life=21624.1,
        wait=10,
        study=_ENDOCRINE_STUDY,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """The tracer and activity that one patient received."""

    tracer: Tracer
    activity: float
    """MBq."""
    given: datetime


def administration(facts: ObjectFacts) -> Administration:
    """Return the administration of a nuclear medicine study, the same for its report and its images."""
    tracer = TRACERS[facts.procedure.tracer or "FDG"]
    rng = facts.study_rng("activity")
    weight = facts.study.patient.PatientWeight
    planned = facts.procedure.activity * (weight / 75) ** 0.5
    return Administration(
        tracer=tracer,
        activity=round(planned * rng.gauss(1, 0.05), 1),
        given=began_at(facts.study) - timedelta(minutes=tracer.wait + rng.randint(0, 12)),
    )
