"""Projection X-ray Radiation Dose SR: TID 10001 with TID 10002, 10003 and what they include (PS3.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.procedures import Code
from qrkit.simulator.objects.dose import ProjectionEvent, projection_events
from qrkit.simulator.objects.rdsr_ct import TITLE
from qrkit.simulator.objects.sr import (
    HAS_CONCEPT_MODIFIER,
    LATERALITY,
    YES,
    code,
    container,
    dcm,
    device_observer,
    document,
    dose_source,
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

    from qrkit.simulator.objects.composite import ObjectFacts

    Item = dict[str, Any]

_PROJECTION = dcm(113704, "Projection X-Ray")
_MAMMOGRAPHY = Code("71651007", "SCT", "Mammography")
_FLUOROSCOPY = Code("44491008", "SCT", "Fluoroscopy")
_STATIONARY = dcm(113611, "Stationary Acquisition")
_REFERENCE_POINT = dcm(113860, "15cm from Isocenter toward Source")
_BREASTS = {"R": Code("73056007", "SCT", "Right breast"), "L": Code("80248007", "SCT", "Left breast")}
_SIDES = {"R": Code("24028007", "SCT", "Right"), "L": Code("7771000", "SCT", "Left")}
VIEWS = {
    "CC": Code("399162004", "SCT", "cranio-caudal"),
    "MLO": Code("399368009", "SCT", "medio-lateral oblique"),
}


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
        [
            procedure_reported(_MAMMOGRAPHY if breast else _PROJECTION),
            *device_observer(facts),
            scope_of_accumulation(facts),
            *(code(dcm(concept, meaning), YES) for concept, meaning in available),
            container(
                dcm(113702, "Accumulated X-Ray Dose Data"),
                _plane(),
                *(_breast_totals(events) if breast else _totals(events)),
            ),
            *(_event(facts, event, place) for place, event in enumerate(events, 1)),
            dose_source(),
        ],
    )


def _plane() -> Item:
    return code(dcm(113764, "Acquisition Plane"), dcm(113622, "Single Plane"), relationship=HAS_CONCEPT_MODIFIER)


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
        _plane(),
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
