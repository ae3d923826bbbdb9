"""CT Radiation Dose SR: TID 10011 with TID 10012 and 10013 (PS3.16)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.procedures import Code
from qrkit.simulator.objects.dose import CTEvent, began_at, ct_events, dlp_total
from qrkit.simulator.objects.sr import (
    HAS_OBSERVATION_CONTEXT,
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
    from qrkit.simulator.objects.composite import ObjectFacts

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


def ct_dose_report(facts: ObjectFacts) -> Item:
    """Return the Radiation Dose SR of a CT study, or of the CT part of a PET/CT or SPECT/CT study."""
    events = ct_events(facts)
    began = began_at(facts.study)
    ended = began + timedelta(seconds=90 * len(events))
    return document(
        facts,
        TITLE,
        "10011",
        [
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
            dose_source(),
        ],
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
