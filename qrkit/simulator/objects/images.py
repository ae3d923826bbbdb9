"""The images, which show small phantoms (PS3.3 A): CT, MR, PET, NM, ultrasound, captures and projection X-ray."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from qrkit.simulator.facts import FRAME_OF_REFERENCE, Kind
from qrkit.simulator.objects import pixels
from qrkit.simulator.objects.dose import VIEWS, administration, began_at, ct_events, dlp_total, projection_events
from qrkit.simulator.objects.modules import ObjectFacts, coded, composite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qrkit.simulator.objects.dose import ProjectionEvent

    Elements = dict[str, Any]


FIELD_OF_VIEW = 380.0
"""Millimetres across an image."""
_SLICE_DISTANCE = 5.0
_AXIAL = (1, 0, 0, 0, 1, 0)
_CORONAL = (1, 0, 0, 0, 0, -1)

_ORIENTATION: Elements = {"PatientOrientationCodeSequence": [], "PatientGantryRelationshipCodeSequence": []}
"""The NM/PET Patient Orientation module (PS3.3 C.8.4.6), whose two sequences may be empty."""

_RUN_FRAMES = 3


def noise_seed(facts: ObjectFacts) -> int:
    """Return the seed of an image's noise: another for each image, always the same for one."""
    return zlib.crc32(facts.instance.SOPInstanceUID.encode())


def _image(facts: ObjectFacts, elements: Elements, data: bytes, *, bits: int = 16, stored: int = 12) -> Elements:
    """Return an image of one greyscale sample: its own elements, and the modules of all images (PS3.3 C.7.6)."""
    series = facts.series
    general = {
        "AcquisitionDate": series.SeriesDate,
        "AcquisitionTime": series.SeriesTime,
        "AcquisitionNumber": 1,
        "PatientOrientation": "",
        "BurnedInAnnotation": "NO",
    }
    pixel = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": facts.matrix,
        "Columns": facts.matrix,
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": 0,
        "PixelData": data,
    }
    return composite(facts) | general | elements | pixel


def _plane(facts: ObjectFacts, orientation: Sequence[int] = _AXIAL) -> Elements:
    """Return the Frame of Reference and Image Plane modules (PS3.3 C.7.4.1, C.7.6.2)."""
    spacing = FIELD_OF_VIEW / facts.matrix
    height = -_SLICE_DISTANCE * facts.instance.InstanceNumber
    return {
        "FrameOfReferenceUID": facts.uids.uid(facts.number, FRAME_OF_REFERENCE, 1),
        "PositionReferenceIndicator": "",
        "PatientPosition": "HFS",
        "PixelSpacing": [spacing, spacing],
        "ImageOrientationPatient": orientation,
        "ImagePositionPatient": [-FIELD_OF_VIEW / 2, -FIELD_OF_VIEW / 2, height],
        "SliceThickness": _SLICE_DISTANCE,
        "SliceLocation": height,
    }


def ct_image(facts: ObjectFacts) -> Elements:
    """Return a CT image, or a localizer (PS3.3 A.3.3)."""
    localizer = facts.instance.kind is Kind.CT_LOCALIZER
    events = ct_events(facts)
    event = events[0] if localizer else events[-1]
    make = pixels.projection if localizer else pixels.slice_through_body
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER" if localizer else "AXIAL"],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "RescaleType": "HU",
        "KVP": event.kvp,
        "XRayTubeCurrent": event.current,
        "ExposureTime": round((event.rotation or event.exposure_time) * 1000),
        "ScanOptions": {"localizer": "SCOUT MODE", "spiral": "HELICAL MODE"}.get(event.acquisition, "AXIAL MODE"),
        "DataCollectionDiameter": 500,
        "ReconstructionDiameter": FIELD_OF_VIEW,
        "ConvolutionKernel": "I31f",
        "GantryDetectorTilt": 0,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    if not localizer:
        elements["CTDIvol"] = event.ctdi
    data = make(facts.matrix, seed=noise_seed(facts))
    plane = _plane(facts, _CORONAL if localizer else _AXIAL)
    return _image(facts, plane | elements, data)


def mr_image(facts: ObjectFacts) -> Elements:
    """Return an MR image (PS3.3 A.4.3)."""
    heavy_t2 = "t2" in facts.series.SeriesDescription
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "ScanningSequence": "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": 4200 if heavy_t2 else 600,
        "EchoTime": 98 if heavy_t2 else 11,
        "EchoTrainLength": 15 if heavy_t2 else 3,
        "MagneticFieldStrength": 3,
        "ImagingFrequency": 123.2,
        "FlipAngle": 150,
        "SAR": 0.8,
    }
    data = pixels.slice_through_body(facts.matrix, seed=noise_seed(facts))
    return _image(facts, _plane(facts) | elements, data)


