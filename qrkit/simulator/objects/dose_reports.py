"""Radiation Dose SR of CT (TID 10011), projection X-ray (TID 10001) and radiopharmaceuticals (TID 10021; PS3.16)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from qrkit.simulator.facts import Code
from qrkit.simulator.objects.dose import (
    VIEWS,
    Administration,
    CTEvent,
    ProjectionEvent,
    administration,
    began_at,
    ct_events,
    dlp_total,
    projection_events,
)
from qrkit.simulator.objects.modules import (
    DIAGNOSTIC_INTENT,
    DOSE_SOURCE,
    HAS_CONCEPT_MODIFIER,
    HAS_INTENT,
    HAS_OBSERVATION_CONTEXT,
    HAS_PROPERTIES,
    LATERALITY,
    YES,
    code,
    container,
    dcm,
    device_observer,
    document,
    irradiating_device,
    moment,
    number,
    procedure_reported,
    scope_of_accumulation,
    text,
    uid_reference,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qrkit.simulator.objects.modules import ObjectFacts

    Item = dict[str, Any]


TITLE = dcm(113701, "X-Ray Radiation Dose Report")
_CT = Code("77477000", "SCT", "Computed Tomography X-Ray")
_ACQUISITION = {
    "localizer": dcm(113805, "Constant Angle Acquisition"),
    "stationary": dcm(113806, "Stationary Acquisition"),
    "sequenced": dcm(113804, "Sequenced Acquisition"),
    "spiral": Code("116152004", "SCT", "Spiral Acquisition"),
}
_PROCEDURE_CONTEXT = Code("408730004", "SCT", "Procedure Context")
_WITH_CONTRAST = Code("27483000", "SCT", "Diagnostic radiography with contrast media")
_WITHOUT_CONTRAST = Code("399331006", "SCT", "CT without contrast")

_PROJECTION = dcm(113704, "Projection X-Ray")
_MAMMOGRAPHY = Code("71651007", "SCT", "Mammography")
_FLUOROSCOPY = Code("44491008", "SCT", "Fluoroscopy")
_STATIONARY = dcm(113611, "Stationary Acquisition")
_REFERENCE_POINT = dcm(113860, "15cm from Isocenter toward Source")
_PLANE = code(dcm(113764, "Acquisition Plane"), dcm(113622, "Single Plane"), relationship=HAS_CONCEPT_MODIFIER)
_BREASTS = {"R": Code("73056007", "SCT", "Right breast"), "L": Code("80248007", "SCT", "Left breast")}
_SIDES = {"R": Code("24028007", "SCT", "Right"), "L": Code("7771000", "SCT", "Left")}


def ct_dose_report(facts: ObjectFacts) -> Item:
    """Return the Radiation Dose SR of a CT study, or of the CT part of a PET/CT or SPECT/CT study."""
    events = ct_events(facts)
    began = began_at(facts.study)
    ended = began + timedelta(seconds=90 * len(events))
    return document(
        facts,
        TITLE,
        "10011",
        procedure_reported(_CT),
        *device_observer(facts),
        moment(dcm(113809, "Start of X-Ray Irradiation"), began, relationship=HAS_OBSERVATION_CONTEXT),
        moment(dcm(113810, "End of X-Ray Irradiation"), ended, relationship=HAS_OBSERVATION_CONTEXT),
        scope_of_accumulation(facts),
        container(
            dcm(113811, "CT Accumulated Dose Data"),
            number(dcm(113812, "Total Number of Irradiation Events"), len(events), "{events}"),
            number(dcm(113813, "CT Dose Length Product Total"), dlp_total(events), "mGy.cm"),
        ),
        *(_acquisition(facts, event, place) for place, event in enumerate(events, 1)),
        DOSE_SOURCE,
    )


def _acquisition(facts: ObjectFacts, event: CTEvent, place: int) -> Item:
    procedure = facts.procedure
    contrast = procedure.contrast and event.acquisition == "spiral"
    items = [
        text(dcm(125203, "Acquisition Protocol"), event.protocol),
        code(dcm(123014, "Target Region"), procedure.region),
        code(dcm(113820, "CT Acquisition Type"), _ACQUISITION[event.acquisition]),
        code(_PROCEDURE_CONTEXT, _WITH_CONTRAST if contrast else _WITHOUT_CONTRAST),
        uid_reference(dcm(113769, "Irradiation Event UID"), facts.event_uid(place)),
        container(dcm(113822, "CT Acquisition Parameters"), *_parameters(event)),
    ]
    if event.acquisition != "localizer":
        items.append(_dose(event, head=procedure.head_phantom))
    return container(dcm(113819, "CT Acquisition"), *items, irradiating_device(facts))


def _parameters(event: CTEvent) -> list[Item]:
    items = [
        number(dcm(113824, "Exposure Time"), event.exposure_time, "s"),
        number(dcm(113825, "Scanning Length"), event.length, "mm"),
        number(dcm(113826, "Nominal Single Collimation Width"), 0.6, "mm"),
        number(dcm(113827, "Nominal Total Collimation Width"), event.collimation, "mm"),
    ]
    if event.pitch:
        items.append(number(dcm(113828, "Pitch Factor"), event.pitch, "{ratio}"))
    source = [
        text(dcm(113832, "Identification of the X-Ray Source"), "A"),
        number(dcm(113733, "KVP"), event.kvp, "kV"),
        number(dcm(113833, "Maximum X-Ray Tube Current"), round(event.current * 1.4), "mA"),
        number(dcm(113734, "X-Ray Tube Current"), event.current, "mA"),
    ]
    if event.rotation:
        source.append(number(dcm(113834, "Exposure Time per Rotation"), event.rotation, "s"))
    return [
        *items,
        number(dcm(113823, "Number of X-Ray Sources"), 1, "{X-Ray sources}"),
        container(dcm(113831, "CT X-Ray Source Parameters"), *source),
    ]


def _dose(event: CTEvent, *, head: bool) -> Item:
    phantom = dcm(113690, "IEC Head Dosimetry Phantom") if head else dcm(113691, "IEC Body Dosimetry Phantom")
    return container(
        dcm(113829, "CT Dose"),
        number(dcm(113830, "Mean CTDIvol"), event.ctdi, "mGy"),
        code(dcm(113835, "CTDIw Phantom Type"), phantom),
        number(dcm(113838, "DLP"), event.dlp, "mGy.cm"),
    )


def projection_dose_report(facts: ObjectFacts) -> Item:
    """Return the Radiation Dose SR of a radiography, mammography, fluoroscopy or angiography study."""
    events = projection_events(facts)
    breast = facts.procedure.body_part == "BREAST"
    available = (
        (113943, "X-Ray Source Data Available"),
        (113944, "X-Ray Mechanical Data Available"),
        (113945, "X-Ray Detector Data Available"),
    )
    return document(
        facts,
        TITLE,
        "10001",
        procedure_reported(_MAMMOGRAPHY if breast else _PROJECTION),
        *device_observer(facts),
        scope_of_accumulation(facts),
        *(code(dcm(concept, meaning), YES) for concept, meaning in available),
        container(
            dcm(113702, "Accumulated X-Ray Dose Data"),
            _PLANE,
            *(_breast_totals(events) if breast else _totals(events)),
        ),
        *(_event(facts, event, place) for place, event in enumerate(events, 1)),
        DOSE_SOURCE,
    )


def _sum(values: Sequence[float]) -> float:
    """Return a total without the noise of binary fractions."""
    return float(f"{sum(values):.9g}")


def _totals(events: Sequence[ProjectionEvent]) -> list[Item]:
    """TID 10004 and 10007: of everything, of fluoroscopy, and of acquisitions."""
    screened = [event for event in events if event.fluoroscopy]
    acquired = [event for event in events if not event.fluoroscopy]
    items = [
        number(dcm(113722, "Dose Area Product Total"), _sum([event.dose_area_product for event in events]), "Gy.m2"),
        number(dcm(113725, "Dose (RP) Total"), _sum([event.dose_rp for event in events]), "Gy"),
    ]
    if screened:
        product = _sum([event.dose_area_product for event in screened])
        items += [
            number(dcm(113726, "Fluoro Dose Area Product Total"), product, "Gy.m2"),
            number(dcm(113728, "Fluoro Dose (RP) Total"), _sum([event.dose_rp for event in screened]), "Gy"),
            number(dcm(113730, "Total Fluoro Time"), _sum([event.duration for event in screened]), "s"),
        ]
    product = _sum([event.dose_area_product for event in acquired])
    return [
        *items,
        number(dcm(113727, "Acquisition Dose Area Product Total"), product, "Gy.m2"),
        number(dcm(113729, "Acquisition Dose (RP) Total"), _sum([event.dose_rp for event in acquired]), "Gy"),
        number(dcm(113855, "Total Acquisition Time"), _sum([event.duration for event in acquired]), "s"),
        number(dcm(113731, "Total Number of Radiographic Frames"), sum(event.pulses for event in acquired), "1"),
        code(dcm(113780, "Reference Point Definition"), _REFERENCE_POINT),
    ]


def _breast_totals(events: Sequence[ProjectionEvent]) -> list[Item]:
    """TID 10005: the accumulated average glandular dose of each breast."""
    return [
        number(
            dcm(111637, "Accumulated Average Glandular Dose"),
            _sum([event.glandular_dose for event in events if event.laterality == side]),
            "mGy",
            code(LATERALITY, _BREASTS[side], relationship=HAS_CONCEPT_MODIFIER),
        )
        for side in "LR"
        if any(event.laterality == side for event in events)
    ]


def _event(facts: ObjectFacts, event: ProjectionEvent, place: int) -> Item:
    """TID 10003: one irradiation event."""
    return container(
        dcm(113706, "Irradiation Event X-Ray Data"),
        _PLANE,
        uid_reference(dcm(113769, "Irradiation Event UID"), facts.event_uid(place)),
        moment(dcm(111526, "DateTime Started"), event.started),
        code(dcm(113721, "Irradiation Event Type"), _FLUOROSCOPY if event.fluoroscopy else _STATIONARY),
        text(dcm(125203, "Acquisition Protocol"), event.protocol),
        *_anatomy(facts, event),
        number(dcm(122130, "Dose Area Product"), event.dose_area_product, "Gy.m2"),
        number(dcm(113738, "Dose (RP)"), event.dose_rp, "Gy"),
        code(dcm(113780, "Reference Point Definition"), _REFERENCE_POINT),
        *(_breast_dose(event) if event.laterality else ()),
        *_technique(event),
        irradiating_device(facts),
    )


def _anatomy(facts: ObjectFacts, event: ProjectionEvent) -> list[Item]:
    region = dcm(123014, "Target Region")
    if not event.laterality:
        return [code(region, facts.procedure.region)]
    side = code(LATERALITY, _SIDES[event.laterality], relationship=HAS_CONCEPT_MODIFIER)
    return [
        code(Code("91723000", "SCT", "Anatomical structure"), facts.procedure.region, side),
        code(dcm(111031, "Image View"), VIEWS[event.view]),
        code(region, facts.procedure.region),
    ]


def _breast_dose(event: ProjectionEvent) -> list[Item]:
    return [
        number(dcm(111631, "Average Glandular Dose"), event.glandular_dose, "mGy"),
        number(dcm(111634, "Half Value Layer"), 0.54, "mm"),
        number(dcm(111633, "Compression Thickness"), round(30 + 15 * event.glandular_dose), "mm"),
        code(dcm(111632, "Anode Target Material"), Code("26194003", "SCT", "Tungsten")),
    ]


def _technique(event: ProjectionEvent) -> list[Item]:
    """TID 10003B: how the X-rays were made."""
    pulse = 8.0 if event.fluoroscopy else round(event.duration * 1000 / event.pulses, 2)
    milliseconds = round(pulse * event.pulses, 2)
    items = []
    if event.fluoroscopy:
        items = [
            code(dcm(113732, "Fluoro Mode"), dcm(113631, "Pulsed")),
            number(dcm(113791, "Pulse Rate"), 7.5, "{pulse}/s"),
        ]
    return [
        *items,
        number(dcm(113768, "Number of Pulses"), event.pulses, "1"),
        number(dcm(113733, "KVP"), event.kvp, "kV"),
        number(dcm(113734, "X-Ray Tube Current"), event.current, "mA"),
        number(dcm(113824, "Exposure Time"), milliseconds, "ms"),
        number(dcm(113793, "Pulse Width"), pulse, "ms"),
        number(dcm(113736, "Exposure"), round(event.current * milliseconds), "uA.s"),
    ]


def radiopharmaceutical_dose_report(facts: ObjectFacts) -> Item:
    """Return the Radiopharmaceutical Radiation Dose SR of a nuclear medicine or PET study."""
    what = administration(facts)
    return document(
        facts,
        dcm(113500, "Radiopharmaceutical Radiation Dose Report"),
        "10021",
        code(
            Code("363589002", "SCT", "Associated Procedure"),
            what.tracer.study,
            code(HAS_INTENT, DIAGNOSTIC_INTENT, relationship=HAS_CONCEPT_MODIFIER),
            relationship=HAS_CONCEPT_MODIFIER,
        ),
        container(dcm(113502, "Radiopharmaceutical Administration"), *_administered(facts, what)),
        _patient_characteristics(facts),
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
