"""Structured reports: content items and the modules around them (PS3.3 C.17, C.18)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.procedures import Code
from qrkit.simulator.hospital.uids import DEVICE
from qrkit.simulator.objects.composite import ObjectFacts, coded, composite

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    Item = dict[str, Any]

CONTAINS = "CONTAINS"
HAS_CONCEPT_MODIFIER = "HAS CONCEPT MOD"
HAS_OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
HAS_PROPERTIES = "HAS PROPERTIES"

DEVICE_OBSERVER = Code("121007", "DCM", "Device")
YES = Code("373066001", "SCT", "Yes")
HAS_INTENT = Code("363703001", "SCT", "Has Intent")
DIAGNOSTIC_INTENT = Code("261004008", "SCT", "Diagnostic Intent")
AUTOMATED_DATA_COLLECTION = Code("113856", "DCM", "Automated Data Collection")
LATERALITY = Code("272741003", "SCT", "Laterality")


def dcm(value: int, meaning: str) -> Code:
    """Return a concept of PS3.16 annex D."""
    return Code(str(value), "DCM", meaning)


def _item(value_type: str, concept: Code, relationship: str, value: Item, children: Iterable[Item]) -> Item:
    content = list(children)
    item = {
        "RelationshipType": relationship,
        "ValueType": value_type,
        "ConceptNameCodeSequence": [coded(concept)],
        **value,
    }
    return item | ({"ContentSequence": content} if content else {})


def container(concept: Code, *children: Item, relationship: str = CONTAINS) -> Item:
    """Return a CONTAINER content item."""
    return _item("CONTAINER", concept, relationship, {"ContinuityOfContent": "SEPARATE"}, children)


def code(concept: Code, value: Code, *children: Item, relationship: str = CONTAINS) -> Item:
    """Return a CODE content item."""
    return _item("CODE", concept, relationship, {"ConceptCodeSequence": [coded(value)]}, children)


def text(concept: Code, value: str, *, relationship: str = CONTAINS) -> Item:
    """Return a TEXT content item."""
    return _item("TEXT", concept, relationship, {"TextValue": value}, ())


def uid_reference(concept: Code, value: str, *, relationship: str = CONTAINS) -> Item:
    """Return a UIDREF content item."""
    return _item("UIDREF", concept, relationship, {"UID": value}, ())


def moment(concept: Code, value: datetime, *, relationship: str = CONTAINS) -> Item:
    """Return a DATETIME content item."""
    return _item("DATETIME", concept, relationship, {"DateTime": value.strftime("%Y%m%d%H%M%S")}, ())


def number(concept: Code, value: float, unit: str, *children: Item, relationship: str = CONTAINS) -> Item:
    """Return a NUM content item with a UCUM unit."""
    measured = {
        "NumericValue": float(value),
        "MeasurementUnitsCodeSequence": [coded(Code(unit, "UCUM", _UNIT_MEANING.get(unit, unit)))],
    }
    return _item("NUM", concept, relationship, {"MeasuredValueSequence": [measured]}, children)


_UNIT_MEANING = {"1": "no units", "{events}": "events", "{ratio}": "ratio", "{X-Ray sources}": "X-Ray sources"}


def document(facts: ObjectFacts, title: Code, template: str, content: Iterable[Item]) -> Item:
    """Return a whole structured report with its root container (PS3.3 A.35).

    Parameters
    ----------
    template
        Template identifier of PS3.16; empty for a document without one.
    """
    root: Item = {
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [coded(title)],
        "ContinuityOfContent": "SEPARATE",
        "ContentSequence": list(content),
    }
    if template:
        root["ContentTemplateSequence"] = [{"MappingResource": "DCMR", "TemplateIdentifier": template}]
    general = {
        "ReferencedPerformedProcedureStepSequence": [],
        "PerformedProcedureCodeSequence": [],
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
    }
    return composite(facts) | general | root


def procedure_reported(procedure: Code) -> Item:
    """Return the procedure and its diagnostic intent (TID 10001, 10011)."""
    return code(
        dcm(121058, "Procedure reported"),
        procedure,
        code(HAS_INTENT, DIAGNOSTIC_INTENT, relationship=HAS_CONCEPT_MODIFIER),
        relationship=HAS_CONCEPT_MODIFIER,
    )


def device_observer(facts: ObjectFacts) -> list[Item]:
    """Return the station as observer (TID 1002, 1004)."""
    station = facts.series.station
    serial = int(station.DeviceSerialNumber or 0)
    observed = (
        (121013, "Device Observer Name", station.StationName),
        (121014, "Device Observer Manufacturer", station.Manufacturer),
        (121015, "Device Observer Model Name", station.ManufacturerModelName),
        (121016, "Device Observer Serial Number", station.DeviceSerialNumber),
        (121017, "Device Observer Physical Location During Observation", station.InstitutionName),
    )
    return [
        code(dcm(121005, "Observer Type"), DEVICE_OBSERVER, relationship=HAS_OBSERVATION_CONTEXT),
        uid_reference(
            dcm(121012, "Device Observer UID"),
            facts.uids.uid(0, DEVICE, serial),
            relationship=HAS_OBSERVATION_CONTEXT,
        ),
        *(
            text(dcm(concept, meaning), value, relationship=HAS_OBSERVATION_CONTEXT)
            for concept, meaning, value in observed
            if value
        ),
    ]


def scope_of_accumulation(facts: ObjectFacts) -> Item:
    """Return that the report adds up one study (TID 10001, 10011)."""
    return code(
        dcm(113705, "Scope of Accumulation"),
        dcm(113014, "Study"),
        uid_reference(dcm(110180, "Study Instance UID"), facts.study.StudyInstanceUID, relationship=HAS_PROPERTIES),
        relationship=HAS_OBSERVATION_CONTEXT,
    )


def irradiating_device(facts: ObjectFacts) -> Item:
    """Return the device that irradiated (TID 1021)."""
    station = facts.series.station
    return code(
        dcm(113876, "Device Role in Procedure"),
        dcm(113859, "Irradiating Device"),
        text(dcm(113878, "Device Manufacturer"), station.Manufacturer, relationship=HAS_PROPERTIES),
        text(dcm(113879, "Device Model Name"), station.ManufacturerModelName, relationship=HAS_PROPERTIES),
        text(dcm(113880, "Device Serial Number"), station.DeviceSerialNumber, relationship=HAS_PROPERTIES),
    )


def dose_source() -> Item:
    """Where the numbers come from (TID 10001, 10011)."""
    return code(dcm(113854, "Source of Dose Information"), AUTOMATED_DATA_COLLECTION)