def _radiopharmaceutical(facts: ObjectFacts) -> Elements:
    """Return an item of the Radiopharmaceutical Information Sequence (PS3.3 C.8.4.10, C.8.9.2)."""
    what = administration(facts)
    return {
        "Radiopharmaceutical": what.tracer.agent.meaning,
        "RadiopharmaceuticalStartTime": what.given.strftime("%H%M%S"),
        "RadiopharmaceuticalStartDateTime": what.given.strftime("%Y%m%d%H%M%S"),
        "RadionuclideTotalDose": what.activity * 1e6,
        "RadionuclideHalfLife": what.tracer.half_life,
        "RadionuclideCodeSequence": [coded(what.tracer.radionuclide)],
        "RadiopharmaceuticalCodeSequence": [coded(what.tracer.agent)],
    }


def pet_image(facts: ObjectFacts) -> Elements:
    """Return a PET image (PS3.3 A.21.3); the tracer's activity is given in Bq."""
    slices = len(facts.series.instances)
    elapsed = (began_at(facts.study) - administration(facts).given).total_seconds()
    half_life = administration(facts).tracer.half_life
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "SeriesType": ["WHOLE BODY", "IMAGE"],
        "NumberOfSlices": slices,
        "CorrectedImage": ["NORM", "ATTN", "SCAT", "DECY", "RAN"],
        "RandomsCorrectionMethod": "DLYD",
        "AttenuationCorrectionMethod": "measured,AC CT",
        "ScatterCorrectionMethod": "Model-based",
        "DecayCorrection": "START",
        "CollimatorType": "NONE",
        "RadiopharmaceuticalInformationSequence": [_radiopharmaceutical(facts)],
        "RescaleIntercept": 0,
        "RescaleSlope": 12.5,
        "FrameReferenceTime": 60_000,
        "ImageIndex": facts.instance.InstanceNumber,
        "ActualFrameDuration": 120_000,
        "DecayFactor": round(2 ** (elapsed / half_life), 5),
        "WindowCenter": 5000,
        "WindowWidth": 10_000,
    }
    data = pixels.counts(facts.matrix, seed=noise_seed(facts), peak=400)
    return _image(facts, _plane(facts) | _ORIENTATION | elements, data, stored=16)


def nm_image(facts: ObjectFacts) -> Elements:
    """Return a planar NM image with an anterior and a posterior frame (PS3.3 A.5.4)."""
    frames = 2
    data = pixels.counts(facts.matrix, seed=noise_seed(facts), frames=frames)
    detector = {
        "CollimatorType": "PARA",
        "CollimatorGridName": "LEHR",
        "FocalDistance": 0,
        "ImageOrientationPatient": "",
        "ImagePositionPatient": "",
    }
    energies = {"EnergyWindowLowerLimit": 129.5, "EnergyWindowUpperLimit": 150.5}
    window = {"EnergyWindowName": "Tc99m", "EnergyWindowRangeSequence": [energies]}
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"],
        "NumberOfFrames": frames,
        "FrameIncrementPointer": [0x00540010, 0x00540020],
        "EnergyWindowVector": [1] * frames,
        "NumberOfEnergyWindows": 1,
        "DetectorVector": list(range(1, frames + 1)),
        "NumberOfDetectors": frames,
        "PixelSpacing": [FIELD_OF_VIEW / facts.matrix] * 2,
        "CountsAccumulated": pixels.total(data),
        "ActualFrameDuration": 300_000,
        "EnergyWindowInformationSequence": [window],
        "RadiopharmaceuticalInformationSequence": [_radiopharmaceutical(facts)],
        "DetectorInformationSequence": [detector] * frames,
        "PatientPosition": "HFS",
    }
    return _image(facts, _ORIENTATION | elements, data, stored=16)


def us_image(facts: ObjectFacts) -> Elements:
    """Return an ultrasound image (PS3.3 A.6.4)."""
    elements = {"ImageType": ["ORIGINAL", "PRIMARY", "ABDOMINAL"], "UltrasoundColorDataPresent": 0}
    data = pixels.grey_bars(facts.matrix, seed=noise_seed(facts))
    return _image(facts, elements, data, bits=8, stored=8)


def captured(facts: ObjectFacts) -> Elements:
    """Return a secondary capture (PS3.3 A.8.1)."""
    elements = {"ImageType": ["DERIVED", "SECONDARY"], "ConversionType": "WSD"}
    data = pixels.grey_bars(facts.matrix, seed=noise_seed(facts))
    return _image(facts, elements, data, bits=8, stored=8)


def dose_sheet(facts: ObjectFacts) -> Elements:
    """Return a dose sheet as older CT scanners save it: a capture with the doses in an attribute as well."""
    events = ct_events(facts)
    lines = [
        f"Series #{place} {event.protocol} Average CTDIvol={event.ctdi} DLP={event.dlp}"
        for place, event in enumerate(events, 1)
        if event.acquisition != "localizer"
    ]
    doses = {
        "ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"],
        "BurnedInAnnotation": "YES",
        "KVP": events[-1].kvp,
        "CommentsOnRadiationDose": "\n".join([*lines, f"Total DLP={dlp_total(events)}"]),
    }
    return captured(facts) | doses


