"""The facts and modules that all objects have (PS3.3 C.7, C.12), and the content of SR documents (C.17, C.18)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qrkit.simulator.facts import DEVICE, IRRADIATION_EVENT, Code, elements_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from qrkit.simulator.facts import Instance, Procedure, Series, Study, UIDPlan

    Item = dict[str, Any]

_ABSENT_IF_EMPTY = ("BodyPartExamined", "ProtocolName", "StationName")
CONTAINS = "CONTAINS"
HAS_CONCEPT_MODIFIER = "HAS CONCEPT MOD"
HAS_OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
HAS_PROPERTIES = "HAS PROPERTIES"
YES = Code("373066001", "SCT", "Yes")
HAS_INTENT = Code("363703001", "SCT", "Has Intent")
DIAGNOSTIC_INTENT = Code("261004008", "SCT", "Diagnostic Intent")
LATERALITY = Code("272741003", "SCT", "Laterality")
_UNIT_MEANING = {"1": "no units", "{events}": "events", "{ratio}": "ratio", "{X-Ray sources}": "X-Ray sources"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """The facts that one object is generated from."""

    study: Study
    series: Series
    instance: Instance
    uids: UIDPlan
    matrix: int
    """Rows and columns of images."""

    @property
    def number(self) -> int:
        """The study's number."""
        return self.uids.study_number(self.study.StudyInstanceUID) or 0

    @property
    def procedure(self) -> Procedure:
        """The examination."""
        if self.study.procedure is None:
            raise LookupError("an object of a study that was only received cannot be generated")
        return self.study.procedure

    def study_rng(self, purpose: str) -> random.Random:
        """Random numbers that are the same for every object of the study."""
        return random.Random(f"{purpose} {self.study.StudyInstanceUID}")

    def rng(self) -> random.Random:
        """Random numbers of this object."""
        return random.Random(self.instance.SOPInstanceUID)

    def event_uid(self, number: int) -> str:
        """Return the UID of an irradiation or administration event of the study, numbered from 1."""
        return self.uids.uid(self.number, IRRADIATION_EVENT, number)


def coded(code: Code) -> dict[str, str]:
    """Return a code sequence item (PS3.3 8.8)."""
    return {"CodeValue": code.value, "CodingSchemeDesignator": code.scheme, "CodeMeaning": code.meaning}


def composite(facts: ObjectFacts) -> dict[str, Any]:
    """Return the Patient, General Study, General Series, General Equipment and SOP Common modules."""
    study, series, patient = facts.study, facts.series, facts.study.patient
    elements: dict[str, Any] = {
        "SOPClassUID": facts.instance.SOPClassUID,
        "SOPInstanceUID": facts.instance.SOPInstanceUID,
        "InstanceNumber": facts.instance.InstanceNumber,
        "InstanceCreationDate": series.SeriesDate,
        "InstanceCreationTime": series.SeriesTime,
        "ContentDate": series.SeriesDate,
        "ContentTime": series.SeriesTime,
        **elements_of(patient),
        **elements_of(study),
        **elements_of(series),
        **elements_of(series.station),
    }
    for keyword in _ABSENT_IF_EMPTY:
        if not elements[keyword]:
            del elements[keyword]
    if patient.SpecificCharacterSet:
        elements["SpecificCharacterSet"] = patient.SpecificCharacterSet
    return elements


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


def document(facts: ObjectFacts, title: Code, template: str, *content: Item) -> Item:
    """Return a whole structured report with its root container (PS3.3 A.35); some have no template of PS3.16."""
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
        code(dcm(121005, "Observer Type"), dcm(121007, "Device"), relationship=HAS_OBSERVATION_CONTEXT),
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


DOSE_SOURCE = code(dcm(113854, "Source of Dose Information"), dcm(113856, "Automated Data Collection"))
"""Where the numbers come from (TID 10001, 10011)."""
