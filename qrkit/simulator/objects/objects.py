"""The DICOM objects of the simulated hospital, made when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.facts import Kind
from qrkit.simulator.objects import documents, images, radiographs
from qrkit.simulator.objects.rdsr_ct import ct_dose_report
from qrkit.simulator.objects.rdsr_projection import projection_dose_report
from qrkit.simulator.objects.rrdsr import radiopharmaceutical_dose_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from qrkit.simulator.objects.composite import ObjectFacts

    Elements = dict[str, Any]


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
    Kind.MG_PRESENTATION: radiographs.mg_image,
    Kind.MG_PROCESSING: radiographs.mg_image,
    Kind.DX_IMAGE: radiographs.dx_image,
    Kind.CR_IMAGE: radiographs.cr_image,
    Kind.XA_IMAGE: radiographs.fluoroscopic_image,
    Kind.RF_IMAGE: radiographs.fluoroscopic_image,
    Kind.RDSR: _radiation_dose_report,
    Kind.ENHANCED_SR: documents.enhanced_dose_record,
    Kind.RRDSR: radiopharmaceutical_dose_report,
    Kind.REPORT: documents.radiology_report,
    Kind.CAD: documents.cad_report,
    Kind.KEY_OBJECTS: documents.key_objects,
    Kind.PRESENTATION_STATE: documents.presentation_state,
}


def made(facts: ObjectFacts) -> Elements:
    """Return the data set of one object, by keyword (see `encoding.encode`)."""
    return _MAKERS[facts.instance.kind](facts)
