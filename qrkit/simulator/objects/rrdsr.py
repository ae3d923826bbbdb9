"""Radiopharmaceutical Radiation Dose SR: TID 10021 with TID 10022 and 10024 (PS3.16)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.procedures import Code
from qrkit.simulator.objects.dose import began_at
from qrkit.simulator.objects.sr import (
    DIAGNOSTIC_INTENT,
    HAS_CONCEPT_MODIFIER,
    HAS_INTENT,
    HAS_PROPERTIES,
    code,
    container,
    dcm,
    document,
    moment,
    number,
    text,
    uid_reference,
)

if TYPE_CHECKING:
    from qrkit.simulator.objects.composite import ObjectFacts

    Item = dict[str, Any]


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


_FLUORINE = Code("77004003", "SCT", "^18^Fluorine")
_TECHNETIUM = Code("72454006", "SCT", "^99m^Technetium")
_BONE_STUDY = Code("68796002", "SCT", "Radioisotope study of musculoskeletal system")
_ENDOCRINE_STUDY = Code("7562007", "SCT", "Radioisotope study of endocrine system")

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


def radiopharmaceutical_dose_report(facts: ObjectFacts) -> Item:
    """Return the Radiopharmaceutical Radiation Dose SR of a nuclear medicine or PET study."""
    what = administration(facts)
    return document(
        facts,
        dcm(113500, "Radiopharmaceutical Radiation Dose Report"),
        "10021",
        [
            code(
                Code("363589002", "SCT", "Associated Procedure"),
                what.tracer.study,
                code(HAS_INTENT, DIAGNOSTIC_INTENT, relationship=HAS_CONCEPT_MODIFIER),
                relationship=HAS_CONCEPT_MODIFIER,
            ),
            container(dcm(113502, "Radiopharmaceutical Administration"), *_administered(facts, what)),
            _patient_characteristics(facts),
        ],
    )


def _administered(facts: ObjectFacts, what: Administration) -> list[Item]:
    tracer = what.tracer
    half_life = Code("304283002", "SCT", "Radionuclide Half Life")
    return [
        code(
            Code("349358000", "SCT", "Radiopharmaceutical agent"),
            tracer.agent,
            code(Code("89457008", "SCT", "Radionuclide"), tracer.radionuclide, relationship=HAS_PROPERTIES),
            number(half_life, tracer.half_life, "s", relationship=HAS_PROPERTIES),
        ),
        uid_reference(dcm(113503, "Radiopharmaceutical Administration Event UID"), facts.event_uid(900)),
        moment(dcm(123003, "Radiopharmaceutical Start DateTime"), what.given),
        moment(dcm(123004, "Radiopharmaceutical Stop DateTime"), what.given + timedelta(seconds=20)),
        number(dcm(113507, "Administered activity"), what.activity, "MBq"),
        number(dcm(113508, "Pre-Administration Measured Activity"), round(what.activity * 1.03, 1), "MBq"),
        number(dcm(113509, "Post-Administration Measured Activity"), round(what.activity * 0.03, 1), "MBq"),
        code(Code("410675002", "SCT", "Route of administration"), Code("47625008", "SCT", "Intravenous route")),
        text(dcm(113512, "Radiopharmaceutical Lot Identifier"), f"LOT{what.given:%Y%m%d}"),
    ]


def _patient_characteristics(facts: ObjectFacts) -> Item:
    """TID 10024."""
    patient = facts.study.patient
    sex = Code("F", "DCM", "Female") if patient.PatientSex == "F" else Code("M", "DCM", "Male")
    return container(
        dcm(121118, "Patient Characteristics"),
        number(dcm(121033, "Subject Age"), int(facts.study.PatientAge[:3]), "a"),
        code(dcm(121032, "Subject Sex"), sex),
        number(Code("8302-2", "LN", "Patient Height"), patient.PatientSize, "m"),
        number(Code("29463-7", "LN", "Patient Weight"), patient.PatientWeight, "kg"),
    )
