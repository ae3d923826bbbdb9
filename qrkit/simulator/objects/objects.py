"""The objects of the simulated hospital, made on request: the table of all kinds, and a study's documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.simulator.facts import Code, Kind
from qrkit.simulator.objects import images
from qrkit.simulator.objects.dose import projection_events
from qrkit.simulator.objects.dose_reports import (
    ct_dose_report,
    projection_dose_report,
    radiopharmaceutical_dose_report,
)
from qrkit.simulator.objects.modules import ObjectFacts, composite, container, dcm, document, number, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from qrkit.simulator.facts import Instance, Series

    Item = dict[str, Any]
    Elements = dict[str, Any]


_NOT_REFERENCED = frozenset({Kind.KEY_OBJECTS, Kind.PRESENTATION_STATE})
_VARIC_SCHEME = "99SMS_RADSUM"


def enhanced_dose_record(facts: ObjectFacts) -> Item:
    """Dose in an Enhanced SR: like a Radiation Dose SR for CT, in a private template for mobile C-arms."""
    if facts.procedure.scans:
        return ct_dose_report(facts)
    events = projection_events(facts)
    product = sum(event.dose_area_product for event in events)
    seconds = sum(event.duration for event in events if event.fluoroscopy)
    shots = sum(1 for event in events if not event.fluoroscopy)
    return document(
        facts,
        Code("C-10", _VARIC_SCHEME, "Radiation Summary Report"),
        "",
        number(Code("C-200", _VARIC_SCHEME, "Total number of exposures"), shots, "1"),
        number(Code("C-202", _VARIC_SCHEME, "Cumulative fluoro time"), round(seconds, 3), "s"),
        number(Code("C-204", _VARIC_SCHEME, "Cumulative dose area product"), round(product * 1e4, 4), "Gy.cm2"),
    )


def radiology_report(facts: ObjectFacts) -> Item:
    """Return a written report as Basic Text SR: an SR that carries no dose."""
    region = facts.procedure.region.meaning
    return document(
        facts,
        Code("18748-4", "LN", "Diagnostic Imaging Report"),
        "",
        container(
            dcm(121070, "Findings"),
            text(dcm(121071, "Finding"), f"{region}: no abnormality. This is a simulated report."),
        ),
    )


def cad_report(facts: ObjectFacts) -> Item:
    """Return a mammography CAD result as Comprehensive SR: an SR that carries no dose."""
    return document(
        facts,
        dcm(111036, "Mammography CAD Report"),
        "",
        container(dcm(111017, "CAD Processing and Findings Summary"), text(dcm(121071, "Finding"), "None")),
    )


def _image_series(facts: ObjectFacts) -> Series:
    """Return the series to which a document of the study refers: the first one of images, if there is any."""
    others = [one for one in facts.study.series if one.instances[0].kind not in _NOT_REFERENCED]
    images = [one for one in others if one.Modality != "SR"]
    return (images or others)[0]


def _reference(instance: Instance) -> dict[str, str]:
    return {
        "ReferencedSOPClassUID": instance.SOPClassUID,
        "ReferencedSOPInstanceUID": instance.SOPInstanceUID,
    }


def key_objects(facts: ObjectFacts) -> Item:
    """Return a key object selection that points at the first object of the study (PS3.3 A.35.4, TID 2010)."""
    series = _image_series(facts)
    reference = _reference(series.instances[0])
    evidence = {
        "StudyInstanceUID": facts.study.StudyInstanceUID,
        "ReferencedSeriesSequence": [
            {"SeriesInstanceUID": series.SeriesInstanceUID, "ReferencedSOPSequence": [reference]}
        ],
    }
    value_type = "COMPOSITE" if series.Modality == "SR" else "IMAGE"
    item = {"RelationshipType": "CONTAINS", "ValueType": value_type, "ReferencedSOPSequence": [reference]}
    elements = document(facts, dcm(113000, "Of Interest"), "2010", item)
    # these belong to reports, not to key objects
    for keyword in ("CompletionFlag", "VerificationFlag", "PerformedProcedureCodeSequence"):
        del elements[keyword]
    return elements | {"CurrentRequestedProcedureEvidenceSequence": [evidence]}


def presentation_state(facts: ObjectFacts) -> Item:
    """Return a greyscale softcopy presentation state for the first image of the study (PS3.3 A.33.1)."""
    series = _image_series(facts)
    reference = _reference(series.instances[0])
    area = {
        "DisplayedAreaTopLeftHandCorner": [1, 1],
        "DisplayedAreaBottomRightHandCorner": [facts.matrix, facts.matrix],
        "PresentationSizeMode": "SCALE TO FIT",
        "PresentationPixelAspectRatio": [1, 1],
    }
    return composite(facts) | {
        "ContentLabel": "WINDOW",
        "ContentDescription": "Simulated window",
        "ContentCreatorName": "",
        "PresentationCreationDate": facts.series.SeriesDate,
        "PresentationCreationTime": facts.series.SeriesTime,
        "ReferencedSeriesSequence": [
            {"SeriesInstanceUID": series.SeriesInstanceUID, "ReferencedImageSequence": [reference]}
        ],
        "DisplayedAreaSelectionSequence": [area],
        "SoftcopyVOILUTSequence": [{"WindowCenter": 40, "WindowWidth": 400}],
        "PresentationLUTShape": "IDENTITY",
    }


def _radiation_dose_report(facts: ObjectFacts) -> Elements:
    """Return the Radiation Dose SR that fits the procedure."""
    return ct_dose_report(facts) if facts.procedure.scans else projection_dose_report(facts)


_MAKERS: dict[Kind, Callable[[ObjectFacts], Elements]] = {
    Kind.CT_IMAGE: images.ct_image,
    Kind.CT_LOCALIZER: images.ct_image,
    Kind.MR_IMAGE: images.mr_image,
    Kind.PET_IMAGE: images.pet_image,
    Kind.NM_IMAGE: images.nm_image,
    Kind.US_IMAGE: images.us_image,
    Kind.CAPTURE: images.captured,
    Kind.DOSE_SHEET: images.dose_sheet,
    Kind.MG_PRESENTATION: images.mg_image,
    Kind.MG_PROCESSING: images.mg_image,
    Kind.DX_IMAGE: images.dx_image,
    Kind.CR_IMAGE: images.cr_image,
    Kind.XA_IMAGE: images.fluoroscopic_image,
    Kind.RF_IMAGE: images.fluoroscopic_image,
    Kind.RDSR: _radiation_dose_report,
    Kind.ENHANCED_SR: enhanced_dose_record,
    Kind.RRDSR: radiopharmaceutical_dose_report,
    Kind.REPORT: radiology_report,
    Kind.CAD: cad_report,
    Kind.KEY_OBJECTS: key_objects,
    Kind.PRESENTATION_STATE: presentation_state,
}


def made(facts: ObjectFacts) -> Elements:
    """Return the data set of one object, by keyword (see `encoding.encode`)."""
    return _MAKERS[facts.instance.kind](facts)