def _exposure_of(facts: ObjectFacts) -> ProjectionEvent:
    """Return the exposure that belongs to an image; images beyond the last one share its numbers."""
    shots = [event for event in projection_events(facts) if not event.fluoroscopy]
    return shots[min(facts.instance.InstanceNumber, len(shots)) - 1]


def _technique(event: ProjectionEvent) -> Elements:
    """Return the X-ray acquisition attributes of an image (PS3.3 C.8.7.2)."""
    milliseconds = event.duration * 1000 / event.pulses
    return {
        "KVP": event.kvp,
        "XRayTubeCurrent": round(event.current),
        "ExposureTime": max(round(milliseconds), 1),
        "Exposure": max(round(event.current * milliseconds / 1000), 1),
        "ExposureInuAs": round(event.current * milliseconds),
        "DistanceSourceToDetector": 1100,
    }


def _digital(facts: ObjectFacts) -> Elements:
    """Return what DX and mammography share: DX Series, Image, Detector and Positioning (PS3.3 C.8.11)."""
    event = _exposure_of(facts)
    processing = facts.instance.kind is Kind.MG_PROCESSING
    spacing = FIELD_OF_VIEW / facts.matrix
    data = pixels.projection(facts.matrix, seed=noise_seed(facts), brightness=1200 if processing else 2400)
    elements = {
        "PresentationIntentType": "FOR PROCESSING" if processing else "FOR PRESENTATION",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PatientOrientation": ["L", "F"],
        "ImageLaterality": event.laterality or "U",
        "AnatomicRegionSequence": [coded(facts.procedure.region)],
        "PixelIntensityRelationship": "LIN" if processing else "LOG",
        "PixelIntensityRelationshipSign": 1 if processing else -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        "DetectorType": "SCINTILLATOR",
        "DetectorID": "1",
        "ImagerPixelSpacing": [spacing, spacing],
        "AcquisitionContextSequence": [],
        "ImageAndFluoroscopyAreaDoseProduct": event.dose_area_product * 1e5,  # in dGy.cm2
        "EntranceDoseInmGy": event.dose_rp * 1000,
        **_technique(event),
    }
    return _image(facts, elements, data)


def dx_image(facts: ObjectFacts) -> Elements:
    """Return a digital radiograph for presentation (PS3.3 A.26.3)."""
    return _digital(facts) | {"ViewPosition": "AP"}


def mg_image(facts: ObjectFacts) -> Elements:
    """Return a mammogram for presentation or for processing (PS3.3 A.27.3)."""
    event = _exposure_of(facts)
    return _digital(facts) | {
        "PositionerType": "MAMMOGRAPHIC",
        "PositionerPrimaryAngle": 45 if event.view == "MLO" else 0,
        "OrganExposed": "BREAST",
        "ViewCodeSequence": [coded(VIEWS[event.view]) | {"ViewModifierCodeSequence": []}],
        "ViewPosition": event.view,
        "OrganDose": event.glandular_dose / 100,  # in dGy
        "AnodeTargetMaterial": "TUNGSTEN",
        "FilterMaterial": "RHODIUM",
        "CompressionForce": 110,
        "BodyPartThickness": round(30 + 15 * event.glandular_dose),
        "HalfValueLayer": 0.54,
        "BreastImplantPresent": "NO",
    }


def cr_image(facts: ObjectFacts) -> Elements:
    """Return a computed radiograph (PS3.3 A.2.3)."""
    event = _exposure_of(facts)
    spacing = FIELD_OF_VIEW / facts.matrix
    data = pixels.projection(facts.matrix, seed=noise_seed(facts))
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "ViewPosition": "AP",
        "ImagerPixelSpacing": [spacing, spacing],
        "PlateType": "ST-VI",
        "Sensitivity": 200,
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        **_technique(event),
    }
    return _image(facts, elements, data)


def fluoroscopic_image(facts: ObjectFacts) -> Elements:
    """Return an angiographic or radiofluoroscopic run of a few frames (PS3.3 A.14.3, A.16.3)."""
    event = _exposure_of(facts)
    data = pixels.projection(facts.matrix, seed=noise_seed(facts), frames=_RUN_FRAMES)
    elements = {
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "PixelIntensityRelationship": "LIN",
        "RadiationSetting": "GR",
        "RadiationMode": "PULSED",
        "NumberOfFrames": _RUN_FRAMES,
        "FrameIncrementPointer": [0x00181063],
        "FrameTime": 133.3,
        "PatientPosition": "HFS",
        "ImageAndFluoroscopyAreaDoseProduct": event.dose_area_product * 1e5,  # in dGy.cm2
        "WindowCenter": 1400,
        "WindowWidth": 2400,
        **_technique(event),
    }
    if facts.instance.kind is Kind.XA_IMAGE:
        elements |= {
            "PositionerMotion": "STATIC",
            "PositionerPrimaryAngle": facts.rng().choice((-30, 0, 30)),
            "PositionerSecondaryAngle": facts.rng().choice((-20, 0, 25)),
        }
    return _image(facts, elements, data)
